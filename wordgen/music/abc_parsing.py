"""Parse a tune in ABC: notes in bars, with exact lengths, and sentences about what was not understood."""

import re
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

from wordgen.music.abc_text import FIELD, Token, is_incomplete_chord, lex_line, lex_music, parse_note
from wordgen.music.harmony import Key, Metre, Pitch, parse_key
from wordgen.music.piece import MelodyNote
from wordgen.music.tune import Bar, BarLine, Fault, FaultKind, Note, Tune

_KNOWN_FIELDS = frozenset("ABCDFGHIKLMmNOPQRrSsTUVWwXZ+")
_METRE = re.compile(r"\(?([0-9]{1,3}(?:\+[0-9]{1,3}){0,8})\)?/([0-9]{1,3})")
_NAMED_METRES = {"C": Metre(4, 4), "C|": Metre(2, 2), "none": None, "": None}
_UNIT = re.compile(r"([0-9]{1,3})/([0-9]{1,3})")
_TEMPO = re.compile(
    r'(?:"[^"]*"[ \t]*)?(?:(?P<beats>(?:[0-9]{1,2}/[0-9]{1,3}[ \t]*){1,4})=|C(?P<units>[0-9]?)[ \t]*=)?[ \t]*'
    r"(?P<number>[0-9]{1,4})\b"
)
_BEAT = re.compile(r"([0-9]{1,2})/([1-9][0-9]{0,2})")
_SLOWEST, _FASTEST = 4, 2000
"""In quarter notes per minute. Another tempo is ignored."""


class Fields:
    """The values of the fields that are valid at the current line."""

    def __init__(self, on_fault: Callable[[str], None]) -> None:
        """`on_fault` receives what is wrong with a field."""
        self._on_fault = on_fault
        self.in_header = True
        self.header: list[tuple[str, str]] = []
        """Letter and value of each field of the header."""
        self.key: Key | None = None
        self.first_key: Key | None = None
        self.metre: Metre | None = None
        self.first_metre: Metre | None = None
        self.tempo: Fraction | None = None
        self.voices: set[str] = set()
        """The voices (`V:`) after the header."""
        self._unit: Fraction | None = None

    def read(self, letter: str, value: str) -> None:
        if self.in_header:
            self.header.append((letter, value))
        if letter not in _KNOWN_FIELDS:
            self._on_fault(f"{letter}: is no header that ABC knows")
        elif letter == "K":
            self._read_key(value)
        elif letter == "M":
            self._read_metre(value)
        elif letter == "L":
            self._read_unit(value)
        elif letter == "Q":
            self._read_tempo(value)
        elif letter == "V" and not self.in_header:
            self.voices.add(value.partition(" ")[0])

    def branch(self) -> "Fields":
        """Return a copy that does not report faults."""
        other = copy(self)
        other.header, other.voices, other._on_fault = list(self.header), set(self.voices), lambda what: None
        return other

    @property
    def unit(self) -> Fraction:
        """The length of a note without a number: that of `L:`, else the usual one for the first metre."""
        if self._unit is not None:
            return self._unit
        short = self.first_metre is not None and Fraction(*self.first_metre) < Fraction(3, 4)
        return Fraction(1, 16) if short else Fraction(1, 8)

    def _read_key(self, value: str) -> None:
        key = parse_key(value)
        if key is None and value.lower() not in ("none", "hp", ""):
            self._on_fault(f"'{value[:30]}' is no key that wordgen knows")
        self.key = key
        self.first_key = key if self.in_header else self.first_key
        self.in_header = False

    def _read_metre(self, value: str) -> None:
        found = _METRE.fullmatch(value)
        if value in _NAMED_METRES:
            self.metre = _NAMED_METRES[value]
        elif found is not None and int(found[2]):
            beats = sum(map(int, found[1].split("+")))
            self.metre = Metre(beats, int(found[2])) if beats else None
        else:
            self._on_fault(f"'{value[:30]}' is no metre: it is written as M:6/8")
        self.first_metre = self.metre if self.in_header else self.first_metre

    def _read_unit(self, value: str) -> None:
        found = _UNIT.fullmatch(value)
        if found is not None and int(found[1]) and int(found[2]):
            self._unit = Fraction(int(found[1]), int(found[2]))
        else:
            self._on_fault(f"'{value[:30]}' is no length of a note: it is written as L:1/8")

    def _read_tempo(self, value: str) -> None:
        """Read `1/4=120`, or the old form `120`, which counts units of `L:`. Ignore words, such as `Allegro`."""
        found = _TEMPO.match(value)
        if found is None:
            return
        beats = [Fraction(int(above), int(below)) for above, below in _BEAT.findall(found["beats"] or "")]
        beat = sum(beats, Fraction(0)) or self.unit * int(found["units"] or 1)
        tempo = 4 * beat * int(found["number"])
        if _SLOWEST <= tempo <= _FASTEST:
            self.tempo = tempo


