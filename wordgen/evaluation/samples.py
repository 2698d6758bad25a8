"""Texts that a model writes to be measured, always the same ones; their whole words, and how varied they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.decoding import Progress
from wordgen.generation.sampling import SpellingIds
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import Bundle
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

PASSAGE_END = -1
"""Separates passages. No sequence of words crosses it."""
_BYTES_A_TOKEN = 50  # at the peak, for a text with spelled words
Ids = NDArray[np.integer]
Numbers = NDArray[np.int64]


def memory_of_words(tokens: int, vocabulary: Vocabulary) -> int:
    """Return roughly how many bytes of memory it takes to find the words of a text of this many tokens.

    The result is 0 if each token is a word.
    """
    return _BYTES_A_TOKEN * tokens if vocabulary.spells else 0


@dataclass(frozen=True)
class Words:
    """A text as words."""

    numbers: Ids
    """The number of each word. The number is the id of the word. A word that is spelled out has a number greater than
    all ids, the same for each of its occurrences."""
    begins: Sequence[int] | Numbers
    """The index of the first token of each word, then the index of the end of the last word."""


class WholeWords:
    """Gives numbers to words. Equal words have equal numbers in all texts.

    If a text ends within a spelled word, the incomplete word is left out.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._letters = np.zeros(len(vocabulary), np.bool_)
        self._spells = vocabulary.spells
        if vocabulary.spells:
            self._letters[list(SpellingIds(vocabulary).values)] = True
        self._spelled: dict[bytes, int] = {}
        self._next = len(vocabulary)

    def of(self, ids: Ids) -> Words:
        """Split a text into words. It must begin with a whole word."""
        if not self._spells:
            return Words(ids, range(len(ids) + 1))
        ends = np.flatnonzero(~self._letters[ids]) + 1
        begins = np.concatenate([np.zeros(1, np.int64), ends])
        numbers = ids[begins[:-1]].astype(np.int64)
        lengths = np.diff(begins)
        for length in np.unique(lengths[lengths > 1]).tolist():
            of_length = np.flatnonzero(lengths == length)
            numbers[of_length] = self._numbered(ids[begins[of_length, None] + np.arange(length)])
        return Words(numbers, begins)

    def to_compare(self, ids: Ids) -> Numbers:
        """Return the words of a text to compare, with PASSAGE_END between passages and without START.

        Each UNKNOWN becomes a word that occurs nowhere else. A word is unknown because the training text hardly ever
        has it. A sequence that contains it is therefore new, and counts as new where words are spelled out, too.
        Without the unknown words, only the set phrases of a held-out text would remain, and the text would seem to be
        copied, compared with texts of a model. A word that a model writes in place of UNKNOWN also becomes a word that
        occurs nowhere else.

        If a small vocabulary leaves out words that are not rare, a held-out text is a little less new than it seems.
        """
        words = self.of(ids[ids != START]).numbers.astype(np.int64)
        words[words == END] = PASSAGE_END
        unknown = words == UNKNOWN
        words[unknown] = np.arange(self._next, self._next + unknown.sum())
        self._next += int(unknown.sum())
        return words

    def _numbered(self, spelled: Ids) -> Numbers:
        """Return the numbers of spelled words of equal length. `spelled` has the shape (words, length)."""
        different, rows = np.unique(spelled.astype(np.uint32), axis=0, return_inverse=True)
        return np.array([self._number(word.tobytes()) for word in different], np.int64)[rows.reshape(-1)]

    def _number(self, spelled: bytes) -> int:
        if spelled not in self._spelled:
            self._spelled[spelled] = self._next
            self._next += 1
        return self._spelled[spelled]


REPEATED = 4
"""This many words in a row that occur again are a repetition. Three words would be too few: they are often an idiom, as
"in front of"."""
_BLEU_ORDER = 4


class Texts:
    """Several texts as one array of words. PASSAGE_END follows each text."""

    def __init__(self, texts: Sequence[Numbers]) -> None:
        self.count = len(texts)
        lengths = [len(text) + 1 for text in texts]
        self.words: Numbers = np.full(sum(lengths), PASSAGE_END, np.int64)
        self._owners = np.repeat(np.arange(len(texts)), lengths)
        for text, end in zip(texts, np.cumsum(lengths).tolist(), strict=True):
            self.words[end - len(text) - 1 : end - 1] = text
        ends = np.flatnonzero(self.words == PASSAGE_END)
        places = np.arange(len(self.words))
        self.rooms: Numbers = ends[np.searchsorted(ends, places)] - places
        """For each position, the number of words to the end of its passage. No n-gram crosses that end."""

    def in_each(self, places: NDArray[np.bool_]) -> Numbers:
        """Return how many of the marked positions each text has. `places` is a mask over all positions."""
        return np.bincount(self._owners[places], minlength=self.count)

    def ngrams(self, n: int) -> tuple[Numbers, Numbers]:
        """Return the number of each n-gram, and the index of the text that contains it.

        Equal n-grams have equal numbers.
        """
        places = np.flatnonzero(self.rooms >= n)
        if not len(places):
            return places, places
        _, numbers = np.unique(self.words[places[:, None] + np.arange(n)], axis=0, return_inverse=True)
        return numbers.reshape(-1), self._owners[places]


