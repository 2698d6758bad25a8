"""Describe a corpus: count its tokens, and compute how many of them a vocabulary covers.

The text is read passage by passage, and only the counts are kept in memory.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from wordgen.corpus.corpus import Corpus
from wordgen.dataset.encoding import is_benchmark
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import END_TOKEN, RESERVED

LONGEST_SAMPLE = 40
_SAMPLES = 5


@dataclass(frozen=True)
class Survey:
    """The counts of a corpus and some samples of its text."""

    corpus: Corpus
    tokenizer: TokenizerName
    passages: int
    blank_passages: int
    """The number of empty passages, for example between the verses of a song."""
    counts: Counter[str]
    """How often each token occurs in the text."""
    lengths: Counter[int]
    """The number of passages of each length in tokens, without the empty ones."""
    samples: tuple[tuple[str, ...], ...]
    """The beginnings of some passages from all over the text. Each may have one token more than LONGEST_SAMPLE, which
    shows that the passage continues."""
    notes: tuple[str, ...]
    """Notes on how the text was read, in short sentences."""

    @cached_property
    def tokens(self) -> int:
        """The number of tokens, including the mark before each word with the rarer form of the apostrophe."""
        return sum(self._from_common_to_rare) + sum(self.counts[token] for token in RESERVED)

    @cached_property
    def types(self) -> int:
        """The number of different tokens that a vocabulary could know."""
        return len(self._from_common_to_rare)

    @property
    def seen_once(self) -> int:
        """The number of different tokens that occur only once."""
        return sum(count == 1 for count in self._from_common_to_rare)

    def coverage(self, vocab_size: int) -> float:
        """Return the share of all tokens that a vocabulary of this size knows. The size includes the special tokens."""
        ordinary = min(max(0, vocab_size - len(RESERVED)), self.types)
        known = self._sums[ordinary] + self.counts[END_TOKEN]
        return known / max(1, self.tokens)

    def length_at(self, share: float) -> int:
        """Return the smallest length in tokens that at least this share of the passages does not exceed."""
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
    def _sums(self) -> list[int]:
        """For each number n of different tokens, the total count of the n most frequent ones."""
        return list(accumulate(self._from_common_to_rare, initial=0))


def survey(corpus: Corpus, tokenizer: TokenizerName, tell: Callable[[int, int], None] | None = None) -> Survey:
    """Read a corpus once and count its tokens and passages.

    `tell` receives the number of bytes read so far and the number of bytes in all. Raises CorpusError if the corpus is
    empty.
    """
    tokenize = tokenizer_named(tokenizer).tokenize
    reading = corpus.reading(every_line=is_benchmark(corpus, tokenizer), chords=tokenizer == "chords")
    size = corpus.bytes
    counts, lengths = Counter[str](), Counter[int]()
    passages = blank = 0
    samples = _Samples()
    for _, passage in reading.passages():
        passages += 1
        if not passage.text:
            blank += 1
            continue
        tokens = tokenize(passage.text)
        counts.update(tokens)
        lengths[len(tokens)] += 1
        samples.offer(tokens)
        if tell is not None:
            tell(reading.bytes_read, size)
    if not counts:
        raise CorpusError(f"The corpus {corpus.name} is empty: there is nothing to show.")
    return Survey(
        corpus, tokenizer, passages, blank, counts, lengths, samples.in_order(), (*corpus.notes, *reading.notes)
    )


class _Samples:
    """A random sample of passages, each equally likely. The same text always gives the same sample."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, tuple[str, ...]]] = []
        self._offered = 0
        self._random = random.Random(0)

    def offer(self, tokens: list[str]) -> None:
        self._offered += 1
        place = len(self._kept) if len(self._kept) < _SAMPLES else self._random.randrange(self._offered)
        if place < _SAMPLES:
            self._kept[place : place + 1] = [(self._offered, tuple(tokens[: LONGEST_SAMPLE + 1]))]

    def in_order(self) -> tuple[tuple[str, ...], ...]:
        return tuple(tokens for _, tokens in sorted(self._kept))
