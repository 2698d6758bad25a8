"""The figures of music that a model writes, beside held-out and training music, as plain values."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from wordgen.evaluation import figures
from wordgen.evaluation.figures import NONE

_NO_DIFFERENCE = 0.05
"""Two shares that differ by less than this count as equal."""
_SURE = 2.0
"""A difference of at most this many standard errors may be chance."""


@dataclass(frozen=True)
class Copied:
    """How much is copied, in any key, from the training music. Training music is compared with the rest of it."""

    share: float | None
    """The share of notes that are in a copied stretch of 12 notes or more. None if there are no notes."""
    longest: int
    """The notes of the longest copied stretch."""


@dataclass(frozen=True)
class Overlap:
    """How much histograms overlap with those of the training music, from 0 to 1. None if one of both is empty."""

    pitch_classes: float | None
    intervals: float | None
    lengths: float | None


@dataclass(frozen=True)
class TuneFigures:
    """How good some tunes in ABC are. The shares are None if there are no tunes."""

    tunes: int
    notes: int
    parse: float | None
    """The share of tunes without a fault in fields, signs or end."""
    bars_add_up: float | None
    """The share of tunes that parse, and whose bars are as long as the metre says."""
    repeats_add_up: float | None
    """The share of tunes that have no fault: their bars also add up where a part is repeated."""
    end_on_tonic: float | None
    never_end: float | None
    """The share of tunes that had no end when they were as long as the longest training tune. None if the model did
    not write them."""
    eight_bar_form: float | None
    """The share of tunes whose parts have eight bars each, or a multiple of eight."""
    bars_heard_before: float | None
    """The share of bars that are the same as an earlier bar of their tune."""
    copied: Copied | None
    """None without training tunes."""
    overlap: Overlap | None
    """None without training tunes, and for these themselves."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each figure, as they are shown."""
        yield "tunes", f"{self.tunes:,}"
        yield "notes", f"{self.notes:,}"
        yield from ((name, figures.share(value)) for name, value in self.form())
        yield "never end", figures.share(self.never_end)
        yield "bars heard before", figures.share(self.bars_heard_before)
        yield from _rows_of_likeness(self.copied, self.overlap)

    @property
    def count(self) -> int:
        return self.tunes

    def form(self) -> Iterator[tuple[str, float | None]]:
        """Yield the names and values of the shares that should be high."""
        yield "parse", self.parse
        yield "bars add up", self.bars_add_up
        yield "bars add up, also at repeats", self.repeats_add_up
        yield "end on the tonic", self.end_on_tonic
        yield "have eight-bar form", self.eight_bar_form


