"""The grammar of ABC notation: its tokens, and what notes and fields mean. A catch-all gives any text tokens.

A line is a field (`K:G`) or music. The tokens of a line, joined, are the line. A note and its length are two tokens.
Names of chords, bar lines, endings, tuplets, grace notes, decorations, and fields such as key and metre are one token
each. Words, such as a title, have one token per character.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from wordgen.music.keys import LETTERS, Key, parse_key
from wordgen.music.piece import Metre

Kind = Literal[
    "field", "text", "inline", "ending", "bar", "chord", "annotation", "grace", "tuplet", "note", "rest", "length",
    "broken", "decoration", "tie", "slur", "open", "close", "overlay", "space", "continuation", "comment", "other",
]  # fmt: skip


class Token(NamedTuple):
    kind: Kind
    text: str


FIELD = re.compile(r"([A-Za-z+]):(?![|:])")
"""The beginning of a field. `A:|` is not a field, but a note before a bar line."""
_WHOLE_FIELD = re.compile(r"[KLMPQRV]:[ \t]*[\w#/=+|.' \t-]{0,20}")
"""Fields that say something about the music in a few signs. Each is one token, with its value."""
CHORD_NAME = re.compile(
    r"(?P<root>[A-G])(?P<sign>[#b]?)"
    r"(?P<kind>(?:maj|min|dim|aug|sus|add|m|M|d|o|\+|-|2|4|5|6|7|9|11|13|[b#][59]){0,4})"
    r"(?:/(?P<bass>[A-Ga-g])(?P<bass_sign>(?<=[A-G])[#b]?|(?<=[a-g])[+b]?))?"
)
"""The name of a chord: root, kind, and perhaps a bass. Some write the bass as a small letter, with + for a sharp."""
_PATTERNS: dict[Kind, str] = {
    "note": r"(?:\^\^|\^|__|_|=)?[A-Ga-g][,']{0,4}",
    "length": r"[0-9]{0,3}/{1,4}[0-9]{0,3}|[0-9]{1,3}",
    "space": r"[ \t`]{1,8}",
    "bar": r"\.?(?::{0,4}\[?\|{1,3}\]?:{0,4}|:{2,4})(?:[1-9](?:[,-][1-9]){0,8})?",
    "chord": rf'"[ (]?{re.sub(r"[?]P<[a-z_]+>", "?:", CHORD_NAME.pattern)}[ )]?"',
    "comment": r"%[^\n]*",
    "inline": r"\[[A-Za-z]:[^\]\n]{0,40}\]",
    "ending": r"\[[1-9](?:[,-][1-9]){0,8}",
    "annotation": r'"[^"\n]*"',
    "grace": r"\{[^{}\n]{1,24}\}",
    "tuplet": r"\([2-9](?::[1-9]?(?::[1-9]?)?)?",
    "rest": r"[zxZXy]",
    "broken": r"<{1,3}|>{1,3}",
    "decoration": r"![A-Za-z0-9.()<>+/-]{1,20}!|\+[a-z]{2,15}\+|[.~HLMOPSTuv]",
    "tie": r"-",
    "slur": r"[()]",
    "open": r"\[",
    "close": r"\]",
    "overlay": r"&",
    "continuation": r"\\",
    "other": r".",
}
_MUSIC = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()), re.DOTALL)
_NUMBER_AND_KEY = re.compile(r"^X:[ \t]*[0-9]{1,6}[ \t]*\n(?:(?:[A-Za-z]:|%)[^\n]*\n){0,40}?K:", re.MULTILINE)
_IN_WORDS = frozenset[Kind](("text", "annotation", "comment"))
_LONGEST_TOKEN = 60
assert {"field", "text", *_PATTERNS} == {*get_args(Kind)}


def lexed(line: str) -> Iterator[Token]:
    """Yield the tokens of a line with their kinds. An annotation in quotes is one token, and so is text in a field."""
    found = FIELD.match(line)
    if found is None:
        yield from music(line)
    elif _WHOLE_FIELD.fullmatch(line):
        yield Token("field", line)
    else:
        yield Token("field", found[0])
        if line[found.end() :]:
            yield Token("text", line[found.end() :])


def music(text: str) -> Iterator[Token]:
    """Yield the tokens of music. Fields at the beginning of lines are not recognised."""
    for found in _MUSIC.finditer(text):
        yield Token(found.lastgroup, found[0])  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=4096)
def _written(kind: Kind, text: str) -> tuple[str, ...]:
    return tuple(text) if kind in _IN_WORDS else (text,)


def line_tokens(line: str) -> Iterator[str]:
    """Yield the tokens of a line as a model learns them: words character by character."""
    for kind, text in lexed(line):
        yield from tuple(text) if len(text) > _LONGEST_TOKEN else _written(kind, text)


def looks_like_abc(text: str) -> bool:
    """Return whether a text seems to be a collection of tunes: a line has a number (`X:`), and a later one a key."""
    return _NUMBER_AND_KEY.search(text) is not None


_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)")
_RAISED = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
ACCIDENTAL_SIGNS: Mapping[int | None, str] = {None: "", **{raised: sign for sign, raised in _RAISED.items()}}
"""The accidental that raises a note by a number of half steps."""


def parse_note(text: str) -> tuple[int, int | None]:
    """Return the position of a note among the letters from middle C on, and how far its accidental raises it.

    That is None if no accidental is written.
    """
    found = _NOTE.fullmatch(text)
    assert found is not None
    octave = found[2].islower() + found[3].count("'") - found[3].count(",")
    return 7 * octave + LETTERS.index(found[2].upper()), _RAISED.get(found[1] or "")


def written_note(step: int, raised: int | None = None) -> str:
    """Return a note as text, which `parse_note` reads. Its octave is written in one way: `C`, and not `c,`."""
    octave, letter = divmod(step, 7)
    name = LETTERS[letter].lower() + "'" * (octave - 1) if octave > 0 else LETTERS[letter] + "," * -octave
    return ACCIDENTAL_SIGNS[raised] + name


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

    def __init__(self, fault: Callable[[str], None]) -> None:
        """`fault` receives what is wrong with a field."""
        self._fault = fault
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
            self._fault(f"{letter}: is no header that ABC knows")
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
        other.header, other.voices, other._fault = list(self.header), set(self.voices), lambda what: None
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
            self._fault(f"'{value[:30]}' is no key")
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
            self._fault(f"'{value[:30]}' is no metre: it is written as M:6/8")
        self.first_metre = self.metre if self.in_header else self.first_metre

    def _read_unit(self, value: str) -> None:
        found = _UNIT.fullmatch(value)
        if found is not None and int(found[1]) and int(found[2]):
            self._unit = Fraction(int(found[1]), int(found[2]))
        else:
            self._fault(f"'{value[:30]}' is no length of a note: it is written as L:1/8")

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