def parse_metre(value: str) -> Metre | None:
    """Return the metre that is written after `M:`, as `6/8` or `C|`; None if it is none."""
    fields = Fields(lambda what: None)
    fields.read("M", value.strip())
    return fields.metre


_TUPLET = re.compile(r"\(([2-9])(?::([1-9])?)?(?::([1-9])?)?")
_LENGTH = re.compile(r"([0-9]*)(/*)([0-9]*)")
_STACCATO = frozenset((".", "!staccato!", "+staccato+"))
_GRACE_LENGTH = Fraction(1, 4)
"""The length of a grace note in units of `L:`, as abc2midi plays it."""
_MAX_FAULTS = 20
_MAX_CACHED_LINES = 100


def parse_tune(text: str) -> Tune:
    """Parse a tune. Any text is a tune, if perhaps one with faults and without notes."""
    return parse_lines(enumerate(text.split("\n"), 1))


def parse_lines(lines: Iterable[tuple[int, str]]) -> Tune:
    """Parse a tune from its lines, each with its number in a file. The sentences about faults name these numbers."""
    return _parser_after_lines(lines).tune()


class IncompleteTune(NamedTuple):
    """A tune that is not complete."""

    melody: tuple[MelodyNote, ...]
    """The last notes, as `Tune.melody` has them, with their lengths so far."""
    pitch: Callable[[str], Pitch]
    """Returns the pitch that a note would have if it came next."""


def parse_incomplete(text: str, notes: int) -> IncompleteTune:
    """Parse a tune that is not complete, and return its last `notes` notes.

    Parsed lines are kept, because the same tune is parsed again and again while it grows.
    """
    is_short = text.count("\n") < _MAX_CACHED_LINES
    parser = _parser_after(text) if is_short else _parser_after_lines(enumerate(text.split("\n"), 1))
    return IncompleteTune(parser.last_notes(notes), parser.pitch_of)


def _parser_after_lines(lines: Iterable[tuple[int, str]]) -> "_Parser":
    parser = _Parser()
    for number, line in lines:
        parser.read(number, line)
    return parser


def _parser_after(text: str) -> "_Parser":
    before, line_break, line = text.rpartition("\n")
    parser = _cached_parser_after(before).branch() if line_break else _Parser()
    parser.read(text.count("\n") + 1, line)
    return parser


@lru_cache(maxsize=512)
def _cached_parser_after(text: str) -> "_Parser":
    """Return a parser that has read a text. Only its branches may read more."""
    return _parser_after(text)


class _Marks(NamedTuple):
    """Signs that are before a note and belong to it."""

    chord: str | None = None
    graces: tuple[tuple[Pitch, Fraction], ...] = ()
    staccato: bool = False


_NO_MARKS = _Marks()


@dataclass
class _OpenBar:
    """A bar that is not closed yet. Signs after its notes may still change their lengths."""

    before: BarLine = field(default_factory=BarLine)
    voices: list[list[Note]] = field(default_factory=lambda: [[]])
    """The last one is being read."""
    ending: frozenset[int] = frozenset()
    raised: dict[int, int] = field(default_factory=dict)
    """By letter: how far the accidentals of this bar raise its notes."""
    is_whole_rest: bool = False


