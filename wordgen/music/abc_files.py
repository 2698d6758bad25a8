"""Files of tunes in ABC: take the tunes out of a file, without numbers, sources and comments, and write them again."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from wordgen.music.abc_grammar import FIELD, music

LONGEST_TUNE = 100_000
"""In characters. Anything longer is not a tune."""
_KEPT = frozenset("IKLMmPQRTUV")
"""The fields that are kept: the title, and those that say something about the music."""
_MEANINGS = {
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
            parts = (f"{count:,} {kind if count == 1 else _several(kind)}" for kind, count in self.lines.most_common())
            notes.append(f"left out of the tunes: {', '.join(parts)}")
        if self.tunes_without_key:
            notes.append(f"left out {_tunes(self.tunes_without_key)} without a key (K:), or without notes")
        if self.long_tunes:
            notes.append(f"left out {_tunes(self.long_tunes)} of more than {LONGEST_TUNE:,} characters")
        return tuple(notes)


def _several(kind: str) -> str:
    head, space, rest = kind.partition(" ")
    return f"{head}s{space}{rest}"


def _tunes(count: int) -> str:
    return f"{count:,} tune{'s' if count > 1 else ''}"


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
            yield _without_the_rest(tune, left_out)
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
            only_fields = only_fields and (_is_field(line) or line.startswith("%"))
            if size <= LONGEST_TUNE:
                block.append((number, line))
    yield from _short_block(block, size, left_out)


def _short_block(block: list[NumberedLine], size: int, left_out: LeftOut) -> Iterator[list[NumberedLine]]:
    if size > LONGEST_TUNE:
        left_out.long_tunes += 1
    elif block:
        yield block


def _is_field(line: str) -> bool:
    return FIELD.match(line) is not None


def _is_tune(lines: Sequence[NumberedLine]) -> bool:
    """Return whether there is a key, and a note after it."""
    in_music = False
    for _, line in lines:
        if line.startswith("K:"):
            in_music = True
        elif in_music and not _is_field(line) and any(token.kind == "note" for token in music(_without_comment(line))):
            return True
    return False


def _without_the_rest(tune: Sequence[NumberedLine], left_out: LeftOut) -> list[NumberedLine]:
    """Return the lines of a tune that a model learns, and count the others."""
    kept: list[NumberedLine] = []
    for number, line in tune:
        kind = _kind_left_out(line)
        if kind is not None:
            left_out.lines[kind] += 1
            continue
        plain = _without_comment(line)
        if plain != line:
            left_out.lines["comment"] += 1
        kept.append((number, _field_in_one_form(plain)))
    return kept


def _kind_left_out(line: str) -> str | None:
    if line.startswith("%"):
        return "comment"
    if not _is_field(line) or line[0] in _KEPT:
        return None
    return _MEANINGS.get(line[0], "field that ABC does not know")


_COMMENT = re.compile(r"(?<!\\)%.*")


def _without_comment(line: str) -> str:
    return _COMMENT.sub("", line).rstrip()


def _field_in_one_form(line: str) -> str:
    """Return `M: 6/8` as `M:6/8`."""
    found = FIELD.match(line)
    return line if found is None else found[0] + line[found.end() :].strip()


def numbered(tunes: Iterable[str]) -> str:
    """Return tunes as a file: with the numbers that programs for ABC expect, and a blank line after each tune."""
    return "".join(f"X:{number}\n{tune.strip()}\n\n" for number, tune in enumerate(tunes, 1))
