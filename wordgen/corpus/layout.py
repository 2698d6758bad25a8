"""The layout of a text: where its passages end, guessed from the lengths of its lines and from how they end.

Only the beginning of a file is looked at.
"""

import re
import statistics
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice, pairwise
from pathlib import Path

from wordgen.corpus.documents import is_abc, is_midi
from wordgen.corpus.reading import Boilerplate, TextFile, lines_of
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings
from wordgen.errors import CorpusError, in_a_sentence
from wordgen.music.abc_text import looks_like_abc

_LONG_LINE = 150  # columns
_NEARLY_FULL = 0.75
_NARROWEST_PROSE = 32  # columns
_LINES_TOGETHER = 50
_WIDTH_OF_DIALOGUE = 100  # columns
_STOP = re.compile(r"(?:[.!?…:。．！？―—]|--|\s-)[\"'”’»«“‘)\]}*_」』）]*$|[」』）]$")
_STOP_INSIDE_LINE = re.compile(r"[.!?…][\"'”’»)\]]*\s+\S|[。！？]\S")
_BEGINS_LIKE_A_PARAGRAPH = re.compile(r"[\W_]*[\dA-ZÀ-ÖØ-Þ]|[\"'“‘„«「『]")
_CLOSED_QUOTE = re.compile(r"[.!?…—-][\"'”’»]$")
_OPENED_QUOTE = re.compile(r"[\"'“‘„«]\w")
_SPEAKER = re.compile(r"([^\s.:：。、，「『\"“]{1,20})(?:[:：「\u3000]|\.\s)")
UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff9f]")


@dataclass(frozen=True)
class Wrap:
    """Describes prose with wrapped lines and without blank lines between its paragraphs."""

    width: int
    """Width of its full lines in columns, measured at the beginning of the text."""
    margin: int = 0
    """Indentation of most of its lines in columns."""
    cased: bool = True
    """Whether its paragraphs begin with capital letters. True for scripts without capital letters."""


@dataclass(frozen=True)
class Layout:
    """The kind of passage that one file is cut into, and where the passages end."""

    passage: PassageKind
    line_breaks: LineBreaks
    wrap: Wrap | None = None
    """Given for paragraphs that end at short lines or begin with indented lines; None if they end at blank lines."""

    def with_choices(self, passage: PassageKind | None, line_breaks: LineBreaks | None) -> "Layout":
        """Return the layout with the user's choices instead of what was guessed.

        A choice that differs from the guess discards `wrap`; choices that equal the guess change nothing.
        """
        chosen = replace(self, passage=passage or self.passage, line_breaks=line_breaks or self.line_breaks)
        return self if chosen == self else replace(chosen, wrap=None)

    def for_model(self, model_layout: "Layout") -> "Layout":
        """Return how to read a text of this layout for a model that was trained on text of the layout `model_layout`.

        Prose is read by its own layout, because a passage is the same whether it is one line or wrapped. A text whose
        line breaks have a meaning is read as `model_layout`. If the model knows line breaks, so are lines without blank
        lines between them, because they may be verse.
        """
        prose = self.passage == "paragraph" or model_layout.line_breaks == "joined"
        return self if prose and self.line_breaks == "joined" else model_layout

    def in_words(self) -> str:
        breaks = " with line breaks" if self.line_breaks == "kept" and self.passage not in ("line", "tune") else ""
        return f"one passage per {self.passage}{breaks}" + (", wrapped without blank lines" if self.wrap else "")


def guess_layout(text: str) -> Layout:
    """Guess whether lines, paragraphs or the whole document are the passages of a text.

    - Wrapped prose: a line ends where its next word would not fit, most often in mid-sentence. Paragraphs are passages.
    - Lines as long as paragraphs: each line is a paragraph.
    - Verse and plays: neither of the above. The document is the passage, and line breaks are kept. Lines that fill a
      width of less than 32 columns are verse, too.
    - Other text without blank lines: each line is a passage.
    - Most lines begin with the wide space (U+3000) that indents Japanese paragraphs: each line is a passage.
    """
    lines = _Lines(text)
    if len(lines.nonblank) > 2 and sum(line.startswith("\u3000") for line in lines.nonblank) > len(lines.nonblank) / 2:
        return Layout("line", "joined")
    wrap = _wrap_of(lines)
    if wrap is not None and 2 * _ends_without_blank(lines, wrap) > len(lines.blocks):
        return Layout("paragraph", "joined", wrap)
    if wrap is None and lines.are_paragraphs:
        return Layout("line" if lines.are_adjacent else "paragraph", "joined")
    if len(lines.blocks) < 3 and max(map(len, lines.blocks), default=0) > 2:
        return Layout("paragraph" if wrap else "line", "joined")
    prose = wrap is not None or lines.are_mostly_separate or _fill_a_width(lines.blocks)
    return Layout("paragraph", "joined") if prose else Layout("document", "kept")


