"""Measure music that a model writes, and compare it with held-out music and the training music."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal

from wordgen.errors import CorpusError
from wordgen.evaluation import figures
from wordgen.evaluation.figures import NONE
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.copied_notes import Melodies
from wordgen.music.piece import Piece, piece_of_chords, piece_of_notes
from wordgen.music.tune import Tune, bars_heard_before, faults_of, has_eight_bar_form

if TYPE_CHECKING:
    from wordgen.generation.texts import Text

_NO_DIFFERENCE = 0.05
"""Two shares that differ by less than this count as equal."""
_STANDARD_ERRORS = 2.0
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
        yield from ((name, figures.share(value)) for name, value in self.form_shares())
        yield "never end", figures.share(self.never_end)
        yield "bars heard before", figures.share(self.bars_heard_before)
        yield from _similarity_rows(self.copied, self.overlap)

    @property
    def count(self) -> int:
        return self.tunes

    def form_shares(self) -> Iterator[tuple[str, float | None]]:
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
        yield "notes per quarter note", _number_in_words(self.notes_per_quarter)
        yield "notes that begin together", _number_in_words(self.notes_at_once)
        yield from _similarity_rows(self.copied, self.overlap)


MusicFigures = TuneFigures | PieceFigures


def _similarity_rows(copied: Copied | None, overlap: Overlap | None) -> Iterator[tuple[str, str]]:
    yield "notes in copied stretches", NONE if copied is None else figures.share(copied.share)
    yield "longest copied stretch", NONE if copied is None else f"{copied.longest:,}"
    overlap = overlap or Overlap(None, None, None)
    yield "overlap of pitch classes", figures.share(overlap.pitch_classes)
    yield "overlap of intervals", figures.share(overlap.intervals)
    yield "overlap of lengths", figures.share(overlap.lengths)


def _number_in_words(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


@dataclass(frozen=True)
class Music:
    """How good the music of a model is, compared with held-out music and the training music."""

    generated: MusicFigures
    held_out: MusicFigures
    training: MusicFigures | None
    """None if the training music is missing."""
    held_out_name: str
    """The name of the held-out music in sentences."""
    most_tokens: int
    """The length in tokens at which a text that has not ended is cut off."""

    @property
    def kind(self) -> str:
        return "tunes" if isinstance(self.generated, TuneFigures) else "pieces"

    @property
    def columns(self) -> list[str]:
        training = [] if self.training is None else ["training"]
        return ["generated", "held-out" if self.held_out_name == "the held-out text" else self.held_out_name, *training]

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
        first = self._form_in_words() if isinstance(self.generated, TuneFigures) else self._similarity_in_words()
        copies = self._copies_in_words()
        if first is None:
            return None
        return f"{first}; {copies}." if copies else f"{first}."

    @property
    def _references(self) -> list[tuple[str, MusicFigures]]:
        """Names and figures of the music to compare with. Held-out music comes first, but may be very little."""
        training = [] if self.training is None else [(f"the training {self.kind}", self.training)]
        return [(self._held_out_music, self.held_out), *training]

    def _form_in_words(self) -> str | None:
        """Compare the form of the tunes. Return None if none were generated or held out."""
        generated = self.generated
        others = [(name, other) for name, other in self._references if isinstance(other, TuneFigures) and other.tunes]
        if not isinstance(generated, TuneFigures) or not generated.tunes or not others:
            return None
        for name, other in others:
            clearly_lower = [
                each
                for each in _lower_shares(generated, other)
                if _clearly_differ(each[1], generated.tunes, each[2], other.tunes)
            ]
            if clearly_lower:
                return f"The generated tunes are worse than {name}: {_shares_in_words(clearly_lower)}"
        for name, other in others:
            if lower := _lower_shares(generated, other):
                worse = f"The generated tunes may be worse than {name}, but there are too few to tell"
                return f"{worse}: {_shares_in_words(lower)}"
        return f"The generated tunes are as well formed as {others[0][0]}"

    def _similarity_in_words(self) -> str | None:
        """Compare how similar the pieces are to the training pieces. Return None if that is not known."""
        generated, other = self.generated.overlap, self.held_out.overlap
        if generated is None or other is None:
            return None
        both = [
            (name.replace("_", " "), overlap, other_share)
            for (name, overlap), other_share in zip(asdict(generated).items(), asdict(other).values(), strict=True)
            if overlap is not None and other_share is not None
        ]
        lower = [(f"in {each[0]}", *each[1:]) for each in both if each[2] - each[1] >= _NO_DIFFERENCE]
        if lower:
            less = f"The generated pieces are less similar to the training pieces than {self._held_out_music}"
            return f"{less}: {_shares_in_words(lower)}"
        of_what = ", ".join(name for name, _, _ in both)
        same = f"The generated pieces are at least as similar to the training pieces as {self._held_out_music}"
        return f"{same} ({of_what})" if both else None

    def _copies_in_words(self) -> str | None:
        """Compare how much is copied. A tune or piece is one observation, because copies come in long stretches."""
        generated, others = self.generated, self._references
        shares = [(name, each.count, each.copied.share) for name, each in others if each.copied is not None]
        known = [(name, count, share) for name, count, share in shares if share is not None]
        if generated.copied is None or generated.copied.share is None or not known:
            return None
        generated_share = generated.copied.share
        for name, count, share in known:
            if generated_share - share >= _NO_DIFFERENCE and _clearly_differ(
                generated_share, generated.count, share, count
            ):
                return f"they copy more than {name} ({generated_share:.1%} of their notes, against {share:.1%})"
        name, count, share = known[0]
        reference = f"{name} ({generated_share:.1%} of their notes, against {share:.1%})"
        if abs(generated_share - share) < _NO_DIFFERENCE:
            return f"they copy as much as {reference}"
        if generated_share < share and _clearly_differ(generated_share, generated.count, share, count):
            return f"they copy less than {reference}"
        more_or_less = "more" if generated_share > share else "less"
        return f"whether they copy {more_or_less} than {reference} cannot be told from so few"

    @property
    def _held_out_music(self) -> str:
        if self.held_out_name == "the held-out text":
            return f"the held-out {self.kind}"
        return f"the {self.kind} of {self.held_out_name}"

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


def _lower_shares(generated: TuneFigures, other: TuneFigures) -> list[Compared]:
    """Return the shares that are lower than those of other tunes."""
    return [
        (name, share, other_share)
        for (name, share), (_, other_share) in zip(generated.form_shares(), other.form_shares(), strict=True)
        if share is not None and other_share is not None and other_share - share >= _NO_DIFFERENCE
    ]


def _shares_in_words(compared: Sequence[Compared]) -> str:
    return ", ".join(f"{share:.0%} against {other_share:.0%} {name}" for name, share, other_share in compared)


def _clearly_differ(share: float, count: int, other_share: float, other_count: int) -> bool:
    """Return whether two shares differ by more than chance. With very few observations, the answer is no."""
    error = math.sqrt(_variance(share, count) + _variance(other_share, other_count))
    return abs(share - other_share) > _STANDARD_ERRORS * error


def _variance(share: float, count: int) -> float:
    """Return the variance of a share. One more observation of both kinds is assumed, so it is never zero."""
    smoothed = (share * count + 1) / (count + 2)
    return smoothed * (1 - smoothed) / max(1, count)


MusicKind = Literal["tunes", "notes", "chords"]
_PIECES: dict[MusicKind, Callable[[str], Piece]] = {"notes": piece_of_notes, "chords": piece_of_chords}


def notes_in(kind: MusicKind, texts: Iterable[str]) -> int:
    """Return the number of notes of some tunes or pieces, as they are written. Each note of a chord counts."""
    if kind == "tunes":
        return sum(map(_notes, map(parse_tune, texts)))
    return sum(len(piece.notes) for piece in _read_pieces(kind, texts))


def compared_music(
    kind: MusicKind,
    written: Sequence["Text"],
    held_out: Iterable[str],
    training: Iterable[str] | None,
    most_tokens: int,
    held_out_name: str = "the held-out text",
) -> Music:
    """Compare music that a model wrote with held-out music, and both with the training music if it is known.

    `most_tokens` is the length at which the written texts were cut off. `held_out_name` names the held-out music in
    sentences.
    """

    def counted(texts: Iterable[str]) -> _Tunes | _Pieces:
        return _Tunes(texts) if kind == "tunes" else _Pieces(texts, kind)

    written_music, held_out_music = counted(text.text for text in written), counted(held_out)
    learned = None if training is None else counted(training)
    generated = written_music.figures(learned)
    if isinstance(generated, TuneFigures):
        never_end = _share(sum(text.ended != "end" for text in written), generated.tunes)
        generated = replace(generated, never_end=never_end)
    return Music(
        generated=generated,
        held_out=held_out_music.figures(learned),
        training=None if learned is None else learned.figures(learned),
        held_out_name=held_out_name,
        most_tokens=most_tokens,
    )


class _CountedMusic:
    """Some music, of which only counts are kept."""

    def __init__(self) -> None:
        self.melodies = Melodies()
        self.histograms = Histograms()

    def similarity_to(self, training: "_CountedMusic | None") -> tuple[Copied | None, Overlap | None]:
        """Return how much is copied from the training music, and how much the histograms overlap with its own."""
        if training is None:
            return None, None
        found = self.melodies.copied_from(training.melodies)
        copied = Copied(_share(found.notes, self.melodies.notes), found.longest)
        return copied, None if training is self else self.histograms.overlaps(training.histograms)


class _Tunes(_CountedMusic):
    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__()
        self._counts = Counter[str]()
        for tune in map(parse_tune, texts):
            faults = {fault.kind for fault in faults_of(tune)}
            heard, bars = bars_heard_before(tune)
            self._counts.update(
                tunes=1,
                notes=_notes(tune),
                parse=not faults & {"header", "sign", "end"},
                bars_add_up=not faults - {"repeat", "tie"},
                repeats_add_up=not faults,
                end_on_tonic=tune.ends_on_tonic,
                eight_bar_form=has_eight_bar_form(tune),
                heard_before=heard,
                bars=bars,
            )
            self.melodies.add(tune.melody)
            self.histograms.add_tune(tune)

    def figures(self, training: _CountedMusic | None) -> TuneFigures:
        counts = self._counts
        shares = ("parse", "bars_add_up", "repeats_add_up", "end_on_tonic", "eight_bar_form")
        copied, overlap = self.similarity_to(training)
        return TuneFigures(
            tunes=counts["tunes"],
            notes=counts["notes"],
            never_end=None,
            bars_heard_before=_share(counts["heard_before"], counts["bars"]),
            copied=copied,
            overlap=overlap,
            **{name: _share(counts[name], counts["tunes"]) for name in shares},
        )


class _Pieces(_CountedMusic):
    def __init__(self, texts: Iterable[str], kind: MusicKind) -> None:
        super().__init__()
        self._timed = kind == "notes"
        self._pieces = self._notes = self._onsets = 0
        self._quarters = 0.0
        for piece in _read_pieces(kind, texts):
            self._pieces += 1
            self._notes += len(piece.notes)
            self._onsets += sum(1 for _ in groupby(piece.notes, key=lambda note: note.onset))
            self._quarters += piece.end / piece.resolution
            self.melodies.add(piece.melody)
            self.histograms.add_piece(piece)
        if not self._timed:
            self.histograms.lengths.clear()

    def figures(self, training: _CountedMusic | None) -> PieceFigures:
        copied, overlap = self.similarity_to(training)
        return PieceFigures(
            pieces=self._pieces,
            notes=self._notes,
            notes_per_quarter=_share(self._notes, self._quarters) if self._timed else None,
            notes_at_once=_share(self._notes, self._onsets),
            copied=copied,
            overlap=overlap,
        )


def _read_pieces(kind: MusicKind, texts: Iterable[str]) -> Iterable[Piece]:
    """Yield the pieces of some texts. Those that last too long are left out."""
    for text in texts:
        with suppress(CorpusError):
            yield _PIECES[kind](text)


def _notes(tune: Tune) -> int:
    return sum(len(note.pitches) for note in tune.notes)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def overlap(one: Mapping[object, int], other: Mapping[object, int]) -> float | None:
    """Return the sum of the smaller share of each value: 1 for equal histograms, 0 for those without a common value.

    Return None if one of them is empty.
    """
    total, other_total = sum(one.values()), sum(other.values())
    if not total or not other_total:
        return None
    common = one.keys() & other.keys()
    return float(sum(min(Fraction(one[each], total), Fraction(other[each], other_total)) for each in common))


@dataclass
class Histograms:
    """Counts of the notes of some music."""

    pitch_classes: Counter[object] = field(default_factory=Counter)
    """Half steps above the tonic, from 0 to 11; for pieces, whose key is not known, above C."""
    intervals: Counter[object] = field(default_factory=Counter)
    """Half steps from a note to the next, up or down; for pieces, from the highest note of an onset to that of the
    next."""
    lengths: Counter[object] = field(default_factory=Counter)

    def add_tune(self, tune: Tune) -> None:
        """Count the notes of a tune. In a part without a usual key, pitch classes are left out."""
        for bar in tune.bars:
            if bar.key is not None:
                tonic = bar.key.tonic.half_steps
                pitches = (pitch for note in bar.notes for pitch in note.pitches)
                self.pitch_classes.update((pitch.half_steps - tonic) % 12 for pitch in pitches)
        self.intervals.update(_intervals(note.pitch for note in tune.melody))
        self.lengths.update(note.length for note in tune.melody)

    def add_piece(self, piece: Piece) -> None:
        self.pitch_classes.update(note.pitch % 12 for note in piece.notes)
        onsets = groupby(piece.notes, key=lambda note: note.onset)
        self.intervals.update(_intervals(max(note.pitch for note in notes) for _, notes in onsets))
        self.lengths.update(note.length for note in piece.notes)

    def overlaps(self, other: "Histograms") -> Overlap:
        return Overlap(
            overlap(self.pitch_classes, other.pitch_classes),
            overlap(self.intervals, other.intervals),
            overlap(self.lengths, other.lengths),
        )


def _intervals(pitches: Iterable[int]) -> Iterable[int]:
    return (after - before for before, after in pairwise(pitches))
