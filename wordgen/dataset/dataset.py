"""The dataset of a corpus as a value: its ids, how its text was read, and its statistics."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import LineBreaks, PassageKind, Split
from wordgen.corpus.settings import Transpose
from wordgen.dataset.unknown_words import UnknownWords
from wordgen.settings import Settings, setting
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec
from wordgen.text.vocabulary import SPELLING, START, UNKNOWN, Vocabulary

_COUNTED_AT_ONCE = 1 << 20


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
        return {each.name: getattr(self, each.name) for each in self.chosen()}


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
    unknown_words: UnknownWords = UnknownWords()  # noqa: RUF009 - it is immutable
    """The words of the training set that the vocabulary does not know."""

    def source(self, place: int) -> tuple[str, int]:
        """Return the file and the line number of a position in the training ids."""
        return source_of(place, self.lines, self.files)


def source_of(place: int, lines: NDArray[np.uint32], files: Sequence[str]) -> tuple[str, int]:
    """Return the file and the line number of a position in the ids. `lines` is a table like `Dataset.lines`."""
    row = int(np.searchsorted(lines[:, 0], place, side="right")) - 1
    _, line, file = (int(value) for value in lines[row])
    return files[file], line


def counted(ids: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.int64]:
    """Return how often each id occurs in a text, in the shape (vocabulary_size,).

    The text is counted in blocks of 2**20 tokens, because NumPy counts in a copy that has 8 bytes per token.
    """
    counts = np.zeros(vocabulary_size, np.int64)
    for begin in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[begin : begin + _COUNTED_AT_ONCE], minlength=vocabulary_size)
    return counts
