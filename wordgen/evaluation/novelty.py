"""How new and varied the texts of a model are: how much of them the training text has, compared with held-out text.

Each figure is also computed for pieces of held-out text that are as long as the texts of the model. How much a new text
shares with a corpus depends on the corpus: spells or laws repeat much word for word, novels little.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import Dataset
from wordgen.evaluation.measurement import LENGTHS, MAX_LENGTH, RECITES, Figures, Match, Novelty, Originality
from wordgen.generation.decoding import Progress
from wordgen.generation.sampling import SpellingIds
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import Text
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import Bundle
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary

PASSAGE_END = -1
"""Separates passages. No sequence of words crosses it."""
_BYTES_PER_TOKEN = 50  # at the peak, for a text with spelled words
Ids = NDArray[np.integer]
Numbers = NDArray[np.int64]


def memory_of_words(tokens: int, vocabulary: Vocabulary) -> int:
    """Return roughly how many bytes of memory it takes to find the words of a text of this many tokens.

    The result is 0 if each token is a word.
    """
    return _BYTES_PER_TOKEN * tokens if vocabulary.spells else 0


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
        self._is_byte = SpellingIds(vocabulary).is_byte if vocabulary.spells else None
        self._new_numbers = count(len(vocabulary))
        self._spelled = defaultdict[bytes, int](self._new_numbers.__next__)

    def split(self, ids: Ids) -> Words:
        """Split a text into words. It must begin with a whole word."""
        if self._is_byte is None:
            return Words(ids, range(len(ids) + 1))
        ends = np.flatnonzero(~self._is_byte[ids]) + 1
        begins = np.concatenate([np.zeros(1, np.int64), ends])
        numbers = ids[begins[:-1]].astype(np.int64)
        lengths = np.diff(begins)
        for length in np.unique(lengths[lengths > 1]).tolist():
            of_length = np.flatnonzero(lengths == length)
            numbers[of_length] = self._numbers_of_spelled(ids[begins[of_length, None] + np.arange(length)])
        return Words(numbers, begins)

    def comparable_words(self, ids: Ids) -> Numbers:
        """Return the words of a text to compare, with PASSAGE_END between passages and without START.

        Each UNKNOWN, also one that a model has replaced, becomes a word that occurs nowhere else: a sequence with it is
        new, because the training text hardly ever has such a word. Without the unknown words, only the set phrases of a
        held-out text would remain, and it would seem to be copied. If a small vocabulary leaves out words that are not
        rare, a held-out text is a little less new than it seems.
        """
        words = self.split(ids[ids != START]).numbers.astype(np.int64)
        words[words == END] = PASSAGE_END
        unknown = words == UNKNOWN
        words[unknown] = list(islice(self._new_numbers, int(unknown.sum())))
        return words

    def _numbers_of_spelled(self, spelled: Ids) -> Numbers:
        """Return the numbers of spelled words of equal length. `spelled` has the shape (words, length)."""
        different, rows = np.unique(spelled.astype(np.uint32), axis=0, return_inverse=True)
        return np.array([self._spelled[word.tobytes()] for word in different], np.int64)[rows.reshape(-1)]


REPEATED = 4
"""This many words in a row that occur again are a repetition. Three are often an idiom, as "in front of"."""


class Texts:
    """Several texts as one array of words. PASSAGE_END follows each text."""

    def __init__(self, texts: Sequence[Numbers]) -> None:
        self.count = len(texts)
        lengths = [len(text) + 1 for text in texts]
        self.words: Numbers = np.full(sum(lengths), PASSAGE_END, np.int64)
        self._text_numbers = np.repeat(np.arange(len(texts)), lengths)
        for text, end in zip(texts, np.cumsum(lengths).tolist(), strict=True):
            self.words[end - len(text) - 1 : end - 1] = text
        ends = np.flatnonzero(self.words == PASSAGE_END)
        places = np.arange(len(self.words))
        self.words_left: Numbers = ends[np.searchsorted(ends, places)] - places
        """For each position, the number of words to the end of its passage. No n-gram crosses that end."""

    def count_per_text(self, places: NDArray[np.bool_]) -> Numbers:
        """Return how many of the marked positions each text has. `places` is a mask over all positions."""
        return np.bincount(self._text_numbers[places], minlength=self.count)

    def ngrams(self, n: int) -> tuple[Numbers, Numbers]:
        """Return the number of each n-gram, and the index of the text that contains it.

        Equal n-grams have equal numbers.
        """
        places = np.flatnonzero(self.words_left >= n)
        if not len(places):
            return places, places
        _, numbers = np.unique(self.words[places[:, None] + np.arange(n)], axis=0, return_inverse=True)
        return numbers.reshape(-1), self._text_numbers[places]


def distinct(texts: Texts, n: int) -> float | None:
    """Return the number of different n-grams divided by the number of all n-grams; None if there are none."""
    numbers, _ = texts.ngrams(n)
    return len(np.unique(numbers)) / len(numbers) if len(numbers) else None


def repetition(texts: Texts) -> float | None:
    """Return the share of n-grams of REPEATED words that occurred earlier in the same text; None if there are none."""
    numbers, owners = texts.ngrams(REPEATED)
    return 1 - len(_counts_per_text(numbers, owners)[0]) / len(numbers) if len(numbers) else None


def self_bleu(texts: Texts) -> float | None:
    """Return the BLEU of each text against all others, with the counts of all texts summed.

    The result is 1 if each text occurs in the others, and None if there are fewer than two texts, or no words. It is
    the geometric mean of the shares of n-grams, for n from 1 to 4, that another text has. If no n-gram of a length is
    shared, half an n-gram counts as shared; for the next such length, a quarter. This is the usual smoothing of BLEU.
    The texts have the same length, so short texts need no penalty.
    """
    if texts.count < 2:
        return None
    logarithms: list[float] = []
    unshared = 1
    for n in range(1, 5):
        numbers, owners = texts.ngrams(n)
        if not len(numbers):
            break
        shared: float = _shared_ngrams(numbers, owners)
        if not shared:
            unshared *= 2
            shared = 1 / unshared
        logarithms.append(math.log(shared / len(numbers)))
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


def _shared_ngrams(numbers: Numbers, owners: Numbers) -> int:
    """Return how many n-grams another text has, too.

    An n-gram counts at most as often as it occurs in the other text that has it most often.
    """
    kinds, counts = _counts_per_text(numbers, owners)
    order = np.lexsort((counts, kinds))
    kinds, counts = kinds[order], counts[order]
    last = np.append(kinds[1:] != kinds[:-1], True)  # for each n-gram, True at the text that has it most often
    most = counts[last][np.cumsum(last) - last]
    second = np.append(0, np.where(kinds[1:] == kinds[:-1], counts[:-1], 0))
    return int(np.minimum(counts, np.where(last, second, most)).sum())


def _counts_per_text(numbers: Numbers, owners: Numbers) -> tuple[Numbers, Numbers]:
    """Return each n-gram once per text that has it, and how often that text has it."""
    pairs, counts = np.unique(np.stack([numbers, owners]), axis=1, return_counts=True)
    return pairs[0], counts


_RANDOM_SEED = 1


def write_samples(
    bundle: Bundle, count: int, progress: Progress = lambda done, tokens: None, *, length: int = 100
) -> list[Ids]:
    """Write `count` texts of `length` tokens, and return their ids.

    Each text begins where a passage begins. Tokens are drawn at temperature 1, with a fixed random seed. `progress`
    receives the number of tokens written so far, and the highest number possible.
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


