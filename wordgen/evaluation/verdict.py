"""What the figures say of a model, in one sentence: how it stands beside counting, and what its curves show.

Only what was seen is said. Where the curves of a run allow no statement, none is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wordgen.architecture import shown_units
from wordgen.evaluation.measures import Loss

Fit = Literal["overfitted", "underfitted", "undertrained", "unstable"]

_NO_DIFFERENCE = 0.02
"""Two perplexities this near to each other are as good as the same."""
_STILL_FALLING = 0.005
"""A last epoch that gained less than this has hardly gained anything."""
_ROSE = 0.01
_FAR_ABOVE = 1.5
"""Valid perplexity so many times that of train: much of what was learned holds for the training text alone."""
_HARDLY_ABOVE = 1.1
"""Valid perplexity at most so many times that of train: the network has no more room, or too much is blanked."""
_MUCH_DROPOUT = 0.5
_LITTLE_DROPOUT = 0.1


@dataclass(frozen=True)
class Curves:
    """How a run went, by its whole epochs, and the settings that may have made it so."""

    train: Sequence[float]
    """Perplexity while learning, epoch by epoch."""
    valid: Sequence[float]
    """Perplexity at the end of each epoch."""
    epochs: int
    """How many it could have had."""
    dropout: float
    units: int | tuple[int, ...]
    learning_rate: float

    @property
    def best(self) -> int:
        """The place of the best epoch."""
        return min(range(len(self.valid)), key=self.valid.__getitem__)


@dataclass(frozen=True)
class Finding:
    """What curves show, and what to change."""

    fit: Fit
    seen: str
    advice: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """The settings to try."""


def finding(curves: Curves) -> Finding | None:
    """What the curves of a run show, if they show anything."""
    if len(curves.valid) < 2:
        return None
    if curves.best == len(curves.valid) - 1:
        return _undertrained(curves) if still_falling(curves.valid) else _by_the_gap(curves)
    return _after_the_best(curves) or _by_the_gap(curves)


def still_falling(valid: Sequence[float]) -> bool:
    """Whether the last of some epochs was the best, by more than hardly anything."""
    return len(valid) > 1 and valid[-1] == min(valid) and 1 - valid[-1] / valid[-2] >= _STILL_FALLING


def verdict(model: Loss, found: Finding | None, unigram: Loss | None, ngram: Loss | None, order: int) -> str | None:
    """One sentence; nothing where there is nothing to compare with and nothing was seen."""
    compared = _compared(model, unigram, ngram, order)
    shown = None if found is None else f"it {found.seen}, so try {found.advice}"
    if compared and shown:
        return f"{compared}; {shown}."
    if shown:
        return f"{shown[0].upper()}{shown[1:]}."
    return f"{compared}." if compared else None


def _compared(model: Loss, unigram: Loss | None, ngram: Loss | None, order: int) -> str | None:
    if unigram is not None and model.perplexity > unigram.perplexity:
        return f"The model is worse than word frequencies alone, {_by_how_much(model, unigram)}"
    if ngram is None:
        return None if unigram is None else f"The model is better than word frequencies, {_by_how_much(model, unigram)}"
    own, counted = model.perplexity, ngram.perplexity
    if abs(own / counted - 1) < _NO_DIFFERENCE:
        return f"The model is as good as the {order}-gram ({own:,.1f} against {counted:,.1f})"
    word = "better" if own < counted else "worse"
    return f"The model is {word} than the {order}-gram, {_by_how_much(model, ngram)}"


def _by_how_much(model: Loss, other: Loss) -> str:
    own, than = model.perplexity, other.perplexity
    if own >= 2 * than:
        how = f"{own / than:,.1f} times as perplexed"
    else:
        how = f"{abs(1 - own / than):.0%} {'less' if own < than else 'more'} perplexed"
    return f"{how} ({own:,.1f} against {than:,.1f})"


def _undertrained(curves: Curves) -> Finding:
    epochs, gained = len(curves.valid), 1 - curves.valid[-1] / curves.valid[-2]
    return Finding(
        "undertrained",
        f"was still getting better in its last epoch ({epochs}: valid perplexity fell by {gained:.1%})",
        "longer training",
        {"epochs": 2 * max(epochs, curves.epochs)},
    )


def _after_the_best(curves: Curves) -> Finding | None:
    """What the epochs show that came after the best, if they went another way."""
    best = curves.best
    train = curves.train[-1] / curves.train[best] - 1
    valid = curves.valid[-1] / curves.valid[best] - 1
    if valid < _ROSE:
        return None
    if train <= -_ROSE:
        seen = f"train perplexity fell by {-train:.0%} more after epoch {best + 1} while valid rose by {valid:.0%}"
        return _overfitted(curves, f"is overfitted ({seen})")
    if train >= _ROSE:
        rate = curves.learning_rate / 3
        return Finding(
            "unstable",
            f"came off its way (train and valid perplexity both rose after epoch {best + 1}, by {train:.0%} and "
            f"{valid:.0%})",
            f"a smaller learning rate ({rate:.1g} instead of {curves.learning_rate:g})",
            {"learning_rate": float(f"{rate:.1g}")},
        )
    return None


def _by_the_gap(curves: Curves) -> Finding | None:
    """What train and valid perplexity show beside each other, once neither falls any more."""
    train, valid = curves.train[curves.best], curves.valid[curves.best]
    side_by_side = f"in its best epoch ({curves.best + 1}) valid perplexity was {valid:,.1f} and train {train:,.1f}"
    if valid > _FAR_ABOVE * train:
        return _overfitted(curves, f"is overfitted ({side_by_side})")
    if valid <= _HARDLY_ABOVE * train:
        if curves.dropout > _LITTLE_DROPOUT:
            less = round(curves.dropout / 2, 2)
            advice, changes = f"less dropout ({less:g} instead of {curves.dropout:g}) or", {"dropout": less}
        else:
            advice, changes = "", {"units": _scaled(curves.units, 2)}
        return Finding(
            "underfitted",
            f"is underfitted ({side_by_side}, and it got no better)",
            f"{advice} a larger network".strip(),
            changes,
        )
    return None


def _overfitted(curves: Curves, seen: str) -> Finding:
    """More epochs of the same are in vain, for the best is kept; fewer only cost less time."""
    if curves.dropout < _MUCH_DROPOUT:
        more = min(_MUCH_DROPOUT, round(curves.dropout + 0.2, 2))
        advice = f"more dropout ({more:g} instead of {curves.dropout:g}), a smaller network or more text"
        return Finding("overfitted", seen, advice, {"dropout": more})
    smaller = _scaled(curves.units, 0.5)
    return Finding(
        "overfitted",
        seen,
        f"a smaller network ({shown_units(smaller)} units instead of {shown_units(curves.units)}), fewer epochs "
        f"({curves.best + 1} did) or more text",
        {"units": smaller},
    )


def _scaled(units: int | tuple[int, ...], factor: float) -> int | tuple[int, ...]:
    if isinstance(units, int):
        return max(1, int(units * factor))
    return tuple(max(1, int(each * factor)) for each in units)