def distinct(texts: Texts, n: int) -> float | None:
    """Return the number of different n-grams divided by the number of all n-grams; None if there are none."""
    numbers, _ = texts.ngrams(n)
    return len(np.unique(numbers)) / len(numbers) if len(numbers) else None


def repetition(texts: Texts) -> float | None:
    """Return the share of n-grams of REPEATED words that occurred earlier in the same text.

    Return None if the texts have no n-grams of this length.
    """
    numbers, owners = texts.ngrams(REPEATED)
    return 1 - len(_pairs(numbers, owners)[0]) / len(numbers) if len(numbers) else None


def self_bleu(texts: Texts) -> float | None:
    """Return the BLEU of each text against all others, with the counts of all texts summed.

    The result is 1 if each text occurs in the others. It is None if there are fewer than two texts, or no words.

    For each n up to four, BLEU takes the share of n-grams that another text has. An n-gram counts at most as often as
    it occurs in the other text that has it most often. The result is the geometric mean of these four shares. If no
    n-gram of a length is shared, half an n-gram counts as shared; for the next length at which none is shared, a
    quarter. This is the usual smoothing of BLEU. The texts have the same length, so short texts need no penalty.
    """
    if texts.count < 2:
        return None
    logarithms: list[float] = []
    unshared = 1
    for n in range(1, _BLEU_ORDER + 1):
        numbers, owners = texts.ngrams(n)
        if not len(numbers):
            break
        shared: float = _shared(numbers, owners)
        if not shared:
            unshared *= 2
            shared = 1 / unshared
        logarithms.append(math.log(shared / len(numbers)))
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


def _shared(numbers: Numbers, owners: Numbers) -> int:
    """Return how many n-grams another text has, too.

    An n-gram counts at most as often as it occurs in the other text that has it most often.
    """
    kinds, counts = _pairs(numbers, owners)
    order = np.lexsort((counts, kinds))
    kinds, counts = kinds[order], counts[order]
    last = np.append(kinds[1:] != kinds[:-1], True)  # for each n-gram, True at the text that has it most often
    most = counts[last][np.cumsum(last) - last]
    second = np.append(0, np.where(kinds[1:] == kinds[:-1], counts[:-1], 0))
    return int(np.minimum(counts, np.where(last, second, most)).sum())


def _pairs(numbers: Numbers, owners: Numbers) -> tuple[Numbers, Numbers]:
    """Return each n-gram once per text that has it, and how often that text has it."""
    pairs, counts = np.unique(np.stack([numbers, owners]), axis=1, return_counts=True)
    return pairs[0], counts


SAMPLE_LENGTH = 100
_RANDOM_SEED = 1


def write_samples(
    bundle: Bundle, count: int, progress: Progress = lambda done, tokens: None, *, length: int = SAMPLE_LENGTH
) -> list[Ids]:
    """Write `count` texts of `length` tokens, and return their ids.

    Each text begins at the beginning of a passage. Tokens are drawn with the probabilities of the model (a temperature
    of 1), and with a fixed random seed. `progress` receives the number of tokens written so far, and the highest
    number possible.
    """
    settings = GenerationSettings(length=length, count=count, temperature=1.0, random_seed=_RANDOM_SEED)
    id_of = bundle.vocabulary.id_of
    texts = TrainedModel(bundle).write([""], settings, progress)
    return [np.array([id_of(token) for token in text.tokens], np.int64) for text in texts]


def write_passages(
    bundle: Bundle, count: int, length: int, progress: Progress = lambda done, tokens: None
) -> list[Text]:
    """Write `count` passages as `write_samples` writes texts, but each to its end, or up to `length` tokens."""
    settings = GenerationSettings(length=length, count=count, stop="end", temperature=1.0, random_seed=_RANDOM_SEED)
    return list(TrainedModel(bundle).write([""], settings, progress))
