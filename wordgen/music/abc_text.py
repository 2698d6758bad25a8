"""Tunes in ABC as text: its tokens, the tunes of a file, and tunes in other keys.

A line is a field (`K:G`) or music. The tokens of a line, joined, are the line. A note and its length are two tokens.
Names of chords, bar lines, endings, tuplets, grace notes, decorations, and fields such as key and metre are one token
each. Words, such as a title, have one token per character. A catch-all gives any text tokens. `+CEG+` is a chord as old
tunes write it, and `+trill+` a decoration.

If a tune is transposed, only notes, names of chords and keys change, and the way back gives the same text. Each note
keeps its place in the scale: a note without an accidental has none in the new key, and a note that is half a step above
its key is so in the new key, too. One thing changes for good: octaves are written in one way, so that `c,` becomes `C`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from typing import Literal, NamedTuple, get_args

from wordgen.errors import pluralized
from wordgen.music.harmony import (
    ACCIDENTALS,
    CHANGES_NOTES,
    CHORD_NAME,
    LETTERS,
    SIGNS,
    Interval,
    Key,
    Pitch,
    parse_key,
    with_tonic,
)

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
_NOTE_SIGNS = r"(?:\^\^|\^|__|_|=)?[A-Ga-g][,']{0,4}"
_LENGTH_SIGNS = r"[0-9]{0,3}/{1,4}[0-9]{0,3}|[0-9]{1,3}"
_NOTES_IN_PLUS = rf"\+(?:{_NOTE_SIGNS}(?:{_LENGTH_SIGNS})?-?){{1,15}}\+"
_NAME_IN_PLUS = r"\+(?:[a-z]{2,15}|(?:crescendo|diminuendo|[<>])[()]|[p0-5>]|D\.[CS]\.)\+"
_PATTERNS: dict[Kind, str] = {
    "note": _NOTE_SIGNS,
    "length": _LENGTH_SIGNS,
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
    "decoration": r"![A-Za-z0-9.()<>+/-]{1,20}!|" rf"{_NOTES_IN_PLUS}|{_NAME_IN_PLUS}|[.~HLMOPSTuv]",
    "tie": r"-",
    "slur": r"[()]",
    "open": r"\[",
    "close": r"\]",
    "overlay": r"&",
    "continuation": r"\\",
    "other": r".",
}
_MUSIC = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()), re.DOTALL)
_OLD_CHORD = re.compile(_NOTES_IN_PLUS)
_LOUD = re.compile(r"\+f{1,4}\+")
_NUMBER_AND_KEY = re.compile(r"^X:[ \t]*[0-9]{1,6}[ \t]*\n(?:(?:[A-Za-z]:|%)[^\n]*\n){0,40}?K:", re.MULTILINE)
_IN_WORDS = frozenset[Kind](("text", "annotation", "comment"))
_MAX_TOKEN_CHARACTERS = 60
assert {"field", "text", *_PATTERNS} == {*get_args(Kind)}


def lex_line(line: str) -> Iterator[Token]:
    """Yield the tokens of a line with their kinds. An annotation in quotes is one token, and so is text in a field."""
    found = FIELD.match(line)
    if found is None:
        yield from lex_music(line)
    elif _WHOLE_FIELD.fullmatch(line):
        yield Token("field", line)
    else:
        yield Token("field", found[0])
        if line[found.end() :]:
            yield Token("text", line[found.end() :])


def lex_music(text: str) -> Iterator[Token]:
    """Yield the tokens of music. Fields at the beginning of lines are not recognised."""
    for found in _MUSIC.finditer(text):
        token = Token(found.lastgroup, found[0])  # pyright: ignore[reportArgumentType]
        if token.text[0] == "+" and _is_old_chord(token.text):
            yield Token("open", "+")
            yield from lex_music(token.text[1:-1])
            yield Token("close", "+")
        else:
            yield token


def is_incomplete_chord(text: str) -> bool:
    """Return whether a decoration is written like a chord, but has no two different notes, for example `+c2+`."""
    return bool(_OLD_CHORD.fullmatch(text)) and not _is_old_chord(text) and not _LOUD.fullmatch(text)


def _is_old_chord(text: str) -> bool:
    """Return whether a text is a chord within plus signs, as in ABC before 2.0.

    It needs two different notes, because `+ff+` is fortissimo. Their places in the scale count, without accidentals, so
    that no chord becomes a decoration when it is transposed, or the other way round.
    """
    if not _OLD_CHORD.fullmatch(text):
        return False
    return len({parse_note(found[0])[0] for found in _NOTE.finditer(text)}) > 1


def line_tokens(line: str) -> Iterator[str]:
    """Yield the tokens of a line as a model learns them: words character by character."""
    for kind, text in lex_line(line):
        if kind in _IN_WORDS or len(text) > _MAX_TOKEN_CHARACTERS:
            yield from text
        else:
            yield text


def looks_like_abc(text: str) -> bool:
    """Return whether a text seems to be a collection of tunes: a line has a number (`X:`), and a later one a key."""
    return _NUMBER_AND_KEY.search(text) is not None


_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)")
_RAISED = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
ACCIDENTAL_SIGNS: Mapping[int | None, str] = {None: "", **{raised: sign for sign, raised in _RAISED.items()}}
"""The accidental that raises a note by a number of half steps."""
_LOWEST_OCTAVE, _HIGHEST_OCTAVE = -4, 5
"""The octaves that `C` has with four commas, and `c` with four apostrophes, the most signs that a note can have."""


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


MAX_TUNE_CHARACTERS = 100_000
"""In characters. Anything longer is not a tune."""
_KEPT_FIELDS = frozenset("IKLMmPQRTUV")
"""The fields that are kept: the title, and those that say something about the music."""
_LEFT_OUT_FIELDS = {
    "X": "number", "S": "source", "A": "source", "B": "source", "C": "source", "D": "source", "F": "source",
    "G": "source", "H": "source", "N": "source", "O": "source", "Z": "source", "r": "comment",
    "w": "line of words", "W": "line of words", "s": "line of signs",
}  # fmt: skip

NumberedLine = tuple[int, str]
"""The number of a line in its file, and the line."""


@dataclass
class LeftOut:
    """Counts what is left out of the tunes of some files."""

    lines: Counter[str] = field(default_factory=Counter)
    """The number of lines of each kind."""
    tunes_without_key: int = 0
    long_tunes: int = 0

    def in_words(self) -> tuple[str, ...]:
        notes: list[str] = []
        if self.lines:
            kinds = ((count, *kind.partition(" ")) for kind, count in self.lines.most_common())
            parts = (f"{count:,} {head}{'' if count == 1 else 's'}{space}{rest}" for count, head, space, rest in kinds)
            notes.append(f"left out of the tunes: {', '.join(parts)}")
        if self.tunes_without_key:
            notes.append(f"left out {pluralized(self.tunes_without_key, 'tune')} without a key (K:), or without notes")
        if self.long_tunes:
            notes.append(
                f"left out {pluralized(self.long_tunes, 'tune')} of more than {MAX_TUNE_CHARACTERS:,} characters"
            )
        return tuple(notes)


def whole_tunes_of(lines: Iterable[NumberedLine], left_out: LeftOut) -> Iterator[list[NumberedLine]]:
    """Yield the tunes of a file as they are written, blank lines excepted: those with a number (`X:`), and other tunes.

    A tune begins with its number, or after a blank line, and ends at the next blank line. A blank line between its
    fields and its notes does not end it.
    """
    for tune in _blocks(lines, left_out):
        if tune[0][1].startswith("X:") or _is_tune(tune):
            yield tune
        else:
            left_out.lines["line outside of tunes"] += len(tune)


def tunes_of(lines: Iterable[NumberedLine], left_out: LeftOut) -> Iterator[list[NumberedLine]]:
    """Yield the tunes of a file as a model learns them: without numbers, sources, comments and words.

    Tunes without a key or without notes are left out.
    """
    for tune in whole_tunes_of(lines, left_out):
        if _is_tune(tune):
            yield _learned_lines(tune, left_out)
        else:
            left_out.tunes_without_key += 1


def _blocks(lines: Iterable[NumberedLine], left_out: LeftOut) -> Iterator[list[NumberedLine]]:
    """Yield the parts of a file between numbers or blank lines. Those that are too long are counted and left out."""
    block: list[NumberedLine] = []
    size, only_fields = 0, True
    for number, written in lines:
        line = written.strip("\ufeff \t")
        if line.startswith("X:") or (not line and not (block and only_fields)):
            yield from _short_block(block, size, left_out)
            block, size, only_fields = [], 0, True
        if line:
            size += len(line)
            only_fields = only_fields and bool(FIELD.match(line) or line.startswith("%"))
            if size <= MAX_TUNE_CHARACTERS:
                block.append((number, line))
    yield from _short_block(block, size, left_out)


def _short_block(block: list[NumberedLine], size: int, left_out: LeftOut) -> Iterator[list[NumberedLine]]:
    if size > MAX_TUNE_CHARACTERS:
        left_out.long_tunes += 1
    elif block:
        yield block


def _is_tune(lines: Sequence[NumberedLine]) -> bool:
    """Return whether there is a key, and a note after it."""
    from_key = dropwhile(lambda line: not line.startswith("K:"), (line for _, line in lines))
    of_music = (_without_comment(line) for line in from_key if not FIELD.match(line) and not line.startswith("K:"))
    return any(token.kind == "note" for line in of_music for token in lex_music(line))


def _learned_lines(tune: Sequence[NumberedLine], left_out: LeftOut) -> list[NumberedLine]:
    """Return the lines of a tune that a model learns, and count the others."""
    kept: list[NumberedLine] = []
    for number, line in tune:
        found = FIELD.match(line)
        if found is not None and line[0] not in _KEPT_FIELDS:
            left_out.lines[_LEFT_OUT_FIELDS.get(line[0], "field that ABC does not know")] += 1
            continue
        plain = _without_comment(line)
        if plain != line:
            left_out.lines["comment"] += 1
        if found is not None:
            plain = found[0] + plain[found.end() :].strip()  # `M: 6/8` becomes `M:6/8`
        if not line.startswith("%"):
            kept.append((number, plain))
    return kept


_COMMENT = re.compile(r"(?<!\\)%.*")


def _without_comment(line: str) -> str:
    return _COMMENT.sub("", line).rstrip()


def numbered(tunes: Iterable[str]) -> str:
    """Return tunes as a file: with the numbers that programs for ABC expect, and a blank line after each tune."""
    return "".join(f"X:{number}\n{tune.strip()}\n\n" for number, tune in enumerate(tunes, 1))


_KEY_LINE = re.compile(r"^K:", re.MULTILINE)
_TEMPO_LINE = re.compile(r"^Q:.*\n?", re.MULTILINE)
_TEMPO_NUMBER = re.compile(
    r'((?:^|\[)Q:[ \t]*(?:"[^"\n]*"[ \t]*)?(?:[0-9/ \t]*=|C[0-9]?[ \t]*=)?[ \t]*)([0-9]{1,4})\b', re.MULTILINE
)
"""A field of a tempo up to its number: 120 in `Q:1/4=120 "Allegro 2"`."""


def with_tempo(text: str, tempo: float, factor: float) -> str:
    """Return a tune with this first tempo, in quarter notes per minute. Later tempos are multiplied by the factor."""
    key = _KEY_LINE.search(text)
    begin = 0 if key is None else key.start()
    music = _TEMPO_NUMBER.sub(lambda found: f"{found[1]}{round(factor * int(found[2]))}", text[begin:])
    return f"{_TEMPO_LINE.sub('', text[:begin])}Q:1/4={round(tempo)}\n{music}"


_SHARPS_OF_COPIES = (-1, 0, 1, 2, 3)
"""The sharps of the keys that copies of a tune have: F, C, G, D and A major, or the keys of its mode with as many."""
COPIES = len(_SHARPS_OF_COPIES)


class _CannotTransposeError(Exception):
    """A tune has something that cannot be written in another key."""


def key_of(text: str) -> Key | None:
    """Return the first key of a tune; None if it is not known."""
    return next((parse_key(line[2:]) for line in text.split("\n") if line.startswith("K:")), None)


def transposed(text: str, key: Key) -> str | None:
    """Return a tune in another key of its mode; None if it cannot be written there, or its own key is not known."""
    original_key = key_of(text)
    pieces = None if original_key is None else transposed_pieces("", [text], original_key.interval_to(key))
    return None if pieces is None else pieces[0]


def to_common_key(text: str) -> str | None:
    """Return a tune in the key of its mode without sharps and flats; None if that is not possible."""
    original_key = key_of(text)
    return None if original_key is None else transposed(text, original_key.with_sharps(0))


def copy_in_other_key(text: str, number: int) -> str | None:
    """Return a copy of a tune for training, given its number (from 0); None if the tune has that key already."""
    original_key, sharps = key_of(text), _SHARPS_OF_COPIES[number]
    if original_key is None or original_key.sharps == sharps:
        return None
    return transposed(text, original_key.with_sharps(sharps))


def transposed_pieces(beginning: str, pieces: Sequence[str], interval: Interval) -> list[str] | None:
    """Return the pieces of text that follow the beginning of a tune, moved by an interval; None if that is impossible.

    Joined, they are the same text as the end of the whole tune, moved. A sign that changes, for example a note, is in
    the piece where it begins.
    """
    whole = beginning + "".join(pieces)
    written = list(whole)
    try:
        for begin, end, new_text in _Transposer(interval).changes(whole):
            if begin >= len(beginning):
                written[begin:end] = [new_text, *[""] * (end - begin - 1)]
    except _CannotTransposeError:
        return None
    rest = iter(written[len(beginning) :])
    return ["".join(islice(rest, len(piece))) for piece in pieces]


class _Transposer:
    """Moves a tune line by line, and keeps track of its key."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._keys: tuple[Key, Key] | None = None
        """The key that is valid in the current line, and the key that it becomes."""

    def changes(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield where each sign that changes begins and ends in a text, and what it becomes."""
        at = 0
        for line in text.split("\n"):
            tokens = list(lex_line(line))
            for token, new_text in zip(tokens, self._tokens(tokens), strict=True):
                if new_text != token.text:
                    yield at, at + len(token.text), new_text
                at += len(token.text)
            at += 1

    def _tokens(self, tokens: Iterable[Token]) -> Iterator[str]:
        for kind, text in tokens:
            if kind == "note":
                yield self._note(text)
            elif kind == "chord":
                yield self._chord(text)
            elif kind == "grace":
                yield "{" + "".join(self._tokens(lex_music(text[1:-1]))) + "}"
            elif kind == "inline" and text.startswith("[K:"):
                yield f"[K:{self._key(text[3:-1])}]"
            elif kind == "field" and text.startswith("K:"):
                yield f"K:{self._key(text[2:])}"
            else:
                yield text

    def _key(self, value: str) -> str:
        key = parse_key(value)
        new_key = key and key.transposed(self._interval)
        if key is None or new_key is None or CHANGES_NOTES.search(value):
            raise _CannotTransposeError
        self._keys = key, new_key
        return with_tonic(value, new_key.tonic_name)

    def _note(self, text: str) -> str:
        if self._keys is None:
            raise _CannotTransposeError
        step, raised = parse_note(text)
        new_step = step + self._interval.steps
        if raised is not None:
            key, new_key = self._keys
            raised += new_key.alteration_of(new_step % 7) - key.alteration_of(step % 7)
        if raised not in ACCIDENTAL_SIGNS or not _LOWEST_OCTAVE <= new_step // 7 <= _HIGHEST_OCTAVE:
            raise _CannotTransposeError
        return written_note(new_step, raised)

    def _chord(self, text: str) -> str:
        found = CHORD_NAME.search(text)
        assert found is not None
        name = self._name(found["root"], found["sign"]) + found["kind"]
        if found["bass"]:
            bass = self._name(found["bass"].upper(), found["bass_sign"].replace("+", "#"))
            name += "/" + (bass.lower().replace("#", "+") if found["bass"].islower() else bass)
        return text[: found.start()] + name + text[found.end() :]

    def _name(self, letter: str, sign: str) -> str:
        pitch = self._interval.apply(Pitch(LETTERS.index(letter), ACCIDENTALS[sign]))
        if pitch.raised not in SIGNS:
            raise _CannotTransposeError
        return LETTERS[pitch.step % 7] + SIGNS[pitch.raised]
