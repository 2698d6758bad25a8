"""The decoding loop: feed the last tokens, compute the probabilities of the next one, choose it, and repeat.

`write_texts` chooses each token alone, by sampling or greedy decoding. Beam search (`beam_search`) looks for the text
that is most probable as a whole. `score` says how probable a given text is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, compress, islice, pairwise
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wordgen.generation.prediction import NgramMixture, State
from wordgen.generation.sampling import (
    NO_TOKEN,
    LogProbs,
    Past,
    ProbabilityChange,
    changed_by,
    draw,
    log_probs,
    possible,
)
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import SentenceEndFinder, TextBuilder, perplexity
from wordgen.text.tokenizers import Codec
from wordgen.text.vocabulary import END, START, UNKNOWN, UNKNOWN_TOKEN

_FIRST_CAPACITY = 64

Progress = Callable[[int, int], None]
"""Receives the number of tokens done and the number of all tokens."""


class Network(Protocol):
    """The methods of a network that decoding needs. `NumpyNetwork` describes them."""

    def zero_state(self, texts: int) -> State: ...

    def feed(self, ids: NDArray[np.integer], state: State) -> State: ...

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]: ...


class Reader:
    """Texts that a network reads as one batch, one row each: the state of the network and the tokens so far.

    If passages begin with START (`starts`), the reader feeds a START after each END. It is not part of the tokens.
    """

    def __init__(
        self, network: Network, seeds: Sequence[Sequence[int]], *, starts: bool, mix: NgramMixture | None = None
    ) -> None:
        """`mix` adds the probabilities of an n-gram to those of the network."""
        self._network = network
        self._starts = starts
        self._mix = mix
        self.state = _state_after(network, [_with_passage_begins(seed, starts) for seed in seeds])
        width = max(map(len, seeds))
        self._tokens = np.full((len(seeds), width + _FIRST_CAPACITY), NO_TOKEN, np.intp)
        for row, seed in enumerate(seeds):
            self._tokens[row, width - len(seed) : width] = seed
        self._width = width
        self._written = 0

    @property
    def past(self) -> Past:
        return Past(self._tokens[:, : self._width], self._written)

    def log_probs(self) -> LogProbs:
        """Return the log-probabilities of the next token by the model, shape (texts, vocabulary)."""
        of_network = log_probs(self._network.logits(self.state[-1][0]))
        return of_network if self._mix is None else self._mix(of_network, self.past.tokens)

    def read(self, ids: NDArray[np.intp]) -> None:
        """Add one token to each text and feed it to the network; `ids` has shape (texts,)."""
        self.state = self._network.feed(ids, self.state)
        begins = ids == END
        if self._starts and begins.any():
            begun = self._network.feed(np.full(int(begins.sum()), START), _rows_of(self.state, begins))
            _set_rows(self.state, begins, begun)
        if self._width == self._tokens.shape[1]:
            self._tokens = np.concatenate([self._tokens, np.full_like(self._tokens, NO_TOKEN)], axis=1)
        self._tokens[:, self._width] = ids
        self._width += 1
        self._written += 1

    def keep_rows(self, rows: NDArray[np.integer | np.bool_]) -> None:
        """Keep only the texts in `rows`, in this order. A row may occur more than once."""
        self.state = _rows_of(self.state, rows)
        self._tokens = self._tokens[rows]


def write_texts(
    network: Network,
    builders: Sequence[TextBuilder],
    generators: Sequence[np.random.Generator] | None,
    changes: Sequence[ProbabilityChange],
    draw_changes: Sequence[ProbabilityChange],
    *,
    starts: bool,
    mix: NgramMixture | None = None,
) -> Iterator[None]:
    """Write in all builders until each text has ended. Yield after each token of the unfinished texts.

    `generators` has one random number generator for each text, so a text does not depend on the others; if it is None,
    the most probable token is chosen. `changes` are made before each choice, `draw_changes` only before a token is
    drawn. `starts` and `mix` are those of `Reader`.
    """
    reader = Reader(network, [builder.seed for builder in builders], starts=starts, mix=mix)
    unfinished, unfinished_generators = list(builders), list(generators or ())

    def keep_rows(rows: NDArray[np.bool_]) -> None:
        reader.keep_rows(rows)
        unfinished[:], unfinished_generators[:] = compress(unfinished, rows), compress(unfinished_generators, rows)

    while unfinished:
        of_network = reader.log_probs()
        changed = changed_by(changes, of_network, reader.past)
        allowed = possible(changed)
        if not allowed.all():
            for builder in compress(unfinished, ~allowed):
                builder.end_without_allowed_token()
            of_network, changed = of_network[allowed], changed[allowed]
            keep_rows(allowed)
        if unfinished:
            ids = (
                changed.argmax(axis=1)
                if generators is None
                else draw(changed_by(draw_changes, changed, reader.past), unfinished_generators)
            )
            reader.read(ids)
            for builder, token, log_probs in zip(unfinished, ids.tolist(), of_network, strict=True):
                builder.add(token, log_probs)
            if any(builder.ended for builder in unfinished):
                keep_rows(np.array([not builder.ended for builder in unfinished]))
        yield


@dataclass
class _Beam:
    builder: TextBuilder
    scores: list[float]
    """Sum of the log-probabilities after each token, after all changes."""
    greedy: bool
    """Whether this is the text that greedy decoding writes. The search never drops it."""

    def extended(self, token: int, log_probs: LogProbs, scores_after: LogProbs, *, greedy: bool) -> "_Beam":
        """Return the beam with a token more.

        `log_probs` has the log-probabilities by the network, `scores_after` the scores, both of shape (vocabulary,).
        """
        builder = self.builder.branch()
        builder.add(token, log_probs)
        return _Beam(builder, [*self.scores, float(scores_after[token])], greedy)

    def final_score(self, length_penalty: float) -> float:
        """Return the log-probability of the text, divided by its length in tokens to the power of `length_penalty`.

        The END or line break that ended the text counts. An empty text scores 0.
        """
        length = len(self.builder.written) + (self.builder.ended in ("end", "line"))
        return self.scores[length - 1] / length**length_penalty if length else 0.0


def beam_search(
    network: Network,
    blank: TextBuilder,
    settings: GenerationSettings,
    changes: Sequence[ProbabilityChange],
    *,
    starts: bool,
    mix: NgramMixture | None = None,
    on_token: Callable[[], None] = lambda: None,
) -> list[TextBuilder]:
    """Return the best texts that continue `blank`, best first, at most `settings.count` of them.

    `blank` has a prompt and no tokens yet. `starts` and `mix` are those of `Reader`. `on_token` is called before each
    token; an exception that it raises stops the search.
    """
    reader = Reader(network, [blank.seed], starts=starts, mix=mix)
    unfinished = [_Beam(blank, [], greedy=True)]
    finished: list[_Beam] = []
    while unfinished:
        on_token()
        of_network = reader.log_probs()
        changed = changed_by(changes, of_network, reader.past)
        scores_after = np.array([beam.scores[-1] if beam.scores else 0.0 for beam in unfinished])[:, None] + changed
        rows, ids = _best(scores_after, settings.beams)
        greedy = _keep_greedy(rows, ids, unfinished, changed)
        for row in np.flatnonzero(~possible(changed)).tolist():
            unfinished[row].builder.end_without_allowed_token()
            finished.append(unfinished[row])
        extended = [
            unfinished[row].extended(token, of_network[row], scores_after[row], greedy=(row, token) == greedy)
            for row, token in zip(rows.tolist(), ids.tolist(), strict=True)
        ]
        finished += [beam for beam in extended if beam.builder.ended]
        unfinished_rows = [number for number, beam in enumerate(extended) if not beam.builder.ended]
        if unfinished_rows:
            reader.keep_rows(rows[unfinished_rows])
            reader.read(ids[unfinished_rows])
        unfinished = [extended[number] for number in unfinished_rows]
    return [beam.builder for beam in _distinct(finished, settings)]


def _best(scores_after: LogProbs, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and ids of the `most` best continuations, best first.

    `scores_after` has the score of each continuation, shape (beams, vocabulary). Equal scores keep the order of beams
    and ids. Impossible continuations (minus infinity) are left out.
    """
    flat = scores_after.ravel()
    if most < flat.size:
        least = np.partition(flat, flat.size - most)[flat.size - most]
        candidates = np.flatnonzero(flat >= least)
    else:
        candidates = np.arange(flat.size)
    candidates = candidates[np.isfinite(flat[candidates])]
    best = candidates[np.argsort(-flat[candidates], kind="stable")][:most]
    return np.divmod(best, scores_after.shape[1])


