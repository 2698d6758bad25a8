"""What a trained model gives: whole texts, symbols as they come, words that could follow."""

from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from wordgen.generation.drafts import Ended
from wordgen.generation.reading import UnknownWord
from wordgen.generation.scoring import perplexity
from wordgen.generation.settings import GenerationSettings

_SHOWN_IN_A_LIST = 60


@dataclass(frozen=True, repr=False)
class Text:
    """One written text, with what is needed to write it again."""

    seed: str
    text: str
    """The seed and what follows it, spaced as in the corpus."""
    symbols: tuple[str, ...]
    """What was written after the seed, symbol by symbol."""
    put_in: tuple[int, ...]
    """Which of these, counted from 0, were put in for UNKNOWN: words of the training text that the model does not
    know, chosen by their neighbours."""
    log_probabilities: tuple[float, ...]
    """Of each written symbol, as the network itself has them, before any setting changes the odds."""
    ended: Ended
    unknown: tuple[UnknownWord, ...]
    """The words of the seed that the model does not know and that were left out."""
    settings: GenerationSettings
    random_seed: int
    """That of this text alone: with it and the same settings it comes again, whatever `count` was."""
    number: int
    """Which of the `count` texts of this seed it is, from 0."""

    @property
    def perplexity(self) -> float:
        return perplexity(self.log_probabilities)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """Short, for lists of many."""
        begins = " ".join(self.text[: 2 * _SHOWN_IN_A_LIST].split())
        shown = begins if begins == self.text else f"{begins[:_SHOWN_IN_A_LIST].rstrip()}…"
        return f"Text({shown!r}, symbols={len(self.symbols)}, random_seed={self.random_seed})"

    def _repr_html_(self) -> str:
        """For a notebook: as it stands, line breaks and all."""
        return f'<div style="white-space: pre-wrap">{escape(self.text)}</div>'


class WrittenSymbol(NamedTuple):
    """One more symbol of a text, as soon as it is sure to stay."""

    id: int
    symbol: str
    """The vocabulary's, or for UNKNOWN the word that was put in."""
    piece: str
    """What it adds to the text."""
    log_probability: float
    """As the network itself has it."""


@dataclass(frozen=True)
class NextWord:
    word: str
    """As it would stand on the screen; END and a line break are named."""
    piece: str
    """What it would add to the text, its space included."""
    symbol: str
    probability: float
