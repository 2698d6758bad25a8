"""Music for a web page: its score as ABC, the notes that sound, and which note of the score sounds when.

The only words in the score are names of chords that the grammar knows. So nothing that a model or a file says can
become a field, a directive or markup.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from wordgen.errors import SettingError
from wordgen.music.abc_grammar import written_note
from wordgen.music.engraving import GRID, VALUES, Accidentals, Score, Symbol, rests, spelled, writable
from wordgen.music.harmony import ChordName
from wordgen.music.keys import Key
from wordgen.music.piece import CheckedPiece, Note, Piece
from wordgen.music.saving import FROM_TEXT

_BARS_OF_A_LINE = 4
_MOST_OF_A_TUPLET = 9


class Place(NamedTuple):
    """Where a note or chord is in the text of a score. One that is tied over a bar line has several places."""

    begin: int
    """When it begins, in the parts of a quarter note that `engraving.GRID` gives."""
    end: int
    at: int
    """The index of its first character in the text."""


class ScoreInAbc(NamedTuple):
    abc: str
    places: tuple[Place, ...]
    """In the order of their times."""


def score_in_abc(score: Score) -> ScoreInAbc:
    """Return a score as a tune in ABC."""
    writer = _Writer(score)
    writer.write()
    return ScoreInAbc("".join(writer.parts), tuple(sorted(writer.places)))


class _Voice(NamedTuple):
    number: int
    """From 1, in the order of the text."""
    staff: int
    place: int
    """Its number in the staff, from 0."""


class _Writer:
    """Writes four bars of each voice in turn."""

    def __init__(self, score: Score) -> None:
        self.parts: list[str] = []
        self.places: list[Place] = []
        self._length = 0
        self._score = score
        of_staves = [(staff, place) for staff, each in enumerate(score.staves) for place in range(len(each.voices))]
        self._voices = [_Voice(number, *voice) for number, voice in enumerate(of_staves, 1)]

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)

    def write(self) -> None:
        self._put("".join(f"{line}\n" for line in self._header()))
        bars = self._score.bars
        for first in range(0, len(bars), _BARS_OF_A_LINE):
            numbers = range(first, min(first + _BARS_OF_A_LINE, len(bars)))
            of_bars = [list(self._score.written(number)) for number in numbers]
            for voice in self._voices:
                self._put(f"V:{voice.number}\n" if len(self._voices) > 1 else "")
                for number, of_staves in zip(numbers, of_bars, strict=True):
                    of_voices, shown = of_staves[voice.staff]
                    self._bar(number, voice, of_voices.get(voice.place), shown)
                self._put("\n")

    def _header(self) -> Iterator[str]:
        score = self._score
        yield from ("X:1", f"M:{score.bars[0].metre}", "L:1/8", f"Q:1/4={max(1, round(score.piece.tempos[0][1]))}")
        clefs = [f" clef={'bass' if staff.bass else 'treble'}" for staff in score.staves]
        if len(self._voices) == 1:
            yield _key(score.key(score.bars[0])) + clefs[0]
            return
        numbers = [[f"{each.number}" for each in self._voices if each.staff == staff] for staff in range(len(clefs))]
        groups = " ".join(f"({' '.join(each)})" for each in numbers)
        yield f"%%score {{{groups}}}" if len(clefs) > 1 else f"%%score {groups}"
        for voice in self._voices:
            stems = "" if len(numbers[voice.staff]) == 1 else f" stem={'down' if voice.place % 2 else 'up'}"
            yield f"V:{voice.number}{clefs[voice.staff]}{stems}"
        yield _key(score.key(score.bars[0]))

    def _bar(self, number: int, voice: _Voice, symbols: list[Symbol] | None, shown: Accidentals) -> None:
        bar = self._score.bars[number]
        self._put("".join(self._before(number, voice)))
        key = self._score.key(bar)
        named = list(self._score.chord_names(bar)) if voice.number == 1 else []
        written = symbols or rests(bar)
        if written[0].value is None and bar.end - bar.begin not in VALUES:
            written = rests(bar)  # there is no rest of this length
        for symbol, tuplet in zip(written, _tuplets(written), strict=True):
            self._put("".join(f'"{chord}"' for chord in _until(symbol.chord.end, named)) + tuplet)
            self._symbol(symbol, key, shown, hidden=voice.place > 0)
        self._put(self._after(number))

    def _before(self, number: int, voice: _Voice) -> Iterator[str]:
        """Yield what is written before the notes of a bar: the beginning of an ending, and changes of key and metre."""
        bar, score = self._score.bars[number], self._score
        signs = score.signs(bar)
        if not number and signs.repeat_begins:
            yield "|:"
        if voice.number == 1 and signs.ending_begins:
            yield f"[{signs.ending_begins.replace(' ', '')} "
        if number:
            last = score.bars[number - 1]
            if (key := _key(score.key(bar))) != _key(score.key(last)):
                yield f"[{key}]"
            if bar.metre != last.metre:
                yield f"[M:{bar.metre}]"

    def _after(self, number: int) -> str:
        """Return the bar line after a bar, and the beginning of a repeat with the next bar."""
        bars = self._score.bars
        signs, last = self._score.signs(bars[number]), number == len(bars) - 1
        if not last and self._score.signs(bars[number + 1]).repeat_begins:
            return "::" if signs.repeat_ends else "|:"
        return ":|" if signs.repeat_ends else "|]" if last else "||" if signs.double else "|"

    def _symbol(self, symbol: Symbol, key: Key, shown: Accidentals, *, hidden: bool) -> None:
        """Write a note, chord or rest. Without a space after it, the next note is under the same beam."""
        chord = symbol.chord
        pitches = (spelled(pitch, key) for pitch in chord.pitches)
        names = [written_note(pitch.step, shown.get((chord.begin, pitch))) for pitch in pitches]
        if names:
            self.places.append(Place(chord.begin, chord.end, self._length))
        triplet = symbol.value is not None and symbol.value.triplet
        rest = "x" if hidden and not triplet else "z"  # abcjs draws no bracket that begins with a hidden rest
        written = f"[{''.join(names)}]" if len(names) > 1 else names[0] if names else rest
        self._put(written + _length(symbol.length, triplet=triplet) + ("-" if chord.tied_on else ""))
        self._put("" if symbol.beams[:1] in (("begin",), ("continue",)) else " ")


def _key(key: Key) -> str:
    """Return the field of the major key with the same sharps or flats."""
    return f"K:{Key.of_signature(key.sharps).field}"


def _until(time: int, named: list[tuple[int, ChordName]]) -> Iterator[ChordName]:
    """Take the names of chords before a time from a list."""
    while named and named[0][0] < time:
        yield named.pop(0)[1]


def _length(parts: int, *, triplet: bool = False) -> str:
    """Return a length in eighths: nothing for one, `3/2` for a dotted eighth. In a triplet it is written longer."""
    eighths = Fraction(3 * parts if triplet else 2 * parts, GRID)
    above = "" if eighths.numerator == 1 else str(eighths.numerator)
    return above if eighths.denominator == 1 else f"{above}/{eighths.denominator}"


def _tuplets(symbols: Sequence[Symbol]) -> list[str]:
    """Return the sign of a tuplet before each symbol, or an empty string."""
    signs = [""] * len(symbols)
    place = 0
    while place < len(symbols):
        value, end = symbols[place].value, place + 1
        if value is not None and value.triplet:
            while symbols[place].tuplet == "start" and symbols[end - 1].tuplet != "stop":
                end += 1
            for first in range(place, end, _MOST_OF_A_TUPLET):
                signs[first] = f"(3:2:{min(_MOST_OF_A_TUPLET, end - first)}"
        place = end
    return signs


_MOST_SOUNDING = 5000
_MOST_WRITTEN = 2000
_MOST_FAULTS = 3


@dataclass(frozen=True)
class Music:
    """All that a page needs to show a piece and to play it. Times are in thousandths of a second."""

    title: str
    tempo: int
    """The first tempo, in quarter notes per minute."""
    abc: str
    """The score. It has no words but names of chords."""
    notes: tuple[tuple[int, int, int, int], ...]
    """Begin, length, pitch and velocity (as in MIDI) of each note that sounds, in the order of their begins."""
    marks: tuple[tuple[int, int, int], ...]
    """Begin, end, and index in `abc` of each note of the score that sounds. With repeats, one sounds several times."""
    faults: tuple[str, ...]
    """The first sentences about what is wrong with the piece."""


def music_in(text: str, tokenizer: str) -> Music:
    """Return the music that a text of a model with this tokenizer describes. It may have no notes.

    Raise CorpusError or SettingError if it is too long.
    """
    return music_for_page(FROM_TEXT[tokenizer](text))


def music_for_page(music: CheckedPiece) -> Music:
    """Return a piece as a page shows and plays it. Raise SettingError if it is too long for a page."""
    piece = music.piece
    if max(len(piece.notes), len(music.order)) > _MOST_SOUNDING:
        raise SettingError(f"The music has more than {_MOST_SOUNDING:,} notes to play, which is too much for a page.")
    abc, marks = _score(music) if piece.notes else ("", ())
    return Music(
        title=piece.title,
        tempo=max(1, round(piece.tempos[0][1])),
        abc=abc,
        notes=tuple(_sounding(piece, note) for note in piece.notes),
        marks=marks,
        faults=music.complaints[:_MOST_FAULTS],
    )


def _sounding(piece: Piece, note: Note) -> tuple[int, int, int, int]:
    begin, end = _milliseconds(piece, note.onset), _milliseconds(piece, note.end)
    return begin, end - begin, note.pitch, note.velocity


def _score(music: CheckedPiece) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    score = Score(writable(music.printed))
    written = score_in_abc(score)
    if len(written.places) > _MOST_WRITTEN:
        raise SettingError(f"The score has more than {_MOST_WRITTEN:,} notes, which is too much for a page.")
    marks = _marks(music, written.places, score.piece.bar_lines)
    return written.abc, tuple(sorted(islice(marks, _MOST_SOUNDING)))


def _marks(music: CheckedPiece, places: Sequence[Place], lines: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield when each note of a score sounds. With repeats, that is bar by bar in the order in which they sound."""
    if not music.order:
        yield from (_mark(music.piece, 0, 0, place) for place in places)
    for begin, number in zip(music.piece.bar_lines, music.order, strict=False):
        first, last = (bisect_left(places, (line,)) for line in lines[number : number + 2])
        for place in places[first:last]:
            yield _mark(music.piece, begin, lines[number], place)


def _mark(piece: Piece, begin: int, line: int, place: Place) -> tuple[int, int, int]:
    """Return when a note sounds. Its bar begins at `line` in the score, and at `begin` in the piece."""
    since, until = (
        _milliseconds(piece, begin + round((time - line) * piece.resolution / GRID))
        for time in (place.begin, place.end)
    )
    return since, until, place.at


def _milliseconds(piece: Piece, time: int) -> int:
    return round(1000 * piece.seconds(time))
