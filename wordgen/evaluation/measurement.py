"""The figures of a model on a text as plain values: losses with their uncertainty, novelty, and all together.

The uncertainty is a 95% confidence interval. A block bootstrap gives the standard error, and Student's t turns it into
the interval. Neighbouring tokens depend on each other. The bootstrap therefore does not draw single tokens, but whole
passages or blocks of neighbouring tokens. The interval says how much the figure would vary if other passages of the
same kind were measured.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from math import exp, lgamma, log, pi, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import count_ids
from wordgen.errors import pluralized
from wordgen.evaluation.music import Music
from wordgen.text.vocabulary import END, START

Blocks = NDArray[np.float64]
"""Shape (blocks, 2). For each block of a text, the summed loss of its tokens in nats, and their number."""
_MIN_PASSAGES = 8
"""A text with fewer passages is cut into blocks of tokens instead."""
_MAX_BLOCKS = 500
_MIN_TOKENS = 25
"""In a block, unless the whole text is shorter."""
_DRAWS = 2000
_TAIL = 0.025

_MAX_FREEDOM = 1000.0
"""Higher degrees of freedom are replaced by this one. Above it, Student's t is the normal distribution to three digits.
The replacement can only make an interval wider."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_UNIT_NODES = (_NODES + 1) / 2


def blocks_of(nats: NDArray[np.floating], ids: NDArray[np.integer]) -> Blocks:
    """Return the blocks of a text, given its ids and the losses of its predicted tokens in their order."""
    bounds = _bounds(ids[1:][ids[1:] != START])
    sums = np.concatenate([np.zeros(1), np.cumsum(nats, dtype=np.float64)])[bounds]
    return np.stack([np.diff(sums), np.diff(bounds)], axis=1).astype(np.float64)


def _bounds(targets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return where blocks begin and end, as indices of the predicted tokens.

    The bounds depend on the tokens alone, so that all models measured on the same passages have the same blocks.
    """
    bounds = np.concatenate([[0], np.flatnonzero(targets == END) + 1])
    if bounds[-1] < len(targets):
        bounds = np.append(bounds, len(targets))
    passages = len(bounds) - 1
    if passages >= _MIN_PASSAGES:
        return bounds[np.linspace(0, passages, min(passages, _MAX_BLOCKS) + 1).astype(np.int64)]
    blocks = max(1, min(_MAX_BLOCKS, len(targets) // _MIN_TOKENS))
    return np.linspace(0, len(targets), blocks + 1).astype(np.int64)


def half_width(blocks: Blocks, tail: float = _TAIL) -> float | None:
    """Return half the width of the 95% confidence interval of the mean loss, in nats per token.

    Return None if there are fewer than two blocks. `blocks` belong to one figure, or to the difference of two figures
    on the same blocks. `tail` is the probability on each side that the mean is outside the interval.
    """
    number = len(blocks)
    if number < 2:
        return None
    nats, tokens = (_draws(number) @ blocks).T
    error = float(np.std(nats / np.maximum(tokens, 1), ddof=1)) * sqrt(number / (number - 1))
    return student_quantile(tail, number - 1) * error


@cache
def _draws(blocks: int) -> NDArray[np.float32]:
    """Return how often each block is drawn in each draw of the bootstrap, in the shape (draws, blocks).

    Each draw takes as many blocks as there are, with replacement. The random seed is fixed.
    """
    return np.random.default_rng(1).multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWS).astype(np.float32)


@cache
def student_quantile(tail: float, freedom: float) -> float:
    """Return the value that Student's t exceeds with the probability `tail`, which must be less than 0.5.

    The degrees of freedom must be at least 1 and need not be whole. Newton's method on the logarithms of value and
    probability converges from any start, because the probability falls faster and faster on this scale.
    """
    freedom = min(freedom, _MAX_FREEDOM)
    value = 1.0
    for _ in range(50):
        above = student_tail(value, freedom)
        density = _density_factor(freedom) / sqrt(freedom) * (1 + value**2 / freedom) ** (-(freedom + 1) / 2)
        step = min(1.0, log(above / tail) * above / (density * value))
        value *= exp(step)
        if abs(step) < 1e-10:
            break
    return value


def student_tail(value: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds `value`, which must not be negative.

    The substitution t = sqrt(freedom) / tan(angle) leaves a power of the sine to integrate, from 0 to a known angle.
    The angle is the fourth power of a new variable, because a fractional power of the sine is not smooth at 0.
    """
    freedom = min(freedom, _MAX_FREEDOM)
    end = float(np.arctan2(sqrt(freedom), value))
    heights = np.sin(end * _UNIT_NODES**4) ** (freedom - 1) * 4 * _UNIT_NODES**3
    return _density_factor(freedom) * end * float(heights @ _WEIGHTS) / 2


def _density_factor(freedom: float) -> float:
    return exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi)


