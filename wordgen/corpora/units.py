"""Cutting a text into units: what START and END enclose."""

import re
import statistics
from collections.abc import Iterator

from wordgen.corpora.catalogue import LineBreaks, UnitKind

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff9f]")


def units_of(text: str, unit: UnitKind, line_breaks: LineBreaks) -> Iterator[str]:
    """The units of one file.

    With line breaks kept, a blank line between lines is a unit of its own with nothing in it, so a
    song keeps its verses.
    """
    match unit:
        case "line":
            yield from _lines(text, blank_between=line_breaks == "kept")
        case "paragraph":
            yield from _paragraphs(text, line_breaks)
        case "document":
            if text.strip():
                yield _with_line_breaks(text.strip(), line_breaks)


def unit_separator(unit: UnitKind) -> str:
    """What stands between two units when they are written one after another."""
    return "\n" if unit == "line" else "\n\n"


def guess_layout(text: str) -> tuple[UnitKind, LineBreaks]:
    """Find out whether lines, paragraphs or the whole are the units of a text nobody described.

    Hard-wrapped prose has lines that nearly fill a width, except the last of each paragraph; verse and
    plays do not. Without blank lines, each line stands for itself.
    """
    paragraphs = [part.split("\n") for part in _BLANK_LINES.split(text.strip())]
    if len(paragraphs) < 3 and max(map(len, paragraphs)) > 2:
        return "line", "joined"
    lengths = [len(line.strip()) for lines in paragraphs for line in lines[:-1]]
    if not lengths:
        return "paragraph", "joined"
    width = statistics.quantiles(lengths, n=10)[-1] if len(lengths) > 1 else lengths[0]
    nearly_full = sum(length > 0.75 * width for length in lengths)
    return ("paragraph", "joined") if nearly_full > 0.8 * len(lengths) else ("document", "kept")


def _lines(text: str, *, blank_between: bool) -> Iterator[str]:
    began = blank = False
    for line in text.split("\n"):
        if not line.strip():
            blank = began
            continue
        if blank and blank_between:
            yield ""
        yield line.strip()
        began, blank = True, False


def _paragraphs(text: str, line_breaks: LineBreaks) -> Iterator[str]:
    for part in _BLANK_LINES.split(text.strip()):
        if part.strip():
            yield _with_line_breaks(part.strip(), line_breaks)


def _with_line_breaks(text: str, line_breaks: LineBreaks) -> str:
    if line_breaks == "kept":
        return text
    first, *others = (line.strip() for line in text.split("\n"))
    joined = [first]
    for line in others:
        between_unspaced = _UNSPACED.match(joined[-1][-1:]) and _UNSPACED.match(line[:1])
        joined += ["" if between_unspaced else " ", line]
    return "".join(joined)
