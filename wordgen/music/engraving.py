"""A score: the staves, voices and bars of a piece, and how each note is written: spelling, value, ties, beams.

A quarter note has 24 parts here. The symbols of a voice fill its bars exactly.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from typing import NamedTuple

from wordgen.errors import SettingError
from wordgen.music.harmony import ChordName, Key, Metre, Pitch, chord_named
from wordgen.music.piece import STEPS_PER_QUARTER, Bar, BarSigns, Note, Piece, valid_at

PARTS_PER_QUARTER = 24
"""Parts of a quarter note."""
_MAX_NOTE_LENGTH = 64 * PARTS_PER_QUARTER
_MAX_VOICES = 4
_MIDDLE_C = 60
"""If there are two staves, notes from this pitch on are in the upper one."""
_LOWEST_OF_ONE_STAFF = 55


class Value(NamedTuple):
    """How a length is written."""

    kind: str
    dots: int = 0
    triplet: bool = False


_KINDS = ("whole", "half", "quarter", "eighth", "16th", "32nd")
_PLAIN = dict(zip((96, 48, 24, 12, 6, 3), _KINDS, strict=True))
VALUES: dict[int, Value] = {
    **{length: Value(kind) for length, kind in _PLAIN.items()},
    **{length * 3 // 2: Value(kind, dots=1) for length, kind in _PLAIN.items() if length > 3},
    **{length * 2 // 3: Value(kind, triplet=True) for length, kind in _PLAIN.items()},
    1: Value("64th", triplet=True),
}
"""The written value of each length that one symbol can express."""
_COSTS = {length: 1.3 if value.triplet else 1 + value.dots / 10 for length, value in VALUES.items()}
_LONGEST_VALUE = max(VALUES)
BEAMS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
"""The number of beams or flags of a note."""
_BEAM_SIGNS = {(False, True): "begin", (True, True): "continue", (True, False): "end"}
"""What a beam does at a note, from whether the notes before and after it have the beam, too."""


class Chord(NamedTuple):
    """Notes that begin and end together, or the part of them up to a bar line."""

    begin: int
    end: int
    pitches: tuple[int, ...]
    """From low to high. Empty for a rest."""
    tied_to_previous: bool = False
    tied_to_next: bool = False


@dataclass(frozen=True)
class Symbol:
    """A chord, note or rest that one written value can express."""

    chord: Chord
    value: Value | None
    """None for a rest that fills a whole bar."""
    tuplet: str = ""
    """`start` or `stop` if a bracket of a triplet begins or ends here."""
    beams: tuple[str, ...] = ()
    """What each beam does, the outermost first: begin, continue, end, forward hook or backward hook."""

    @property
    def length(self) -> int:
        return self.chord.end - self.chord.begin


def _staves(notes: Sequence[Note]) -> list[list[Note]]:
    """Return the notes of one staff, or of an upper and a lower staff if there are low notes."""
    if all(note.pitch >= _LOWEST_OF_ONE_STAFF for note in notes):
        return [list(notes)]
    upper = [note for note in notes if note.pitch >= _MIDDLE_C]
    return [upper, [note for note in notes if note.pitch < _MIDDLE_C]]


def _voices(notes: Iterable[Note]) -> list[list[Chord]]:
    """Divide the notes of a staff into up to four voices of chords that do not overlap.

    If more chords sound at once, the one that would end first is cut short.
    """
    found: list[list[Chord]] = []
    for chord in _chords(notes):
        free = next((voice for voice in found if voice[-1].end <= chord.begin), None)
        if free is not None:
            free.append(chord)
        elif len(found) < _MAX_VOICES:
            found.append([chord])
        else:
            _add_to_busy_voice(chord, min(found, key=lambda voice: voice[-1].end))
    return found


def _add_to_busy_voice(chord: Chord, voice: list[Chord]) -> None:
    """Put a chord into a voice whose last chord still sounds. The last chord ends here, or gets more notes."""
    last = voice[-1]
    if last.begin < chord.begin:
        voice[-1] = last._replace(end=chord.begin)
        voice.append(chord)
    else:
        voice[-1] = last._replace(pitches=tuple(sorted({*last.pitches, *chord.pitches})))


def _chords(notes: Iterable[Note]) -> list[Chord]:
    """Return notes that begin and end together as chords, ordered by time, then long before short, high before low."""
    ends = [(note.onset, min(note.end, note.onset + _MAX_NOTE_LENGTH), note.pitch) for note in notes]
    chords = [
        Chord(begin, end, tuple(sorted({pitch for _, _, pitch in of_chord})))
        for (begin, end), of_chord in groupby(sorted(ends), key=lambda each: each[:2])
    ]
    return sorted(chords, key=lambda chord: (chord.begin, -chord.end, -chord.pitches[-1]))


def _in_bars(voice: Iterable[Chord], bars: Sequence[Bar]) -> dict[int, list[Chord]]:
    """Return the chords of a voice by the index of their bar, cut at bar lines."""
    begins = [bar.begin for bar in bars]
    found: dict[int, list[Chord]] = {}
    for chord in voice:
        first, last = bisect_right(begins, chord.begin) - 1, bisect_left(begins, chord.end)
        for number, bar in enumerate(bars[first:last], first):
            begin, end = max(chord.begin, bar.begin), min(chord.end, bar.end)
            if begin < end:
                part = Chord(
                    begin, end, chord.pitches, tied_to_previous=begin > chord.begin, tied_to_next=end < chord.end
                )
                found.setdefault(number, []).append(part)
    return found


def _symbols(chords: Sequence[Chord], bar: Bar) -> list[Symbol]:
    """Return what is written for one voice in a bar: its chords, with rests between them."""
    if not chords:
        return [Symbol(Chord(bar.begin, bar.end, ()), None)]
    written: list[Symbol] = []
    time = bar.begin
    for chord in (*chords, Chord(bar.end, bar.end, ())):
        written += _split(Chord(time, chord.begin, ()), bar) + _split(chord, bar)
        time = chord.end
    return _beamed(_with_tuplets(written), bar)


def rests(bar: Bar) -> list[Symbol]:
    """Return the fewest rests that fill a bar, each with a written value."""
    return _split(Chord(bar.begin, bar.end, ()), bar)


def _split(chord: Chord, bar: Bar) -> list[Symbol]:
    """Return a chord as tied symbols with one written value each. After a beat has begun, short values come first."""
    place_in_bar = chord.begin - bar.begin
    inside_triplet, long_first = place_in_bar % 3 != 0, -1 if place_in_bar % PARTS_PER_QUARTER == 0 else 1
    lengths = sorted(
        _written_lengths(chord.end - chord.begin),
        key=lambda length: (VALUES[length].triplet != inside_triplet, long_first * length),
    )
    found: list[Symbol] = []
    time = chord.begin
    for place, length in enumerate(lengths):
        part = chord._replace(
            begin=time,
            end=time + length,
            tied_to_previous=bool(chord.pitches) and (chord.tied_to_previous or place > 0),
            tied_to_next=bool(chord.pitches) and (chord.tied_to_next or place < len(lengths) - 1),
        )
        found.append(Symbol(part, VALUES[length]))
        time += length
    return found


@cache
def _written_lengths(length: int) -> tuple[int, ...]:
    """Return the fewest written values that make up a length, long ones first. Triplets are used only if necessary."""
    longest, rest = divmod(length, _LONGEST_VALUE)
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for total in range(1, rest + 1):
        candidates = (
            (best[total - last][0] + cost, (*best[total - last][1], last))
            for last, cost in _COSTS.items()
            if last <= total
        )
        best.append(min(candidates))
    return (*[_LONGEST_VALUE] * longest, *sorted(best[rest][1], reverse=True))


def _with_tuplets(written: list[Symbol]) -> list[Symbol]:
    """Add brackets around triplets that together are as long as a plain value."""
    result = list(written)
    begin, total = None, 0
    for place, symbol in enumerate(written):
        if symbol.value is None or not symbol.value.triplet:
            begin, total = None, 0
            continue
        if begin is None:
            begin, total = place, 0
        total += symbol.length
        if total % 3 == 0:
            if begin < place:
                result[begin] = replace(result[begin], tuplet="start")
                result[place] = replace(result[place], tuplet="stop")
            begin = None
    return result


def _beamed(written: list[Symbol], bar: Bar) -> list[Symbol]:
    """Add common beams to the short notes of each beat."""
    beat, result = _beat(bar.metre), list[Symbol]()
    for (flagged, _), run in groupby(
        written, key=lambda each: (bool(_flags(each)), (each.chord.begin - bar.begin) // beat)
    ):
        beat_symbols = list(run)
        result += _under_beams(beat_symbols) if flagged and len(beat_symbols) > 1 else beat_symbols
    return result


def _beat(metre: Metre) -> int:
    """Return the longest time under one beam: a quarter note, or three units of a compound metre."""
    if metre.is_compound:
        return 12 * PARTS_PER_QUARTER // metre.unit
    return max(PARTS_PER_QUARTER, 4 * PARTS_PER_QUARTER // metre.unit)


def _flags(symbol: Symbol) -> int:
    """Return the number of beams that a symbol can have. A rest has none."""
    return BEAMS.get(symbol.value.kind, 0) if symbol.value and symbol.chord.pitches else 0


def _under_beams(symbols: list[Symbol]) -> list[Symbol]:
    flags = [0, *map(_flags, symbols), 0]
    beams: list[list[str]] = [[] for _ in symbols]
    for level in range(1, max(flags) + 1):
        for place, ((before, here), (_, after)) in enumerate(pairwise(pairwise(flags))):
            if here >= level:
                hook = "backward hook" if place else "forward hook"
                beams[place].append(_BEAM_SIGNS.get((before >= level, after >= level), hook))
    return [replace(symbol, beams=tuple(symbol_beams)) for symbol, symbol_beams in zip(symbols, beams, strict=True)]


_MAX_BARS = 5000
_FLATS_BEFORE_TONIC = 3
"""A pitch gets one of twelve spellings in the order of fifths, beginning three flats before the tonic of the key."""
_NO_KEY = Key.of_signature(0)
Accidentals = Mapping[tuple[int, Pitch], int]
"""By time and pitch."""


class Staff:
    """The notes of a staff, by voice and bar."""

    def __init__(self, notes: Sequence[Note], bars: Sequence[Bar]) -> None:
        self.has_bass_clef = sum(note.pitch for note in notes) < _MIDDLE_C * len(notes)
        """Whether it has a bass clef, and not a treble clef."""
        self.voices = [_in_bars(voice, bars) for voice in _voices(notes)] or [{}]


class Score:
    """A piece with its bars and staves. Its times are parts of a quarter note."""

    def __init__(self, piece: Piece) -> None:
        """Raise SettingError if the piece has too many bars for a score."""
        self.piece = piece = piece.on_grid(PARTS_PER_QUARTER)
        # a tune that is shorter than a part has no bar of its own
        self.bars = [bar for bar in piece.bars() if bar.begin < bar.end] or replace(piece, bar_lines=()).bars()
        if len(self.bars) > _MAX_BARS:
            raise SettingError(f"The piece has {len(self.bars):,} bars, and a score can have at most {_MAX_BARS:,}.")
        staff_notes = [piece.notes] if piece.one_staff else _staves(piece.notes)
        self.staves = [Staff(of_staff, self.bars) for of_staff in staff_notes]
        self._signs = {of_bar.begin: of_bar for of_bar in piece.signs}
        self._keys = ((-1, _NO_KEY), *piece.keys)

    def symbols_of_bar(self, number: int) -> Iterator[tuple[dict[int, list[Symbol]], Accidentals]]:
        """Yield for each staff what is written in a bar: the symbols of each voice, and the accidentals.

        Only the first voice may have nothing but a rest.
        """
        bar = self.bars[number]
        for staff in self.staves:
            of_bar = ((place, voice.get(number, ())) for place, voice in enumerate(staff.voices))
            symbols_by_voice = {place: _symbols(chords, bar) for place, chords in of_bar if chords or not place}
            chords = (symbol.chord for voice_symbols in symbols_by_voice.values() for symbol in voice_symbols)
            yield symbols_by_voice, _accidentals(chords, self.key(bar))

    def signs(self, bar: Bar) -> BarSigns:
        return self._signs.get(bar.begin, BarSigns(bar.begin))

    def key(self, bar: Bar) -> Key:
        """Return the key that is valid where a bar begins."""
        return valid_at(self._keys, bar.begin)

    def chord_names(self, bar: Bar) -> Iterator[tuple[int, ChordName]]:
        """Yield the names of chords in a bar, each with its time."""
        named = self.piece.chord_names
        begin, end = (bisect_left(named, time, key=lambda each: each[0]) for time in (bar.begin, bar.end))
        for time, name in named[begin:end]:
            if (chord := chord_named(name)) is not None:
                yield time, chord


def rounded_for_score(piece: Piece) -> Piece:
    """Return a piece that a score can write. Freely played notes are rounded to the steps that models learn."""
    times = (time for note in piece.notes for time in (note.onset, note.end))
    exact = all(PARTS_PER_QUARTER * time % piece.resolution == 0 for time in times)
    return piece if exact else piece.on_grid(STEPS_PER_QUARTER)


def spelled(pitch: int, key: Key) -> Pitch:
    """Return a pitch of MIDI as a letter with sharps or flats, in the spelling that is usual in this key."""
    lowest = key.sharps - _FLATS_BEFORE_TONIC
    fifth = lowest + (7 * pitch - lowest) % 12
    sharps = (fifth + 1) // 7
    return Pitch(7 * ((pitch - sharps - _MIDDLE_C) // 12) + 4 * fifth % 7, sharps)


def _accidentals(chords: Iterable[Chord], key: Key) -> Accidentals:
    """Return the accidentals that are printed in a bar of a staff: 1 is a sharp, 0 a natural.

    It is printed if it differs from the last one on its line, or of its letter in any octave, or from the key: some
    readers let an accidental hold on its line only, others in all octaves.
    """
    last_on_line: dict[int, int] = {}
    last_of_letter: dict[int, int] = {}
    accidentals: dict[tuple[int, Pitch], int] = {}
    for chord in sorted(chords, key=lambda chord: chord.begin):
        for pitch in (spelled(each, key) for each in chord.pitches):
            letter = pitch.step % 7
            of_key = key.alteration_of(letter)
            on_line, in_octaves = last_on_line.get(pitch.step, of_key), last_of_letter.get(letter, of_key)
            if on_line == in_octaves == pitch.raised or chord.tied_to_previous:
                continue
            accidentals[chord.begin, pitch] = last_on_line[pitch.step] = last_of_letter[letter] = pitch.raised
    return accidentals