def _keep_greedy(
    rows: NDArray[np.intp], ids: NDArray[np.intp], unfinished: Sequence[_Beam], changed: LogProbs
) -> tuple[int, int] | None:
    """Return the row of the greedy text and the id that greedy decoding chooses. None if the text has ended.

    If this continuation is not among the best ones, it replaces the worst of them in `rows` and `ids`.
    """
    row = next((row for row, beam in enumerate(unfinished) if beam.greedy), None)
    if row is None or not np.isfinite(changed[row].max()):
        return None
    greedy = row, int(changed[row].argmax())
    if greedy not in zip(rows.tolist(), ids.tolist(), strict=True):
        rows[-1], ids[-1] = greedy
    return greedy


def _distinct(finished: list[_Beam], settings: GenerationSettings) -> list[_Beam]:
    """Return the `settings.count` best beams that differ in their text, also if they were cut back to a sentence."""
    best_of_text: dict[tuple[int, ...], _Beam] = {}
    for beam in sorted(finished, key=lambda beam: -beam.final_score(settings.length_penalty)):
        best_of_text.setdefault(tuple(beam.builder.ids), beam)
    return list(best_of_text.values())[: settings.count]


def _with_passage_begins(seed: Sequence[int], starts: bool) -> tuple[int, ...]:
    """Return the ids to feed for a prompt: two empty passages, then the prompt, with START after each END.

    In training, other passages precede almost every passage (docs/experiments.md).
    """
    beginning = (END, START) if starts else (END,)
    return tuple(chain.from_iterable(beginning if token == END else (token,) for token in (END, END, *seed)))