def layout_warnings(layouts: Iterable[Layout], model_layout: Layout) -> tuple[str, ...]:
    """Return a sentence if a text is laid out differently from the training text of a model, else an empty tuple.

    `layouts` are those of the files of the text; `model_layout` is the layout of the training text.
    """
    others = {replace(layout, wrap=None) for layout in layouts} - {model_layout}
    if not others:
        return ()
    found = in_a_sentence(sorted(layout.in_words() for layout in others))
    if model_layout.line_breaks == "kept" and model_layout.passage != "line":
        why = "it expects line breaks as tokens, but this text has none"
    else:
        why = "unless its lines are paragraphs, it predicts the end of a passage badly"
    return (
        f"This text is read with {found}, by its layout, but the model was trained with {model_layout.in_words()}. "
        f"Note: {why}.",
    )


def columns(text: str) -> int:
    """Return the width of a text on a screen in columns. East Asian wide letters take two columns."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def indentation(line: str) -> int:
    return columns(line) - columns(line.lstrip())


def ends_at_stop(line: str) -> bool:
    """Return whether a line ends as a paragraph does (with a full stop, for example), and not in mid-sentence."""
    return bool(_STOP.search(line[-12:].rstrip()))


def width_with_next_word(line: str, following: str) -> int:
    """Return the width in columns that a line would have with the first word of the following line.

    In scripts without spaces between words, the first two characters count as the first word.
    """
    following = following.lstrip()
    spaced = not UNSPACED.match(following)
    first_word = following.split(None, 1)[0] if spaced else following[:2]
    return columns(line) + spaced + columns(first_word)


def continues(line: str, following: str) -> bool:
    """Return whether a sentence continues from a line to the next one, as far as the script shows it.

    The line must not end as a paragraph does, and the next one must not begin with a capital letter or a digit.
    """
    return not ends_at_stop(line) and unicodedata.category(_first_letter(following) or "0") in ("Ll", "Lo")


def wrap_width(lines: Sequence[tuple[int, int]]) -> int:
    """Return the width in columns at which lines were wrapped.

    `lines` has for each line that ends in mid-sentence its width, and its width with the next word added. Nearly all
    lines fit into the result, and nearly all are too wide for it with the next word. If lines are ragged, so that no
    width meets both conditions, the second one decides.
    """
    widths, reaches = (sorted(column) for column in zip(*lines, strict=True))
    return min(_percentile_90(widths), reaches[int(0.15 * (len(reaches) - 1))])


def ends_paragraph(line: str, following: str, wrap: Wrap, width: int) -> bool:
    """Return whether a paragraph of wrapped prose ends between two lines that no blank line separates.

    `width` is the width in columns at which the lines around are wrapped. A paragraph ends
    - before a line that is indented differently from most lines, unless a sentence and the indentation continue;
    - after a line that ends a sentence and has room for the next word;
    - after another line if a third of its width is free and the next one begins like a paragraph;
    - between the words of two speakers.
    It never ends where a sentence continues on the next line, nor before a small letter if `wrap.cased`.
    """
    if continues(line, following) or (wrap.cased and _first_letter(following).islower()):
        return False
    stopped, indented = ends_at_stop(line), indentation(following)
    if indented != wrap.margin and (stopped or indented != indentation(line)):
        return True
    room = width - width_with_next_word(line, following)
    if room < 0:
        return bool(_CLOSED_QUOTE.search(line) and _OPENED_QUOTE.match(following.lstrip()))
    return stopped or (room > width / 3 and bool(_BEGINS_LIKE_A_PARAGRAPH.match(following.lstrip())))


def _first_letter(line: str) -> str:
    return next((letter for letter in line if letter.isalnum()), "")


class _Lines:
    """The lines of a text that are not blank, grouped into blocks that blank lines separate."""

    def __init__(self, text: str) -> None:
        self.blocks: list[list[str]] = [[]]
        for line in text.expandtabs().split("\n"):
            if line.strip():
                self.blocks[-1].append(line.rstrip())
            elif self.blocks[-1]:
                self.blocks.append([])
        if not self.blocks[-1]:
            self.blocks.pop()
        self.nonblank = [line for block in self.blocks for line in block]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each line with the next one, unless a blank line separates them."""
        for block in self.blocks:
            yield from pairwise(block)

    @cached_property
    def widths(self) -> list[int]:
        return sorted(columns(line.strip()) for line in self.nonblank)

    @cached_property
    def are_paragraphs(self) -> bool:
        """Whether half of the text is in lines of more than 150 columns, or line lengths vary as in paragraphs."""
        if len(self.nonblank) < 3 or self._are_speeches:
            return False
        letters = list(accumulate(self.widths))
        if self.widths[bisect_left(letters, letters[-1] / 2)] > _LONG_LINE:
            return True
        longest, median = _percentile_90(self.widths), statistics.median(self.widths)
        stops = sum(map(ends_at_stop, self.nonblank))
        return longest > max(_WIDTH_OF_DIALOGUE, 1.8 * median) and stops > 0.8 * len(self.nonblank)

    @property
    def _are_speeches(self) -> bool:
        """Whether many lines begin with a name that other lines begin with, too, as in a play."""
        if statistics.median(self.widths) > _LONG_LINE:
            return False
        names = Counter(name[1] for line in self.nonblank if (name := _SPEAKER.match(line)))
        return sum(count for count in names.values() if count > 2) > 0.3 * len(self.nonblank)

    @property
    def are_adjacent(self) -> bool:
        """Whether paragraphs of one line each follow one another without a blank line."""
        touching = sum(max(columns(one), columns(other)) > _WIDTH_OF_DIALOGUE for one, other in self.pairs())
        return touching > len(self.nonblank) / 20

    @property
    def are_mostly_separate(self) -> bool:
        """Whether blank lines separate nearly all lines: at most a tenth of them are next to another line."""
        together = sum(len(block) for block in self.blocks if len(block) > 1)
        return together <= len(self.nonblank) / 10


