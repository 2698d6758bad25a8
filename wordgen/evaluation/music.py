"""Measure music that a model writes, beside held-out music and the training music.

This module reads ABC and the text of MIDI files. It is only imported for models of music.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Literal

from wordgen.errors import CorpusError
from wordgen.evaluation.music_figures import Copied, Music, MusicFigures, Overlap, PieceFigures, TuneFigures
from wordgen.generation.texts import Text
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.copied_notes import Melodies
from wordgen.music.piece import Piece, piece_of_chords, piece_of_notes
from wordgen.music.tune import Tune, bars_heard_before, faults_of, has_eight_bar_form

MusicKind = Literal["tunes", "notes", "chords"]
_PIECES: dict[MusicKind, Callable[[str], Piece]] = {"notes": piece_of_notes, "chords": piece_of_chords}


def notes_in(kind: MusicKind, texts: Iterable[str]) -> int:
    """Return the number of notes of some tunes or pieces, as they are written. Each note of a chord counts."""
    if kind == "tunes":
        return sum(map(_notes, map(parse_tune, texts)))
    return sum(len(piece.notes) for piece in _read_pieces(kind, texts))


def compared_music(
    kind: MusicKind,
    written: Sequence[Text],
    held_out: Iterable[str],
    training: Iterable[str] | None,
    most_tokens: int,
    beside: str = "the held-out text",
) -> Music:
    """Compare music that a model wrote with held-out music, and both with the training music if it is known.

    `most_tokens` is the length at which the written texts were cut off. `beside` names the held-out music in sentences.
    """

    def new() -> _Set:
        return _Tunes() if kind == "tunes" else _Pieces(kind)

    own, other, learned = new(), new(), None if training is None else new()
    own.read(text.text for text in written)
    other.read(held_out)
    if learned is not None and training is not None:
        learned.read(training)
    never_end = sum(text.ended != "end" for text in written)
    return Music(
        generated=own.figures(learned, never_end),
        held_out=other.figures(learned),
        training=None if learned is None else learned.figures(learned),
        beside=beside,
        most_tokens=most_tokens,
    )


class _Set(ABC):
    """Some music, of which only counts are kept."""

    def __init__(self) -> None:
        self.melodies = Melodies()
        self.histograms = Histograms()

    @abstractmethod
    def read(self, texts: Iterable[str]) -> None:
        """Count some tunes or pieces."""

    @abstractmethod
    def figures(self, training: "_Set | None", never_end: int | None = None) -> MusicFigures:
        """Return the figures. `never_end` is the number of texts without an end, if the model wrote them."""

    def copied(self, training: "_Set | None") -> Copied | None:
        if training is None:
            return None
        found = self.melodies.copied_from(training.melodies)
        return Copied(_share(found.notes, self.melodies.notes), found.longest)

    def overlap(self, training: "_Set | None") -> Overlap | None:
        if training is None or training is self:
            return None
        return self.histograms.overlaps(training.histograms)


class _Tunes(_Set):
    def __init__(self) -> None:
        super().__init__()
        self._counts = Counter[str]()

    def read(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._add(parse_tune(text))

    def _add(self, tune: Tune) -> None:
        faults = {fault.kind for fault in faults_of(tune)}
        heard, bars = bars_heard_before(tune)
        self._counts.update(
            tunes=1,
            notes=_notes(tune),
            parse=not faults & {"header", "sign", "end"},
            bars_add_up=not faults - {"repeat"},
            repeats_add_up=not faults,
            end_on_tonic=tune.ends_on_tonic,
            eight_bar_form=has_eight_bar_form(tune),
            heard_before=heard,
            bars=bars,
        )
        self.melodies.add(tune.melody)
        self.histograms.add_tune(tune)

    def figures(self, training: _Set | None, never_end: int | None = None) -> TuneFigures:
        counts = self._counts
        tunes = counts["tunes"]
        shares = ("parse", "bars_add_up", "repeats_add_up", "end_on_tonic", "eight_bar_form")
        return TuneFigures(
            tunes=tunes,
            notes=counts["notes"],
            never_end=None if never_end is None else _share(never_end, tunes),
            bars_heard_before=_share(counts["heard_before"], counts["bars"]),
            copied=self.copied(training),
            overlap=self.overlap(training),
            **{name: _share(counts[name], tunes) for name in shares},
        )


class _Pieces(_Set):
    def __init__(self, kind: MusicKind) -> None:
        super().__init__()
        self._kind: MusicKind = kind
        self._pieces = self._notes = self._onsets = 0
        self._quarters = 0.0

    def read(self, texts: Iterable[str]) -> None:
        for piece in _read_pieces(self._kind, texts):
            self._pieces += 1
            self._notes += len(piece.notes)
            self._onsets += sum(1 for _ in groupby(piece.notes, key=lambda note: note.onset))
            self._quarters += piece.end / piece.resolution
            self.melodies.add(piece.melody)
            self.histograms.add_piece(piece)
        if self._kind == "chords":
            self.histograms.lengths.clear()

    def figures(self, training: _Set | None, never_end: int | None = None) -> PieceFigures:
        timed = self._kind == "notes"
        return PieceFigures(
            pieces=self._pieces,
            notes=self._notes,
            notes_per_quarter=_share(self._notes, self._quarters) if timed else None,
            notes_at_once=_share(self._notes, self._onsets),
            copied=self.copied(training),
            overlap=self.overlap(training),
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
