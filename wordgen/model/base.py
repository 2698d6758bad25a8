"""A base: a trained model whose weights a new run begins with.

The run has the vocabulary of its own text. A token that the base knows keeps its weights. If the base has it only with
other capitals, the mean difference that such capitals make in the base is added. A new token gets the mean of the
weights of the tokens with the same ending.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.corpus.catalogue import bundled_data
from wordgen.dataset.dataset import TextConfig
from wordgen.errors import BundleError, reason_of
from wordgen.files import read_toml
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import (
    CONFIG,
    Bundle,
    HeadStart,
    Weights,
    fingerprint,
    is_bundle,
    load_bundle,
    read_config,
    read_vocabulary,
)
from wordgen.text.vocabulary import END, JOINER, START, Vocabulary

DESCRIPTION_FILE = "base.toml"
"""The file beside the bundle with a description of the base, such as `read = "92 novels"`."""

_MIN_ENDING, _MAX_ENDING = 2, 5
_MIN_PAIRS = 20
"""The base needs at least this number of words with both kinds of capitals, or their mean difference is not used."""
Capitals = Callable[[str], str]
"""A function that gives a word other capitals."""
_CAPITALS: tuple[Capitals, ...] = (str.lower, str.capitalize, str.upper)


@dataclass(frozen=True)
class Base:
    """A model that a run can begin from. Large files are read only when they are needed."""

    name: str
    folder: Path

    @cached_property
    def _config(self) -> tuple[Architecture, TextConfig]:
        return read_config(self.folder)

    @property
    def architecture(self) -> Architecture:
        return self._config[0]

    @property
    def text(self) -> TextConfig:
        return self._config[1]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.folder)

    @cached_property
    def bundle(self) -> Bundle:
        return load_bundle(self.folder)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.bundle)

    @property
    def read(self) -> str | None:
        """A description of the text that the base was trained on, or None. Raises BundleError if it is invalid."""
        path = self.folder / DESCRIPTION_FILE
        try:
            return str(read_toml(path)["read"]) if path.exists() else None
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f'{path} must have a line like read = "92 novels" ({reason_of(error)}).') from error

    def settings(self) -> dict[str, object]:
        """Return the settings of a run that the base decides."""
        tunes = {"transpose": self.text.transpose} if self.text.passage == "tune" else {}
        return {
            **tunes,
            "tokenizer": self.text.tokenizer,
            "fold_width": self.text.fold_width,
            "unknown": "spell" if self.vocabulary.spells else "token",
            **self.architecture.network,
        }

    def known(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """Return for each token of a vocabulary its id in the base, or -1 if the base does not know it."""
        ids = (self.vocabulary.nearest(token) for token in vocabulary.tokens)
        return np.array([-1 if each is None else each for each in ids])

    def head_start(self, vocabulary: Vocabulary) -> HeadStart:
        """Return what a run with this vocabulary takes over from the base."""
        known = self.known(vocabulary)[vocabulary.special_count :] >= 0
        counts = np.array(vocabulary.counts[vocabulary.special_count :])
        return HeadStart(
            base=self.name,
            fingerprint=self.fingerprint,
            known=int(known.sum()),
            new=int((~known).sum()),
            besides=int((known & (counts == 0)).sum()),
        )

    def weights_for(self, vocabulary: Vocabulary) -> Weights:
        """Return the weights of the base for another vocabulary.

        The output biases are shifted by the change of the tokens' log-frequencies, but for START and END, which most
        vocabularies do not count.
        """
        weights = dict(self.bundle.weights)
        rows = _Rows(self.vocabulary, vocabulary, self.known(vocabulary))
        weights["embedding"] = rows.of(weights["embedding"])
        if "output/kernel" in weights:
            weights["output/kernel"] = rows.of(weights["output/kernel"])
        change = _log_frequencies(vocabulary) - rows.of(_log_frequencies(self.vocabulary)[:, None])[:, 0]
        change[[START, END]] = 0
        bias = rows.of(weights["output/bias"][:, None])[:, 0] + change
        weights["output/bias"] = bias.astype(np.float32)
        return weights


def shipped_bases() -> dict[str, Base]:
    """Return the bases that are included in wordgen, by name. A process reads the files of each only once."""
    folders = sorted((bundled_data() / "bases").glob("*"))
    return {
        folder.name: _shipped(folder, (folder / CONFIG).stat().st_mtime_ns) for folder in folders if is_bundle(folder)
    }


@cache
def _shipped(folder: Path, changed: int) -> Base:
    """Return the base in a folder. `changed` is the time of its configuration: a replaced base is read again."""
    return Base(folder.name, folder)


def _log_frequencies(vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the natural logarithm of each token's add-one frequency."""
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