_POSITIONS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Matches:
    """For each position of a text, the longest match in another text that begins at that position."""

    lengths: Numbers
    places: Numbers
    """The position at which the match first occurs in the other text. It has no meaning if the length is 0."""


def longest_matches(text: Ids, other: Ids) -> Matches:
    """Search another text for all sequences of a text. Negative numbers are breaks and never match.

    Sequences of two words are only searched for where the first word was found, and so on, so few remain soon. The
    other text is searched in parts, so that the memory needed does not grow with its length.
    """
    lengths = np.zeros(len(text), np.int64)
    places = np.zeros(len(text), np.int64)
    for begin in range(0, len(other), _POSITIONS_AT_ONCE):
        _lengthen_matches(lengths, places, text, other, np.arange(begin, min(begin + _POSITIONS_AT_ONCE, len(other))))
    return Matches(lengths, places)


def _lengthen_matches(lengths: Numbers, places: Numbers, text: Ids, other: Ids, other_positions: Numbers) -> None:
    """Search for sequences that begin at the positions `other_positions` of the other text.

    `lengths` and `places` are updated where a match is longer than the longest known one. Equal sequences have the same
    number in both texts.
    """
    words = 1 + int(text.max(initial=0))
    positions = np.arange(len(text))
    text_numbers, other_numbers = np.zeros(len(positions), np.int64), np.zeros(len(other_positions), np.int64)
    length = 0
    while True:
        positions, text_numbers = _extend(positions, text_numbers, text, length, words)
        other_positions, other_numbers = _extend(other_positions, other_numbers, other, length, words)
        if not (len(positions) and len(other_positions)):
            return
        length += 1
        keys, text_numbers = np.unique(text_numbers, return_inverse=True)
        at = np.minimum(np.searchsorted(keys, other_numbers), len(keys) - 1)
        found = keys[at] == other_numbers
        other_positions, other_numbers = other_positions[found], at[found]
        first = np.full(len(keys), -1)
        first[other_numbers[::-1]] = other_positions[::-1]
        matched = first[text_numbers] >= 0
        positions, text_numbers = positions[matched], text_numbers[matched]
        longer = lengths[positions] < length
        lengths[positions[longer]] = length
        places[positions[longer]] = first[text_numbers[longer]]


