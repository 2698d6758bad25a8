"""Made-up texts that become the tokens of rows.py, for what begins with a text as a training does."""

from pathlib import Path

import numpy as np

from bench.rows import SPECIAL, tokens

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_A_LINE, _A_PARAGRAPH = 20, 400


def write_text(path: Path, number: int, vocabulary: int) -> None:
    """So many words or some more: each word of the vocabulary (its special tokens aside) is there at least once."""
    words = np.array([_word(each) for each in range(vocabulary - SPECIAL)])
    drawn = tokens(max(number - len(words), 0), vocabulary) - SPECIAL
    with path.open("w", encoding="utf-8") as file:
        for part in (words, *(words[drawn[first : first + 10**6]] for first in range(0, len(drawn), 10**6))):
            lines = [" ".join(part[first : first + _A_LINE]) for first in range(0, len(part), _A_LINE)]
            each = _A_PARAGRAPH // _A_LINE
            file.writelines("\n".join(lines[n : n + each]) + "\n\n" for n in range(0, len(lines), each))


def _word(number: int) -> str:
    return "".join(_LETTERS[number // 26**place % 26] for place in range(4))
