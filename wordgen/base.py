"""A base: a trained model whose weights a new run begins with.

The vocabulary of the run is that of its own text. A token that the base knows keeps its weights, also where the
base has it with other capitals or joiner marks. A new token gets the mean of the tokens that end alike.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.architecture import Architecture
from wordgen.bundle import (
    Bundle,
    HeadStart,
    TextConfig,
    Weights,
    fingerprint,
    is_bundle,
    load_bundle,
    read_config,
    read_vocabulary,
)
from wordgen.corpora.catalogue import bundled_data
from wordgen.errors import BundleError, reason_of
from wordgen.files import read_toml
from wordgen.text.escapes import JOINER
from wordgen.text.vocabulary import END, START, Vocabulary

ABOUT = "base.toml"
"""What people say of a base, beside its bundle: `read = "92 novels"`."""

_SHORTEST_ENDING, _LONGEST_ENDING = 2, 5
_PER_TOKEN = ("embedding", "output/kernel", "output/bias")
"""The weights that belong to single tokens; all others are taken over as they are."""


@dataclass(frozen=True)
class Base:
    """A model to begin from, of which nothing large is read before it is needed."""

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
        """What it has learned from, in words; nothing where that is not said."""
        path = self.folder / ABOUT
        try:
            return str(read_toml(path)["read"]) if path.exists() else None
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f'{path} must have a line such as read = "92 novels" ({reason_of(error)}).') from error

    def settings(self) -> dict[str, Any]:
        """The settings of a run that a base decides."""
        shape = self.architecture
        return {
            "tokenizer": self.text.tokenizer,
            "fold_width": self.text.fold_width,
            "unknown": "spell" if self.vocabulary.spells else "token",
            "layers": shape.layers,
            "units": shape.units,
            "cell": shape.cell,
            "embedding": shape.embedding,
            "tied": shape.tied,
        }

    def known(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """For each token of a vocabulary its id in the base, or -1 where the base does not know it."""
        ids = (self.vocabulary.nearest(token) for token in vocabulary.symbols)
        return np.array([-1 if each is None else each for each in ids])

    def head_start(self, vocabulary: Vocabulary) -> HeadStart:
        """What a run with this vocabulary takes over."""
        known = self.known(vocabulary)[vocabulary.special :] >= 0
        counts = np.array(vocabulary.counts[vocabulary.special :])
        return HeadStart(
            base=self.name,
            fingerprint=self.fingerprint,
            known=int(known.sum()),
            new=int((~known).sum()),
            besides=int((known & (counts == 0)).sum()),
        )

    def weights_for(self, vocabulary: Vocabulary) -> Weights:
        """The base's weights for another vocabulary, whose log-frequencies the output biases follow.

        The biases of START and END stay, since most vocabularies do not count them.
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
    """The bases that come with wordgen, by name."""
    folders = sorted((bundled_data() / "bases").glob("*"))
    return {folder.name: Base(folder.name, folder) for folder in folders if is_bundle(folder)}


def _log_frequencies(vocabulary: Vocabulary) -> NDArray[np.float32]:
    counts = np.array(vocabulary.counts, np.float64) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


class _Rows:
    """Takes rows of weights, one a token of the base, to those of another vocabulary."""

    def __init__(self, base: Vocabulary, vocabulary: Vocabulary, known: NDArray[np.int64]) -> None:
        self._base, self._vocabulary, self._known = base, vocabulary, known

    def of(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        taken = rows[np.maximum(self._known, 0)]
        ordinary = rows[self._base.special :]
        mean = ordinary.mean(axis=0)
        for place in np.flatnonzero(self._known < 0):
            alike = self._alike(self._vocabulary.symbols[place])
            taken[place] = rows[alike].mean(axis=0) if alike else mean
        return taken

    def _alike(self, token: str) -> list[int]:
        """The ids of the base's tokens with the longest ending in common, and of the same kind of first letter."""
        word = token.strip(JOINER)
        kinds = range(min(_LONGEST_ENDING, len(word) - 1), _SHORTEST_ENDING - 1, -1)
        return next((found for length in kinds if (found := self._endings.get(_ending(word, length)))), [])

    @cached_property
    def _endings(self) -> dict[tuple[bool, str], list[int]]:
        endings: dict[tuple[bool, str], list[int]] = defaultdict(list)
        for number, token in enumerate(self._base.symbols[self._base.special :], self._base.special):
            word = token.strip(JOINER)
            for length in range(_SHORTEST_ENDING, min(_LONGEST_ENDING, len(word) - 1) + 1):
                endings[_ending(word, length)].append(number)
        return endings


def _ending(word: str, length: int) -> tuple[bool, str]:
    return word[:1].isupper(), word[-length:]