def streams_for(tokens: int) -> int:
    """Return the number of parallel streams in which a text is read: one per 1,000 tokens, at least 1, at most 16.

    Each stream begins with an empty state. With so few streams, the higher loss at their beginnings does not matter.
    """
    return max(1, min(16, tokens // 1000))


def predicted_tokens(ids: NDArray[np.integer]) -> int:
    """Return how many tokens of a text a model predicts: all but START, and but the first one of the text."""
    return int((ids[1:] != START).sum())


def perplexity_of(mean_loss: float) -> float:
    """Return the exponential of the mean loss in nats; infinity if the result is too large for a float."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf


@dataclass(frozen=True)
class Loss:
    """The loss of predicting a text: the sum over all its predicted tokens, in nats."""

    nats: float
    tokens: int
    """The number of predicted tokens (see `predicted_tokens`)."""
    blocks: Blocks | None = field(default=None, compare=False, repr=False)
    """The loss by blocks of the text, from which the uncertainty is computed. None if it is unknown."""

    def __post_init__(self) -> None:
        if self.blocks is not None and (self.blocks.ndim != 2 or self.blocks.shape[1] != 2):
            raise ValueError(f"blocks must have the shape (blocks, 2), not {self.blocks.shape}")

    @classmethod
    def of(cls, nats: NDArray[np.floating], ids: NDArray[np.integer]) -> "Loss":
        """Return the loss of a text, given its ids and the losses of its predicted tokens in their order."""
        return cls(float(nats.sum(dtype=np.float64)), len(nats), blocks_of(nats, ids))

    @cached_property
    def margin_in_nats(self) -> float | None:
        """Half the width of the 95% confidence interval of the mean loss in nats; None if it is unknown."""
        return None if self.blocks is None else half_width(self.blocks)

    @property
    def margin(self) -> float | None:
        """Half the width of the 95% confidence interval of the perplexity, shown after ±. None if it is unknown."""
        return None if self.margin_in_nats is None else self.perplexity * math.sinh(min(self.margin_in_nats, 700.0))

    def margin_per(self, characters: int) -> float | None:
        """Return half the width of the 95% confidence interval of the bits per character, or per note."""
        nats = self.nats_margin_per(characters)
        return None if nats is None else nats / math.log(2)

    def difference(self, other: "Loss") -> tuple[float, float] | None:
        """Return by how much the mean loss is higher than that of `other`, and the margin of this difference.

        Both are in nats per token. The margin is half the width of the 95% confidence interval. Return None if the
        losses are not of the same passages, or if their blocks are unknown. The difference is much more certain than
        the two figures, because a passage that is hard for one model is hard for the other, too.
        """
        if self.blocks is None or other.blocks is None or len(self.blocks) != len(other.blocks):
            return None
        if not np.array_equal(self.blocks[:, 1], other.blocks[:, 1]):
            return None
        differences = np.stack([self.blocks[:, 0] - other.blocks[:, 0], self.blocks[:, 1]], axis=1)
        margin = half_width(differences)
        return None if margin is None else (self._mean - other._mean, margin)

    def differs(self, other: "Loss") -> bool | None:
        """Return whether the difference from `other` is larger than its uncertainty. None if that is unknown."""
        found = self.difference(other)
        return None if found is None else abs(found[0]) > found[1]

    @property
    def _mean(self) -> float:
        return self.nats / max(1, self.tokens)

    @property
    def perplexity(self) -> float:
        """The exponential of the mean loss: the number of equally probable tokens that are as uncertain."""
        return perplexity_of(self._mean)

    def bits_per(self, characters: int) -> float:
        """Return the bits per character, or per note. They compare models even if their tokenizers differ."""
        return self.nats_per(characters) / math.log(2)

    def nats_per(self, characters: int) -> float:
        """Return the nats per character. If tokens are characters, this is the loss of the network."""
        return self.nats / max(1, characters)

    def nats_margin_per(self, characters: int) -> float | None:
        """Return half the width of the 95% confidence interval of the nats per character. None if it is unknown."""
        return None if self.margin_in_nats is None else self.margin_in_nats * self.tokens / max(1, characters)

    def to_mapping(self, characters: int, notes: int | None = None) -> dict[str, float | None]:
        """Return the figures for JSON output, given the characters of the text, and its notes if it is music."""
        return {
            "perplexity": self.perplexity,
            "perplexity_margin": self.margin,
            "bits_per_character": self.bits_per(characters),
            "bits_per_character_margin": self.margin_per(characters),
            "nats_per_character": self.nats_per(characters),
            "nats_per_character_margin": self.nats_margin_per(characters),
            "bits_per_note": self.bits_per(notes) if notes else None,
            "bits_per_note_margin": self.margin_per(notes) if notes else None,
        }


def unigram_loss(train: NDArray[np.unsignedinteger], split: NDArray[np.unsignedinteger], vocabulary_size: int) -> Loss:
    """Return the loss of a split under the add-one frequencies of the training tokens."""
    counts = count_ids(train, vocabulary_size) + 1.0
    counts[START] = 0
    targets = split[1:][split[1:] != START]
    return Loss.of(-np.log(counts[targets] / counts.sum()), split)


def log_frequencies(train: NDArray[np.unsignedinteger], vocabulary_size: int) -> NDArray[np.float32]:
    """Return the natural logarithms of the add-one frequencies of all tokens, in the shape (vocabulary_size,).

    START, which is never a target, gets the lowest possible count, 1.
    """
    counts = count_ids(train, vocabulary_size) + 1.0
    counts[START] = 1
    return np.log(counts / counts.sum()).astype(np.float32)


Part = Literal["valid", "test"]
"""A part of the corpus that the network is not trained on."""
PARTS: tuple[Part, ...] = ("valid", "test")

LENGTHS = range(3, 9)
"""The lengths, in tokens, of the sequences that are searched for. A word that is spelled out is one token."""
MAX_LENGTH = LENGTHS[-1]

RECITES = 0.5
"""A model recites if the training text has at least this share of its sequences of eight tokens."""
Originality = Literal["recites", "less original", "as original", "more original"]


@dataclass(frozen=True)
class Cache:
    size: int
    """How many tokens the cache remembers."""
    flatness: float
    """How much similarity counts. With 0, the probability of a token is its frequency in the cache."""
    weight: float
    """The share of the probability that the cache gives. The network gives the rest."""


@dataclass(frozen=True)
class CacheLoss:
    cache: Cache
    loss: Loss


@dataclass(frozen=True)
class DynamicLoss:
    rate: float
    """The learning rate; 0 if training on what it reads does not help."""
    loss: Loss


@dataclass(frozen=True)
class Mixture:
    weight: float
    """The share of each probability that the n-gram gives. The network gives the rest."""
    loss: Loss


@dataclass(frozen=True)
class Match:
    """Tokens in a row that the training text has, too."""

    tokens: int
    text: str
    file: str
    line: int
    """The line of that file in which the match begins, from 1. If there are several matches, this is the first one."""


@dataclass(frozen=True)
class Figures:
    """How new and how varied some texts are. A word that is spelled out counts as one token; START does not count."""

    texts: int
    tokens: int
    shares: Mapping[int, float | None]
    """For each of LENGTHS, the share of sequences that the training text has; None if the texts have none so long."""
    longest: Match | None
    """The longest match in the training text, or None if no token matches."""
    distinct_1: float | None
    """The number of different tokens, divided by the number of all tokens."""
    distinct_2: float | None
    """The number of different pairs of neighbouring tokens, divided by the number of all pairs."""
    repetition: float | None
    """The share of sequences of four tokens that occurred earlier in the same text."""
    self_bleu: float | None
    """How similar each text is to the others (BLEU), from 0 to 1."""

    def to_mapping(self) -> dict[str, object]:
        """Return the figures as a dict for JSON output. The keys of `shares` become strings."""
        return {**asdict(self), "shares": {str(length): share for length, share in self.shares.items()}}


@dataclass(frozen=True)
class Novelty:
    """How new the texts of a model are, compared with held-out text."""

    samples: Figures
    held_out: Figures
    held_out_name: str
    """The name of the held-out text in sentences."""
    originality: Originality | None
    """None if no text is long enough to tell."""
    decided_by: int
    """The length in tokens of the sequences that decided `originality`."""

    def compared_in_words(self, *, unknown: bool) -> str:
        """Return a sentence that says which texts are compared. `unknown` is True if words of the text are UNKNOWN."""
        written, held_out = self.samples, self.held_out
        of_model, of_other_text = pluralized(written.texts, "text"), pluralized(held_out.texts, "piece")
        counts_as_new = " A sequence that contains UNKNOWN counts as new." if unknown else ""
        return (
            f"{written.tokens:,} tokens in {of_model} that the model wrote at temperature 1, compared with "
            f"{held_out.tokens:,} tokens in {of_other_text} of {self.held_out_name}.{counts_as_new}"
        )

    @property
    def means_in_words(self) -> str:
        """The end of a sentence that names self-BLEU last, if self-BLEU and distinct are means over groups of texts.

        They are if there are fewer held-out texts than written ones, but at least two.
        """
        fewer = 1 < self.held_out.texts < self.samples.texts
        return f"; self-BLEU and distinct are means over groups of {self.held_out.texts:,} texts" if fewer else ""

    @property
    def verdict(self) -> str | None:
        """One sentence about the originality of the texts, or None if it is not known."""
        written, held_out = (each.shares[self.decided_by] for each in (self.samples, self.held_out))
        if self.originality is None or written is None or held_out is None:
            return None
        copied = f"the training text also has {written:.1%} of its sequences of {self.decided_by} tokens"
        compared = f"{held_out:.1%} of those of {self.held_out_name}"
        if self.originality == "recites" and held_out >= RECITES:
            return f"The model recites: {copied}. But it also has {compared}, which is hardly new either."
        verbs = {
            "recites": "recites",
            "less original": f"is less original than {self.held_out_name}",
            "as original": f"is as original as {self.held_out_name}",
            "more original": f"is more original than {self.held_out_name}, and less similar to the training text",
        }
        return f"The model {verbs[self.originality]}: {copied}, and {compared}."

    def to_mapping(self) -> dict[str, object]:
        """Return the values as a dict for JSON output."""
        return {
            "samples": self.samples.to_mapping(),
            "held_out": self.held_out.to_mapping(),
            "originality": self.originality,
            "decided_by": self.decided_by,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How good a model is on a text, compared with what word frequencies and n-grams reach."""

    step: int | None
    """The step of its run that the model had reached, or None if the record of the run is missing."""
    characters: int
    """The number of characters of the text, including the separators between its passages."""
    loss: Loss
    """The loss of the model alone."""
    unigram: Loss | None = None
    """The loss of word frequencies alone, with add-one smoothing. None if the training text is missing."""
    ngram: Loss | None = None
    """The loss of an interpolated modified Kneser-Ney model. None if the training text is missing, or too large to
    count its n-grams."""
    order: int
    """The order of the n-grams: how many tokens each has."""
    mixture: Mixture | None = None
    """The loss of the model mixed with the n-grams. None if these or the losses of single tokens are missing, or if the
    validation set cannot set the weight."""
    with_cache: CacheLoss | None = None
    """The loss of the model with a cache of what it has just read. None if this was not requested."""
    dynamic: DynamicLoss | None = None
    """The loss of the model while it trains on what it reads. None if this was not requested."""
    novelty: Novelty | None = None
    """How new the texts of the model are. None if no samples were requested, or if the training text is missing or too
    large to search."""
    music_notes: int | None = None
    """The number of notes of the text. None if the model has not learned music."""
    music: Music | None = None
    """How good the music of the model is. None if no samples were requested, or if it has not learned music."""
    notes: tuple[str, ...] = ()
    """Short sentences: how the text was read, what is left out, and why."""

    def losses(self) -> Iterator[tuple[str, Loss]]:
        """Yield the name and the loss of the model, and of each alternative and baseline that was measured."""
        yield from ((name, loss) for name, loss in self.all_losses() if loss is not None)

    def all_losses(self) -> Iterator[tuple[str, Loss | None]]:
        """Yield the same as `losses`, with None for each loss that was not measured."""
        cached, dynamic, mixture = self.with_cache, self.dynamic, self.mixture
        yield "the model", self.loss
        yield f"with a cache of {cached.cache.size if cached else 0:,}", None if cached is None else cached.loss
        yield "dynamic evaluation", None if dynamic is None else dynamic.loss
        yield f"mixed with the {self.order}-gram", None if mixture is None else mixture.loss
        yield f"{self.order}-gram, Kneser-Ney", self.ngram
        yield "word frequencies", self.unigram

    def chosen_values_in_words(self, split: str) -> Iterator[str]:
        """Yield sentences that say with which values the cache, the training and the mixture were measured.

        `split` is what is measured: `valid`, `test` or a file.
        """
        on_this_text = "(chosen on this same text, so the figure is slightly too good)"
        chosen = on_this_text if split == "valid" else "(chosen on the validation set)"
        if self.with_cache is not None:
            cache = self.with_cache.cache
            shares = f"{cache.weight:.0%} of the probability, with a flatness of {cache.flatness:g}"
            yield f"The cache gives {shares} {chosen}."
        if self.dynamic is not None:
            yield f"Dynamic evaluation trains with a learning rate of {self.dynamic.rate:g} {chosen}."
        if self.mixture is not None:
            weight = f"{self.mixture.weight:.0%} of each probability"
            use = f"To write or score with it, use --mix {self.mixture.weight:.2g}."
            yield f"The mixture takes {weight} from the {self.order}-gram {chosen}. {use}"
