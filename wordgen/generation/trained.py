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
from wordgen.text.codec import Codec
from wordgen.text.vocabulary import END, START, UNKNOWN

_SIDE_BY_SIDE = 256
_LONGEST_SHOWN = 60


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
        """Write `count` texts that go on from the seed: `model.generate("Aragorn", temperature=0.8, count=3)`."""
        return list(self.write(seed, settings))

    def stream_with(self, seed: str, settings: GenerationSettings) -> Iterator[str]:
        """Write one text piece by piece, the seed first: `for piece in model.stream("Aragorn"): ...`."""
        ids = self.read_seed(seed).ids
        columns = self._decode(ids, with_random_seed(settings), range(1))
        return self._codec.pieces(chain(ids, (int(column[0]) for column in columns)))

    generate = by_name(GenerationSettings)(generate_with)
    stream = by_name(GenerationSettings)(stream_with)

    def write(self, seed: str, settings: GenerationSettings) -> Iterator[Text]:
        """Write `count` texts, some side by side, and hand them out as they are done."""
        settings = with_random_seed(settings)
        ids = self.read_seed(seed).ids
        for first in range(0, settings.count, _SIDE_BY_SIDE):
            texts = range(first, min(first + _SIDE_BY_SIDE, settings.count))
            columns = list(self._decode(ids, settings, texts))
            for row, number in enumerate(texts):
                yield self._text(seed, ids, [int(column[row]) for column in columns], number, settings)

    def read_seed(self, seed: str) -> Seed:
        """The ids of the words that a text should start with; unknown ones are left out and named."""
        tokenizer = self._codec.tokenizer
        # Which apostrophe a text has, nobody remembers: the reading that leaves the fewest unknown is meant.
        forms = (seed.strip(), seed.strip().replace("’", "'"), seed.strip().replace("'", "’"))
        readings = (tokenizer.tokenize(form) for form in forms)
        symbols, ids = min(
            ((symbols, [self._id_in_any_case(symbol) for symbol in symbols]) for symbols in readings),
            key=lambda reading: reading[1].count(UNKNOWN),
        )
        known = tuple(i for i in ids if i != UNKNOWN)
        strangers = (tokenizer.piece(symbol, None) for symbol, i in zip(symbols, ids, strict=True) if i == UNKNOWN)
        unknown = tuple(_short(word) for word in strangers if word.strip())
        if symbols and not known:
            raise SeedError(
                f"The model, trained on {self.corpus}, knows no word of the seed '{_short(seed)}'. "
                f"{self._try_instead(unknown)}"
            )
        return Seed(known, unknown)

    def _id_in_any_case(self, symbol: str) -> int:
        forms = (symbol, symbol.lower(), symbol.capitalize())
        return next((i for form in forms if (i := self.vocabulary.id_of(form)) != UNKNOWN), UNKNOWN)

    def _try_instead(self, unknown: tuple[str, ...]) -> str:
        words = [symbol for symbol in self.vocabulary.symbols[3:] if symbol.isalpha()]
        near = [match for word in unknown[:5] for match in difflib.get_close_matches(word, words, n=3)][:3]
        proposed = near or [word for word in [word_to_try(self._codec)] if word]
        return f"Try {' or '.join(map(repr, proposed))}." if proposed else "Try without a --seed."

    def _decode(self, seed: tuple[int, ...], settings: GenerationSettings, texts: range) -> Iterator[NDArray[np.intp]]:
        begin = START if self._starts else END
        zero_carry = self._network.zero_carry(len(texts))
        return decode(self._network.step, zero_carry, [begin, *seed], settings, texts, starts=self._starts)

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


def word_to_try(codec: Codec) -> str | None:
    """A word that is good to begin with: the commonest name, or else the commonest longer word, if there is any."""
    vocabulary = codec.vocabulary
    words = [symbol for symbol in vocabulary.symbols[3:] if symbol.isalpha()]
    names = (word for word in words if len(word) > 3 and word.istitle() and word.lower() not in vocabulary)
    longer = (word for word in words if len(word) > 1)
    candidates = chain(names, longer, words)
    return next((word for word in candidates if codec.tokenizer.tokenize(word) == [word]), None)


def _short(text: str) -> str:
    """A seed may be a book, and a message stays a message."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_SHOWN else plain[:_LONGEST_SHOWN] + "..."


def with_random_seed(settings: GenerationSettings) -> GenerationSettings:
    """Draw a random seed where none is given, so that it can be told and used again."""
    if settings.random_seed is not None:
        return settings
    return replace(settings, random_seed=secrets.randbelow(2**32))
