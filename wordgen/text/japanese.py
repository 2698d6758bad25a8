"""Japanese: TinySegmenter, whose symbols put end to end are the text again.

TinySegmenter asks at each place of a line, by a sum of some forty weights, whether a word begins there. The sums
are its own, taken from its tables; here most are added up once for each pair of letters, and for each row of kinds of
letters, and remembered: the same come again and again.

It learned from text with hardly any Latin letters in it, and cuts English words anywhere. So those are no business of
its own: each is one symbol, whatever it decided inside and at the edges, and everywhere else its cuts stand.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import compress, pairwise
from typing import Any

from wordgen.text.escapes import protect, restore
from wordgen.text.lines import tokenize_lines

# Around a line TinySegmenter sees B3 B2 B1 and E1 E2 E3. Each is one character here, of those that no text can hold.
_EDGE_NAMES = ("B3", "B2", "B1", "E1", "E2", "E3")
_EDGES = [chr(0xD800 + number) for number in range(6)]
_BEFORE, _BEHIND = "".join(_EDGES[:3]), "".join(_EDGES[3:5])  # E3 is never looked at
_REMEMBERED = 200_000
_LETTERS_AT_ONCE = 10_000  # so that a line may be a book
_LATIN = "A-Za-zÀ-ÖØ-öø-ʯḀ-ỿＡ-Ｚａ-ｚ"
_LETTERS = rf"[{_LATIN}][{_LATIN}\u0300-\u036f]*+"  # with the marks that do not compose
_LATIN_WORD = re.compile(f"{_LETTERS}(?:['’＇]{_LETTERS})*+")


def tokenize(text: str) -> list[str]:
    # Lines are split first: TinySegmenter would fuse a line break into a word.
    return tokenize_lines(text, _line_symbols)


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text; Japanese has no spaces to care for."""
    return restore(symbol)


def _line_symbols(line: str) -> list[str]:
    cuts = _segmenter().cuts(line)
    for found in _LATIN_WORD.finditer(line):
        begin, end = found.span()
        cuts[begin:end] = bytes(end - begin)
        cuts[begin] = cuts[end] = True
    symbols = _symbols()
    return [symbols[line[begin:end]] for begin, end in pairwise(compress(range(len(cuts)), cuts))]


class _Remembered(dict[str, Any]):
    """What a function gave for a text; forgotten all at once when it becomes too much."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> Any:
        if len(self) >= _REMEMBERED:
            self.clear()
        found = self[text] = self._function(text)
        return found


class _Segmenter:
    """TinySegmenter's decisions, from its tables."""

    def __init__(self) -> None:
        from tinysegmenter import TinySegmenter

        tiny = TinySegmenter()
        # Its tables: _UW1 and so on, from a letter, a pair or a triple to a weight.
        tables = {name[1:]: table for name, table in vars(tiny).items() if isinstance(table, dict)}
        self._weights: dict[str, dict[str, int]] = {name: _with_edges(name, table) for name, table in tables.items()}
        self._bias: int = tiny._BIAS
        self._kind = _Remembered(tiny._ctype)
        # Of the six letters around a place, w1 to w6, these are w2 w3, w3 w4 and w4 w5.
        self._second = _Remembered(lambda pair: self._weigh(UW2=pair[0], UW3=pair[1], BW1=pair))
        self._third = _Remembered(lambda pair: self._weigh(UW4=pair[1], BW2=pair))
        self._fourth = _Remembered(lambda pair: self._weigh(UW5=pair[1], BW3=pair))
        self._kinds = _Remembered(self._sum_over_kinds)

    def cuts(self, line: str) -> bytearray:
        """For each place of a line, from its beginning to its end, whether a word begins or ends there."""
        cuts = bytearray(len(line) + 1)
        cuts[0] = cuts[-1] = True
        letters = _BEFORE + line + _BEHIND
        kind, kinds_sums = self._kind, self._kinds
        decided = "UUU"
        for begin in range(1, len(line), _LETTERS_AT_ONCE):
            part = letters[begin : begin + _LETTERS_AT_ONCE + 5]
            kinds = "".join([kind[letter] for letter in part])
            for at, of_letters in enumerate(self._sums_over_letters(part)):
                if of_letters + kinds_sums[decided + kinds[at : at + 6]] > 0:
                    cuts[begin + at] = True
                    decided = decided[1:] + "B"
                else:
                    decided = decided[1:] + "O"
        return cuts

    def _sums_over_letters(self, letters: str) -> list[int]:
        """For each place with three letters on either side their weights."""
        pairs = [letters[at : at + 2] for at in range(len(letters) - 1)]
        triples = [letters[at : at + 3] for at in range(len(letters) - 2)]
        first, last = self._weights["UW1"].get, self._weights["UW6"].get
        one, two, three, four = (self._weights[name].get for name in ("TW1", "TW2", "TW3", "TW4"))
        second, third, fourth = self._second, self._third, self._fourth
        return [
            first(letters[at], 0) + second[pairs[at + 1]] + third[pairs[at + 2]] + fourth[pairs[at + 3]]
            + last(letters[at + 5], 0)
            + one(triples[at], 0) + two(triples[at + 1], 0) + three(triples[at + 2], 0) + four(triples[at + 3], 0)
            for at in range(len(letters) - 5)
        ]  # fmt: skip

    def _weigh(self, **features: str) -> int:
        return sum(self._weights[name].get(key, 0) for name, key in features.items())

    def _sum_over_kinds(self, context: str) -> int:
        """The weights of the last three decisions (before, p1 to p3) and of the kinds of the six letters (c1 to c6)."""
        p1, p2, p3, c1, c2, c3, c4, c5, c6 = context
        features = {
            "UP1": p1, "UP2": p2, "UP3": p3, "BP1": p1 + p2, "BP2": p2 + p3,
            "UC1": c1, "UC2": c2, "UC3": c3, "UC4": c4, "UC5": c5, "UC6": c6,
            "BC1": c2 + c3, "BC2": c3 + c4, "BC3": c4 + c5,
            "TC1": c1 + c2 + c3, "TC2": c2 + c3 + c4, "TC3": c3 + c4 + c5, "TC4": c4 + c5 + c6,
            "UQ1": p1 + c1, "UQ2": p2 + c2, "UQ3": p3 + c3,
            "BQ1": p2 + c2 + c3, "BQ2": p2 + c3 + c4, "BQ3": p3 + c2 + c3, "BQ4": p3 + c3 + c4,
            "TQ1": p2 + c1 + c2 + c3, "TQ2": p2 + c2 + c3 + c4, "TQ3": p3 + c1 + c2 + c3, "TQ4": p3 + c2 + c3 + c4,
        }  # fmt: skip
        return self._bias + self._weigh(**features)


def _with_edges(name: str, table: dict[str, int]) -> dict[str, int]:
    """A table with one character for each edge: its keys are longer than its letters where they name one."""
    letters = {"U": 1, "B": 2, "T": 3}[name[0]] if name[1] == "W" else 0
    if not letters:
        return table
    changed: dict[str, int] = {}
    for key, weight in table.items():
        if len(key) > letters:
            for edge, character in zip(_EDGE_NAMES, _EDGES, strict=True):
                key = key.replace(edge, character)
        changed[key] = weight
    return changed


@cache
def _segmenter() -> _Segmenter:
    return _Segmenter()


@cache
def _symbols() -> _Remembered:
    """The symbol of each word: one text in memory for all places where it stands."""
    return _Remembered(protect)
