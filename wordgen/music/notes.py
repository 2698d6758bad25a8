"""Piano music as text for a model: `+3 E4 =6 v5` waits 3 steps, then plays E4 for 6 steps with loudness 5.

A quarter note has 12 steps. The loudness, from v1 (very quiet) to v8, is written where it changes. Notes that begin
together follow each other from low to high, without a wait. Text that becomes notes and text again is the same.

Another form, `E4 C4.E4.G4`, has only pitches, as in one of the student reports. Lengths, waits and loudness are lost:
played from such a text, each note and chord lasts an eighth.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Literal

from wordgen.errors import CorpusError
from wordgen.music.piece import LONGEST_PIECE, Note, Piece

GRID = 12
"""Steps of a quarter note."""
LENGTHS = (
    *range(1, 13), 14, 15, 16, 18, 20, 21, 24, 27, 30, 32, 36, 42, 48, 54, 60, 72, 84, 96, 144,
)  # fmt: skip
"""The lengths that a note can have. Other lengths are rounded to the nearest. Few lengths make a small vocabulary."""
LONGEST_WAIT = 48
"""A longer wait is written as several waits."""
USUAL_LOUDNESS = 5
_LOUDNESS_STEP = 16

_PITCH = r"[A-G]#?(?:-1|\d)"
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_PITCH_NAME = re.compile(_PITCH)
_WORD = re.compile(rf"\+(?P<wait>\d{{1,3}})|=(?P<length>\d{{1,3}})|v(?P<loudness>[1-8])|(?P<pitch>{_PITCH})")
_CHORD = re.compile(rf"{_PITCH}(?:\.{_PITCH})*")
MusicForm = Literal["notes", "chords"]
"""The forms of music as text. The tokenizers for them have the same names."""
_WORDS: Mapping[MusicForm, re.Pattern[str]] = {"notes": _WORD, "chords": _CHORD}
_EIGHTH = GRID // 2
_LOOKED_AT = 2000
_FEWEST_WORDS = 8
_SHARE_OF_OTHERS = 0.05
_LONGEST_WORD = 20
_LINE = 4 * GRID
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
        for note in piece.on_grid(GRID).notes
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
    while time > LONGEST_WAIT:
        yield f"+{LONGEST_WAIT}"
        time -= LONGEST_WAIT
    if time:
        yield f"+{time}"


def notes_text(piece: Piece) -> str:
    """Return a piece as text, in one line."""
    return " ".join(words for _, words in onset_words(piece))


def laid_out(onsets: Iterable[tuple[int, str]]) -> str:
    """Return the words of all onsets, with a line for each whole note, and a blank line after eight whole notes."""
    lines: list[str] = []
    part = 0
    for line, of_line in groupby(onsets, key=lambda onset: onset[0] // _LINE):
        if lines and line // _LINES_OF_A_PART != part:
            lines.append("")
        part = line // _LINES_OF_A_PART
        lines.append(" ".join(words for _, words in of_line))
    return "\n".join(lines)


def piece_of_notes(text: str) -> Piece:
    """Return the piece that a text describes. Other words are ignored. Raise CorpusError if it lasts too long."""
    notes: list[Note] = []
    time, velocity, new = 0, velocity_of(USUAL_LOUDNESS), False
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None:
            continue
        if found["wait"]:
            time, new = time + int(found["wait"]), False
            if time > LONGEST_PIECE * GRID:
                raise CorpusError(
                    f"The music lasts longer than {LONGEST_PIECE:,} quarter notes: cut it into several pieces."
                )
        elif found["pitch"]:
            pitch = pitch_number(word)
            if new := pitch is not None:
                notes.append(Note(time, pitch, _EIGHTH, velocity))
        elif found["length"] and new:
            notes[-1] = notes[-1]._replace(length=max(1, int(found["length"])))
        elif found["loudness"]:
            velocity = velocity_of(int(found["loudness"]))
            if new:
                notes[-1] = notes[-1]._replace(velocity=velocity)
    return Piece(tuple(sorted(notes)), GRID)


def chord_words(piece: Piece) -> Iterator[tuple[int, str]]:
    """Yield each onset with its note or chord, from low to high."""
    for onset, notes in notes_by_onset(piece):
        yield onset, ".".join(map(pitch_name, sorted({note.pitch for note in notes})))


def piece_of_chords(text: str) -> Piece:
    """Return the piece that a text of pitches describes. Words that are not chords are ignored."""
    chords = [word.split(".") for word in text.split() if _CHORD.fullmatch(word)][: LONGEST_PIECE * GRID // _EIGHTH]
    numbers = [{pitch for name in chord if (pitch := pitch_number(name)) is not None} for chord in chords]
    velocity = velocity_of(USUAL_LOUDNESS)
    notes = (Note(_EIGHTH * place, pitch, _EIGHTH, velocity) for place, chord in enumerate(numbers) for pitch in chord)
    return Piece(tuple(sorted(notes)), GRID)


def unread_words(text: str, form: MusicForm) -> list[str]:
    """Return the words of a text that are not music of a form."""
    return [word for word in text.split() if not _WORDS[form].fullmatch(word)]


def form_of(text: str) -> MusicForm | None:
    """Return the form of music that nearly all words at the beginning of a text have; None if it is no music."""
    words = text[: _LONGEST_WORD * _LOOKED_AT].split()[:_LOOKED_AT]
    if len(words) < _FEWEST_WORDS:
        return None
    unread = {form: sum(not word.fullmatch(each) for each in words) for form, word in _WORDS.items()}
    if unread["chords"] <= _SHARE_OF_OTHERS * len(words):
        return "chords"
    lengths = sum(word.startswith("=") for word in words)
    mostly_notes = unread["notes"] <= _SHARE_OF_OTHERS * len(words)
    return "notes" if mostly_notes and 8 * lengths >= len(words) else None
