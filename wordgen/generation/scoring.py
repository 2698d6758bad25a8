"""How likely a text is: the odds that a model gives to each of its words."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, islice, pairwise

import numpy as np

from wordgen.generation.decoding import Network, beginning
from wordgen.generation.odds import log_odds
from wordgen.generation.sentences import SentenceEnds
from wordgen.text.codec import Codec
from wordgen.text.escapes import UNKNOWN_TOKEN
from wordgen.text.vocabulary import END, START, UNKNOWN

_AT_ONCE = 128
_AS_RED_AS_CAN_BE = 16
"""Bits of surprisal."""

Progress = Callable[[int, int], None]
"""Told how many symbols are done, and how many there are."""


@dataclass(frozen=True)
class ScoredSymbol:
    symbol: str
    """As the text has it; what the model does not know is scored as UNKNOWN."""
    piece: str
    """What it adds to the text on the screen."""
    log_probability: float
    known: bool

    @property
    def surprisal(self) -> float:
        """In bits: 1 is a coin toss, 10 one in a thousand."""
        return -self.log_probability / math.log(2)


@dataclass(frozen=True, repr=False)
class ScoredSentence:
    symbols: tuple[ScoredSymbol, ...]

    @property
    def text(self) -> str:
        return "".join(each.piece for each in self.symbols).strip()

    @property
    def perplexity(self) -> float:
        return perplexity([each.log_probability for each in self.symbols])

    def __repr__(self) -> str:
        return f"ScoredSentence({self.text!r}, perplexity={self.perplexity:.1f})"


@dataclass(frozen=True, repr=False)
class Score:
    sentences: tuple[ScoredSentence, ...]

    @property
    def symbols(self) -> tuple[ScoredSymbol, ...]:
        return tuple(each for sentence in self.sentences for each in sentence.symbols)

    @property
    def perplexity(self) -> float:
        return perplexity([each.log_probability for each in self.symbols])

    def __repr__(self) -> str:
        """Short: a text may have thousands of sentences."""
        return f"Score(sentences={len(self.sentences)}, symbols={len(self.symbols)}, perplexity={self.perplexity:.1f})"

    def _repr_html_(self) -> str:
        """For a notebook: the text, each word the redder the less likely it is, with its bits under the pointer."""
        return f'<div style="white-space: pre-wrap">{"".join(map(_as_html, self.symbols))}</div>'


def perplexity(log_probabilities: Sequence[float]) -> float:
    """Between how many words the model hesitated, in the mean; 1 for a text of nothing."""
    mean = sum(log_probabilities) / max(1, len(log_probabilities))
    return math.exp(min(-mean, 700.0))


def _as_html(symbol: ScoredSymbol) -> str:
    share = min(1.0, symbol.surprisal / _AS_RED_AS_CAN_BE)
    return (
        f'<span title="{symbol.surprisal:.1f} bits" style="background: rgba(214, 39, 40, {share / 2:.2f})">'
        f"{escape(symbol.piece)}</span>"
    )


def score(
    network: Network,
    symbols: Sequence[str],
    codec: Codec,
    *,
    starts: bool,
    progress: Progress = lambda done, symbols: None,
) -> Score:
    """Score the symbols of a text that begins as a unit does; an END in it counts, one behind it would not."""
    ids = [codec.vocabulary.ids_of(symbol) for symbol in symbols]
    flat = list(chain.from_iterable(ids))
    of_ids: list[float] = []
    for part in _log_probabilities(network, flat, starts=starts):
        of_ids += part
        progress(len(of_ids), len(flat))
    rest = iter(of_ids)
    log_probabilities = [sum(islice(rest, len(of_symbol))) for of_symbol in ids]  # the bytes of a word are one word
    speaker = codec.speaker()
    ends = SentenceEnds(stops_in_words=codec.tokenizer.name == "whitespace")
    cuts = [0]
    scored: list[ScoredSymbol] = []
    for symbol, each, log_probability in zip(symbols, ids, log_probabilities, strict=True):
        piece = speaker.say_symbol(symbol)
        ended = ends.end() if each == [END] else ends.see(piece)
        if each == [END] and ended is not None:
            ended += 1  # that the unit ends there is part of its last sentence
        if ended is not None and ended > cuts[-1]:
            cuts.append(ended)
        scored.append(ScoredSymbol(symbol, piece, log_probability, each != [UNKNOWN] or symbol == UNKNOWN_TOKEN))
    if cuts[-1] < len(scored):
        cuts.append(len(scored))
    return Score(tuple(ScoredSentence(tuple(scored[a:b])) for a, b in pairwise(cuts)))


def _log_probabilities(network: Network, ids: Sequence[int], *, starts: bool) -> Iterator[list[float]]:
    """One symbol after another through the layers, and many at once through the large product behind them."""
    carry = network.zero_carry(1)
    for symbol in beginning(starts=starts):
        carry = network.feed(np.array([symbol]), carry)
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        hidden: list[np.ndarray] = []
        for symbol in part:
            hidden.append(carry[-1][0])
            carry = network.feed(np.array([symbol]), carry)
            if symbol == END and starts:
                carry = network.feed(np.array([START]), carry)
        odds = log_odds(network.logits(np.concatenate(hidden)))
        yield odds[np.arange(len(part)), part].tolist()
