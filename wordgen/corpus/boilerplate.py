"""Remove what digital libraries add to their texts: Project Gutenberg's licence and Aozora Bunko's marks.

A removed line becomes an empty line, so that line numbers stay those of the file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from wordgen.corpus.documents import is_midi
from wordgen.corpus.reading import Line, TextFile
from wordgen.corpus.settings import ReadingSettings

_HEADER_ENDS_WITHIN = 1000  # lines
_LONGEST_HEADER = 1_000_000  # characters

# Project Gutenberg: the forms of its markers since 1991. Markers are in English whatever the language of the book,
# except for some old end markers.
_GUTENBERG = re.compile(r"Project\s+Gutenberg", re.IGNORECASE)
_GUTENBERG_BEGINS = re.compile(
    r"^\s*+\*{2,}+\s*+START\s+OF\s+(?:THE|THIS)?\s*+PROJECT\s+GUTENBERG"
    r"|^\s*+\*?END\s?\*?\s*+THE\s+SMALL\s+PRINT",
    re.IGNORECASE,
)
_GUTENBERG_ENDS = re.compile(
    r"^\s*+\*{2,}+\s*+END\s+OF\s+(?:THE|THIS)?\s*+PROJECT\s+GUTENBERG"
    r"|^\s*+\**+\s*+(?:End|The end)\s+of\s+(?:the\s+|this\s+)?Project\s+Gutenberg"
    r"|^\s*+Ende\s+(?:des|dieses|von)\b.*Project\s+Gutenberg"
    r"|^\s*+Fin\s+(?:de|du)\b.*Project\s+Gutenberg"
    r"|^\s*+(?:Fine|Fim|Final|Einde|Slut|Loppu)\b.*Project\s+Gutenberg"
    r"|^\s*+\*{3}\s*+START:?\s+FULL\s+LICENSE",
    re.IGNORECASE,
)
# End markers of a text without a header: only phrases that no author writes by chance.
_SURE_END = re.compile(
    r"^\s*+\*{3}\s*+END\s+OF\b.*PROJECT\s+GUTENBERG"
    r"|^\s*+\**+\s*+(?:The )?End\s+of\s+(?:the\s+|this\s+)?Project\s+Gutenberg(?:['’]s|\s+E-?(?:text|book))\b",
    re.IGNORECASE,
)
_CREDITS = re.compile(
    r"^\s*+\[?(?:Produced by|E-?text prepared by|This e-?text was|Transcribed (?:from|by)|Prepared by|HTML version|"
    r"Credits:|Produit par|Hergestellt von|Produzido por|Prodotto da|Tuottanut)",
    re.IGNORECASE,
)
_CREDITS_WITHIN = 40
_FEW_MARKS = 3

# Aozora Bunko: first a legend between two rules (rows of hyphens), then the text with ruby (readings) and editors'
# notes, then the edition that the text was taken from.
_RULE = re.compile(r"^-{20,}$")
_LEGEND = "【テキスト中に現れる記号について】"
_EDITION = re.compile(r"^(?:底本[：:]|［＃本文終わり］)")
_MARKS = re.compile(r"※［＃(?P<sign>[^］]{0,200})］|《[^《》]{0,200}》|［＃[^］]{0,200}］|｜")
_AOZORAS_OWN = re.compile(r"［＃[^］]{1,200}］|[一-鿿々]《[ぁ-ゖァ-ヺー]{1,50}》")
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_PLANE_ROW_CELL = re.compile(r"(?<![\d-])([12])-(\d{1,2})-(\d{1,2})(?![\d-])")
_NO_LETTER = "〓"


@dataclass
class Cuts:
    """What was removed from a text."""

    library: str = ""
    """The library that the text is from; an empty string if it is from neither of the two."""
    lines: int = 0
    """Number of lines of header, footer and credits that were removed."""
    marks: int = 0
    """Number of marks within the text that were removed or replaced: ruby and editors' notes."""
    lost: int = 0
    """Number of characters that a note only describes and that were not found in Unicode; 〓 takes their place."""


def lines_of(file: TextFile, how: ReadingSettings, cuts: Cuts) -> Iterator[Line]:
    """Yield the lines of a file, without what its library added unless the settings keep that."""
    lines = file.lines()
    return lines if how.keep_boilerplate or is_midi(file.path) else without_boilerplate(lines, cuts)