def _extend(places: Numbers, numbers: Numbers, text: Ids, length: int, words: int) -> tuple[Numbers, Numbers]:
    """Return the positions of the sequences that can be longer by one word, with a key for each longer sequence.

    The key has the number of the shorter sequence, and the word. `words` is one more than the largest word to match.
    """
    inside = places + length < len(text)
    places, numbers = places[inside], numbers[inside]
    following = text[places + length].astype(np.int64)
    matchable = (following >= 0) & (following < words)
    return places[matchable], numbers[matchable] * words + following[matchable]


_RECITES_ABOVE_HELD_OUT = 0.25
"""A model also recites if the copied share of its sequences of eight words exceeds that of held-out
text by this."""
_NO_DIFFERENCE = 0.01
"""Two shares that differ by less than this count as equal, even if the difference is certain."""
_STANDARD_ERRORS = 2.5
"""A difference between two shares of at most this many standard errors may be chance. Two were too
few, because six lengths are tested."""


def novelty(
    samples: Sequence[Ids], held_out: Ids, dataset: Dataset, held_out_name: str = "the held-out text"
) -> Novelty:
    """Compare texts that a model wrote with held-out text: how much of both does the training text have?

    `dataset` is the dataset that the model was trained on. `held_out_name` names the held-out text in sentences.
    """
    whole_words = WholeWords(dataset.codec.vocabulary)
    written = [whole_words.comparable_words(sample) for sample in samples]
    pieces = pieces_like(written, whole_words.comparable_words(held_out))
    train = whole_words.split(dataset.ids["train"])
    searched = [_SearchedTexts(texts, train.numbers) for texts in (written, pieces)]
    originality, decided_by = _originality(*searched)
    figures = [_figures(each, len(pieces), dataset, train) for each in searched]
    return Novelty(figures[0], figures[1], held_out_name, originality, decided_by)


def pieces_like(written: Sequence[Numbers], held_out: Numbers) -> list[Numbers]:
    """Return pieces of a held-out text, each as long as one of the written texts, spread over the whole text.

    If the held-out text is too short, there are fewer pieces than written texts. Like a written text, a piece begins
    where a passage begins, if it can.
    """
    lengths = np.minimum([len(text) for text in written], len(held_out))
    ends = np.cumsum(lengths)
    fitting = int(np.searchsorted(ends, len(held_out), side="right"))
    room = (len(held_out) - int(ends[fitting - 1])) // fitting
    passage_begins = np.concatenate([[0], np.flatnonzero(held_out == PASSAGE_END) + 1])
    pieces: list[Numbers] = []
    for number, (length, end) in enumerate(zip(lengths[:fitting].tolist(), ends.tolist(), strict=False)):
        begin = end - length + number * room
        near = passage_begins[(begin <= passage_begins) & (passage_begins <= begin + room)]
        first = int(near[0]) if len(near) else begin
        pieces.append(held_out[first : first + length])
    return pieces


@dataclass(frozen=True)
class _Share:
    """The share of all sequences of one length that the training text has."""

    value: float
    texts: int
    variance: float
    """The variance between texts; 0 if there is only one. An observation is a text, not a sequence, because sequences
    overlap and copies are long."""

    @classmethod
    def of(cls, matching: Numbers, sequences: Numbers) -> "_Share":
        """Return the share, given the number of sequences of each text, and how many of them the training text has."""
        value = float(matching.sum() / sequences.sum())
        deviations = (matching - value * sequences) / sequences.mean()
        return cls(value, len(sequences), float((deviations**2).sum()) / max(1, len(sequences) - 1))