def _percentile_90(ordered: Sequence[int]) -> int:
    """Return the 90th percentile of numbers in ascending order."""
    return ordered[int(0.9 * (len(ordered) - 1))]


def _wrap_of(lines: _Lines) -> Wrap | None:
    """Return the wrap of a text whose full lines end in mid-sentence and continue in small letters; None for others.

    Letters without case (as in Japanese) count as small letters.
    """
    pairs = list(lines.pairs())
    broken = [(line, following) for line, following in pairs if not ends_at_stop(line)]
    if len(broken) < 2 or len(broken) < 0.15 * len(pairs):
        return None
    continued = [pair for pair in broken if continues(*pair)]  # so that headings do not affect the width
    if len(continued) < max(2, 0.6 * len(broken)):
        return None
    measured = [(columns(line), width_with_next_word(line, following)) for line, following in continued]
    parts = [measured[at : at + _LINES_TOGETHER] for at in range(0, len(measured), _LINES_TOGETHER)]
    full = sum(_full_lines(part) for part in parts)  # the width may differ between parts of a text
    sentences = sum(bool(_STOP_INSIDE_LINE.search(line)) for line in lines.nonblank)
    if full < 0.7 * len(measured) or sentences < 0.08 * len(lines.nonblank):
        return None
    width = wrap_width(parts[0])
    widest = max(map(wrap_width, parts))
    wider = sum(each > 1.25 * widest for each in lines.widths)
    if width < _NARROWEST_PROSE or wider > len(lines.nonblank) / 10:
        return None
    margin = Counter(map(indentation, lines.nonblank)).most_common(1)[0][0]
    begins = [_first_letter(following) for line, following in pairs if ends_at_stop(line)]
    return Wrap(width, margin, 2 * sum(map(str.islower, begins)) <= len(begins))


