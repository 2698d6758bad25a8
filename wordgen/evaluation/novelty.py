"""How new the texts are that a model writes: what of them stands in the training text, beside text that it never met.

Every figure stands beside the same one for pieces of held-out text, cut as long as the written texts. For how much a
new text shares with a corpus depends on the corpus: of spells or laws much comes again word for word, of novels little.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from wordgen.dataset.encoding import Dataset
from wordgen.evaluation.diversity import Texts, distinct, repetition, self_bleu
from wordgen.evaluation.verbatim import Matches, longest_matches
from wordgen.evaluation.whole_words import UNIT_END, Ids, Numbers, WholeWords, Words

LENGTHS = range(3, 9)
"""Of how many words the runs are that are looked for in the training text."""
LONGEST = LENGTHS[-1]

_RECITES = 0.5
"""Most of the time the next eight words stand so in the training text: all that is new is how copies are joined."""
_RECITES_BEYOND = 0.25
"""So much more of that than held-out text has: every fourth run of eight words is more than such a text needs."""
_NO_DIFFERENCE = 0.01
"""Two shares this near to each other are as good as the same, however sure the difference is."""
_SURE = 2.5
"""A difference of fewer standard errors may be chance: six lengths are looked at, so the usual two were too few."""

Originality = Literal["recites", "less original", "as original", "more original"]


@dataclass(frozen=True)
class VerbatimRun:
    """Some words in a row that stand in the training text."""

    symbols: int
    text: str
    file: str
    line: int
    """The line of that file in which it begins, from 1; where it stands several times, the first."""


@dataclass(frozen=True)
class Figures:
    """How new and how varied some texts are. A word that is spelled out counts as one symbol; START does not count."""

    texts: int
    symbols: int
    shares: Mapping[int, float | None]
    """For each of LENGTHS the share of runs of so many symbols that stand in the training text, if there are any."""
    longest: VerbatimRun | None
    """The longest run that stands in the training text."""
    distinct_1: float | None
    """The share of symbols that are different ones."""
    distinct_2: float | None
    """The same of pairs."""
    repetition: float | None
    """The share of runs of four symbols that stood in the same text before."""
    self_bleu: float | None
    """How much each text is like the others, from 0 to 1."""

    def to_mapping(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "shares": {str(length): share for length, share in self.shares.items()}}


@dataclass(frozen=True)
class Novelty:
    """What a model writes, beside held-out text."""

    samples: Figures
    held_out: Figures
    beside: str
    """What the held-out text is called."""
    originality: Originality | None
    """Nothing where no run is long enough to tell."""
    told_by: int
    """Of how many symbols the runs are by which that was told."""

    @property
    def verdict(self) -> str | None:
        """One sentence; nothing where there is nothing to say."""
        own, other = (each.shares[self.told_by] for each in (self.samples, self.held_out))
        if self.originality is None or own is None or other is None:
            return None
        seen = f"{own:.1%} of its runs of {self.told_by} symbols stand in the training text"
        if self.originality == "recites" and other >= _RECITES:
            return f"It recites: {seen}; but so do {other:.1%} of {self.beside}'s, so that is hardly new either."
        said = {
            "recites": "recites",
            "less original": f"is less original than {self.beside}",
            "as original": f"is as original as {self.beside}",
            "more original": f"is more original than {self.beside}, further from the corpus",
        }
        return f"It {said[self.originality]}: {seen}, and {other:.1%} of {self.beside}'s."

    def to_mapping(self) -> dict[str, Any]:
        """For programs."""
        return {
            "samples": self.samples.to_mapping(),
            "held_out": self.held_out.to_mapping(),
            "originality": self.originality,
            "told_by": self.told_by,
            "verdict": self.verdict,
        }


def novelty(samples: Sequence[Ids], held_out: Ids, learned: Dataset, beside: str = "the held-out text") -> Novelty:
    """Of texts that a model wrote, a text that it has not met, and what it has learned."""
    whole_words = WholeWords(learned.codec.vocabulary)
    written = [whole_words.to_compare(sample) for sample in samples]
    pieces = pieces_like(written, whole_words.to_compare(held_out))
    train = whole_words.of(learned.ids["train"])
    own, other = (_Searched(texts, train.numbers) for texts in (written, pieces))
    originality, told_by = _compared(own, other)
    figures = [_figures(each, len(pieces), learned, train) for each in (own, other)]
    return Novelty(figures[0], figures[1], beside, originality, told_by)


def pieces_like(written: Sequence[Numbers], held_out: Numbers) -> list[Numbers]:
    """Pieces of a text, each as long as one of the written ones, spread over it; fewer where it has no more.

    Written texts begin where a unit begins, so a piece does, too, where one begins before the next piece would have to.
    """
    lengths = np.minimum([len(text) for text in written], len(held_out))
    ends = np.cumsum(lengths)
    fitting = int(np.searchsorted(ends, len(held_out), side="right"))
    room = (len(held_out) - int(ends[fitting - 1])) // fitting
    unit_begins = np.concatenate([[0], np.flatnonzero(held_out == UNIT_END) + 1])
    pieces: list[Numbers] = []
    for number, (length, end) in enumerate(zip(lengths[:fitting].tolist(), ends.tolist(), strict=False)):
        begin = end - length + number * room
        near = unit_begins[(begin <= unit_begins) & (unit_begins <= begin + room)]
        first = int(near[0]) if len(near) else begin
        pieces.append(held_out[first : first + length])
    return pieces


@dataclass(frozen=True)
class _Share:
    """Of all runs of a length those that stand in the training text."""

    value: float
    texts: int
    variance: float
    """Between texts; 0 where there is but one.

    Runs overlap, and what is copied comes in long pieces, so not a run but a text is one observation.
    """

    @classmethod
    def of(cls, standing: Numbers, runs: Numbers) -> "_Share":
        """By how many there are in each text."""
        value = float(standing.sum() / runs.sum())
        deviations = (standing - value * runs) / runs.mean()
        return cls(value, len(runs), float((deviations**2).sum()) / max(1, len(runs) - 1))


class _Searched:
    """Some texts, and what of them stands in the training text."""

    def __init__(self, texts: Sequence[Numbers], train: Ids) -> None:
        self.each = texts
        self.together = Texts(texts)
        self.matches = longest_matches(self.together.words, train)

    def share(self, length: int) -> _Share | None:
        """Of runs of so many words; nothing where no text has any."""
        runs = self.together.in_each(self.together.rooms >= length)
        standing = self.together.in_each(self.matches.lengths >= length)
        return _Share.of(standing[runs > 0], runs[runs > 0]) if runs.any() else None

    def mean(self, measure: Callable[[Texts], float | None], at_once: int) -> float | None:
        """Of a measure that depends on how many texts there are: over groups of so many."""
        groups = [Texts(self.each[first : first + at_once]) for first in range(0, len(self.each), at_once)]
        measured = [measure(group) for group in groups if group.count == at_once]
        known = [each for each in measured if each is not None]
        return sum(known) / len(known) if known else None


def _figures(searched: _Searched, at_once: int, learned: Dataset, train: Words) -> Figures:
    """`at_once` is how many pieces of held-out text there are."""
    return Figures(
        texts=len(searched.each),
        symbols=sum(map(len, searched.each)),
        shares={length: _value(searched.share(length)) for length in LENGTHS},
        longest=_longest(searched.matches, learned, train),
        distinct_1=searched.mean(lambda texts: distinct(texts, 1), at_once),
        distinct_2=searched.mean(lambda texts: distinct(texts, 2), at_once),
        repetition=repetition(searched.together),
        self_bleu=searched.mean(self_bleu, at_once if at_once > 1 else len(searched.each)),
    )


def _value(share: _Share | None) -> float | None:
    return None if share is None else share.value


def _longest(matches: Matches, learned: Dataset, train: Words) -> VerbatimRun | None:
    """The first of the longest runs, in the words of the training text."""
    if not matches.lengths.any():
        return None
    at = int(matches.lengths.argmax())
    length, place = int(matches.lengths[at]), int(matches.places[at])
    begin, end = train.begins[place], train.begins[place + length]
    text = learned.codec.decode(learned.ids["train"][begin:end].tolist())
    return VerbatimRun(length, text.strip(), *learned.source(int(begin)))


def _compared(own: _Searched, other: _Searched) -> tuple[Originality | None, int]:
    """How original texts are beside others, and by runs of what length.

    That is the longest in which they surely differ; or the longest of which more than next to nothing stands there.
    """
    shares = [(length, own.share(length), other.share(length)) for length in reversed(LENGTHS)]
    both = [(length, ours, theirs) for length, ours, theirs in shares if ours is not None and theirs is not None]
    for length, ours, theirs in both:
        if length == LONGEST and (ours.value >= _RECITES or ours.value - theirs.value >= _RECITES_BEYOND):
            return "recites", length
        if _surely_differ(ours, theirs):
            return "less original" if ours.value > theirs.value else "more original", length
    telling = (length for length, *each in both if max(share.value for share in each) >= _NO_DIFFERENCE)
    return ("as original", next(telling, both[-1][0])) if both else (None, LONGEST)


def _surely_differ(one: _Share, other: _Share) -> bool:
    """Few texts tell little of how much texts differ: if they happen to be alike, the others have the word."""
    variance = max(one.variance, other.variance)
    if one.texts == other.texts == 1:
        return False
    difference = abs(one.value - other.value)
    error = math.sqrt(variance * (1 / one.texts + 1 / other.texts))
    return difference >= _NO_DIFFERENCE and difference > _SURE * error