@dataclass(frozen=True)
class PieceFigures:
    """How some pieces of piano music are."""

    pieces: int
    notes: int
    notes_per_quarter: float | None
    """The number of notes per quarter note of time. None for pitches without lengths."""
    notes_at_once: float | None
    """The mean number of notes that begin together."""
    copied: Copied | None
    overlap: Overlap | None

    @property
    def count(self) -> int:
        return self.pieces

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each figure, as they are shown."""
        yield "pieces", f"{self.pieces:,}"
        yield "notes", f"{self.notes:,}"
        yield "notes per quarter note", _number(self.notes_per_quarter)
        yield "notes that begin together", _number(self.notes_at_once)
        yield from _rows_of_likeness(self.copied, self.overlap)


MusicFigures = TuneFigures | PieceFigures


def _rows_of_likeness(copied: Copied | None, overlap: Overlap | None) -> Iterator[tuple[str, str]]:
    yield "notes in copied stretches", NONE if copied is None else figures.share(copied.share)
    yield "longest copied stretch", NONE if copied is None else f"{copied.longest:,}"
    overlap = overlap or Overlap(None, None, None)
    yield "overlap of pitch classes", figures.share(overlap.pitch_classes)
    yield "overlap of intervals", figures.share(overlap.intervals)
    yield "overlap of lengths", figures.share(overlap.lengths)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


@dataclass(frozen=True)
class Music:
    """How good the music of a model is, beside held-out music and the training music."""

    generated: MusicFigures
    held_out: MusicFigures
    training: MusicFigures | None
    """None if the training music is missing."""
    beside: str
    """The name of the held-out music in sentences."""
    most_tokens: int
    """The length in tokens at which a text that has not ended is cut off."""

    @property
    def kind(self) -> str:
        return "tunes" if isinstance(self.generated, TuneFigures) else "pieces"

    @property
    def columns(self) -> list[str]:
        training = [] if self.training is None else ["training"]
        return ["generated", "held-out" if self.beside == "the held-out text" else self.beside, *training]

    def rows(self) -> list[list[str]]:
        """Return the name of each figure, and its values in all columns. Figures without any value are left out."""
        every = [each for each in (self.generated, self.held_out, self.training) if each is not None]
        rows = [
            [cells[0][0], *(shown for _, shown in cells)]
            for cells in zip(*(each.rows() for each in every), strict=True)
        ]
        return [row for row in rows if any(cell != NONE for cell in row[1:])]

    def in_words(self) -> Iterator[str]:
        """Yield sentences that explain the figures."""
        kind = self.kind
        yield (
            f"The model wrote the {kind} at temperature 1, each to its end, but at most {self.most_tokens:,} tokens."
        )
        if self.training is None:
            return
        yield (
            f"Copied stretches have 12 notes or more that the training {kind} have, too, in any key; training {kind} "
            "are compared with each other. Overlap: the common share of two histograms, one of them that of the "
            f"training {kind}."
        )

    @property
    def verdict(self) -> str | None:
        """One sentence: whether the music is as good as the held-out music, and whether it copies more."""
        first = self._form_in_words() if isinstance(self.generated, TuneFigures) else self._likeness_in_words()
        copies = self._copies_in_words()
        if first is None:
            return None
        return f"{first}; {copies}." if copies else f"{first}."

    @property
    def _references(self) -> list[tuple[str, MusicFigures]]:
        """Names and figures of the music to compare with. Held-out music comes first, but may be very little."""
        training = [] if self.training is None else [(f"the training {self.kind}", self.training)]
        return [(self._those, self.held_out), *training]

    def _form_in_words(self) -> str | None:
        """Compare the form of the tunes. Return None if none were generated or held out."""
        own = self.generated
        others = [(name, other) for name, other in self._references if isinstance(other, TuneFigures) and other.tunes]
        if not isinstance(own, TuneFigures) or not own.tunes or not others:
            return None
        for name, other in others:
            sure = [each for each in _lower(own, other) if _differ(each[1], own.tunes, each[2], other.tunes)]
            if sure:
                return f"The generated tunes are worse than {name}: {_listed(sure)}"
        for name, other in others:
            if lower := _lower(own, other):
                return f"The generated tunes may be worse than {name}, but there are too few to tell: {_listed(lower)}"
        return f"The generated tunes are as well formed as {others[0][0]}"

    def _likeness_in_words(self) -> str | None:
        """Compare how similar the pieces are to the training pieces. Return None if that is not known."""
        own, other = self.generated.overlap, self.held_out.overlap
        if own is None or other is None:
            return None
        both = [
            (name.replace("_", " "), overlap, beside)
            for (name, overlap), beside in zip(asdict(own).items(), asdict(other).values(), strict=True)
            if overlap is not None and beside is not None
        ]
        lower = [(f"in {each[0]}", *each[1:]) for each in both if each[2] - each[1] >= _NO_DIFFERENCE]
        if lower:
            return f"The generated pieces are less similar to the training pieces than {self._those}: {_listed(lower)}"
        of_what = ", ".join(name for name, _, _ in both)
        same = f"The generated pieces are at least as similar to the training pieces as {self._those}"
        return f"{same} ({of_what})" if both else None

    def _copies_in_words(self) -> str | None:
        """Compare how much is copied. A tune or piece is one observation, because copies come in long stretches."""
        own, others = self.generated, self._references
        shares = [(name, each.count, each.copied.share) for name, each in others if each.copied is not None]
        known = [(name, count, share) for name, count, share in shares if share is not None]
        if own.copied is None or own.copied.share is None or not known:
            return None
        found = own.copied.share
        for name, count, share in known:
            if found - share >= _NO_DIFFERENCE and _differ(found, own.count, share, count):
                return f"they copy more than {name} ({found:.1%} of their notes, against {share:.1%})"
        name, count, share = known[0]
        told = f"{name} ({found:.1%} of their notes, against {share:.1%})"
        if abs(found - share) < _NO_DIFFERENCE:
            return f"they copy as much as {told}"
        if found < share and _differ(found, own.count, share, count):
            return f"they copy less than {told}"
        return f"whether they copy {'more' if found > share else 'less'} than {told} cannot be told from so few"

    @property
    def _those(self) -> str:
        if self.beside == "the held-out text":
            return f"the held-out {self.kind}"
        return f"the {self.kind} of {self.beside}"

    def to_mapping(self) -> dict[str, object]:
        """Return the values as a dict for JSON output."""
        return {
            "generated": asdict(self.generated),
            "held_out": asdict(self.held_out),
            "training": None if self.training is None else asdict(self.training),
            "most_tokens": self.most_tokens,
            "verdict": self.verdict,
        }


Compared = tuple[str, float, float]
"""The name of a share, its value for the generated music, and its value for other music."""


def _lower(own: TuneFigures, other: TuneFigures) -> list[Compared]:
    """Return the shares that are lower than those of other tunes."""
    return [
        (name, share, beside)
        for (name, share), (_, beside) in zip(own.form(), other.form(), strict=True)
        if share is not None and beside is not None and beside - share >= _NO_DIFFERENCE
    ]


def _listed(compared: Sequence[Compared]) -> str:
    return ", ".join(f"{share:.0%} against {beside:.0%} {name}" for name, share, beside in compared)


def _differ(one: float, of: int, other: float, of_other: int) -> bool:
    """Return whether two shares differ by more than chance. With very few observations, the answer is no."""
    error = math.sqrt(_variance(one, of) + _variance(other, of_other))
    return abs(one - other) > _SURE * error


def _variance(share: float, of: int) -> float:
    """Return the variance of a share. One more observation of both kinds is assumed, so it is never zero."""
    smoothed = (share * of + 1) / (of + 2)
    return smoothed * (1 - smoothed) / max(1, of)
