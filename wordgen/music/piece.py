"""A piece of music as values, independent of any file format, and as text for a model.

All times of a piece are whole numbers of parts of a quarter note. `Piece.resolution` is the number of parts of one.

The text `+3 E4 =6 v5` waits 3 steps, then plays E4 for 6 steps with loudness 5. A quarter note has 12 steps. The
loudness, from v1 (very quiet) to v8, is written where it changes. Notes that begin together follow each other from low
to high, without a wait. Text that becomes notes and text again is the same.

Another form, `E4 C4.E4.G4`, has only pitches, as in one of the source reports. Lengths, waits and loudness are lost:
played from such a text, each note and chord lasts an eighth.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import Literal, NamedTuple, TypeVar

from wordgen.errors import CorpusError
from wordgen.music.abc_text import with_tempo
from wordgen.music.harmony import Key, Metre

DEFAULT_TEMPO = 120.0
"""Quarter notes per minute if a piece names no tempo."""
MAX_QUARTERS = 50_000
"""In quarter notes: seven hours at the usual tempo. A file that lasts longer is damaged."""
_MAX_TITLE_CHARACTERS = 100

Value = TypeVar("Value")


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
    tempos: tuple[tuple[int, float], ...] = ((0, DEFAULT_TEMPO),)
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

    def bars(self) -> list[Bar]:
        """Return all bars up to the end. A new bar begins where the metre changes within a bar."""
        lines = self.bar_lines or tuple(self._regular_lines())
        return [Bar(begin, end, valid_at(self.metres, begin)) for begin, end in pairwise(lines)]

    def _regular_lines(self) -> Iterator[int]:
        line = 0
        yield line
        changes = [time for time, _ in self.metres]
        while line < max(1, self.end):
            following = line + valid_at(self.metres, line).length(self.resolution)
            place = bisect_right(changes, line)
            line = min(following, changes[place]) if place < len(changes) else following
            yield line

    def on_grid(self, resolution: int) -> "Piece":
        """Return the same piece with all times rounded to parts of a quarter. No onset moves by more than half a part.

        Each note is at least one part long.
        """
        if resolution == self.resolution:
            return self

        def rescaled(time: int) -> int:
            return (2 * time * resolution + self.resolution) // (2 * self.resolution)

        def all_rescaled(changes: Iterable[tuple[int, Value]]) -> tuple[tuple[int, Value], ...]:
            return tuple((rescaled(time), value) for time, value in changes)

        notes = sorted(
            Note(rescaled(note.onset), note.pitch, max(1, rescaled(note.end) - rescaled(note.onset)), note.velocity)
            for note in self.notes
        )
        return replace(
            self,
            notes=tuple(notes),
            resolution=resolution,
            tempos=all_rescaled(self.tempos),
            metres=all_rescaled(self.metres),
            keys=all_rescaled(self.keys),
            bar_lines=tuple(map(rescaled, self.bar_lines)),
            chord_names=all_rescaled(self.chord_names),
            signs=tuple(signs._replace(begin=rescaled(signs.begin)) for signs in self.signs),
        )

    def at_tempo(self, tempo: float) -> "Piece":
        """Return the same piece with another first tempo. The ratios of later tempos to it stay the same."""
        factor = tempo / self.tempos[0][1]
        return replace(self, tempos=tuple((time, factor * each) for time, each in self.tempos))

    def seconds(self, time: int) -> float:
        """Return how many seconds after the beginning a time of the piece is."""
        place = bisect_right(self.tempos, time, key=itemgetter(0)) - 1
        since, tempo = self.tempos[place]
        return self._seconds_of_tempos[place] + (time - since) * 60 / (tempo * self.resolution)

    @cached_property
    def _seconds_of_tempos(self) -> list[float]:
        """When each tempo begins, in seconds."""
        durations = (
            (time - since) * 60 / (tempo * self.resolution) for (since, tempo), (time, _) in pairwise(self.tempos)
        )
        return list(accumulate(durations, initial=0.0))


def valid_at(changes: Sequence[tuple[int, Value]], time: int) -> Value:
    """Return the value of the last change up to a time."""
    return changes[bisect_right(changes, time, key=itemgetter(0)) - 1][1]


@dataclass(frozen=True)
class CheckedPiece:
    """A piece that was read, with its faults."""

    piece: Piece
    """As it sounds."""
    faults: tuple[str, ...] = ()
    """What is wrong with it, in short sentences."""
    score: Piece | None = None
    """As a score prints it; None if that is as it sounds."""
    abc: str = ""
    """Its text, if it is a tune in ABC."""
    score_bars: tuple[int, ...] = ()
    """For each bar of `piece`, the index of the bar of `score` that sounds. Empty if there is no other score."""

    @property
    def printed(self) -> Piece:
        return self.score or self.piece

    def at_tempo(self, tempo: float) -> "CheckedPiece":
        score = None if self.score is None else self.score.at_tempo(tempo)
        abc = self.abc and with_tempo(self.abc, tempo, tempo / self.piece.tempos[0][1])
        return replace(self, piece=self.piece.at_tempo(tempo), score=score, abc=abc)


def as_title(text: str) -> str:
    """Return a text as a title: printable, in one line, at most 100 characters."""
    return " ".join("".join(filter(str.isprintable, text)).split())[:_MAX_TITLE_CHARACTERS]


STEPS_PER_QUARTER = 12
"""Steps of a quarter note."""
LENGTHS = (
    *range(1, 13), 14, 15, 16, 18, 20, 21, 24, 27, 30, 32, 36, 42, 48, 54, 60, 72, 84, 96, 144,
)  # fmt: skip
"""The lengths that a note can have. Other lengths are rounded to the nearest. Few lengths make a small vocabulary."""
MAX_WAIT = 48
"""A longer wait is written as several waits."""
DEFAULT_LOUDNESS = 5
_LOUDNESS_STEP = 16

_PITCH = r"[A-G]#?(?:-1|\d)"
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_PITCH_NAME = re.compile(_PITCH)
_WORD = re.compile(rf"\+(?P<wait>\d{{1,3}})|=(?P<length>\d{{1,3}})|v(?P<loudness>[1-8])|(?P<pitch>{_PITCH})")
_CHORD = re.compile(rf"{_PITCH}(?:\.{_PITCH})*")
MusicForm = Literal["notes", "chords"]
"""The forms of music as text. The tokenizers for them have the same names."""
_WORDS: Mapping[MusicForm, re.Pattern[str]] = {"notes": _WORD, "chords": _CHORD}
_EIGHTH = STEPS_PER_QUARTER // 2
_WORDS_CHECKED = 2000
_MIN_WORDS = 8
_MAX_SHARE_OF_OTHERS = 0.05
_MAX_WORD_CHARACTERS = 20
_STEPS_OF_A_LINE = 4 * STEPS_PER_QUARTER
_LINES_OF_A_PART = 8


def pitch_name(pitch: int) -> str:
    """Return the name of a pitch: `C4` for 60. Black keys are sharps."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def pitch_number(name: str) -> int | None:
    """Return the pitch with this name: 60 for `C4`; None if MIDI has no such pitch."""
    if not _PITCH_NAME.fullmatch(name):
        return None
    letter = name[:2] if name[1] == "#" else name[0]
    number = _NAMES.index(letter[0]) + len(letter) - 1 + 12 * (int(name[len(letter) :]) + 1)
    return number if number <= 127 else None


