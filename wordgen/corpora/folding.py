"""Full-width and half-width forms as their usual ones, where that is wished: Ａ１！ becomes A1!, and ｶﾞ becomes ガ.

No more than that: other signs that look like letters, as ㈱ or ², stay what they are. So does the wide space: it begins
the paragraphs of a Japanese text, and tells where they are.
"""

import re
import unicodedata
from dataclasses import replace
from itertools import accumulate, pairwise

from wordgen.corpora.reading import composed
from wordgen.corpora.units import Unit, visible_width

_FORM = re.compile("[\uff01-\uff5e\uff61-\uff9f]")  # ASCII made wide; Japanese punctuation and katakana made narrow
_FOLDED = {
    number: unicodedata.normalize("NFKC", chr(number)) for number in (*range(0xFF01, 0xFF5F), *range(0xFF61, 0xFFA0))
}


def forms_in(text: str) -> int:
    """How many letters and signs of a text are wide or narrow forms of others."""
    return len(_FORM.findall(text))


def folded(text: str) -> str:
    """A text without wide and narrow forms; a voiced mark that stood behind its letter becomes one with it."""
    return composed(text.translate(_FOLDED)) if _FORM.search(text) else text


def folded_unit(unit: Unit) -> Unit:
    """A unit without them. Each of its lines is folded by itself, so that it is known how long each is then."""
    if not _FORM.search(unit.text):
        return unit
    lines = [folded(line) for line in _by_lines(unit)]
    return replace(unit, text="".join(lines), widths=tuple(map(visible_width, lines)))


def _by_lines(unit: Unit) -> list[str]:
    """The text of a unit, cut where its lines begin, however they were joined."""
    if len(unit.widths) == 1:
        return [unit.text]
    visible = [place for place, character in enumerate(unit.text) if not character.isspace()]
    begins = [visible[offset] if offset < len(visible) else len(unit.text) for offset in accumulate(unit.widths)]
    return [unit.text[begin:end] for begin, end in pairwise([0, *begins])]