class _SearchedTexts:
    """Some texts, and their matches in the training text."""

    def __init__(self, texts: Sequence[Numbers], train: Ids) -> None:
        self.texts = texts
        self.all_texts = Texts(texts)
        self.matches = longest_matches(self.all_texts.words, train)

    def share(self, length: int) -> _Share | None:
        """Return the share of sequences of `length` words that match. None if no text has a sequence of that length."""
        sequences = self.all_texts.count_per_text(self.all_texts.words_left >= length)
        matching = self.all_texts.count_per_text(self.matches.lengths >= length)
        return _Share.of(matching[sequences > 0], sequences[sequences > 0]) if sequences.any() else None

    def mean(self, measure: Callable[[Texts], float | None], group_size: int) -> float | None:
        """Return the mean of a measure over groups of `group_size` texts. None if no group has a value.

        A last group that is smaller is left out.
        """
        groups = [Texts(self.texts[first : first + group_size]) for first in range(0, len(self.texts), group_size)]
        measured = [measure(group) for group in groups if group.count == group_size]
        known = [each for each in measured if each is not None]
        return sum(known) / len(known) if known else None


def _figures(searched: _SearchedTexts, group_size: int, dataset: Dataset, train: Words) -> Figures:
    """Return the figures of some texts. What depends on the number of texts is a mean over groups of `group_size`."""
    shares = {length: searched.share(length) for length in LENGTHS}
    return Figures(
        texts=len(searched.texts),
        tokens=sum(map(len, searched.texts)),
        shares={length: share.value if share else None for length, share in shares.items()},
        longest=_longest(searched.matches, dataset, train),
        distinct_1=searched.mean(lambda texts: distinct(texts, 1), group_size),
        distinct_2=searched.mean(lambda texts: distinct(texts, 2), group_size),
        repetition=repetition(searched.all_texts),
        self_bleu=searched.mean(self_bleu, group_size if group_size > 1 else len(searched.texts)),
    )


def _longest(matches: Matches, dataset: Dataset, train: Words) -> Match | None:
    """Return the first of the longest matches, as text of the training text. None if nothing matches."""
    if not matches.lengths.any():
        return None
    at = int(matches.lengths.argmax())
    length, place = int(matches.lengths[at]), int(matches.places[at])
    begin, end = train.begins[place], train.begins[place + length]
    text = dataset.codec.decode(dataset.ids["train"][begin:end].tolist())
    return Match(length, text.strip(), *dataset.file_and_line(int(begin)))


def _originality(texts: _SearchedTexts, others: _SearchedTexts) -> tuple[Originality | None, int]:
    """Return how original texts are, compared with other texts, and the length of the sequences that decided it.

    The longest length decides at which the model recites or the texts clearly differ. If there is none, the texts are
    as original as the others, and the length is the longest at which one of the shares is at least `_NO_DIFFERENCE`, or
    else the shortest. The originality is None if the shares of both are known at no length.
    """
    shares = [(length, texts.share(length), others.share(length)) for length in reversed(LENGTHS)]
    known = [
        (length, written, held_out)
        for length, written, held_out in shares
        if written is not None and held_out is not None
    ]
    for length, written, held_out in known:
        if length == MAX_LENGTH and (
            written.value >= RECITES or written.value - held_out.value >= _RECITES_ABOVE_HELD_OUT
        ):
            return "recites", length
        if _clearly_differ(written, held_out):
            return "less original" if written.value > held_out.value else "more original", length
    telling_lengths = (length for length, *each in known if max(share.value for share in each) >= _NO_DIFFERENCE)
    return ("as original", next(telling_lengths, known[-1][0])) if known else (None, MAX_LENGTH)


def _clearly_differ(one: _Share, other: _Share) -> bool:
    """Return whether two shares differ by more than chance. They do not if there is only one text on each side.

    The larger of the two variances is used for both, because a few texts may be alike by chance.
    """
    if one.texts == other.texts == 1:
        return False
    difference = abs(one.value - other.value)
    error = math.sqrt(max(one.variance, other.variance) * (1 / one.texts + 1 / other.texts))
    return difference >= _NO_DIFFERENCE and difference > _STANDARD_ERRORS * error