def loudness_of(velocity: int) -> int:
    """Return the loudness of a velocity, from 1 to 8."""
    return velocity // _LOUDNESS_STEP + 1


def velocity_of(loudness: int) -> int:
    """Return the middle velocity of a loudness."""
    return _LOUDNESS_STEP * (loudness - 1) + _LOUDNESS_STEP // 2


def nearest_length(length: int) -> int:
    place = bisect_left(LENGTHS, length)
    around = LENGTHS[max(0, place - 1) : place + 1] or LENGTHS[-1:]
    return min(around, key=lambda each: abs(each - length))


def notes_by_onset(piece: Piece) -> Iterator[tuple[int, list[Note]]]:
    """Yield each onset with its notes from low to high, rounded to what the text can express."""
    exact = sorted(
        Note(note.onset, note.pitch, nearest_length(note.length), velocity_of(loudness_of(note.velocity)))
        for note in piece.on_grid(STEPS_PER_QUARTER).notes
    )
    for onset, notes in groupby(exact, key=itemgetter(0)):
        yield onset, list(notes)


def onset_words(piece: Piece) -> Iterator[tuple[int, str]]:
    """Yield each onset with its words: the wait before it, and its notes."""
    time = loudness = 0
    for onset, notes in notes_by_onset(piece):
        words = list(_waits(onset - time))
        for note in notes:
            words += (pitch_name(note.pitch), f"={note.length}")
            if loudness_of(note.velocity) != loudness:
                loudness = loudness_of(note.velocity)
                words.append(f"v{loudness}")
        time = onset
        yield onset, " ".join(words)