class _Parser:
    def __init__(self) -> None:
        self._fields = Fields(lambda what: self._add_fault("header", what))
        self._part = ""
        self._bars: list[Bar] = []
        self._faults: list[Fault] = []
        self._line = 0
        # what is not complete yet
        self._bar = _OpenBar()
        self._missing_in_tuplet = 0
        """The number of notes that the tuplet still needs."""
        self._tuplet_factor = Fraction(1)
        """The factor for each of them."""
        self._broken_rhythm: Fraction | None = None
        """The factor for the next note after `>` or `<`."""
        self._open_chord: list[Note] | None = None
        """The notes since a `[`."""
        self._last_note: Note | None = None
        """The note to which a length belongs that comes next."""
        self._next_marks = _NO_MARKS
        """What belongs to the next note."""

    def read(self, number: int, line: str) -> None:
        self._line = number
        found = FIELD.match(line)
        if found is not None:
            self._field(line[0], line[found.end() :].partition("%")[0].strip())
            return
        if not line.strip() or line.startswith("%"):
            return
        if self._fields.in_header:
            self._add_fault("header", "there is music before the key: a tune needs a line such as K:G before its notes")
            self._fields.in_header = False
        for token in lex_line(line):
            self._token(token)
        self._abandon_chord("line")
        self._last_note = None

    def tune(self) -> Tune:
        if any(self._bar.voices):
            self._close_bar(None)
        if self._fields.in_header:
            self._add_fault("header", "it has no key: a tune needs a line such as K:G before its notes")
        return Tune(
            fields=tuple(self._fields.header),
            bars=tuple(self._bars),
            key=self._fields.first_key,
            metre=self._fields.first_metre,
            has_several_voices=len(self._fields.voices) > 1,
            faults=tuple(self._faults),
        )

    def branch(self) -> "_Parser":
        """Return a copy of the parser at the end of a line, which can read other lines. It does not report faults."""
        other = copy(self)
        other._fields, other._bars, other._faults = self._fields.branch(), list(self._bars), []
        voices = [[copy(note) for note in voice] for voice in self._bar.voices]
        other._bar = replace(self._bar, voices=voices, raised=dict(self._bar.raised))
        return other

    def last_notes(self, count: int) -> tuple[MelodyNote, ...]:
        of_bar = (note for voice in reversed(self._bar.voices) for note in reversed(voice))
        earlier = (note for bar in reversed(self._bars) for note in reversed(bar.notes))
        sounding = (note for note in chain(of_bar, earlier) if note.pitches)
        last = [MelodyNote(note.pitches[0].half_steps, note.length) for note in islice(sounding, count)]
        return tuple(reversed(last))

    def pitch_of(self, text: str) -> Pitch:
        """Return the pitch that a note would have if it came next."""
        step, raised = parse_note(text)
        if raised is None:
            of_key = self._fields.key.alteration_of(step % 7) if self._fields.key is not None else 0
            raised = self._bar.raised.get(step % 7, of_key)
        return Pitch(step, raised)

    def _add_fault(self, kind: FaultKind, what: str) -> None:
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append(Fault(kind, f"Line {self._line}: {what}."))

    def _field(self, letter: str, value: str) -> None:
        if letter != "P" or self._fields.in_header:
            self._fields.read(letter, value)
            return
        if any(self._bar.voices):
            self._close_bar(None)
        self._part = value[:1]

    def _token(self, token: Token) -> None:
        kind, text = token
        match kind:  # pyright: ignore[reportMatchNotExhaustive] - the other kinds have no effect
            case "note":
                self._add((self._pitch(text),), self._fields.unit)
            case "rest":
                self._rest(text)
            case "length":
                self._length(text)
                return  # a second length is a fault of the same note
            case "bar":
                self._bar_line(text)
            case "ending":
                self._ending(text[1:])
            case "chord":
                self._next_marks = self._next_marks._replace(chord=text[1:-1].strip())
            case "grace":
                self._graces(text[1:-1])
            case "decoration":
                if is_incomplete_chord(text):
                    self._add_fault("sign", f"'{text}' is neither a decoration nor a chord of different notes")
                self._next_marks = self._next_marks._replace(staccato=self._next_marks.staccato or text in _STACCATO)
            case "broken":
                self._begin_broken_rhythm(text)
            case "tuplet":
                self._begin_tuplet(text)
            case "open":
                self._begin_chord()
            case "close":
                self._complete_chord()
                return  # a length may follow
            case "tie":
                self._tie()
            case "overlay":
                self._bar.voices.append([])
            case "inline":
                self._field(text[1], text[3:-1].strip())
            case "other":
                self._add_fault("sign", f"'{text}' is no sign of ABC")
        if kind not in ("note", "rest"):
            self._last_note = None

    def _pitch(self, text: str) -> Pitch:
        """Return the pitch of a note after the key and the accidentals of its bar."""
        pitch = self.pitch_of(text)
        if parse_note(text)[1] is not None:
            self._bar.raised[pitch.step % 7] = pitch.raised
        return pitch

    def _rest(self, text: str) -> None:
        if text == "y":  # only space
            self._last_note = None
            return
        if text in "ZX":
            self._bar.is_whole_rest = True
            self._add((), Fraction(1) if self._fields.metre is None else Fraction(*self._fields.metre))
        else:
            self._add((), self._fields.unit)

    def _add(self, pitches: tuple[Pitch, ...], length: Fraction) -> None:
        self._last_note = Note(pitches, length)
        if self._open_chord is not None:
            self._open_chord.append(self._last_note)
        else:
            self._append(self._last_note)

    def _append(self, note: Note) -> None:
        """Put a note into its bar. Signs before it may change its length."""
        note.chord, note.graces, note.staccato = self._next_marks
        self._next_marks = _NO_MARKS
        if self._missing_in_tuplet:
            note.length *= self._tuplet_factor
            self._missing_in_tuplet -= 1
        if self._broken_rhythm is not None:
            note.length *= self._broken_rhythm
            self._broken_rhythm = None
        self._bar.voices[-1].append(note)

    def _length(self, text: str) -> None:
        factor = _length_factor(text)
        if self._last_note is None:
            self._add_fault("sign", f"the length {text} follows no note")
        elif factor is None:
            self._add_fault("sign", f"{text} is no length of a note")
        else:
            self._last_note.length *= factor
        self._last_note = None

    def _graces(self, text: str) -> None:
        """Read the grace notes within braces. Signs other than notes and lengths are ignored."""
        graces: list[tuple[Pitch, Fraction]] = []
        for kind, sign in lex_music(text):
            if kind == "note":
                graces.append((self._pitch(sign), _GRACE_LENGTH * self._fields.unit))
            elif kind == "length" and graces:
                pitch, length = graces[-1]
                graces[-1] = pitch, length * (_length_factor(sign) or 1)
        self._next_marks = self._next_marks._replace(graces=tuple(graces))

    def _begin_broken_rhythm(self, text: str) -> None:
        notes = self._bar.voices[-1]
        if not notes or self._broken_rhythm is not None:
            self._add_fault("sign", f"{text} is not between two notes")
            return
        short = Fraction(1, 2 ** len(text))
        before_factor, after_factor = (2 - short, short) if text[0] == ">" else (short, 2 - short)
        notes[-1].length *= before_factor
        self._broken_rhythm = after_factor

    def _begin_tuplet(self, text: str) -> None:
        found = _TUPLET.fullmatch(text)
        assert found is not None
        if self._missing_in_tuplet:
            self._add_fault("sign", f"{text} begins before the last tuplet has all of its notes")
        notes = int(found[1])
        compound = self._fields.metre is not None and self._fields.metre.is_compound
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if compound else 2)
        self._missing_in_tuplet, self._tuplet_factor = int(found[3] or notes), Fraction(int(found[2] or usual), notes)

    def _begin_chord(self) -> None:
        if self._open_chord is not None:
            self._add_fault("sign", "a second [ comes before the ] of the first")
        self._open_chord = []

    def _complete_chord(self) -> None:
        notes, self._open_chord = self._open_chord, None
        self._last_note = None
        if not notes:
            self._add_fault("sign", "a ] follows no notes")
            return
        pitches = tuple(pitch for note in notes for pitch in note.pitches)
        self._last_note = Note(pitches, notes[0].length, any(note.tied for note in notes))
        self._append(self._last_note)

    def _tie(self) -> None:
        notes = self._open_chord or self._bar.voices[-1]
        if notes:
            notes[-1].tied = True

    def _ending(self, text: str) -> None:
        numbers: set[int] = set()
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        self._bar.ending = frozenset(numbers)

    def _bar_line(self, text: str) -> None:
        sign = text.rstrip("0123456789,-")
        line = BarLine.of(sign)
        self._next_marks = self._next_marks._replace(graces=())  # grace notes belong to no note of another bar
        self._abandon_chord("bar")
        if self._broken_rhythm is not None:
            self._add_fault("sign", "a > or < comes before a bar line")
            self._broken_rhythm = None
        if any(self._bar.voices):
            self._close_bar(line)
        else:
            self._bar.before |= line
            self._bar.raised.clear()  # they were of grace notes before the bar line
            if self._bars:
                last = self._bars[-1]
                self._bars[-1] = replace(last, after=last.line_after | line)
        if numbers := text.removeprefix(sign):
            self._ending(numbers)

    def _close_bar(self, line: BarLine | None) -> None:
        if self._missing_in_tuplet:
            self._add_fault("sign", "a tuplet has fewer notes than it says")
            self._missing_in_tuplet = 0
        bar = self._bar
        closed = Bar(
            number=len(self._bars) + 1,
            voices=tuple(tuple(voice) for voice in bar.voices if voice),
            length=max(sum((note.length for note in voice), Fraction(0)) for voice in bar.voices),
            metre=self._fields.metre,
            key=self._fields.key,
            tempo=self._fields.tempo,
            before=bar.before,
            after=line,
            ending=bar.ending,
            is_whole_rest=bar.is_whole_rest,
            part=self._part,
        )
        self._bars.append(closed)
        self._bar = _OpenBar(before=line or BarLine())

    def _abandon_chord(self, where: str) -> None:
        if self._open_chord is not None:
            self._add_fault("sign", f"a [ has no ] in its {where}")
            self._open_chord = None


def _length_factor(text: str) -> Fraction | None:
    """Return a length as a factor: 3/2 for `3/2`, 1/4 for `//`; None for a length that is zero or not understood."""
    found = _LENGTH.fullmatch(text)
    assert found is not None
    above, slashes, below = found.groups()
    number = int(below) if below else 2 ** len(slashes)
    if not number or not int(above or 1) or (below and len(slashes) > 1):
        return None
    return Fraction(int(above or 1), number)
