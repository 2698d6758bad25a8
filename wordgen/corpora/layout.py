"""How a text is laid out: where its passages end, found from the lengths of its lines and from where those end."""

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from wordgen.corpora.catalogue import LineBreaks, UnitKind

_LONG_LINE = 150
_NEARLY_FULL = 0.75
_NARROWEST_PROSE = 32
_LINES_TOGETHER = 50
_WIDTH_OF_DIALOGUE = 100
_STOP = re.compile(r"(?:[.!?…:。．！？―—]|--|\s-)[\"'”’»«“‘)\]}*_」』）]*$|[」』）]$")
_STOP_WITHIN = re.compile(r"[.!?…][\"'”’»)\]]*\s+\S|[。！？]\S")
_BEGINS_LIKE_A_PARAGRAPH = re.compile(r"[\W_]*[\dA-ZÀ-ÖØ-Þ]|[\"'“‘„«「『]")
_CLOSED_QUOTE = re.compile(r"[.!?…—-][\"'”’»]$")
_OPENED_QUOTE = re.compile(r"[\"'“‘„«]\w")
_SPEAKER = re.compile(r"([^\s.:：。、，「『\"“]{1,20})(?:[:：「\u3000]|\.\s)")
UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff9f]")


@dataclass(frozen=True)
class Wrap:
    """Prose with wrapped lines and without blank lines between its paragraphs."""

    width: int
    """How wide its full lines are at its beginning, in columns."""
    margin: int = 0
    """How many columns most of its lines are indented by."""
    cased: bool = True
    """Whether its paragraphs begin with capitals, as far as its script has any."""


@dataclass(frozen=True)
class Layout:
    """What one file is cut into, and by what."""

    unit: UnitKind
    line_breaks: LineBreaks
    wrap: Wrap | None = None
    """For paragraphs that end at short lines, or begin with indented ones; None: at blank lines."""

    def with_said(self, unit: UnitKind | None, line_breaks: LineBreaks | None) -> "Layout":
        """What somebody says goes before what was found; saying what was found changes nothing."""
        said = replace(self, unit=unit or self.unit, line_breaks=line_breaks or self.line_breaks)
        return self if said == self else replace(said, wrap=None)

    def for_model(self, learned: "Layout") -> "Layout":
        """How a text that is laid out like this is read for a model that learned passages as in `learned`.

        Prose as it is laid out, for a passage is the same whether it stands in one line or is wrapped. Where line
        breaks mean something, as the model learned them; so also lines without blank ones between them, which may
        be verse, where the model knows line breaks.
        """
        prose = self.unit == "paragraph" or learned.line_breaks == "joined"
        return self if prose and self.line_breaks == "joined" else learned

    def in_words(self) -> str:
        breaks = " with line breaks" if self.line_breaks == "kept" and self.unit != "line" else ""
        return f"by the {self.unit}{breaks}" + (", wrapped without blank lines" if self.wrap else "")


def guess_layout(text: str) -> Layout:
    """Find out whether lines, paragraphs or the whole are the passages of a text nobody described.

    A line of wrapped prose ends where its next word would not fit, most often in mid-sentence. Where lines are as long
    as paragraphs, each is one. Verse and plays are neither, and short lines that fill a width are verse, too. Without
    blank lines, each line stands for itself; so it does where most begin with the wide space of Japanese paragraphs.
    """
    lines = _Lines(text)
    if len(lines.written) > 2 and sum(line.startswith("\u3000") for line in lines.written) > len(lines.written) / 2:
        return Layout("line", "joined")
    wrap = _wrap_of(lines)
    if wrap is not None and 2 * _ends_without_blank(lines, wrap) > len(lines.blocks):
        return Layout("paragraph", "joined", wrap)
    if wrap is None and lines.are_paragraphs:
        return Layout("line" if lines.touch else "paragraph", "joined")
    if len(lines.blocks) < 3 and max(map(len, lines.blocks), default=0) > 2:
        return Layout("paragraph" if wrap else "line", "joined")
    prose = wrap is not None or lines.mostly_alone or _fill_a_width(lines.blocks)
    return Layout("paragraph", "joined") if prose else Layout("document", "kept")


