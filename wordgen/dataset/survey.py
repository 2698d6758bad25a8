"""What a corpus is made of: its symbols counted, and how many of them a vocabulary covers.

The text goes by unit by unit; only what is counted stays.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from wordgen.corpora.corpus import Corpus
from wordgen.dataset.making import is_benchmark
from wordgen.errors import CorpusError
from wordgen.text.escapes import END_TOKEN, RESERVED
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named

LONGEST_SAMPLE = 40
_SAMPLES = 5


@dataclass(frozen=True)
class Survey:
    corpus: Corpus
    tokenizer: TokenizerName
    units: int
    blank_units: int
    """Those with nothing in them, as between the verses of a song."""
    counts: Counter[str]
    """How often each symbol stands in the text."""
    lengths: Counter[int]
    """How many units have so many symbols; blank ones are left out."""
    samples: tuple[tuple[str, ...], ...]
    """The beginnings of some units, from all over the text; one symbol more than a sample shows where there is one."""
    notes: tuple[str, ...]
    """How the text was read, in short sentences."""

    @cached_property
    def symbols(self) -> int:
        """How many the text has, a mark before each word with the rarer form of an apostrophe among them."""
        return sum(self._from_common_to_rare) + sum(self.counts[symbol] for symbol in RESERVED)

    @cached_property
    def types(self) -> int:
        """How many different symbols there are that a vocabulary could know."""
        return len(self._from_common_to_rare)

    @property
    def seen_once(self) -> int:
        """How many of those stand there a single time."""
        return sum(count == 1 for count in self._from_common_to_rare)

    def coverage(self, vocab_size: int) -> float:
        """The share of all symbols that a vocabulary of so many knows; some of it is taken by the special symbols."""
        ordinary = min(max(0, vocab_size - len(RESERVED)), self.types)
        known = self._up_to[ordinary] + self.counts[END_TOKEN]
        return known / max(1, self.symbols)

    def length_at(self, share: float) -> int:
        """The length that so large a share of the units does not exceed."""
        wanted = share * self.lengths.total()
        reached = 0
        for length in sorted(self.lengths):
            reached += self.lengths[length]
            if reached >= wanted:
                return length
        return 0

    @cached_property
    def _from_common_to_rare(self) -> list[int]:
        return sorted(tokenizer_named(self.tokenizer).ordinary(self.counts).values(), reverse=True)

    @cached_property
    def _up_to(self) -> list[int]:
        """For each number of types, how often the commonest of them stand in the text."""
        return list(accumulate(self._from_common_to_rare, initial=0))


def survey(corpus: Corpus, tokenizer: TokenizerName, tell: Callable[[int, int], None] | None = None) -> Survey:
    """Go through a corpus once. `tell` is told how many of all bytes have been read."""
    tokenize = tokenizer_named(tokenizer).tokenize
    reading, size = corpus.reading(every_line=is_benchmark(corpus, tokenizer)), corpus.bytes
    counts, lengths = Counter[str](), Counter[int]()
    units = blank = 0
    samples = _Samples()
    for _, unit in reading.units():
        units += 1
        if not unit.text:
            blank += 1
            continue
        symbols = tokenize(unit.text)
        counts.update(symbols)
        lengths[len(symbols)] += 1
        samples.offer(symbols)
        if tell is not None:
            tell(reading.bytes_read, size)
    if not counts:
        raise CorpusError(f"The corpus {corpus.name} is empty: there is nothing to show.")
    return Survey(corpus, tokenizer, units, blank, counts, lengths, samples.in_order(), (*corpus.notes, *reading.notes))


class _Samples:
    """A few units, each as likely as any other; the same ones for the same text."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, tuple[str, ...]]] = []
        self._offered = 0
        self._random = random.Random(0)

    def offer(self, symbols: list[str]) -> None:
        self._offered += 1
        place = len(self._kept) if len(self._kept) < _SAMPLES else self._random.randrange(self._offered)
        if place < _SAMPLES:
            self._kept[place : place + 1] = [(self._offered, tuple(symbols[: LONGEST_SAMPLE + 1]))]

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        return tuple(symbols for _, symbols in sorted(self._kept))