def without_boilerplate(lines: Iterable[Line], cuts: Cuts) -> Iterator[Line]:
    """Yield the lines of a text without what its library added.

    Removed lines are yielded as empty lines. `cuts` receives what was removed; it is complete after the last line.
    """
    lines = iter(lines)
    beginning = _beginning(lines)
    legend = _legend_end(beginning)
    if legend is None and sum(bool(_AOZORAS_OWN.search(line)) for _, line in beginning) >= _FEW_MARKS:
        legend = 0  # somebody has already removed what comes before the text
    if legend is not None:
        cuts.library = "Aozora Bunko"
        yield from _without_aozora(chain(beginning, lines), legend, cuts)
    elif any(_GUTENBERG.search(line) for _, line in beginning):
        cuts.library = "Project Gutenberg"
        yield from _without_gutenberg(chain(beginning, lines), _last_marker(beginning), cuts)
    else:
        yield from beginning
        yield from lines


def _beginning(lines: Iterator[Line]) -> list[Line]:
    """Return the first lines of a text, up to 1,000 lines or about a million characters. A header ends within them.

    The limit in characters is for texts with very long lines, or with one line in many pieces.
    """
    beginning: list[Line] = []
    size = 0
    for line in lines:
        beginning.append(line)
        size += len(line[1])
        if len(beginning) == _HEADER_ENDS_WITHIN or size > _LONGEST_HEADER:
            break
    return beginning


def _last_marker(beginning: list[Line]) -> int:
    """Return the number of the header's last line: that of the last start marker before the book ends.

    Return 0 if there is no start marker.
    """
    last = 0
    for number, line in beginning:
        if _GUTENBERG_BEGINS.search(line):
            last = number
        elif last and _GUTENBERG_ENDS.search(line):
            break
    return last


def _without_gutenberg(lines: Iterator[Line], header: int, cuts: Cuts) -> Iterator[Line]:
    ended = in_credits = False
    for number, line in lines:
        if ended and _GUTENBERG_BEGINS.search(line):  # another book begins in the same file
            ended, header = False, number
        ends = _GUTENBERG_ENDS if header else _SURE_END
        ended = ended or (number > header and bool(ends.search(line)))
        if header < number <= header + _CREDITS_WITHIN and header:
            in_credits = bool(line.strip()) and (in_credits or bool(_CREDITS.search(line)))
        else:
            in_credits = False
        if ended or number <= header or in_credits:
            cuts.lines += 1
            yield number, ""
        else:
            yield number, line


def _legend_end(beginning: list[Line]) -> int | None:
    """Return the number of the line that ends the legend of Aozora Bunko; None if the text has no legend."""
    in_legend = False
    for number, line in beginning:
        in_legend = in_legend or line.strip() == _LEGEND
        if in_legend and _RULE.match(line.strip()):
            return number
    return None


def _without_aozora(lines: Iterator[Line], legend: int, cuts: Cuts) -> Iterator[Line]:
    ended = False
    for number, line in lines:
        ended = ended or (number > legend and bool(_EDITION.match(line)))
        if ended or number <= legend:
            cuts.lines += 1
            yield number, ""
            continue
        plain, marks = _MARKS.subn(_plain, line)
        cuts.marks += marks
        cuts.lost += plain.count(_NO_LETTER) - line.count(_NO_LETTER)
        yield number, plain


def _plain(mark: "re.Match[str]") -> str:
    """Return the replacement of a mark: an empty string, or the character that it describes, or 〓 if not found."""
    described = mark["sign"]
    if described is None:
        return ""
    code = _CODE_POINT.search(described)
    if code:
        number = int(code[1], 16)
        return chr(number) if number < 0xD800 or 0xE000 <= number < 0x110000 else _NO_LETTER
    place = _PLANE_ROW_CELL.search(described)
    return _of_jis(*map(int, place.groups())) if place else _NO_LETTER


def _of_jis(plane: int, row: int, cell: int) -> str:
    """Return the character at a position of the JIS X 0213 standard; 〓 if there is none.

    Aozora Bunko names characters in this way if the encoding of its files does not have them.
    """
    if not (1 <= row <= 94 and 1 <= cell <= 94):
        return _NO_LETTER
    encoded = bytes((0x8F,) * (plane == 2) + (0xA0 + row, 0xA0 + cell))
    return encoded.decode("euc_jis_2004", "ignore") or _NO_LETTER