class _Rows:
    """Converts weights with one row per token from the vocabulary of the base to another vocabulary.

    A token that the base has with other capitals gets the row of that token plus the mean difference of such pairs. A
    new token gets the mean of the tokens with the same ending, or of all ordinary tokens if no ending matches.
    """

    def __init__(self, base: Vocabulary, vocabulary: Vocabulary, known: NDArray[np.int64]) -> None:
        self._base, self._vocabulary, self._known = base, vocabulary, known

    def of(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        converted = rows[np.maximum(self._known, 0)]
        for places, before, after in self._other_capitals:
            converted[places] += (rows[after] - rows[before]).mean(axis=0)
        ordinary = rows[self._base.special_count :]
        mean = ordinary.mean(axis=0)
        for place in np.flatnonzero(self._known < 0):
            same_ending = self._ids_with_same_ending(self._vocabulary.tokens[place])
            converted[place] = rows[same_ending].mean(axis=0) if same_ending else mean
        return converted

    @cached_property
    def _other_capitals(self) -> list[tuple[list[int], list[int], list[int]]]:
        """Return three lists of ids for each change of capitals.

        The first has the tokens that the base knows only before this change. The others have all tokens of the base
        that it knows before and after this change.
        """
        places: dict[tuple[Capitals, Capitals], list[int]] = defaultdict(list)
        for place in np.flatnonzero(self._known >= self._base.special_count).tolist():
            before = _capitals(self._base.tokens[self._known[place]])
            after = _capitals(self._vocabulary.tokens[place])
            if before and after and before != after:
                places[before, after].append(place)
        pairs = {change: self._pairs(*change) for change in places}
        return [(places[change], *pairs[change]) for change in places if len(pairs[change][0]) >= _MIN_PAIRS]

    def _pairs(self, before: Capitals, after: Capitals) -> tuple[list[int], list[int]]:
        """Return the ids of the base's tokens before and after a change of capitals."""
        tokens = self._base.tokens
        changed = {token: number for number, token in enumerate(tokens) if _capitals(token) is after}
        pairs = [
            (number, changed[other])
            for number, token in enumerate(tokens)
            if _capitals(token) is before and (other := _with_capitals(token, after)) in changed
        ]
        return [one for one, _ in pairs], [other for _, other in pairs]

    def _ids_with_same_ending(self, token: str) -> list[int]:
        """Return the ids of the base's tokens that share the longest ending with the token.

        An ending has 2 to 5 characters. The first letters must both be capitals, or neither.
        """
        word = token.strip(JOINER)
        lengths = range(min(_MAX_ENDING, len(word) - 1), _MIN_ENDING - 1, -1)
        return next((found for length in lengths if (found := self._endings.get(_ending(word, length)))), [])

    @cached_property
    def _endings(self) -> dict[tuple[bool, str], list[int]]:
        endings: dict[tuple[bool, str], list[int]] = defaultdict(list)
        for number, token in enumerate(self._base.tokens[self._base.special_count :], self._base.special_count):
            word = token.strip(JOINER)
            for length in range(_MIN_ENDING, min(_MAX_ENDING, len(word) - 1) + 1):
                endings[_ending(word, length)].append(number)
        return endings


def _capitals(token: str) -> Capitals | None:
    """Return the function that gives words these capitals. None if there is none, or if the word has one letter."""
    word = token.strip(JOINER)
    return next(
        (each for each in _CAPITALS if len(word) > 1 and word.lower() != word.upper() and each(word) == word), None
    )


def _with_capitals(token: str, capitals: Capitals) -> str:
    word = token.strip(JOINER)
    return token.replace(word, capitals(word))


def _ending(word: str, length: int) -> tuple[bool, str]:
    return word[:1].isupper(), word[-length:]
