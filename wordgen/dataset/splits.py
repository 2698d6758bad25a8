"""Assign passages to the training, validation and test sets.

Unless the corpus defines its own splits, simple arithmetic assigns the passages, so every run gets the same splits.
Passages are assigned in short blocks of neighbours, so that the recurrent state still meets connected text. Of every
twenty blocks, the validation set and the test set get as many as their shares demand (by default one each), so both
are spread over the whole text. The position of these blocks among the twenty changes from period to period. At a fixed
position they could, for example, contain only the titles in a book of fables.

Tunes that are nearly the same count as one passage, so all of them are in one split. Copies of a tune in other keys are
only for training: the copies of a tune in the validation or test set belong to no split.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import SPLITS, Split
from wordgen.corpus.corpus import Corpus
from wordgen.errors import CorpusError
from wordgen.text.settings import DEFAULT_SHARES

_TRAIN, _VALID, _TEST = range(3)
NO_SPLIT = 255
_PERIOD = 20
_SHIFT_PER_PERIOD = 7  # has no common factor with the period, so each position is used in turn
_BLOCK_ORDER = np.array([9, 14, 4, 17, 7, 2, 12, 11, 6, 1, 16, 18, 3, 13, 8, 0, 15, 5, 10, 19])
"""All positions of a period. The validation set gets the first of them, as many as it needs; the test set the last."""
_MAX_PERIODS = 25
MIN_PASSAGES = 3

Shares = tuple[float, float]
"""The shares of the passages in the validation set and in the test set."""


def splits_of(numbers: NDArray[np.int64], passages: int, shares: Shares = DEFAULT_SHARES) -> NDArray[np.uint8]:
    """Return the split of each passage as an index into SPLITS. No split is empty.

    `numbers` are the numbers of the passages, from 0, and `passages` is the number of passages in all. The shares of
    the splits are exact to about one block, which is at most one in 500 passages of a long text.
    """
    splits = np.full(len(numbers), _TRAIN, np.uint8)
    if passages < _PERIOD:  # too few for a whole period: validation and test set get the last passages
        valid, test = _held_out_of_few(passages, shares)
        splits[numbers >= passages - test - valid] = _VALID
        splits[numbers >= passages - test] = _TEST
        return splits
    block_length = max(1, passages // (_PERIOD * _MAX_PERIODS))
    period, place = np.divmod(numbers // block_length, _PERIOD)
    rank = np.argsort(_BLOCK_ORDER)[(place + _SHIFT_PER_PERIOD * period) % _PERIOD]
    splits[rank < _block_counts(period, shares[0])] = _VALID
    splits[rank >= _PERIOD - _block_counts(period, shares[1])] = _TEST
    return splits


def _held_out_of_few(passages: int, shares: Shares) -> tuple[int, int]:
    """Return how many of a few passages the validation and the test set get. At least one is left for training."""
    valid = min(max(1, round(shares[0] * passages)), passages - 2)
    return valid, min(max(1, round(shares[1] * passages)), passages - 1 - valid)


def _block_counts(period: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Return how many blocks of each of these periods a split gets: its share of all blocks up to there, rounded up.

    So it gets at least one block of the first period.
    """

    def blocks_before(periods: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.ceil(np.round(periods * (_PERIOD * share), 9)).astype(np.int64)

    return blocks_before(period + 1) - blocks_before(period)


class Splitting:
    """Knows the split of each passage of a corpus. Tunes are read once for that, before they are encoded.

    Raises CorpusError if there are no tunes, or too few different ones.
    """

    def __init__(self, corpus: Corpus, shares: Shares = DEFAULT_SHARES) -> None:
        self._shares = shares
        self._file_splits = np.array([SPLITS.index(split) for split in corpus.splits], np.uint8)
        self._tune_splits = _splits_of_tunes(corpus, self._file_splits, shares) if corpus.passage == "tune" else None

    def assign(self, numbers: NDArray[np.int64], files: NDArray[np.uint32], passages: int) -> NDArray[np.uint8]:
        """Return the splits of passages, as indexes into SPLITS or NO_SPLIT.

        `numbers` are the numbers of the passages, `files` those of their files, and `passages` is their number in all.
        """
        if self._tune_splits is not None:
            return self._tune_splits[numbers]
        return self._file_splits[files] if len(self._file_splits) else splits_of(numbers, passages, self._shares)


def _splits_of_tunes(corpus: Corpus, file_splits: NDArray[np.uint8], shares: Shares) -> NDArray[np.uint8]:
    from wordgen.music.abc_parsing import parse_tune
    from wordgen.music.copied_notes import Families

    families, tune_numbers = Families(), dict[tuple[int, int], int]()
    tunes, files, are_copies = list[int](), list[int](), list[bool]()
    for file, passage in corpus.reading().passages():
        place = (file, passage.line)
        are_copies.append(place in tune_numbers)
        tunes.append(tune_numbers.setdefault(place, len(tune_numbers)))
        files.append(file)
        if not are_copies[-1]:
            families.add(parse_tune(passage.text))
    if not tunes:
        raise CorpusError(
            f"The corpus {corpus.name} has no tune with a key (K:) and notes: there is nothing to train on."
        )
    groups = np.array(families.groups())
    distinct = int(groups.max()) + 1
    if len(file_splits):
        splits = file_splits[np.array(files)]
    elif distinct < MIN_PASSAGES:
        raise CorpusError(
            f"The corpus {corpus.name} has {len(groups)} tune(s), {distinct} of them different, but at least "
            f"{MIN_PASSAGES} different ones are needed, one each to train on, to validate and to test: take more "
            "tunes."
        )
    else:
        splits = splits_of(groups, distinct, shares)[np.array(tunes)]
    splits[np.array(are_copies) & (splits != _TRAIN)] = NO_SPLIT
    return splits


def passages_by_split(
    corpus: Corpus, shares: Shares = DEFAULT_SHARES, *, chords: bool = False
) -> dict[Split, list[str]]:
    """Return the text of all passages by their splits, without copies of tunes in other keys.

    The corpus is read again. It must be small enough for the memory. `chords` reads MIDI files as pitches without
    lengths.
    """
    if corpus.effective_transpose == "augment":
        corpus = replace(corpus, reading_settings=replace(corpus.reading_settings, transpose="none"))
    passages = list(corpus.reading(chords=chords).passages())
    files = np.array([file for file, _ in passages], np.uint32)
    splits = Splitting(corpus, shares).assign(np.arange(len(passages)), files, len(passages))
    return {
        split: [passages[index][1].text for index in np.flatnonzero(splits == number)]
        for number, split in enumerate(SPLITS)
    }
