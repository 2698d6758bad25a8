"""The mixture of a network and n-grams: its weight, and what it reaches on a text.

The n-gram gives a share of each probability of the mixture, the network the rest. This share is the weight. It is set
so that the validation set becomes as probable as possible. The loss is convex in the weight, so the slope of the loss
tells whether the best weight is lower or higher. The weight that a validation set of few passages sets may make other
text less probable. It is therefore tested first whether each half of the validation set can set a weight for the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.evaluation.measurement import Mixture
from wordgen.evaluation.measures import Loss, blocks_of, half_width
from wordgen.generation.ngrams import NgramModel

Ids = NDArray[np.integer]
Nats = NDArray[np.float64]

_HALVINGS = 40
"""How often the range of the best weight is halved. Its width is then a millionth of a millionth."""
_BY_CHANCE = 0.05
"""How probable a gain on the validation set may be if the mixture is no better in fact."""


@dataclass(frozen=True)
class BothNats:
    """The losses in nats of the network and of the n-gram on the same tokens, in their order."""

    network: Nats
    ngram: Nats

    def mixed(self, weight: float) -> Nats:
        """Return the losses of the mixture. A weight of 0 gives those of the network, 1 those of the n-gram."""
        with np.errstate(divide="ignore"):  # the logarithm of a share of 0
            return -np.logaddexp(np.log1p(-weight) - self.network, np.log(weight) - self.ngram)

    def slope(self, weight: float) -> float:
        """Return the derivative of the summed loss of the mixture, in nats, by the weight."""
        nats = self.mixed(weight)
        with np.errstate(over="ignore"):  # at a weight of 0 or 1, if one model finds a token impossible
            return float((np.exp(nats - self.network) - np.exp(nats - self.ngram)).sum())

    def part(self, tokens: slice) -> "BothNats":
        return BothNats(self.network[tokens], self.ngram[tokens])


@dataclass(frozen=True)
class Trial:
    """What happens to each half of a text with the weight that the other half sets."""

    changes: tuple[float, float] | None
    """The relative change of the perplexity of each half, negative for a gain. None if the text cannot be halved."""
    helps: bool
    """Whether both halves gain, and their joint gain is larger than chance explains."""


def ngram_loss(ngram: NgramModel, ids: Ids) -> Loss:
    """Return the loss of an n-gram on a text."""
    return Loss.of(-ngram.log_probs(ids), ids)


def best_weight(both: BothNats) -> float:
    """Return the weight with which the mixture makes a text most probable."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if both.slope(middle) > 0:
            high = middle
        else:
            low = middle
    return min((0.0, 1.0, low), key=lambda weight: float(both.mixed(weight).sum()))


def tried(both: BothNats, ids: Ids) -> Trial:
    """Test whether the n-gram helps on a text: measure each half with the weight that the other half sets.

    Both halves must gain, and their joint gain must be larger than chance explains (at 5%). The test goes by the blocks
    of the text (see `blocks_of`). It is one-sided, because a mixture that is no better is not wanted either.
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
    """A text, and the losses in nats of the network on its tokens."""

    ids: Ids
    nats: Nats


def mixed_with(ngram: NgramModel, valid: Predicted, text: Predicted) -> tuple[Loss, Mixture | None, tuple[str, ...]]:
    """Return the loss of the n-gram on a text, the mixture or None, and notes.

    `valid` sets the weight of the mixture. If `valid` and `text` are the same object, the n-gram predicts it only once.
    If there is no mixture, the one note says why.
    """
    of_text = BothNats(text.nats, -ngram.log_probs(text.ids))
    of_valid = of_text if valid is text else BothNats(valid.nats, -ngram.log_probs(valid.ids))
    trial = tried(of_valid, valid.ids)
    loss = Loss.of(of_text.ngram, text.ids)
    if not trial.helps:
        return loss, None, (_why_not_mixed(ngram.order, trial.changes),)
    weight = best_weight(of_valid)
    return loss, Mixture(weight, Loss.of(of_text.mixed(weight), text.ids)), ()


def _why_not_mixed(order: int, changes: tuple[float, float] | None) -> str:
    """Say why there is no mixture with the n-gram.

    `changes` are the relative changes of perplexity of the two halves of the validation set. None means that the
    validation set is too short to set the weight.
    """
    if changes is None:
        return f"No mixture with the {order}-gram: the validation set is too short to choose its weight."
    first, second = (f"{change:+.1%}" for change in changes)
    return (
        f"No mixture with the {order}-gram: a weight that is chosen on one half of the validation set must clearly "
        f"lower the perplexity of the other half, but the halves change by {first} and {second}."
    )