def _full_lines(lines: Sequence[tuple[int, int]]) -> int:
    """Return how many lines are full: with the next word, they are wider than 0.9 times the widest lines.

    `lines` has pairs as in `wrap_width`. The widest tenth of the lines does not count as the widest lines.
    """
    widest = _percentile_90(sorted(width for width, _ in lines))
    return sum(reached > 0.9 * widest for _, reached in lines)


def _ends_without_blank(lines: _Lines, wrap: Wrap) -> float:
    """Return how many paragraphs end without a blank line, less the number expected from ragged lines alone."""
    pairs = list(lines.pairs())
    broken = [pair for pair in pairs if not ends_at_stop(pair[0])]
    inside = [(columns(line), width_with_next_word(line, following)) for line, following in broken]
    stopped = [pair for pair in pairs if ends_at_stop(pair[0])]
    width = wrap_width(inside)
    ragged = sum(reached <= width for _, reached in inside) / len(inside)
    return sum(ends_paragraph(*pair, wrap, width) for pair in stopped) - ragged * len(stopped)


def _fill_a_width(blocks: Sequence[Sequence[str]]) -> bool:
    """Return whether, in most paragraphs, nearly all lines but the last nearly fill a common width.

    The width must be at least 32 columns.
    """
    wrapped = [[columns(line.strip()) for line in block[:-1]] for block in blocks if len(block) > 1]
    every = [width for widths in wrapped for width in widths]
    width = statistics.quantiles(every, n=10)[-1] if len(every) > 1 else every[0]
    full = [sum(line > _NEARLY_FULL * width for line in widths) > 0.8 * len(widths) for widths in wrapped]
    return width >= _NARROWEST_PROSE and sum(full) > 0.6 * len(full)


_SAMPLE = 200_000
_SAMPLE_LINES = 10_000
_MIDI_LAYOUT, _TUNE_LAYOUT = Layout("document", "joined"), Layout("tune", "kept")


def layouts_of(files: Sequence[Path], reading_settings: ReadingSettings) -> tuple[Layout, ...]:
    """Return the layout of each file, guessed from its beginning. An empty file gets the most common layout.

    Raise CorpusError if all files are empty.
    """
    alone = len(files) == 1  # a single file, such as standard input, may have tunes under any name
    found = [_layout_of(path, reading_settings, alone=alone) for path in files]
    usual_layout = Counter(layout for layout in found if layout is not None).most_common(1)
    if not usual_layout:
        raise _empty_error(files)
    return tuple(layout or usual_layout[0][0] for layout in found)


def _layout_of(path: Path, reading_settings: ReadingSettings, *, alone: bool) -> Layout | None:
    if is_midi(path):
        return _MIDI_LAYOUT
    beginning = _beginning_of(path, reading_settings)
    if not beginning:
        return None
    return _TUNE_LAYOUT if is_abc(path) or (alone and looks_like_abc(beginning)) else guess_layout(beginning)


def sample_of(files: Sequence[Path], reading_settings: ReadingSettings) -> str:
    """Return the beginning of the first file that is not empty.

    Damaged MIDI files are skipped if another file can be read. Raise CorpusError if all files are empty or damaged.
    """
    damaged: CorpusError | None = None
    for path in files:
        try:
            if text := _beginning_of(path, reading_settings):
                return text
        except CorpusError as error:
            if not is_midi(path):
                raise
            damaged = damaged or error
    raise damaged or _empty_error(files)


def _empty_error(files: Sequence[Path]) -> CorpusError:
    where = files[0] if len(files) == 1 else files[0].parent
    return CorpusError(f"{where} is empty: give a file with text.")


def _beginning_of(path: Path, reading_settings: ReadingSettings) -> str:
    """Return the text of the first lines, at most 200,000 characters. The pieces of a very long line are joined."""
    lines = lines_of(TextFile(path, reading_settings.encoding), reading_settings, Boilerplate())
    pieces, size, last = list[str](), 0, 0
    for number, line in islice(lines, _SAMPLE_LINES):
        if pieces and number != last:
            pieces.append("\n")
        pieces.append(line)
        size, last = size + len(line) + 1, number
        if size > _SAMPLE:
            break
    return "".join(pieces).strip("\n")[:_SAMPLE].rstrip()
