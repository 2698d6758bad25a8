"""The network and the n-gram mixed: a share of each probability is the n-gram's, the rest the network's.

That share, the weight, is set on the validation set, which it makes as likely as it can be. The loss is convex in it,
so its slope tells on which side of the best weight one is. A validation set of a few passages may set a weight that
makes other text less likely. So it is tried out first whether one half of it can set a weight for the other half.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.in_words import no_mixture_in_words
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.ngrams import NgramModel
from wordgen.evaluation.uncertainty import blocks_of, half_width

Ids = NDArray[np.integer[Any]]
Nats = NDArray[np.float64]

_HALVINGS = 40
"""Of the range in which the best weight lies: then it is a millionth of a millionth."""
_BY_CHANCE = 0.05
"""How likely a gain on the validation set may be where there is none."""


@dataclass(frozen=True)
class BothNats:
    """What the network's and the n-gram's predictions of the same tokens cost, in their order."""

    network: Nats
    ngram: Nats

    def mixed(self, weight: float) -> Nats:
        """What the mixture's cost; with a weight of 0 those of the network, with 1 those of the n-gram."""
        with np.errstate(divide="ignore"):  # the logarithm of a share that is nothing
            return -np.logaddexp(np.log1p(-weight) - self.network, np.log(weight) - self.ngram)

    def slope(self, weight: float) -> float:
        """By how much the sum of the mixture's nats rises where the weight does."""
        nats = self.mixed(weight)
        with np.errstate(over="ignore"):  # at either end, where one model finds a token impossible
            return float((np.exp(nats - self.network) - np.exp(nats - self.ngram)).sum())

    def part(self, tokens: slice) -> "BothNats":
        return BothNats(self.network[tokens], self.ngram[tokens])


@dataclass(frozen=True)
class Mixture:
    weight: float
    """The share of each probability that is the n-gram's to give."""
    loss: Loss


@dataclass(frozen=True)
class Trial:
    """How weights that one half of a text set do on its other half."""

    changes: tuple[float, float] | None
    """By which share the perplexity of each half changes; nothing where the text cannot be halved."""
    helps: bool
    """Whether both halves surely gain."""


def best_weight(both: BothNats) -> float:
    """The weight with which the mixture makes a text most likely."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if both.slope(middle) > 0:
            high = middle
        else:
            low = middle
    return min((0.0, 1.0, low), key=lambda weight: float(both.mixed(weight).sum()))


def tried(both: BothNats, ids: Ids) -> Trial:
    """Each half of a text with these ids at the weight that the other half sets: does the n-gram help?

    Both halves must gain. Their gain together must be beyond chance: it is tested passage by passage, and in one
    direction, for a mixture that is no better is not wanted either.
    """
    ends = np.cumsum(blocks_of(both.network, ids)[:, 1]).astype(np.int64)
    if len(ends) < 2:
        return Trial(None, helps=False)
    half = int(ends[:-1][np.abs(ends[:-1] - ends[-1] / 2).argmin()])
    first, second = both.part(slice(half)), both.part(slice(half, None))
    crossed = np.concatenate([first.mixed(best_weight(second)), second.mixed(best_weight(first))])
    gained = both.network - crossed
    of_first, of_second = float(gained[:half].mean()), float(gained[half:].mean())
    by_chance = half_width(blocks_of(gained, ids), _BY_CHANCE) or np.inf
    helps = min(of_first, of_second) > 0 and float(gained.mean()) > by_chance
    return Trial((float(np.expm1(-of_first)), float(np.expm1(-of_second))), helps)


@dataclass(frozen=True)
class Predicted:
    """A text, and what the network's predictions of its tokens cost."""

    ids: Ids
    nats: Nats


def mixed_with(ngram: NgramModel, valid: Predicted, text: Predicted) -> tuple[Loss, Mixture | None, tuple[str, ...]]:
    """On a text: the n-gram's loss, and that of the mixture or a sentence why there is none."""
    of_text = BothNats(text.nats, -ngram.log_odds(text.ids))
    of_valid = of_text if valid is text else BothNats(valid.nats, -ngram.log_odds(valid.ids))
    trial = tried(of_valid, valid.ids)
    loss = Loss.of(of_text.ngram, text.ids)
    if not trial.helps:
        return loss, None, (no_mixture_in_words(ngram.order, trial.changes),)
    weight = best_weight(of_valid)
    return loss, Mixture(weight, Loss.of(of_text.mixed(weight), text.ids)), ()