def otherwise_in_words(layouts: Iterable[Layout], learned: Layout) -> tuple[str, ...]:
    """A sentence where a text is laid out otherwise than what a model has learned."""
    others = {replace(layout, wrap=None) for layout in layouts} - {learned}
    if not others:
        return ()
    told = " and ".join(sorted(layout.in_words() for layout in others))
    if learned.line_breaks == "kept" and learned.unit != "line":
        why = "it expects line breaks, and here they are no tokens"
    else:
        why = "unless the lines are paragraphs, it guesses badly where a passage ends"
    return (f"Read {told}, as this text is laid out, though the model learned {learned.in_words()}: {why}.",)


def columns(text: str) -> int:
    """How wide a text is on a screen, where East Asian letters take two places."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def indentation(line: str) -> int:
    return columns(line) - columns(line.lstrip())


def ends_at_stop(line: str) -> bool:
    """Whether a line ends as a paragraph does, and not in mid-sentence."""
    return bool(_STOP.search(line[-12:].rstrip()))


def reach(line: str, following: str) -> int:
    """How wide a line would be with the first word of the following one."""
    following = following.lstrip()
    spaced = not UNSPACED.match(following)
    first_word = following.split(None, 1)[0] if spaced else following[:2]
    return columns(line) + spaced + columns(first_word)


def goes_on(line: str, following: str) -> bool:
    """Whether a sentence goes on from a line to the next, as far as its script can tell."""
    return not ends_at_stop(line) and unicodedata.category(_first_letter(following) or "0") in ("Ll", "Lo")


def wrapped_at(lines: Sequence[tuple[int, int]]) -> int:
    """The width that lines were wrapped at, by how wide those in mid-sentence are, and would be with the next word.

    Nearly all of them fit into it, and with the next word do not; where lines are ragged, the second counts.
    """
    widths, reaches = (sorted(column) for column in zip(*lines, strict=True))
    return min(_high(widths), reaches[int(0.15 * (len(reaches) - 1))])


def ends_paragraph(line: str, following: str, wrap: Wrap, width: int) -> bool:
    """Whether a paragraph of wrapped prose ends between two lines of a text without blank lines.

    It does where the second begins elsewhere than most lines, where a line with a stop has room for the next word,
    where one without has room for many, and between what two people say; but not where a sentence goes on.
    """
    if goes_on(line, following) or (wrap.cased and _first_letter(following).islower()):
        return False
    stopped, indented = ends_at_stop(line), indentation(following)
    if indented != wrap.margin and (stopped or indented != indentation(line)):
        return True
    left = width - reach(line, following)
    if left < 0:
        return bool(_CLOSED_QUOTE.search(line) and _OPENED_QUOTE.match(following.lstrip()))
    return stopped or (left > width / 3 and bool(_BEGINS_LIKE_A_PARAGRAPH.match(following.lstrip())))


def _first_letter(line: str) -> str:
    return next((letter for letter in line if letter.isalnum()), "")


class _Lines:
    """The lines of a text, without those that are blank, in blocks between blank ones."""

    def __init__(self, text: str) -> None:
        self.blocks: list[list[str]] = [[]]
        for line in text.expandtabs().split("\n"):
            if line.strip():
                self.blocks[-1].append(line.rstrip())
            elif self.blocks[-1]:
                self.blocks.append([])
        if not self.blocks[-1]:
            self.blocks.pop()
        self.written = [line for block in self.blocks for line in block]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """All lines with the next one, where no blank line stands between them."""
        for block in self.blocks:
            yield from pairwise(block)

    @cached_property
    def widths(self) -> list[int]:
        return sorted(columns(line.strip()) for line in self.written)

    @cached_property
    def are_paragraphs(self) -> bool:
        """Whether half of all that is written stands in very long lines, or lines differ as paragraphs do."""
        if len(self.written) < 3 or self._are_speeches:
            return False
        if _weighted_median(self.widths) > _LONG_LINE:
            return True
        longest, median = _high(self.widths), statistics.median(self.widths)
        stops = sum(map(ends_at_stop, self.written))
        return longest > max(_WIDTH_OF_DIALOGUE, 1.8 * median) and stops > 0.8 * len(self.written)

    @property
    def _are_speeches(self) -> bool:
        """Whether many lines begin with a name that others begin with: those of a play."""
        if statistics.median(self.widths) > _LONG_LINE:
            return False
        names = Counter(name[1] for line in self.written if (name := _SPEAKER.match(line)))
        return sum(count for count in names.values() if count > 2) > 0.3 * len(self.written)

    @property
    def touch(self) -> bool:
        """Whether paragraphs that are lines follow one another without a blank line."""
        touching = sum(max(columns(one), columns(other)) > _WIDTH_OF_DIALOGUE for one, other in self.pairs())
        return touching > len(self.written) / 20

    @property
    def mostly_alone(self) -> bool:
        """Whether hardly any two lines stand together."""
        together = sum(len(block) for block in self.blocks if len(block) > 1)
        return together <= len(self.written) / 10


def _weighted_median(widths: Sequence[int]) -> int:
    """The width that half of all letters stand in wider lines than."""
    half, passed = sum(widths) / 2, 0
    for width in widths:
        passed += width
        if passed >= half:
            return width
    return 0


def _high(ordered: Sequence[int]) -> int:
    """What nine tenths of some numbers, which come in order, do not exceed."""
    return ordered[int(0.9 * (len(ordered) - 1))]


def _wrap_of(lines: _Lines) -> Wrap | None:
    """The wrap of lines that end in mid-sentence, full, and go on in small letters; None where they do not."""
    pairs = list(lines.pairs())
    broken = [(line, following) for line, following in pairs if not ends_at_stop(line)]
    if len(broken) < 2 or len(broken) < 0.15 * len(pairs):
        return None
    going_on = [pair for pair in broken if goes_on(*pair)]  # so that the width is not that of headings
    if len(going_on) < max(2, 0.6 * len(broken)):
        return None
    measured = [(columns(line), reach(line, following)) for line, following in going_on]
    parts = [measured[at : at + _LINES_TOGETHER] for at in range(0, len(measured), _LINES_TOGETHER)]
    full = sum(_full_lines(part) for part in parts)  # the width may change from part to part
    sentences = sum(bool(_STOP_WITHIN.search(line)) for line in lines.written)
    if full < 0.7 * len(measured) or sentences < 0.08 * len(lines.written):
        return None
    width = wrapped_at(parts[0])
    widest = max(map(wrapped_at, parts))
    wider = sum(each > 1.25 * widest for each in lines.widths)
    if width < _NARROWEST_PROSE or wider > len(lines.written) / 10:
        return None
    margin = Counter(map(indentation, lines.written)).most_common(1)[0][0]
    begins = [_first_letter(following) for line, following in pairs if ends_at_stop(line)]
    return Wrap(width, margin, 2 * sum(map(str.islower, begins)) <= len(begins))


def _full_lines(lines: Sequence[tuple[int, int]]) -> int:
    """How many lines would be wider with the next word than nearly all of them are."""
    widest = _high(sorted(width for width, _ in lines))
    return sum(reached > 0.9 * widest for _, reached in lines)


def _ends_without_blank(lines: _Lines, wrap: Wrap) -> float:
    """How many paragraphs end without a blank line, less what would seem so where lines are but ragged."""
    pairs = list(lines.pairs())
    inside = [(columns(line), reach(line, following)) for line, following in pairs if not ends_at_stop(line)]
    stopped = [pair for pair in pairs if ends_at_stop(pair[0])]
    width = wrapped_at(inside)
    ragged = sum(reached <= width for _, reached in inside) / len(inside)
    return sum(ends_paragraph(*pair, wrap, width) for pair in stopped) - ragged * len(stopped)


def _fill_a_width(blocks: Sequence[Sequence[str]]) -> bool:
    """Whether the lines of most paragraphs, but for the last of each, nearly fill a width."""
    wrapped = [[columns(line.strip()) for line in block[:-1]] for block in blocks if len(block) > 1]
    every = [width for widths in wrapped for width in widths]
    width = statistics.quantiles(every, n=10)[-1] if len(every) > 1 else every[0]
    full = [sum(line > _NEARLY_FULL * width for line in widths) > 0.8 * len(widths) for widths in wrapped]
    return width >= _NARROWEST_PROSE and sum(full) > 0.6 * len(full)
