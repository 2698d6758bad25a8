"""Any text as ids: a seed that forgives, and a text that is to be scored as it stands."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wordgen.bundle import TextConfig
from wordgen.corpora.folding import folded
from wordgen.corpora.hyphens import hyphens_of
from wordgen.corpora.layout import Layout
from wordgen.corpora.reading import clean
from wordgen.corpora.units import units_of
from wordgen.text.apostrophes import as_typed
from wordgen.text.codec import Codec
from wordgen.text.escapes import END_TOKEN, JOINER
from wordgen.text.vocabulary import UNKNOWN

WARM_UP = 2000
"""How many symbols of a seed are fed, at most: what stood before them has no effect that could be seen."""
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "—": "--", "–": "--", "…": "..."})
_LONGEST_READ = 20_000
_LONGEST_WORD = 100
_LONGEST_SHOWN = 60
_MOST_HINTS = 5
_NEAR = 0.7


@dataclass(frozen=True)
class UnknownWord:
    """A word of a seed that the model does not know, and that was left out."""

    word: str
    near: tuple[str, ...]
    """Known words that look like it, the nearest first."""


@dataclass(frozen=True)
class Seed:
    """What a text begins with."""

    given: str
    ids: tuple[int, ...]
    unknown: tuple[UnknownWord, ...]
    cut: bool
    """Whether it was so long that its end alone was read."""


class TextReader:
    """Reads text as the corpus was read: the same units, the same tokenizer."""

    def __init__(self, codec: Codec, config: TextConfig) -> None:
        self._codec = codec
        self._config = config

    def symbols(self, text: str, laid_out: Layout | None = None) -> list[str]:
        """The symbols of all units, with an END between two of them; of prose that is `laid_out` otherwise, its own."""
        symbols: list[str] = []
        brought_end = True
        layout = self.layout_for(laid_out)
        lines = list(enumerate(clean(text).split("\n"), 1))
        joined = layout.unit != "line" and layout.line_breaks == "joined"
        hyphens = hyphens_of(lambda: lines) if joined and laid_out is not None else None
        for unit in units_of(lines, layout.unit, layout.line_breaks, wrap=layout.wrap, hyphens=hyphens):
            if not brought_end:
                symbols.append(END_TOKEN)
            of_unit = self.symbols_within(unit.text)
            brought_end = of_unit[-1:] == [END_TOKEN]  # as texts do that are tokenized already
            symbols += of_unit
        spaces = len(text) - len(text.rstrip(" "))  # which units do not have, but letters by letters they count
        return symbols + self._codec.tokenizer.tokenize(" " * spaces)

    @property
    def learned(self) -> Layout:
        """How what the model learned was laid out."""
        return Layout(self._config.unit, self._config.line_breaks)

    def layout_for(self, laid_out: Layout | None) -> Layout:
        """How a text is read that is laid out so; nothing of it is known of one that was typed."""
        return self.learned if laid_out is None or not self._config.starts else laid_out.for_model(self.learned)

    def symbols_within(self, text: str) -> list[str]:
        """The symbols of a text that is no whole unit."""
        return self._codec.tokenizer.tokenize(folded(text) if self._config.fold_width else text)

    def seed(self, text: str) -> Seed:
        """The ids of what a text should start with; words that are unknown in any case are left out and named."""
        read = _end_of(text.strip("\n\r"))
        # Which quotation marks a text has, nobody remembers: the reading that leaves the fewest unknown is meant.
        forms = dict.fromkeys((read, read.replace("’", "'"), read.replace("'", "’"), read.translate(_PLAIN)))
        readings = ([(each, self.ids_in_any_form(each)) for each in self.symbols(form)] for form in forms)
        reading = min(readings, key=lambda each: sum(len(ids) != 1 for _, ids in each))
        ids = [each for _, of_symbol in reading for each in of_symbol]
        unknown = self.unknown_words([symbol for symbol, of_symbol in reading if not of_symbol])
        cut = len(read) < len(text.strip()) or len(ids) > WARM_UP
        return Seed(text, tuple(ids[-WARM_UP:]), unknown, cut)

    def ids_in_any_form(self, symbol: str) -> list[int]:
        """The ids of a symbol; or of the commonest that differs in case only, or in what it touches; or none."""
        known = self._codec.vocabulary.ids_of(symbol)
        if known != [UNKNOWN]:
            return known
        candidates = self._alike.get(_plain(symbol), [])
        symbols = self._codec.vocabulary.symbols
        same_sides = (i for i in candidates if _sides(symbols[i]) == _sides(symbol))
        alike = next(same_sides, next(iter(candidates), None))
        return [] if alike is None else [alike]

    @cached_property
    def _alike(self) -> dict[str, list[int]]:
        """Known symbols that differ in case only, or in what they touch; there as a whole, for threads read it, too."""
        alike: dict[str, list[int]] = {}
        for number, each in enumerate(self._codec.vocabulary.symbols[3:], 3):
            alike.setdefault(_plain(each), []).append(number)
        return alike

    def unknown_words(self, symbols: Sequence[str]) -> tuple[UnknownWord, ...]:
        """Each word of some unknown symbols once, with the known ones that look like it."""
        shown = (self._codec.tokenizer.piece(symbol, None).strip() for symbol in symbols)
        words = [word for word in dict.fromkeys(shown) if word]
        known = {each.lower(): each for each in reversed(self._codec.vocabulary.symbols[3:]) if each.isalpha()}
        found: list[UnknownWord] = []
        for number, word in enumerate(words):
            of_like_length = [each for each in known if abs(len(each) - len(word)) <= 2] if number < _MOST_HINTS else []
            near = difflib.get_close_matches(word.lower(), of_like_length, n=3, cutoff=_NEAR)
            found.append(UnknownWord(_short(word), tuple(known[each] for each in near)))
        return tuple(found)


def _end_of(text: str) -> str:
    """The part of a long text that is read: a book may be a seed, and its end is what the text goes on from."""
    if len(text) <= _LONGEST_READ:
        return text
    end = text[-_LONGEST_READ:]
    space = re.search(r"\s", end[:_LONGEST_WORD])
    return end[space.end() :] if space else end


def _plain(symbol: str) -> str:
    return as_typed(symbol.strip(JOINER)).casefold()


def _sides(symbol: str) -> tuple[bool, bool]:
    return symbol.startswith(JOINER), symbol.endswith(JOINER)


def _short(text: str) -> str:
    """A seed may be a book, and a message stays a message."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_SHOWN else plain[:_LONGEST_SHOWN] + "..."
