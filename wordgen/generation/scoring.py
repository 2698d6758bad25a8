"""Scores a text: how probable a model finds each token and each sentence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, islice, pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wordgen.generation.decoding import Network, Progress, Reader
from wordgen.generation.ngrams import MixedIn
from wordgen.generation.sampling import NO_TOKEN, log_probs
from wordgen.generation.texts import SentenceEnds, perplexity
from wordgen.text.tokenizers import Codec
from wordgen.text.vocabulary import END, UNKNOWN, UNKNOWN_TOKEN

_AT_ONCE = 128
_AS_RED_AS_CAN_BE = 16
"""The surprisal, in bits, from which on a token gets the strongest red in a notebook."""


@dataclass(frozen=True)
class ScoredToken:
    token: str
    """The token in the text. If the model does not know it, its score is that of UNKNOWN."""
    piece: str
    """The characters that the token adds to the text as the user sees it."""
    log_probability: float
    known: bool

    @property
    def surprisal(self) -> float:
        """The negative binary logarithm of the probability, in bits: 1 bit is a coin toss, 10 bits are 1 in 1024."""
        return -self.log_probability / math.log(2)


@dataclass(frozen=True, repr=False)
class ScoredSentence:
    tokens: tuple[ScoredToken, ...]

    @property
    def text(self) -> str:
        return "".join(each.piece for each in self.tokens).strip()

    @property
    def perplexity(self) -> float:
        return perplexity([each.log_probability for each in self.tokens])

    def __repr__(self) -> str:
        return f"ScoredSentence({self.text!r}, perplexity={self.perplexity:.1f})"


@dataclass(frozen=True, repr=False)
class Score:
    sentences: tuple[ScoredSentence, ...]

    @property
    def tokens(self) -> tuple[ScoredToken, ...]:
        return tuple(each for sentence in self.sentences for each in sentence.tokens)

    @property
    def perplexity(self) -> float:
        return perplexity([each.log_probability for each in self.tokens])

    def __repr__(self) -> str:
        """Leave out the sentences, because a text may have thousands."""
        return f"Score(sentences={len(self.sentences)}, tokens={len(self.tokens)}, perplexity={self.perplexity:.1f})"

    def _repr_html_(self) -> str:
        """Return the text as HTML for a notebook.

        The less probable a token is, the redder is its background. A tooltip shows its surprisal in bits.
        """
        return f'<div style="white-space: pre-wrap">{"".join(map(_as_html, self.tokens))}</div>'


def _as_html(token: ScoredToken) -> str:
    share = min(1.0, token.surprisal / _AS_RED_AS_CAN_BE)
    return (
        f'<span title="{token.surprisal:.1f} bits" style="background: rgba(214, 39, 40, {share / 2:.2f})">'
        f"{escape(token.piece)}</span>"
    )


def score(
    network: Network,
    tokens: Sequence[str],
    codec: Codec,
    *,
    starts: bool,
    mix: MixedIn | None = None,
    progress: Progress = lambda done, tokens: None,
) -> Score:
    """Return the score of each token of a text that begins with a passage.

    Each END between passages has a score. No END is added after the text. `starts` says whether passages begin with
    START. `mix` is that of `Reader`. `progress` receives the numbers of ids done and of all ids.
    """
    ids = [codec.vocabulary.ids_of(token) for token in tokens]
    flat = list(chain.from_iterable(ids))
    of_ids: list[float] = []
    for part in _log_probabilities(network, flat, mix, starts=starts):
        of_ids += part
        progress(len(of_ids), len(flat))
    rest = iter(of_ids)
    log_probabilities = [sum(islice(rest, len(of_token))) for of_token in ids]  # a spelled word has one score
    decoder = codec.decoder()
    ends = SentenceEnds(stops_in_words=codec.tokenizer.name == "whitespace")
    cuts = [0]
    scored: list[ScoredToken] = []
    for token, each, log_probability in zip(tokens, ids, log_probabilities, strict=True):
        piece = decoder.say_token(token)
        ended = ends.end() if each == [END] else ends.see(piece)
        if each == [END] and ended is not None:
            ended += 1  # END belongs to the last sentence of its passage
        if ended is not None and ended > cuts[-1]:
            cuts.append(ended)
        scored.append(ScoredToken(token, piece, log_probability, each != [UNKNOWN] or token == UNKNOWN_TOKEN))
    if cuts[-1] < len(scored):
        cuts.append(len(scored))
    return Score(tuple(ScoredSentence(tuple(scored[a:b])) for a, b in pairwise(cuts)))


def _log_probabilities(
    network: Network, ids: Sequence[int], mix: MixedIn | None, *, starts: bool
) -> Iterator[list[float]]:
    """Yield the log-probabilities of `ids`, up to _AT_ONCE in each list.

    The recurrent layers read one token at a time. The output layer, a large matrix product, computes the logits of a
    whole list at once.
    """
    reader = Reader(network, [()], starts=starts)
    width = 0 if mix is None else mix.tokens_before
    before = sliding_window_view(np.array([*[NO_TOKEN] * width, *ids], np.intp), width)  # (ids + 1, width)
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        hidden: list[np.ndarray] = []
        for token in part:
            hidden.append(reader.state[-1][0])
            reader.read(np.array([token]))
        probs = log_probs(network.logits(np.concatenate(hidden)))
        if mix is not None:
            probs = mix(probs, before[first : first + len(part)])
        yield probs[np.arange(len(part)), part].tolist()
