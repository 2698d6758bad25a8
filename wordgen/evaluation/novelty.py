"""How new the texts of a model are: how much of them the training text has, compared with held-out text.

Each figure is also computed for pieces of held-out text that are as long as the texts of the model. How much a new text
shares with a corpus depends on the corpus: spells or laws repeat much word for word, novels little.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wordgen.dataset.dataset import Dataset
from wordgen.evaluation.measurement import LENGTHS, LONGEST, RECITES, Figures, Match, Novelty, Originality
from wordgen.evaluation.samples import (
    PASSAGE_END,
    Ids,
    Numbers,
    Texts,
    WholeWords,
    Words,
    distinct,
    repetition,
    self_bleu,
)

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Matches:
    """For each position of a text, the longest match in another text that begins at that position."""

    lengths: Numbers
    places: Numbers
    """The position at which the match first occurs in the other text. It has no meaning if the length is 0."""


def longest_matches(text: Ids, other: Ids) -> Matches:
    """Search another text for all sequences of a text. Negative numbers are breaks and never match.

    Sequences of one word are searched for in the whole other text, sequences of two words only where the first word was
    found, and so on. Few sequences remain soon. The other text is searched in parts, so that the memory needed does not
    grow with its length.
    """
    lengths = np.zeros(len(text), np.int64)
    places = np.zeros(len(text), np.int64)
    for begin in range(0, len(other), _AT_ONCE):
        _lengthen(lengths, places, text, other, np.arange(begin, min(begin + _AT_ONCE, len(other))))
    return Matches(lengths, places)


def _lengthen(lengths: Numbers, places: Numbers, text: Ids, other: Ids, there: Numbers) -> None:
    """Search for sequences that begin at the positions `there` of the other text.

    `lengths` and `places` are updated where a match is longer than the longest known one. A sequence is represented by
    the number of the sequence that is one word shorter, and by its last word. Equal sequences have the same number in
    both texts.
    """
    words = 1 + int(text.max(initial=0))
    here = np.arange(len(text))
    numbers_here, numbers_there = np.zeros(len(here), np.int64), np.zeros(len(there), np.int64)
    length = 0
    while True:
        here, numbers_here = _go_on(here, numbers_here, text, length, words)
        there, numbers_there = _go_on(there, numbers_there, other, length, words)
        if not (len(here) and len(there)):
            return
        length += 1
        keys, numbers_here = np.unique(numbers_here, return_inverse=True)
        at = np.minimum(np.searchsorted(keys, numbers_there), len(keys) - 1)
        found = keys[at] == numbers_there
        there, numbers_there = there[found], at[found]
        first = np.full(len(keys), -1)
        first[numbers_there[::-1]] = there[::-1]
        stands = first[numbers_here] >= 0
        here, numbers_here = here[stands], numbers_here[stands]
        longer = lengths[here] < length
        lengths[here[longer]] = length
        places[here[longer]] = first[numbers_here[longer]]


def _go_on(places: Numbers, numbers: Numbers, text: Ids, length: int, words: int) -> tuple[Numbers, Numbers]:
    """Return the positions of the sequences that can be longer by one word, with a key for each longer sequence.

    Different sequences have different keys. `words` is one more than the largest number that can match.
    """
    inside = places + length < len(text)
    places, numbers = places[inside], numbers[inside]
    following = text[places + length].astype(np.int64)
    can_match = (following >= 0) & (following < words)
    return places[can_match], numbers[can_match] * words + following[can_match]


_RECITES_BEYOND = 0.25
"""A model also recites if this much more of its sequences of eight words is copied than of held-out text. Then every
fourth sequence is copied although text of this kind does not require it."""
_NO_DIFFERENCE = 0.01
"""Two shares that differ by less than this count as equal, even if the difference is certain."""
_SURE = 2.5
"""A difference of at most this many standard errors may be chance. The usual two standard errors were too few, because
six lengths are tested."""


def novelty(samples: Sequence[Ids], held_out: Ids, learned: Dataset, beside: str = "the held-out text") -> Novelty:
    """Compare texts that a model wrote with held-out text: how much of both does the training text have?

    `learned` is the dataset that the model was trained on. `beside` names the held-out text in sentences.
    """
    whole_words = WholeWords(learned.codec.vocabulary)
    written = [whole_words.to_compare(sample) for sample in samples]
    pieces = pieces_like(written, whole_words.to_compare(held_out))
    train = whole_words.of(learned.ids["train"])
    own, other = (_Searched(texts, train.numbers) for texts in (written, pieces))
    originality, told_by = _compared(own, other)
    figures = [_figures(each, len(pieces), learned, train) for each in (own, other)]
    return Novelty(figures[0], figures[1], beside, originality, told_by)


def pieces_like(written: Sequence[Numbers], held_out: Numbers) -> list[Numbers]:
    """Return pieces of a held-out text, each as long as one of the written texts, spread over the whole text.

    If the held-out text is too short, there are fewer pieces than written texts. Written texts begin where a passage
    begins. A piece also does, if a passage begins between the earliest and the latest possible beginning of the piece.
    """
    lengths = np.minimum([len(text) for text in written], len(held_out))
    ends = np.cumsum(lengths)
    fitting = int(np.searchsorted(ends, len(held_out), side="right"))
    room = (len(held_out) - int(ends[fitting - 1])) // fitting
    passage_begins = np.concatenate([[0], np.flatnonzero(held_out == PASSAGE_END) + 1])
    pieces: list[Numbers] = []
    for number, (length, end) in enumerate(zip(lengths[:fitting].tolist(), ends.tolist(), strict=False)):
        begin = end - length + number * room
        near = passage_begins[(begin <= passage_begins) & (passage_begins <= begin + room)]
        first = int(near[0]) if len(near) else begin
        pieces.append(held_out[first : first + length])
    return pieces


@dataclass(frozen=True)
class _Share:
    """The share of all sequences of one length that the training text has."""

    value: float
    texts: int
    variance: float
    """The variance between texts; 0 if there is only one. Sequences overlap, and copies come in long pieces. One
    observation is therefore a text, not a sequence."""

    @classmethod
    def of(cls, standing: Numbers, runs: Numbers) -> "_Share":
        """Return the share that results from the counts of each text.

        `runs` is the number of sequences of each text, `standing` is how many of them the training text has.
        """
        value = float(standing.sum() / runs.sum())
        deviations = (standing - value * runs) / runs.mean()
        return cls(value, len(runs), float((deviations**2).sum()) / max(1, len(runs) - 1))


class _Searched:
    """Some texts, and their matches in the training text."""

    def __init__(self, texts: Sequence[Numbers], train: Ids) -> None:
        self.each = texts
        self.together = Texts(texts)
        self.matches = longest_matches(self.together.words, train)

    def share(self, length: int) -> _Share | None:
        """Return the share of sequences of `length` words that match. None if no text has a sequence of that length."""
        runs = self.together.in_each(self.together.rooms >= length)
        standing = self.together.in_each(self.matches.lengths >= length)
        return _Share.of(standing[runs > 0], runs[runs > 0]) if runs.any() else None

    def mean(self, measure: Callable[[Texts], float | None], at_once: int) -> float | None:
        """Return the mean of a measure over groups of `at_once` texts. None if no group has a value.

        For measures that depend on the number of texts. A last group that is smaller is left out.
        """
        groups = [Texts(self.each[first : first + at_once]) for first in range(0, len(self.each), at_once)]
        measured = [measure(group) for group in groups if group.count == at_once]
        known = [each for each in measured if each is not None]
        return sum(known) / len(known) if known else None


def _figures(searched: _Searched, at_once: int, learned: Dataset, train: Words) -> Figures:
    """Return the figures of some texts.

    `at_once` is the number of pieces of held-out text. Measures that depend on the number of texts are means over
    groups of this size.
    """
    return Figures(
        texts=len(searched.each),
        tokens=sum(map(len, searched.each)),
        shares={length: _value(searched.share(length)) for length in LENGTHS},
        longest=_longest(searched.matches, learned, train),
        distinct_1=searched.mean(lambda texts: distinct(texts, 1), at_once),
        distinct_2=searched.mean(lambda texts: distinct(texts, 2), at_once),
        repetition=repetition(searched.together),
        self_bleu=searched.mean(self_bleu, at_once if at_once > 1 else len(searched.each)),
    )


def _value(share: _Share | None) -> float | None:
    return None if share is None else share.value


def _longest(matches: Matches, learned: Dataset, train: Words) -> Match | None:
    """Return the first of the longest matches, as text of the training text. None if nothing matches."""
    if not matches.lengths.any():
        return None
    at = int(matches.lengths.argmax())
    length, place = int(matches.lengths[at]), int(matches.places[at])
    begin, end = train.begins[place], train.begins[place + length]
    text = learned.codec.decode(learned.ids["train"][begin:end].tolist())
    return Match(length, text.strip(), *learned.source(int(begin)))


def _compared(own: _Searched, other: _Searched) -> tuple[Originality | None, int]:
    """Return how original texts are, compared with other texts, and the length of the sequences that decided it.

    Lengths are tried from long to short. The first one decides at which the model recites or the texts clearly differ.
    If they differ at no length, the texts are as original as the others, and the length is the longest at which one of
    the shares is at least `_NO_DIFFERENCE`, or else the shortest. The originality is None if the shares of both are
    known at no length.
    """
    shares = [(length, own.share(length), other.share(length)) for length in reversed(LENGTHS)]
    both = [(length, ours, theirs) for length, ours, theirs in shares if ours is not None and theirs is not None]
    for length, ours, theirs in both:
        if length == LONGEST and (ours.value >= RECITES or ours.value - theirs.value >= _RECITES_BEYOND):
            return "recites", length
        if _surely_differ(ours, theirs):
            return "less original" if ours.value > theirs.value else "more original", length
    telling = (length for length, *each in both if max(share.value for share in each) >= _NO_DIFFERENCE)
    return ("as original", next(telling, both[-1][0])) if both else (None, LONGEST)


def _surely_differ(one: _Share, other: _Share) -> bool:
    """Return whether two shares differ by more than chance.

    A few texts say little about the variance between texts: they may be alike by chance. The larger of the two
    variances is therefore used for both. The result is False if there is only one text on each side.
    """
    variance = max(one.variance, other.variance)
    if one.texts == other.texts == 1:
        return False
    difference = abs(one.value - other.value)
    error = math.sqrt(variance * (1 / one.texts + 1 / other.texts))
    return difference >= _NO_DIFFERENCE and difference > _SURE * error
