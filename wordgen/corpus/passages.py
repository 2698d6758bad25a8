"""Turn lines of text into passages: what START and END enclose.

Also joins words that are hyphenated at the end of a line, and takes tunes in ABC out of their files. On request it
replaces wide and narrow letters by the usual ones, and leaves out words in Latin letters, for example the English words
of Japanese lyrics, together with their punctuation, brackets and spaces, and with lines that have nothing else.
"""

import re
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby, pairwise

from wordgen.corpus.layout import UNSPACED, Wrap, columns, continues, ends_paragraph, width_with_next_word, wrap_width
from wordgen.corpus.reading import Line, composed
from wordgen.corpus.settings import LineBreaks, PassageKind, Transpose
from wordgen.music.abc_text import COPIES, LeftOut, copy_in_other_key, key_of, to_common_key, tunes_of
from wordgen.music.harmony import Interval

_HEAD = re.compile(r"(\w+)-$")
_TAIL = re.compile(r"\w+")
_WORD = re.compile(r"\w+(?:-\w+)*")
_MAX_CANDIDATES = 200_000

Halves = tuple[str, str]


@dataclass
class Hyphens:
    """The hyphenated words of a text whose halves are joined without a hyphen."""

    to_join: frozenset[Halves] = frozenset()
    joined: int = field(default=0, init=False)
    """Number of words joined so far."""

    def join(self, line: str, following: str) -> str | None:
        """Return a line, without its hyphen if the word is in `to_join`.

        Return None if no hyphenated word continues on the following line.
        """
        halves = _halves(line, following)
        if halves is None:
            return None
        if halves not in self.to_join:
            return line
        self.joined += 1
        return line[:-1]


def hyphens_of(read: Callable[[], Iterable[Line]]) -> Hyphens:
    """Return the words hyphenated at line ends that the text contains more often in one piece than with a hyphen.

    `read` is called twice, so that memory does not grow with the text, but only once if no line ends with a hyphen. At
    most 200,000 different words are examined.
    """
    candidates: dict[Halves, str] = {}
    for (_, line), (_, following) in pairwise(read()):
        halves = _halves(line.rstrip(), following.lstrip())
        if halves is not None and len(candidates) < _MAX_CANDIDATES:
            candidates[halves] = "".join(halves)
    if not candidates:
        return Hyphens()
    wanted = {*candidates.values(), *("-".join(halves) for halves in candidates)}
    counts: Counter[str] = Counter()
    for _, line in read():
        counts.update(wanted.intersection(_WORD.findall(line.lower())))
    return Hyphens(frozenset(halves for halves, word in candidates.items() if counts[word] > counts["-".join(halves)]))


def _halves(line: str, following: str) -> Halves | None:
    if not line.endswith("-"):
        return None
    head = _HEAD.search(line[-60:])
    tail = _TAIL.match(following) if head else None
    return (head[1].lower(), tail[0].lower()) if head and tail else None


_MAX_PASSAGE_CHARACTERS = 1_000_000
_MAX_LINES_AROUND = 30
_MIN_LINES_AROUND = 10
_NARROWEST_PART = 0.6


@dataclass(frozen=True)
class Passage:
    """A passage and its place in the file."""

    text: str
    line: int
    """Number of its first line, from 1."""
    widths: tuple[int, ...]
    """Number of characters in each of its lines, not counting white space. It shows from which line a token is."""


def passages_of(
    lines: Iterable[Line],
    passage: PassageKind,
    line_breaks: LineBreaks,
    *,
    wrap: Wrap | None = None,
    hyphens: Hyphens | None = None,
) -> Iterator[Passage]:
    """Yield the passages of one file, given its lines. If `wrap` is given, paragraphs end at short lines, too.

    If lines are passages and line breaks are kept, blank lines between two lines become one empty passage, so that a
    song keeps its verses. Documents, sections and paragraphs of more than a million characters are cut at a line, so
    that they fit in memory.
    """
    hyphens = hyphens or Hyphens()
    match passage:
        case "line":
            yield from _lines(lines, blank_between=line_breaks == "kept")
        case "paragraph":
            parts = _paragraphs(lines) if wrap is None else _wrapped_paragraphs(lines, wrap)
            yield from (_passage(part, line_breaks, hyphens) for part in parts)
        case "section" | "document" | "tune":  # a tune is already taken out of its file
            for part in _sections(lines) if passage == "section" else _parts(lines):
                written = [place for place, (_, line) in enumerate(part) if line.strip()]
                if written:
                    yield _passage(part[written[0] : written[-1] + 1], line_breaks, hyphens)


