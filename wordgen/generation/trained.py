"""A trained model, ready to write: what `wordgen.load` gives."""

import difflib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from wordgen.bundle import Bundle
from wordgen.errors import SeedError
from wordgen.generation.decoding import decode
from wordgen.generation.settings import GenerationSettings, Mode
from wordgen.generation.step import NumpyNetwork
from wordgen.settings import by_name
from wordgen.text.vocabulary import END, START, UNKNOWN, Vocabulary


@dataclass(frozen=True)
class Text:
    """One written text, with what is needed to write it again."""

    seed: str
    text: str
    """The seed and what follows it, spaced as in the corpus."""
    symbols: tuple[str, ...]
    """What was written after the seed, symbol by symbol."""
    mode: Mode
    temperature: float
    random_seed: int
    number: int
    """Which of the `count` texts of this random seed it is, from 0."""


@dataclass(frozen=True)
class Seed:
    ids: tuple[int, ...]
    unknown: tuple[str, ...]
    """The words of the seed that the model does not know and that were left out."""


class TrainedModel:
    """Writes text. Needs NumPy alone: no TensorFlow is imported."""

    def __init__(self, bundle: Bundle) -> None:
        self.architecture = bundle.architecture
        self.vocabulary = bundle.vocabulary
        self.corpus = bundle.text.corpus
        self._codec = bundle.codec
        self._network = NumpyNetwork(bundle.architecture, bundle.weights)
        # A corpus that brings its own <eos> was never enclosed by START.
        self._starts = bundle.text.starts

    def generate_with(self, seed: str, settings: GenerationSettings) -> list[Text]:
        """Write `count` texts that go on from the seed."""
        settings = _with_random_seed(settings)
        ids = self.read_seed(seed).ids
        columns = list(self._decode(ids, settings))
        written = [[int(column[row]) for column in columns] for row in range(settings.count)]
        return [self._text(seed, ids, row, number, settings) for number, row in enumerate(written)]

    def stream_with(self, seed: str, settings: GenerationSettings) -> Iterator[str]:
        """Write one text piece by piece: first the seed's words, then each word as soon as it is chosen."""
        ids = self.read_seed(seed).ids
        columns = self._decode(ids, replace(_with_random_seed(settings), count=1))
        return self._codec.pieces(chain(ids, (int(column[0]) for column in columns)))

    generate = by_name(GenerationSettings)(generate_with)
    """The same with settings by name: `model.generate("Aragorn", temperature=0.8, count=3)`."""

    stream = by_name(GenerationSettings)(stream_with)
    """The same with settings by name: `for piece in model.stream("Aragorn"): print(piece, end="")`."""

    def read_seed(self, seed: str) -> Seed:
        """The ids of the words that a text should start with; unknown ones are left out and named."""
        symbols = self._codec.tokenizer.tokenize(seed.strip())
        ids = [self.vocabulary.id_of(symbol) for symbol in symbols]
        known = tuple(i for i in ids if i != UNKNOWN)
        unknown = tuple(
            self._codec.tokenizer.piece(symbol, None) for symbol, i in zip(symbols, ids, strict=True) if i == UNKNOWN
        )
        if symbols and not known:
            raise SeedError(f"The model knows none of the words of the seed '{seed}'. {self._try_instead(unknown)}")
        return Seed(known, unknown)

    def _try_instead(self, unknown: tuple[str, ...]) -> str:
        words = [symbol for symbol in self.vocabulary.symbols[3:] if symbol.isalpha()]
        near = [match for word in unknown[:5] for match in difflib.get_close_matches(word, words, n=3)]
        return f"Try {' or '.join(near[:3] or [word_to_try(self.vocabulary)])}."

    def _decode(self, seed: tuple[int, ...], settings: GenerationSettings) -> Iterator[NDArray[np.intp]]:
        begin = START if self._starts else END
        zero_carry = self._network.zero_carry(settings.count)
        return decode(self._network.step, zero_carry, [begin, *seed], settings, starts=self._starts)

    def _text(
        self, seed: str, seed_ids: tuple[int, ...], written: list[int], number: int, settings: GenerationSettings
    ) -> Text:
        assert settings.random_seed is not None
        return Text(
            seed=seed,
            text=self._codec.decode([*seed_ids, *written]),
            symbols=tuple(self.vocabulary.symbols[i] for i in written),
            mode=settings.mode,
            temperature=settings.temperature,
            random_seed=settings.random_seed,
            number=number,
        )


def word_to_try(vocabulary: Vocabulary) -> str:
    """A word that is good to begin with: the commonest name, or else the commonest longer word."""
    ordinary = vocabulary.symbols[3:]
    names = (s for s in ordinary if len(s) > 3 and s.istitle() and s.isalpha() and s.lower() not in vocabulary)
    longer = (s for s in ordinary if len(s) > 1 and s.isalpha())
    return next(chain(names, longer, ordinary))


def _with_random_seed(settings: GenerationSettings) -> GenerationSettings:
    """Draw a random seed where none is given, so that it can be told and used again."""
    if settings.random_seed is not None:
        return settings
    return replace(settings, random_seed=secrets.randbelow(2**32))
