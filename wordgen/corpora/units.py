"""Cutting a text into units: what START and END enclose."""

import re
import statistics
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from wordgen.corpora.catalogue import LineBreaks, UnitKind
from wordgen.corpora.reading import Line

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_LONG_LINE = 150
_LONGEST_UNIT = 1_000_000
_NEARLY_FULL = 0.75
_NARROWEST_PROSE = 32
_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff9f]")


@dataclass(frozen=True)
class Unit:
    """A unit, and where it stood in its file."""

    text: str
    line: int
    """The number of its first line, from 1."""
    widths: tuple[int, ...]
    """How many characters, white space aside, each of its lines had: so any symbol's line can be told."""


def units_of(lines: Iterable[Line], unit: UnitKind, line_breaks: LineBreaks) -> Iterator[Unit]:
    """The units of one file, by its lines.

    With line breaks kept, a blank line between lines is a unit of its own with nothing in it, so a
    song keeps its verses. A unit beyond all measure is cut at a line, so that memory holds any.
    """
    match unit:
        case "line":
            yield from _lines(lines, blank_between=line_breaks == "kept")
        case "paragraph":
            yield from _paragraphs(lines, line_breaks)
        case "document":
            for part in _parts(lines):
                written = [place for place, (_, line) in enumerate(part) if line.strip()]
                if written:
                    yield _unit(part[written[0] : written[-1] + 1], line_breaks)


def every_line(lines: Iterable[Line]) -> Iterator[Unit]:
    """Each line as a unit, blank or not; what follows the last line break is a line only if there is anything."""
    last: Line | None = None
    for line in lines:
        if last is not None:
            yield _line_unit(*last)
        last = line
    if last is not None and last[1]:
        yield _line_unit(*last)


def unit_separator(unit: UnitKind) -> str:
    """What stands between two units when they are written one after another."""
    return "\n" if unit == "line" else "\n\n"


def guess_layout(text: str) -> tuple[UnitKind, LineBreaks]:
    """Find out whether lines, paragraphs or the whole are the units of a text nobody described.

    Hard-wrapped prose has lines that nearly fill a width, except the last of each paragraph; verse and plays do
    not, and short lines that do are verse. Without blank lines, each line stands for itself; so it does where lines
    are as long as paragraphs, or begin with the wide space that begins Japanese ones.
    """
    written = [line for line in text.split("\n") if line.strip()]
    if len(written) > 2 and sum(line.startswith("\u3000") for line in written) > len(written) / 2:
        return "line", "joined"
    if len(written) > 2 and statistics.median(len(line.strip()) for line in written) > _LONG_LINE:
        return ("line" if "\n\n" not in text else "paragraph"), "joined"
    paragraphs = [part.split("\n") for part in _BLANK_LINES.split(text.strip())]
    if len(paragraphs) < 3 and max(map(len, paragraphs)) > 2:
        return "line", "joined"
    wrapped = [paragraph[:-1] for paragraph in paragraphs if len(paragraph) > 1]  # the last line ends where it ends
    if not wrapped:
        return "paragraph", "joined"
    columns = [[_columns(line.strip()) for line in lines] for lines in wrapped]
    every = [width for lines in columns for width in lines]
    width = statistics.quantiles(every, n=10)[-1] if len(every) > 1 else every[0]
    full = [sum(line > _NEARLY_FULL * width for line in lines) > 0.8 * len(lines) for lines in columns]
    prose = width >= _NARROWEST_PROSE and sum(full) > 0.6 * len(full)
    return ("paragraph", "joined") if prose else ("document", "kept")


def _columns(line: str) -> int:
    """How wide a line is on a screen, where East Asian letters take two places."""
    return len(line) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in line)


def visible_width(text: str) -> int:
    """How many characters a text has, white space aside."""
    return len("".join(text.split()))


def _lines(lines: Iterable[Line], *, blank_between: bool) -> Iterator[Unit]:
    began = blank = False
    for number, line in lines:
        if not line.strip():
            blank = began
            continue
        if blank and blank_between:
            yield Unit("", number, (0,))
        yield _line_unit(number, line)
        began, blank = True, False


def _line_unit(number: int, line: str) -> Unit:
    return Unit(line.strip(), number, (visible_width(line),))


def _paragraphs(lines: Iterable[Line], line_breaks: LineBreaks) -> Iterator[Unit]:
    for written, paragraph in groupby(lines, key=lambda line: bool(line[1].strip())):
        if written:
            yield from (_unit(part, line_breaks) for part in _parts(paragraph))


def _parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """All lines together, unless they are too many: those are cut at a blank line, or where there is none at any."""
    part: list[Line] = []
    size = 0
    for number, line in lines:
        part.append((number, line))
        size += len(line)
        if size > 2 * _LONGEST_UNIT or (size > _LONGEST_UNIT and not line.strip()):
            yield part
            part, size = [], 0
    if part:
        yield part


def _unit(part: Sequence[Line], line_breaks: LineBreaks) -> Unit:
    first, last = part[0][0], part[-1][0]
    lines = [""] * (last - first + 1)
    widths = [0] * len(lines)
    for number, piece in part:
        lines[number - first] += piece
        widths[number - first] += visible_width(piece)
    text = "\n".join(lines).strip() if line_breaks == "kept" else _joined(lines)
    return Unit(text, first, tuple(widths))


def _joined(lines: Sequence[str]) -> str:
    first, *others = (line.strip() for line in lines)
    joined = [first]
    for line in others:
        between_unspaced = _UNSPACED.match(joined[-1][-1:]) and _UNSPACED.match(line[:1])
        joined += ["" if between_unspaced else " ", line]
    return "".join(joined)
