"""The dataset of a corpus as a value, with its statistics and unknown words, and the survey of a corpus without ids."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import Split
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.settings import LineBreaks, PassageKind, Transpose
from wordgen.errors import CorpusError
from wordgen.settings import Settings, setting
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import (
    END,
    END_TOKEN,
    JOINER,
    RESERVED,
    SPELLING,
    START,
    UNKNOWN,
    UNKNOWN_TOKEN,
    Vocabulary,
)

_COUNTED_AT_ONCE = 1 << 20
MAX_PLACES = 20_000
_TOKENS_BEFORE = 3
"""The number of tokens before a word that decide whether the word begins a sentence."""
_STOPS = frozenset(".!?…。！？")
_QUOTES = frozenset("\"'“”‘’«»「」『』()[]*_-—")

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class UnknownWords:
    """The words of a training set that its vocabulary does not know, and the places where they occur.

    When a model generates UNKNOWN, one of these words replaces it. Of a large text only some places are kept, taken
    evenly from the whole text.
    """

    words: tuple[str, ...] = ()
    """The different words, as the tokenizer gave them."""
    places: tuple[tuple[int, int, int, bool], ...] = ()
    """For each place: the id before the word (END at the beginning of a passage), the index of the word in `words`, the
    id after it (END at the end of a passage), and whether a sentence begins with the word."""

    def __bool__(self) -> bool:
        return bool(self.places)

    def to_json(self) -> dict[str, object]:
        return {"words": list(self.words), "places": [[*place[:3], int(place[3])] for place in self.places]}

    @classmethod
    def from_json(cls, value: Any, vocabulary: Vocabulary) -> "UnknownWords":
        """Read the result of `to_json`. Invalid content raises ValueError, KeyError or TypeError."""
        words, places = value["words"], value["places"]
        if not all(isinstance(word, str) and word and vocabulary.id_of(word) == UNKNOWN for word in words):
            raise ValueError("not a list of words that the vocabulary does not know")
        for before, word, after, begins in places:
            if not all(type(each) is int for each in (before, word, after, begins)) or begins not in (0, 1):
                raise ValueError("not a list of places")
            if not (0 <= word < len(words) and 0 <= min(before, after) <= max(before, after) < len(vocabulary)):
                raise ValueError("places that do not fit the words or the vocabulary")
        return cls(tuple(words), tuple((before, word, after, bool(n)) for before, word, after, n in places))


def begins_sentence(before: Sequence[str]) -> bool:
    """Return whether a sentence begins after these tokens of a passage.

    It does at the beginning of the passage and after a full stop or similar mark. Quotation marks may come in between.
    """
    for token in reversed(before[-_TOKENS_BEFORE:]):
        letters = set(token.replace(JOINER, ""))
        if letters <= _STOPS | _QUOTES and letters & _STOPS:
            return True
        if not letters <= _QUOTES:
            return False
    return len(before) < _TOKENS_BEFORE


_Place = tuple[int, str, int, bool]
"""The id before a word, the word, the id after it, and whether a sentence begins with the word."""


def unknown_words(passages: Iterable[Numbers], tokens: Sequence[str], vocabulary: Vocabulary) -> UnknownWords:
    """Collect the unknown words of passages whose tokens are given as numbers (indices into `tokens`).

    The token UNKNOWN in the text itself is not collected, because the original word is not known. The result is empty
    if the vocabulary spells words out.
    """
    if vocabulary.spells:
        return UnknownWords()
    ids = np.array([vocabulary.id_of(token) for token in tokens], np.int64)
    unknown = (ids == UNKNOWN) & np.array([token != UNKNOWN_TOKEN for token in tokens], np.bool_)
    kept = _thinned(_places(passage, ids, unknown, tokens) for passage in passages)
    numbers: dict[str, int] = {}
    places = tuple((left, numbers.setdefault(word, len(numbers)), right, begins) for left, word, right, begins in kept)
    return UnknownWords(tuple(numbers), places)


def _places(passage: Numbers, ids: Numbers, unknown: NDArray[np.bool_], tokens: Sequence[str]) -> Iterator[_Place]:
    for at in np.flatnonzero(unknown[passage]).tolist():
        before: list[int] = passage[max(0, at - _TOKENS_BEFORE) : at].tolist()
        left = int(ids[before[-1]]) if before else END
        right = int(ids[passage[at + 1]]) if at + 1 < len(passage) else END
        yield left, tokens[int(passage[at])], right, begins_sentence([tokens[each] for each in before])


def _thinned(passages: Iterable[Iterator[_Place]]) -> list[_Place]:
    """Return all places, or every second, fourth, ... place if there are more than MAX_PLACES."""
    kept: list[_Place] = []
    count, stride = 0, 1
    for places in passages:
        for place in places:
            if count % stride == 0:
                kept.append(place)
                if len(kept) > MAX_PLACES:
                    kept, stride = kept[::2], 2 * stride
            count += 1
    return kept


@dataclass(frozen=True, kw_only=True)
class TextConfig(Settings):
    """How text becomes tokens and back. It is stored with the model, because a model is used without its corpus."""

    corpus: str = setting()
    tokenizer: TokenizerName = setting()
    passage: PassageKind = setting()
    """What a passage is: the text between START and END."""
    line_breaks: LineBreaks = setting()
    """Whether line breaks within a passage are kept as tokens."""
    starts: bool = setting()
    """Whether passages begin with START. False for a benchmark, and for a text that has its own <eos>."""
    fold_width: bool = setting(False)
    """Whether wide and narrow forms of characters were converted to the usual forms."""
    drop_latin: bool = setting(False)
    """Whether words in Latin letters were left out."""
    transpose: Transpose = setting("none")
    """The keys in which the model learned tunes. If "common", prompts are transposed to the common key, too."""

    @property
    def separator(self) -> str:
        """The text between two passages that are written one after another."""
        return {"line": "\n", "section": "\n\n\n"}.get(self.passage, "\n\n")

    def to_mapping(self) -> dict[str, object]:
        """Return the mapping without settings that have their defaults.

        Bundles written before these settings existed do not contain them, so the mapping stays the same.
        """
        return {each.name: getattr(self, each.name) for each in self.non_default_fields()}


@dataclass(frozen=True)
class SplitStatistics:
    """Counts of a split, or of any other text."""

    passages: int
    tokens: int
    """The number of targets: words, punctuation and END, but never START."""
    unknown: int
    characters: int
    spelled: int = 0
    """The number of words that are spelled out."""
    letters: int = 0
    """The number of tokens that spell these words."""

    @classmethod
    def of(
        cls, framed: NDArray[np.uint32], passage_characters: NDArray[np.uint32], vocabulary: Vocabulary
    ) -> "SplitStatistics":
        """Count the statistics of some passages. `framed` holds their ids, including START and END."""
        counted = np.bincount(framed, minlength=len(vocabulary))
        spelling = [vocabulary.id_of(token) for token in SPELLING] if vocabulary.spells else []
        return cls(
            passages=len(passage_characters),
            tokens=len(framed) - int(counted[START]),
            unknown=int(counted[UNKNOWN]),
            characters=int(passage_characters.sum()),
            spelled=int(counted[spelling[-1]]) if spelling else 0,
            letters=int(counted[spelling].sum()) if spelling else 0,
        )

    @property
    def words(self) -> int:
        """The number of targets if each spelled-out word counts as one."""
        return self.tokens - self.letters + self.spelled

    @property
    def unknown_share(self) -> float:
        """The share of words that the vocabulary does not know, either written as UNKNOWN or spelled out."""
        return (self.unknown + self.spelled) / max(1, self.words)

    @property
    def all_characters(self) -> int:
        """The number of characters, plus one for each passage: the separator that END represents."""
        return self.characters + self.passages

    def __add__(self, other: "SplitStatistics") -> "SplitStatistics":
        return SplitStatistics(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Dataset:
    """A corpus as ids: one memory-mapped array for each split, and the codec that made them."""

    codec: Codec
    ids: dict[Split, NDArray[np.unsignedinteger]]
    fingerprint: str
    """A hash of the text and of all settings that the ids depend on."""
    statistics: dict[Split, SplitStatistics]
    text: TextConfig
    types: int
    """The number of different tokens in the training set, both known and unknown to the vocabulary."""
    files: tuple[str, ...]
    """The names of the files of the corpus."""
    lines: NDArray[np.uint32]
    """Where the lines of the files begin in the training ids. Each row holds the position in the ids, the line number
    and the number of the file. Shape `(lines, 3)`."""
    notes: tuple[str, ...] = ()
    """Notes on how the text was read: its encoding if that is not UTF-8, and what was left out."""
    unknown_words: UnknownWords = UnknownWords()
    """The words of the training set that the vocabulary does not know."""

    def file_and_line(self, place: int) -> tuple[str, int]:
        """Return the file and the line number of a position in the training ids."""
        return file_and_line_of(place, self.lines, self.files)


def file_and_line_of(place: int, lines: NDArray[np.uint32], files: Sequence[str]) -> tuple[str, int]:
    """Return the file and the line number of a position in the ids. `lines` is a table like `Dataset.lines`."""
    row = int(np.searchsorted(lines[:, 0], place, side="right")) - 1
    _, line, file = (int(value) for value in lines[row])
    return files[file], line


def count_ids(ids: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.int64]:
    """Return how often each id occurs in a text, in the shape (vocabulary_size,).

    The text is counted in blocks of 2**20 tokens, because NumPy counts in a copy that has 8 bytes per token.
    """
    counts = np.zeros(vocabulary_size, np.int64)
    for begin in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[begin : begin + _COUNTED_AT_ONCE], minlength=vocabulary_size)
    return counts


MAX_SAMPLE_TOKENS = 40
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
    """The beginnings of some passages from all over the text. One that has a token more than MAX_SAMPLE_TOKENS
    continues."""
    notes: tuple[str, ...]
    """Notes on how the text was read, in short sentences."""

    @cached_property
    def tokens(self) -> int:
        """The number of tokens, including the mark before each word with the rarer form of the apostrophe."""
        return sum(self._counts_descending) + sum(self.counts[token] for token in RESERVED)

    @cached_property
    def types(self) -> int:
        """The number of different tokens that a vocabulary could know."""
        return len(self._counts_descending)

    @property
    def seen_once(self) -> int:
        """The number of different tokens that occur only once."""
        return sum(count == 1 for count in self._counts_descending)

    def coverage(self, vocab_size: int) -> float:
        """Return the share of all tokens that a vocabulary of this size knows. The size includes the special tokens."""
        ordinary = max(0, vocab_size - len(RESERVED))
        known = sum(self._counts_descending[:ordinary]) + self.counts[END_TOKEN]
        return known / max(1, self.tokens)

    def length_at(self, share: float) -> int:
        """Return the smallest length in tokens that at least this share of the passages does not exceed."""
        lengths = sorted(self.lengths)
        passages = np.cumsum([self.lengths[length] for length in lengths])
        return lengths[np.searchsorted(passages, share * passages[-1])]

    @cached_property
    def _counts_descending(self) -> list[int]:
        return sorted(tokenizer_named(self.tokenizer).ordinary_counts(self.counts).values(), reverse=True)


def survey(corpus: Corpus, tokenizer: TokenizerName, on_progress: Callable[[int, int], None] | None = None) -> Survey:
    """Read a corpus once and count its tokens and passages.

    `on_progress` receives the number of bytes read so far and the number of bytes in all. Raises CorpusError if the
    corpus is empty.
    """
    tokenize = tokenizer_named(tokenizer).tokenize
    reading = corpus.reading(every_line=corpus.is_benchmark(tokenizer), chords=tokenizer == "chords")
    size = corpus.bytes
    counts, lengths = Counter[str](), Counter[int]()
    nonblank = blank = 0
    samples: list[tuple[int, tuple[str, ...]]] = []
    generator = random.Random(0)  # the same text always gives the same samples, and each passage is equally likely
    for _, passage in reading.passages():
        if not passage.text:
            blank += 1
            continue
        tokens = tokenize(passage.text)
        counts.update(tokens)
        lengths[len(tokens)] += 1
        nonblank += 1
        place = len(samples) if len(samples) < _SAMPLES else generator.randrange(nonblank)
        if place < _SAMPLES:
            samples[place : place + 1] = [(nonblank, tuple(tokens[: MAX_SAMPLE_TOKENS + 1]))]
        if on_progress is not None:
            on_progress(reading.bytes_read, size)
    if not counts:
        raise CorpusError(f"The corpus {corpus.name} is empty: there is nothing to show.")
    beginnings = tuple(tokens for _, tokens in sorted(samples))
    notes = (*corpus.notes, *reading.notes)
    return Survey(corpus, tokenizer, nonblank + blank, blank, counts, lengths, beginnings, notes)
