"""What the figures say of a model, in one sentence: how it stands beside counting, and what its curves show.

Only what was seen is said. Where the curves of a run allow no statement, none is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wordgen.architecture import shown_units
from wordgen.evaluation.in_words import shown_perplexity
from wordgen.evaluation.measures import Loss

Fit = Literal["overfitted", "underfitted", "undertrained", "levelled off", "unstable"]

_NO_DIFFERENCE = 0.02
"""Two perplexities this near to each other are as good as the same."""
_STILL_FALLING = 0.005
"""A last epoch that gained less than this has hardly gained anything."""
_ROSE = 0.01
_STOOD_STILL = 0.01
"""Perplexity that fell by less than this since the best epoch has not fallen."""
_FAR_ABOVE = 1.5
"""Valid perplexity so many times that of train: much of what was learned holds for the training text alone."""
_HARDLY_ABOVE = 1.1
"""Valid perplexity at most so many times that of train: the network has no more room, or too much is blanked."""
_MUCH_DROPOUT = 0.5
_SOME_DROPOUT = 0.2
_A_LITTLE = 0.1


@dataclass(frozen=True)
class Curves:
    """How a run went, epoch by epoch, and the settings that may have made it so."""

    train: Sequence[float]
    """Perplexity while learning, epoch by epoch: with dropout, and of weights that were not yet those of its end."""
    valid: Sequence[float]
    """Perplexity at the end of each epoch."""
    longer: Mapping[str, Any]
    """The setting that would let it learn for longer."""
    dropout: Mapping[str, float]
    """The settings by which something of this network is blanked, or could be."""
    units: int | tuple[int, ...]
    learning_rate: float
    rate_stays: bool = True
    """Whether the learning rate was the same all the time; where it comes down, everything levels off at the end."""
    diverged: bool = False
    broken_off: bool = False
    """Whether the last epoch ended before its last step, as a time budget ends one."""

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
    if curves.diverged:
        return _too_fast(curves, f"diverged in epoch {len(curves.valid) + 1}")
    if curves.broken_off and _says_little(curves.valid):
        whole = replace(curves, train=curves.train[:-1], valid=curves.valid[:-1], broken_off=False)
        return _of_epochs(whole, last="last whole epoch")
    return _of_epochs(curves)


def _of_epochs(curves: Curves, last: str = "last epoch") -> Finding | None:
    """`last` is what the last of these epochs is called."""
    if len(curves.valid) < 2:
        return None
    if curves.best == len(curves.valid) - 1:
        if still_falling(curves.valid):
            return _undertrained(curves, last)
        return _by_the_gap(curves) or _levelled_off(curves, last)
    return _after_the_best(curves) or _by_the_gap(curves)


def _too_fast(curves: Curves, seen: str) -> Finding:
    rate = float(f"{curves.learning_rate / 3:.1g}")
    return Finding(
        "unstable",
        seen,
        f"a smaller learning rate ({rate:g} instead of {curves.learning_rate:g})",
        {"learning_rate": rate},
    )


def still_falling(valid: Sequence[float], *, broken_off: bool = False) -> bool:
    """Whether the last of some epochs was the best, by more than hardly anything.

    One that was broken off counts only where it says much: after a few steps there is little to be seen.
    """
    if broken_off and _says_little(valid):
        return still_falling(valid[:-1])
    return len(valid) > 1 and valid[-1] == min(valid) and 1 - valid[-1] / valid[-2] >= _STILL_FALLING


def _says_little(valid: Sequence[float]) -> bool:
    """Whether the last epoch changed so little that one which was broken off could as well be left out."""
    return len(valid) > 1 and -_STILL_FALLING < valid[-1] / valid[-2] - 1 < _ROSE


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
    if unigram is not None and _as_good(model, unigram):
        word = "hardly" if model.perplexity < unigram.perplexity else "no"
        told = f"The model is {word} better than word frequencies alone ({_both(model, unigram)})"
        return told + _as_far(model, unigram)
    if unigram is not None and model.perplexity > unigram.perplexity:
        return f"The model is worse than word frequencies alone, {_by_how_much(model, unigram)}"
    if ngram is None:
        return None if unigram is None else f"The model is better than word frequencies, {_by_how_much(model, unigram)}"
    if _as_good(model, ngram):
        return f"The model is as good as the {order}-gram ({_both(model, ngram)}){_as_far(model, ngram)}"
    word = "better" if model.perplexity < ngram.perplexity else "worse"
    return f"The model is {word} than the {order}-gram, {_by_how_much(model, ngram)}"


def clearly_better(model: Loss, other: Loss) -> bool:
    return model.perplexity < other.perplexity and not _as_good(model, other)


def _as_good(model: Loss, other: Loss) -> bool:
    """Whether both are as good as the same, or may be for all that this text shows."""
    return _nearly_the_same(model, other) or model.differs(other) is False


def _nearly_the_same(model: Loss, other: Loss) -> bool:
    return abs(model.perplexity / other.perplexity - 1) < _NO_DIFFERENCE


def _as_far(model: Loss, other: Loss) -> str:
    return "" if _nearly_the_same(model, other) else ", as far as so little text can tell"


def _both(model: Loss, other: Loss) -> str:
    return f"{shown_perplexity(model.perplexity)} against {shown_perplexity(other.perplexity)}"


def _by_how_much(model: Loss, other: Loss) -> str:
    own, than = model.perplexity, other.perplexity
    if own >= 2 * than:
        how = f"{own / than:,.1f} times as perplexed"
    else:
        how = f"{abs(1 - own / than):.0%} {'less' if own < than else 'more'} perplexed"
    return f"{how} ({_both(model, other)})"


def _undertrained(curves: Curves, last: str) -> Finding:
    epochs, gained = len(curves.valid), 1 - curves.valid[-1] / curves.valid[-2]
    seen = f"was still getting better in its {last} ({epochs}: valid perplexity fell by {gained:.1%})"
    if curves.broken_off:
        before = f"valid perplexity fell by {gained:.1%} after epoch {epochs - 1}"
        seen = f"was still getting better when it ended in the middle of epoch {epochs} ({before})"
    return Finding("undertrained", seen, "longer training", curves.longer)


def _levelled_off(curves: Curves, last: str) -> Finding | None:
    """The last epoch was the best, and gained next to nothing: why, the learning rate or train perplexity shows."""
    train = curves.train[-1] / curves.train[-2] - 1
    both = f"valid perplexity fell by {_small(1 - curves.valid[-1] / curves.valid[-2])}, train "
    both += "stood still" if abs(train) < _STOOD_STILL else f"{'fell' if train < 0 else 'rose'} by {abs(train):.1%}"
    seen = f"has levelled off (in its {last}, {len(curves.valid)}, {both})"
    if not curves.rate_stays:
        return Finding(
            "levelled off",
            f"{seen}, as all does where the learning rate comes down",
            "longer training, in which it comes down later",
            curves.longer,
        )
    if train <= -_STOOD_STILL:
        found = _overfitted(curves, seen)
        return None if found is None else replace(found, fit="levelled off")
    larger = {"units": _scaled(curves.units, 2)}
    return Finding("levelled off", seen, "a larger network or more text", larger)


def _small(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"


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
        both = f"train and valid perplexity both rose after epoch {best + 1}, by {train:.0%} and {valid:.0%}"
        return _too_fast(curves, f"came off its way ({both})")
    return None


def _by_the_gap(curves: Curves) -> Finding | None:
    """What train and valid perplexity show beside each other, once neither falls any more."""
    train, valid = curves.train[curves.best], curves.valid[curves.best]
    both = f"valid perplexity was {shown_perplexity(valid)} and train {shown_perplexity(train)}"
    side_by_side = f"in its best epoch ({curves.best + 1}) {both}"
    if valid > _FAR_ABOVE * train:
        return _overfitted(curves, f"is overfitted ({side_by_side})")
    if valid <= _HARDLY_ABOVE * train and curves.rate_stays and _stood_still(curves.train, curves.best):
        return _underfitted(curves, f"is underfitted ({side_by_side}, and neither got much better any more)")
    return None


def _stood_still(train: Sequence[float], best: int) -> bool:
    """Whether train perplexity fell no more either; where it did, more room would be filled by learning by heart."""
    since = min(best, len(train) - 2)
    return 1 - train[-1] / train[since] < _STOOD_STILL


def _underfitted(curves: Curves, seen: str) -> Finding:
    if max(curves.dropout.values()) <= _A_LITTLE:
        return Finding("underfitted", seen, "a larger network", {"units": _scaled(curves.units, 2)})
    less = {name: round(rate / 2, 2) for name, rate in curves.dropout.items() if rate > _A_LITTLE}
    return Finding("underfitted", seen, f"less {_changed(curves.dropout, less)} or a larger network", less)


def _overfitted(curves: Curves, seen: str) -> Finding | None:
    """More epochs of the same are in vain, for the best is kept; fewer only cost less time."""
    if min(curves.dropout.values()) < _MUCH_DROPOUT:
        more = {name: _more_dropout(rate) for name, rate in curves.dropout.items() if rate < _MUCH_DROPOUT}
        advice = f"more {_changed(curves.dropout, more)}, a smaller network or more text"
        return Finding("overfitted", seen, advice, more)
    smaller = _scaled(curves.units, 0.5)
    if smaller == curves.units:
        return None
    return Finding(
        "overfitted",
        seen,
        f"a smaller network ({shown_units(smaller)} units instead of {shown_units(curves.units)}), fewer epochs "
        f"({curves.best + 1} did) or more text",
        {"units": smaller},
    )


def _more_dropout(rate: float) -> float:
    """A little more: on short texts, 0.5 in the place of 0.3 was too much."""
    return min(_MUCH_DROPOUT, max(_SOME_DROPOUT, round(rate + _A_LITTLE, 2)))


def _changed(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """`dropout (0.4 instead of 0.3)`."""
    told = [f"{name.replace('_', ' ')} ({after[name]:g} instead of {before[name]:g})" for name in after]
    return ", ".join([*told[:-2], " and ".join(told[-2:])])


def _scaled(units: int | tuple[int, ...], factor: float) -> int | tuple[int, ...]:
    if isinstance(units, int):
        return max(1, int(units * factor))
    return tuple(max(1, int(each * factor)) for each in units)
