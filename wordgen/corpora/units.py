"""Cutting a text into units: what START and END enclose."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from wordgen.corpora.catalogue import LineBreaks, UnitKind
from wordgen.corpora.hyphens import Hyphens
from wordgen.corpora.layout import UNSPACED, Wrap, columns, ends_paragraph, goes_on, reach, wrapped_at
from wordgen.corpora.reading import Line

_LONGEST_UNIT = 1_000_000
_LINES_AROUND = 30
_FEWEST_LINES_AROUND = 10
_NARROWEST_PART = 0.6


@dataclass(frozen=True)
class Unit:
    """A unit, and where it stood in its file."""

    text: str
    line: int
    """The number of its first line, from 1."""
    widths: tuple[int, ...]
    """How many characters, white space aside, each of its lines had: so any symbol's line can be told."""


def units_of(
    lines: Iterable[Line],
    unit: UnitKind,
    line_breaks: LineBreaks,
    *,
    wrap: Wrap | None = None,
    hyphens: Hyphens | None = None,
) -> Iterator[Unit]:
    """The units of one file, by its lines; with `wrap`, paragraphs end at short lines, too.

    With line breaks kept, a blank line between lines is a unit of its own with nothing in it, so a
    song keeps its verses. A unit beyond all measure is cut at a line, so that memory holds any.
    """
    hyphens = hyphens or Hyphens()
    match unit:
        case "line":
            yield from _lines(lines, blank_between=line_breaks == "kept")
        case "paragraph":
            parts = _paragraphs(lines) if wrap is None else _wrapped_paragraphs(lines, wrap)
            yield from (_unit(part, line_breaks, hyphens) for part in parts)
        case "document":
            for part in _parts(lines):
                written = [place for place, (_, line) in enumerate(part) if line.strip()]
                if written:
                    yield _unit(part[written[0] : written[-1] + 1], line_breaks, hyphens)


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


def _paragraphs(lines: Iterable[Line]) -> Iterator[list[Line]]:
    for written, paragraph in groupby(lines, key=lambda line: bool(line[1].strip())):
        if written:
            yield from _parts(paragraph)


def _wrapped_paragraphs(lines: Iterable[Line], wrap: Wrap) -> Iterator[list[Line]]:
    """Paragraphs between which no blank line need be. The width is that of the lines before, for it may change."""
    part: list[Line] = []
    size, last = 0, ""
    around: deque[tuple[int, int]] = deque(maxlen=_LINES_AROUND)
    width = wrap.width
    for number, written in lines:
        line = written.expandtabs().rstrip()
        new_line = bool(part) and number != part[-1][0]
        ended = not line or (new_line and ends_paragraph(last, line, wrap, width))
        if part and (ended or size > 2 * _LONGEST_UNIT):
            yield part
            part, size = [], 0
        elif new_line and goes_on(last, line):
            around.append((columns(last), reach(last, line)))
            if len(around) >= _FEWEST_LINES_AROUND:
                width = max(wrapped_at(around), int(_NARROWEST_PART * wrap.width))
        if line:
            part.append((number, written))
            size += len(written)
        last = line
    if part:
        yield part


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


def _unit(part: Sequence[Line], line_breaks: LineBreaks, hyphens: Hyphens) -> Unit:
    first, last = part[0][0], part[-1][0]
    lines = [""] * (last - first + 1)
    for number, piece in part:
        lines[number - first] += piece
    text = "\n".join(lines).strip() if line_breaks == "kept" else _joined(lines, hyphens)
    return Unit(text, first, tuple(map(visible_width, lines)))


def _joined(lines: list[str], hyphens: Hyphens) -> str:
    """The lines as one, and in their places what each of them has left of itself."""
    lines[:] = (line.strip() for line in lines)
    joined: list[str] = []
    for place in range(len(lines) - 1):
        line, following = lines[place], lines[place + 1]
        without = hyphens.join(line, following)
        if without is not None:
            line, between = without
            lines[place] = line
        else:
            between = "" if UNSPACED.match(line[-1:]) and UNSPACED.match(following[:1]) else " "
        joined += [line, between]
    return "".join([*joined, lines[-1]])