def _waits(time: int) -> Iterator[str]:
    while time > MAX_WAIT:
        yield f"+{MAX_WAIT}"
        time -= MAX_WAIT
    if time:
        yield f"+{time}"


def notes_text(piece: Piece) -> str:
    """Return a piece as text, in one line."""
    return " ".join(words for _, words in onset_words(piece))


def lay_out(onsets: Iterable[tuple[int, str]]) -> str:
    """Return the words of all onsets, with a line for each whole note, and a blank line after eight whole notes."""
    lines: list[str] = []
    part = 0
    for line, of_line in groupby(onsets, key=lambda onset: onset[0] // _STEPS_OF_A_LINE):
        if lines and line // _LINES_OF_A_PART != part:
            lines.append("")
        part = line // _LINES_OF_A_PART
        lines.append(" ".join(words for _, words in of_line))
    return "\n".join(lines)


def piece_of_notes(text: str) -> Piece:
    """Return the piece that a text describes. Other words are ignored. Raise CorpusError if it lasts too long."""
    notes: list[Note] = []
    time, velocity, follows_note = 0, velocity_of(DEFAULT_LOUDNESS), False
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None:
            continue
        if found["wait"]:
            time, follows_note = time + int(found["wait"]), False
            if time > MAX_QUARTERS * STEPS_PER_QUARTER:
                raise CorpusError(
                    f"The music lasts longer than {MAX_QUARTERS:,} quarter notes: cut it into several pieces."
                )
        elif found["pitch"]:
            pitch = pitch_number(word)
            if follows_note := pitch is not None:
                notes.append(Note(time, pitch, _EIGHTH, velocity))
        elif found["length"] and follows_note:
            notes[-1] = notes[-1]._replace(length=max(1, int(found["length"])))
        elif found["loudness"]:
            velocity = velocity_of(int(found["loudness"]))
            if follows_note:
                notes[-1] = notes[-1]._replace(velocity=velocity)
    return Piece(tuple(sorted(notes)), STEPS_PER_QUARTER)


def chord_words(piece: Piece) -> Iterator[tuple[int, str]]:
    """Yield each onset with its note or chord, from low to high."""
    for onset, notes in notes_by_onset(piece):
        yield onset, ".".join(map(pitch_name, sorted({note.pitch for note in notes})))


def piece_of_chords(text: str) -> Piece:
    """Return the piece that a text of pitches describes. Words that are not chords are ignored."""
    chords = [word.split(".") for word in text.split() if _CHORD.fullmatch(word)]
    chords = chords[: MAX_QUARTERS * STEPS_PER_QUARTER // _EIGHTH]
    numbers = [{pitch for name in chord if (pitch := pitch_number(name)) is not None} for chord in chords]
    velocity = velocity_of(DEFAULT_LOUDNESS)
    notes = (Note(_EIGHTH * place, pitch, _EIGHTH, velocity) for place, chord in enumerate(numbers) for pitch in chord)
    return Piece(tuple(sorted(notes)), STEPS_PER_QUARTER)


def unread_words(text: str, form: MusicForm) -> list[str]:
    """Return the words of a text that are not music of a form."""
    return [word for word in text.split() if not _WORDS[form].fullmatch(word)]


def form_of(text: str) -> MusicForm | None:
    """Return the form of music that nearly all words at the beginning of a text have; None if it is no music."""
    words = text[: _MAX_WORD_CHARACTERS * _WORDS_CHECKED].split()[:_WORDS_CHECKED]
    if len(words) < _MIN_WORDS:
        return None
    unread = {form: sum(not word.fullmatch(each) for each in words) for form, word in _WORDS.items()}
    if unread["chords"] <= _MAX_SHARE_OF_OTHERS * len(words):
        return "chords"
    lengths = sum(word.startswith("=") for word in words)
    mostly_notes = unread["notes"] <= _MAX_SHARE_OF_OTHERS * len(words)
    return "notes" if mostly_notes and 8 * lengths >= len(words) else None