def _state_after(network: Network, seeds: Sequence[tuple[int, ...]]) -> State:
    """Return the state after each of the prompts, one row each. Equal prompts are read only once."""
    different = sorted(set(seeds), key=len, reverse=True)
    state = network.zero_state(len(different))
    for place in range(len(different[0])):
        ids = np.array([seed[place] for seed in different if place < len(seed)])
        if len(ids) == len(different):
            state = network.feed(ids, state)
        else:  # the shorter prompts are in the last rows and are already read
            longer = np.arange(len(different)) < len(ids)
            _set_rows(state, longer, network.feed(ids, _rows_of(state, longer)))
    number = {seed: row for row, seed in enumerate(different)}
    return _rows_of(state, np.array([number[seed] for seed in seeds]))


def _rows_of(state: State, rows: NDArray[np.integer | np.bool_]) -> State:
    return tuple(tuple(vector[rows] for vector in layer) for layer in state)


def _set_rows(state: State, rows: NDArray[np.bool_], new: State) -> None:
    for layer, new_layer in zip(state, new, strict=True):
        for vector, new_vector in zip(layer, new_layer, strict=True):
            vector[rows] = new_vector


_IDS_AT_ONCE = 128
_FULL_RED_SURPRISAL = 16
"""In a notebook, a token with this surprisal in bits, or a higher one, has the strongest red."""


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
        """Return the text as HTML for a notebook. The less probable a token is, the redder is its background."""
        return f'<div style="white-space: pre-wrap">{"".join(map(_as_html, self.tokens))}</div>'


def _as_html(token: ScoredToken) -> str:
    share = min(1.0, token.surprisal / _FULL_RED_SURPRISAL)
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
    mix: NgramMixture | None = None,
    progress: Progress = lambda done, tokens: None,
) -> Score:
    """Return the score of each token of a text that begins with a passage, also of each END between passages.

    `starts` and `mix` are those of `Reader`. `progress` receives the numbers of ids done and of all ids.
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
    ends = SentenceEndFinder(stops_in_words=codec.tokenizer.name == "whitespace")
    cuts = [0]
    scored: list[ScoredToken] = []
    for token, each, log_probability in zip(tokens, ids, log_probabilities, strict=True):
        piece = decoder.decode_token(token)
        ended = ends.add_end() if each == [END] else ends.add_piece(piece)
        if each == [END] and ended is not None:
            ended += 1  # END belongs to the last sentence of its passage
        if ended is not None and ended > cuts[-1]:
            cuts.append(ended)
        scored.append(ScoredToken(token, piece, log_probability, each != [UNKNOWN] or token == UNKNOWN_TOKEN))
    if cuts[-1] < len(scored):
        cuts.append(len(scored))
    return Score(tuple(ScoredSentence(tuple(scored[a:b])) for a, b in pairwise(cuts)))


def _log_probabilities(
    network: Network, ids: Sequence[int], mix: NgramMixture | None, *, starts: bool
) -> Iterator[list[float]]:
    """Yield the log-probabilities of `ids`, up to _IDS_AT_ONCE in each list.

    The recurrent layers read one token at a time, and the output layer computes the logits of a whole list.
    """
    reader = Reader(network, [()], starts=starts)
    width = 0 if mix is None else mix.ngram.order - 1
    before = sliding_window_view(np.array([*[NO_TOKEN] * width, *ids], np.intp), width)  # (ids + 1, width)
    for first in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[first : first + _IDS_AT_ONCE]
        hidden: list[np.ndarray] = []
        for token in part:
            hidden.append(reader.state[-1][0])
            reader.read(np.array([token]))
        probs = log_probs(network.logits(np.concatenate(hidden)))
        if mix is not None:
            probs = mix(probs, before[first : first + len(part)])
        yield probs[np.arange(len(part)), part].tolist()
