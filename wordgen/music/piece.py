"""A piece of music as values: notes, tempos, metres, keys and bars, independent of any file format.

All times are whole numbers of parts of a quarter note. `Piece.resolution` is the number of parts of a quarter.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from wordgen.music.keys import Key

USUAL_TEMPO = 120.0
"""Quarter notes per minute if a piece names no tempo."""
LONGEST_PIECE = 50_000
"""In quarter notes: seven hours at the usual tempo. A file that lasts longer is damaged."""
_LONGEST_TITLE = 100
_MOST_BEATS, _UNITS = 64, (1, 2, 4, 8, 16, 32)


class Note(NamedTuple):
    """One note. Notes sort by their onset, then from low to high."""

    onset: int
    pitch: int
    """The number of the pitch in MIDI: 60 is middle C."""
    length: int
    velocity: int = 72
    """The loudness, from 1 to 127."""

    @property
    def end(self) -> int:
        return self.onset + self.length


class MelodyNote(NamedTuple):
    """A note in a sequence of notes, such as a melody."""

    pitch: int
    """In half steps."""
    length: Fraction | int
    wait: int = 0
    """The time since the onset of the note before it."""


class Metre(NamedTuple):
    """A time signature: `Metre(6, 8)` has six eighths in a bar."""

    beats: int = 4
    unit: int = 4

    def length(self, resolution: int) -> int:
        """Return the length of a bar."""
        return max(1, 4 * resolution * self.beats // self.unit)

    @property
    def compound(self) -> bool:
        """Whether three units make a beat, as in 6/8."""
        return self.unit >= 8 and self.beats % 3 == 0

    @property
    def usual(self) -> bool:
        """Whether MIDI and scores can write it, and a bar is at least an eighth long and has at most 64 beats."""
        return self.unit in _UNITS and self.unit <= 8 * self.beats <= 8 * _MOST_BEATS

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Bar(NamedTuple):
    begin: int
    end: int
    metre: Metre
    """The metre that is written. A pickup and the last bar may be shorter."""


class BarSigns(NamedTuple):
    """The signs that a score has at the bar lines around a bar."""

    begin: int
    """Where the bar begins."""
    repeat_begins: bool = False
    repeat_ends: bool = False
    double: bool = False
    """Whether it ends with a double bar line."""
    ending_begins: str = ""
    """The numbers of the ending that begins with this bar, as `1` or `1, 2`; empty if none begins."""
    ending_ends: str = ""
    """The numbers of the ending that ends with this bar."""


@dataclass(frozen=True)
class Piece:
    """A piece of music. Tempos, metres and keys are each a time and the value that is valid from there on.

    The first tempo and the first metre are valid from 0.
    """

    notes: tuple[Note, ...]
    """In the order of their onsets."""
    resolution: int = 12
    tempos: tuple[tuple[int, float], ...] = ((0, USUAL_TEMPO),)
    """In quarter notes per minute."""
    metres: tuple[tuple[int, Metre], ...] = ((0, Metre()),)
    keys: tuple[tuple[int, Key], ...] = ()
    """Empty if no key is known."""
    bar_lines: tuple[int, ...] = ()
    """Where bars begin, and where the last one ends. Empty if all bars are as long as the metre says."""
    title: str = ""
    chord_names: tuple[tuple[int, str], ...] = ()
    """Names of chords that a score shows above the staff."""
    signs: tuple[BarSigns, ...] = ()
    """Repeats, endings and double bar lines that a score shows."""
    one_staff: bool = False
    """Whether a score has one staff even if there are low notes."""

    @cached_property
    def end(self) -> int:
        """Where the last note ends."""
        return max((note.end for note in self.notes), default=0)

    @property
    def melody(self) -> tuple[MelodyNote, ...]:
        """All notes, in the order of their onsets and from low to high."""
        onsets = [0, *(note.onset for note in self.notes)]
        return tuple(
            MelodyNote(note.pitch, note.length, note.onset - before)
            for note, before in zip(self.notes, onsets, strict=False)
        )

    @property
    def key(self) -> Key | None:
        """The first key."""
        return self.keys[0][1] if self.keys else None

    def bars(self) -> list[Bar]:
        """Return all bars up to the end. A new bar begins where the metre changes within a bar."""
        lines = self.bar_lines or tuple(self._regular_lines())
        return [Bar(begin, end, self._metre_at(begin)) for begin, end in pairwise(lines)]

    def _regular_lines(self) -> Iterator[int]:
        line = 0
        yield line
        changes = [time for time, _ in self.metres]
        while line < max(1, self.end):
            following = line + self._metre_at(line).length(self.resolution)
            place = bisect_right(changes, line)
            line = min(following, changes[place]) if place < len(changes) else following
            yield line

    def _metre_at(self, time: int) -> Metre:
        place = bisect_right(self.metres, time, key=lambda change: change[0]) - 1
        return self.metres[max(0, place)][1]

    def on_grid(self, resolution: int) -> "Piece":
        """Return the same piece with all times rounded to parts of a quarter. No onset moves by more than half a part.

        Each note is at least one part long.
        """
        if resolution == self.resolution:
            return self

        def placed(time: int) -> int:
            return (2 * time * resolution + self.resolution) // (2 * self.resolution)

        notes = sorted(
            Note(placed(note.onset), note.pitch, max(1, placed(note.end) - placed(note.onset)), note.velocity)
            for note in self.notes
        )
        return replace(
            self,
            notes=tuple(notes),
            resolution=resolution,
            tempos=tuple((placed(time), tempo) for time, tempo in self.tempos),
            metres=tuple((placed(time), metre) for time, metre in self.metres),
            keys=tuple((placed(time), key) for time, key in self.keys),
            bar_lines=tuple(map(placed, self.bar_lines)),
            chord_names=tuple((placed(time), name) for time, name in self.chord_names),
            signs=tuple(signs._replace(begin=placed(signs.begin)) for signs in self.signs),
        )

    def at_tempo(self, tempo: float) -> "Piece":
        """Return the same piece with another first tempo. The ratios of later tempos to it stay the same."""
        factor = tempo / self.tempos[0][1]
        return replace(self, tempos=tuple((time, factor * each) for time, each in self.tempos))

    def seconds(self, time: int) -> float:
        """Return how many seconds after the beginning a time of the piece is."""
        place = bisect_right(self.tempos, time, key=lambda change: change[0]) - 1
        since, tempo = self.tempos[place]
        return self._seconds_of_tempos[place] + (time - since) * 60 / (tempo * self.resolution)

    @cached_property
    def _seconds_of_tempos(self) -> list[float]:
        """When each tempo begins, in seconds."""
        lasting = (
            (time - since) * 60 / (tempo * self.resolution) for (since, tempo), (time, _) in pairwise(self.tempos)
        )
        return list(accumulate(lasting, initial=0.0))


@dataclass(frozen=True)
class CheckedPiece:
    """A piece that was read, with its faults."""

    piece: Piece
    """As it sounds."""
    complaints: tuple[str, ...] = ()
    """What is wrong with it, in short sentences."""
    score: Piece | None = None
    """As a score prints it; None if that is as it sounds."""
    abc: str = ""
    """Its text, if it is a tune in ABC."""
    order: tuple[int, ...] = ()
    """For each bar of `piece`, the index of the bar of `score` that sounds. Empty if there is no other score."""

    @property
    def printed(self) -> Piece:
        return self.score or self.piece

    def at_tempo(self, tempo: float) -> "CheckedPiece":
        score = None if self.score is None else self.score.at_tempo(tempo)
        return replace(self, piece=self.piece.at_tempo(tempo), score=score)


def as_title(text: str) -> str:
    """Return a text as a title: printable, in one line, at most 100 characters."""
    return " ".join("".join(filter(str.isprintable, text)).split())[:_LONGEST_TITLE]