def every_line(lines: Iterable[Line]) -> Iterator[Passage]:
    """Yield each line, blank or not, as a passage. Text after the last line break counts only if it is not empty."""
    last: Line | None = None
    for line in lines:
        if last is not None:
            yield _line_passage(*last)
        last = line
    if last is not None and last[1]:
        yield _line_passage(*last)


def visible_width(text: str) -> int:
    """Return the number of characters in a text, not counting white space."""
    return len("".join(text.split()))


def _lines(lines: Iterable[Line], *, blank_between: bool) -> Iterator[Passage]:
    began = blank = False
    for number, line in lines:
        if not line.strip():
            blank = began
            continue
        if blank and blank_between:
            yield Passage("", number, (0,))
        yield _line_passage(number, line)
        began, blank = True, False


def _line_passage(number: int, line: str) -> Passage:
    return Passage(line.strip(), number, (visible_width(line),))


def _paragraphs(lines: Iterable[Line]) -> Iterator[list[Line]]:
    for written, paragraph in groupby(lines, key=lambda line: bool(line[1].strip())):
        if written:
            yield from _parts(paragraph)


def _sections(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield the text between two or more blank lines. A single blank line is part of a section."""
    section = blank = 0

    def number_of_section(line: Line) -> int:
        nonlocal section, blank
        written = bool(line[1].strip())
        section += written and blank > 1
        blank = 0 if written else blank + 1
        return section

    for _, part in groupby(lines, key=number_of_section):
        yield from _parts(part)


def _wrapped_paragraphs(lines: Iterable[Line], wrap: Wrap) -> Iterator[list[Line]]:
    """Yield paragraphs that need no blank line between them.

    The width at which lines are wrapped may change within a text, so it is measured on the last 30 lines that ended in
    mid-sentence, once there are at least 10.
    """
    part: list[Line] = []
    size, last = 0, ""
    recent: deque[tuple[int, int]] = deque(maxlen=_MAX_LINES_AROUND)
    width = wrap.width
    for number, written in lines:
        line = written.expandtabs().rstrip()
        new_line = bool(part) and number != part[-1][0]
        ended = not line or (new_line and ends_paragraph(last, line, wrap, width))
        if part and (ended or size > 2 * _MAX_PASSAGE_CHARACTERS):
            yield part
            part, size = [], 0
        elif new_line and continues(last, line):
            recent.append((columns(last), width_with_next_word(last, line)))
            if len(recent) >= _MIN_LINES_AROUND:
                width = max(wrap_width(recent), int(_NARROWEST_PART * wrap.width))
        if line:
            part.append((number, written))
            size += len(written)
        last = line
    if part:
        yield part


def _parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield all lines as one list, cut into several if they have more than a million characters.

    The cut is at the next blank line, or at any line after two million characters.
    """
    part: list[Line] = []
    size = 0
    for number, line in lines:
        part.append((number, line))
        size += len(line)
        if size > 2 * _MAX_PASSAGE_CHARACTERS or (size > _MAX_PASSAGE_CHARACTERS and not line.strip()):
            yield part
            part, size = [], 0
    if part:
        yield part


def _passage(part: Sequence[Line], line_breaks: LineBreaks, hyphens: Hyphens) -> Passage:
    first, last = part[0][0], part[-1][0]
    lines = [""] * (last - first + 1)
    for number, piece in part:
        lines[number - first] += piece
    text = "\n".join(lines).strip() if line_breaks == "kept" else _joined(lines, hyphens)
    return Passage(text, first, tuple(map(visible_width, lines)))


def _joined(lines: list[str], hyphens: Hyphens) -> str:
    """Return the lines joined to one line. In `lines`, replace each line by the part of it that was used.

    Blank lines between two lines become one space, in any script.
    """
    lines[:] = (line.strip() for line in lines)
    joined: list[str] = []
    written = [place for place, line in enumerate(lines) if line]
    for place, next_place in pairwise(written):
        line, following, between = lines[place], lines[next_place], " "
        if next_place == place + 1:
            between = "" if UNSPACED.match(line[-1:]) and UNSPACED.match(following[:1]) else " "
            if (hyphenated := hyphens.join(line, following)) is not None:
                lines[place], between = hyphenated, ""
        joined += [lines[place], between]
    return "".join([*joined, lines[written[-1]]])


_FORM = re.compile("[\uff01-\uff5e\uff61-\uff9f]")  # ASCII made wide; Japanese punctuation and katakana made narrow
_FOLDED = {
    number: unicodedata.normalize("NFKC", chr(number)) for number in (*range(0xFF01, 0xFF5F), *range(0xFF61, 0xFFA0))
}


def folded(text: str) -> str:
    """Return a text with wide and narrow forms replaced by the usual characters.

    A narrow katakana letter and the separate voicing mark after it become one letter.
    """
    return composed(text.translate(_FOLDED)) if _FORM.search(text) else text


@dataclass
class Changes:
    """What was changed in passages because a user wants it."""

    forms: int = 0
    """Number of wide and narrow characters that the usual ones replaced."""
    latin_words: int = 0
    """Number of words in Latin letters that were left out."""


def folded_passage(passage: Passage, changes: Changes) -> Passage:
    """Return a passage with wide and narrow forms replaced by the usual characters.

    Its lines are folded one by one, because folding changes their widths.
    """
    forms = len(_FORM.findall(passage.text))
    if not forms:
        return passage
    changes.forms += forms
    lines = [folded(line) for line in _by_lines(passage)]
    return replace(passage, text="".join(lines), widths=tuple(map(visible_width, lines)))


def _by_lines(passage: Passage) -> list[str]:
    """Return the text of a passage, cut where its lines began before they were joined."""
    if len(passage.widths) == 1:
        return [passage.text]
    visible = [place for place, character in enumerate(passage.text) if not character.isspace()]
    begins = [visible[offset] if offset < len(visible) else len(passage.text) for offset in accumulate(passage.widths)]
    return [passage.text[begin:end] for begin, end in pairwise([0, *begins])]


_LATIN = "A-Za-zÀ-ÖØ-öø-ʯḀ-ỿＡ-Ｚａ-ｚ"
_LATIN_PART = rf"[{_LATIN}][{_LATIN}0-9０-９\u0300-\u036f]*+"
_LATIN_WORD = re.compile(rf"{_LATIN_PART}(?:['’＇-]{_LATIN_PART})*+['’＇]?")
_PLACEHOLDER = "\ud8ff"
"""Takes the place of each word that is left out, until its punctuation is removed. No text contains this character."""
_STOPS = r"\s,.!?、。！？・…~〜-"
_BETWEEN = re.compile(rf"{_PLACEHOLDER}[\s,.!?'’\"“”&/{_PLACEHOLDER}-]*{_PLACEHOLDER}")
_IN_BRACKETS = re.compile(rf"[(（「『\[【〈《][{_STOPS}]*{_PLACEHOLDER}[{_STOPS}]*[)）」』\]】〉》]")
_AT_THE_BEGINNING = re.compile(rf"\s*{_PLACEHOLDER}[{_STOPS}]*")
_AT_THE_END = re.compile(rf"{_PLACEHOLDER}(?=[\s,.!?…]*$)")
_BEFORE_THE_END = " \t\u3000,、"
_WITH_SPACES = re.compile(rf"(?<=\s){_PLACEHOLDER}\s*|{_PLACEHOLDER}(\s*)")


def without_latin(passages: Iterable[Passage], changes: Changes) -> Iterator[Passage]:
    """Yield passages without their words in Latin letters.

    Passages that become empty are left out, and of several empty passages between two others all but one.
    """
    blank: Passage | None = None
    begun = False
    for passage in passages:
        if not passage.text:
            blank = passage if begun else None
            continue
        without = _without_latin_words(passage, changes)
        if without is None:
            continue
        if blank is not None:
            yield blank
        blank, begun = None, True
        yield without


def _without_latin_words(passage: Passage, changes: Changes) -> Passage | None:
    if not _LATIN_WORD.search(passage.text):
        return passage
    lines: list[tuple[str, str]] = []  # each with the white space after it, which separates verses
    widths: list[int] = []
    for piece in _by_lines(passage):
        written = piece.rstrip()
        remaining, words = drop_latin_words(written)
        changes.latin_words += words
        space_after = piece[len(written) :]
        widths.append(visible_width(remaining))
        if remaining or (piece and not words):
            lines.append((remaining, space_after))
        elif lines:  # the line is left out, but a blank line after it still ends a verse
            lines[-1] = (lines[-1][0], max(lines[-1][1], space_after, key=len))
    text = "".join(line + space_after for line, space_after in lines).strip()
    return replace(passage, text=text, widths=tuple(widths)) if text else None


def drop_latin_words(line: str) -> tuple[str, int]:
    """Return a line without its words in Latin letters, and their number. The line is empty if no word is left."""
    marked, words = _LATIN_WORD.subn(_PLACEHOLDER, line)
    if not words:
        return line, 0
    marked = _IN_BRACKETS.sub(_PLACEHOLDER, _BETWEEN.sub(_PLACEHOLDER, marked))
    if begins := _AT_THE_BEGINNING.match(marked):
        marked = marked[begins.end() :]
    if ends := _AT_THE_END.search(marked):
        marked = marked[: ends.start()].rstrip(_BEFORE_THE_END) + marked[ends.end() :]
    remaining = _WITH_SPACES.sub(lambda found: (found[1] or "")[:1], marked).strip()
    return (remaining if re.search(r"\w", remaining) else ""), words


_NAMED_KEYS = 3


@dataclass
class TuneReading:
    """Reads the tunes of some files, one after another."""

    transpose: Transpose
    left_out: LeftOut = field(default_factory=LeftOut)
    _keys: Counter[str] = field(default_factory=Counter)
    """How many tunes were transposed to each key."""
    _not_transposed: int = 0
    """How many tunes could not be transposed."""

    def passages(self, lines: Iterable[Line]) -> Iterator[Passage]:
        """Yield the tunes of a file, transposed to a common key if that is the setting."""
        for tune in tunes_of(lines, self.left_out):
            text = "\n".join(line for _, line in tune)
            if self.transpose == "common":
                text = self._in_common_key(text)
            yield _tune_passage(tune, text)

    def copies(self, lines: Iterable[Line], number: int) -> Iterator[Passage]:
        """Yield copies of the tunes of a file in another key, given by its number, without tunes that have that key."""
        for tune in tunes_of(lines, LeftOut()):
            copy = copy_in_other_key("\n".join(line for _, line in tune), number)
            if copy is not None:
                yield _tune_passage(tune, copy)

    def _in_common_key(self, text: str) -> str:
        common = to_common_key(text)
        key = None if common is None else key_of(common)
        if common is None or key is None:
            self._not_transposed += 1
            return text
        self._keys[key.name] += 1
        return common

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the tunes were read, in short sentences."""
        notes = list(self.left_out.in_words())
        if self._keys:
            names = [name for name, _ in self._keys.most_common(_NAMED_KEYS)]
            others = " and others" if len(self._keys) > _NAMED_KEYS else ""
            notes.append(f"{self._keys.total():,} tunes transposed to {', '.join(names)}{others}, each within its mode")
        if self._not_transposed:
            tunes = "tune stays in its" if self._not_transposed == 1 else "tunes stay in their"
            notes.append(f"{self._not_transposed:,} {tunes} own key, because it is unusual or cannot be transposed")
        if self.transpose == "augment":
            notes.append(f"the tunes of the training set are learned in {COPIES} keys")
        return tuple(notes)


def _tune_passage(tune: list[Line], text: str) -> Passage:
    first, last = tune[0][0], tune[-1][0]
    widths = [0] * (last - first + 1)
    for (number, _), line in zip(tune, text.split("\n"), strict=True):
        widths[number - first] += visible_width(line)
    return Passage(text, first, tuple(widths))


def tunes_in(text: str, transpose: Transpose) -> list[str]:
    """Return the tunes of a text, for example of a prompt. A text without a tune counts as the beginning of one."""
    lines = list(enumerate(text.split("\n"), 1))
    tunes = ["\n".join(line for _, line in tune) for tune in tunes_of(lines, LeftOut())] or [text]
    if transpose != "common":
        return tunes
    return [to_common_key(tune) or tune for tune in tunes]


def interval_back(text: str, transpose: Transpose) -> Interval | None:
    """Return the interval from the key in which the last tune of a text is learned back to its own key.

    Return None if it is learned in its own key.
    """
    own_key, learned_key = (key_of(tunes_in(text, each)[-1]) for each in ("none", transpose))
    return (
        None if own_key is None or learned_key is None or own_key == learned_key else learned_key.interval_to(own_key)
    )
