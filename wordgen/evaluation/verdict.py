"""One sentence about a model: how it compares with word frequencies and n-grams, and what its curves show.

The sentence says only what was observed. If the curves of a run are not clear, it says nothing about them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wordgen.errors import in_a_sentence
from wordgen.evaluation.figures import shown_perplexity
from wordgen.evaluation.measurement import Loss
from wordgen.model.architecture import shown_units

Fit = Literal["overfitted", "underfitted", "undertrained", "levelled off", "unstable"]

_NO_DIFFERENCE = 0.02
"""Two perplexities whose ratio differs from 1 by less than this count as equal."""
_MIN_IMPROVEMENT = 0.005
"""If the perplexity fell by less than this share in the last epoch, that epoch gained hardly anything."""
_MIN_IMPROVEMENT_WITH_FALLING_RATE = 0.03
"""The same for the last quarter of the epochs if the learning rate fell, because the perplexity then always falls at
the end. On lotr it fell by 2 % in the last of four epochs, and six epochs were no better (docs/experiments.md)."""
_MIN_RISE = 0.01
_MAX_CHANGE_ON_PLATEAU = 0.01
"""If the perplexity fell by less than this share since the best epoch, it did not fall."""
_OVERFITTED_RATIO = 1.5
"""How far validation perplexity may be above training perplexity, as a factor, before the network is overfitted."""
_UNDERFITTED_RATIO = 1.1
"""If validation perplexity is at most this many times the training perplexity, the network may be too small."""
_HIGH_DROPOUT = 0.5
_MODERATE_DROPOUT = 0.2
_LITTLE_DROPOUT = 0.1


@dataclass(frozen=True)
class Curves:
    """The perplexities of a run, epoch by epoch, and the settings that may be the reason for them."""

    train: Sequence[float]
    """The training perplexity of each epoch: with dropout, and with weights that change during the epoch."""
    valid: Sequence[float]
    """The validation perplexity at the end of each epoch."""
    longer_training: Mapping[str, int | str]
    """The setting that makes the training longer, with its new value."""
    dropout: Mapping[str, float]
    """The dropout settings that have an effect on this network, or could have one, with their values."""
    units: int | tuple[int, ...]
    learning_rate: float
    has_constant_rate: bool = True
    """Whether the learning rate did not fall. If the learning rate falls, every run levels off at its end."""
    has_base: bool = False
    """Whether the run began from another model. Then its network cannot have another size."""
    diverged: bool = False
    last_epoch_interrupted: bool = False
    """Whether the last epoch ended before its last step, for example because of a time budget."""

    @property
    def best(self) -> int:
        """The index of the best epoch."""
        return min(range(len(self.valid)), key=self.valid.__getitem__)


@dataclass(frozen=True)
class Finding:
    """What the curves show, and what to change."""

    fit: Fit
    observation: str
    advice: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """The settings to try, with their values."""


def diagnose(curves: Curves) -> Finding | None:
    """Return what the curves of a run show, or None if they show nothing."""
    if curves.diverged:
        return _unstable(curves, f"diverged in epoch {len(curves.valid) + 1}")
    if curves.last_epoch_interrupted and _last_epoch_changed_little(curves.valid):
        whole = replace(curves, train=curves.train[:-1], valid=curves.valid[:-1], last_epoch_interrupted=False)
        return _diagnose_epochs(whole, last="last whole epoch")
    return _diagnose_epochs(curves)


def _diagnose_epochs(curves: Curves, last: str = "last epoch") -> Finding | None:
    """Return what some epochs show. `last` is the name of the last of them in the sentence."""
    if len(curves.valid) < 2:
        return None
    if curves.best == len(curves.valid) - 1:
        if still_falling(curves.valid, has_constant_rate=curves.has_constant_rate):
            return _undertrained(curves, last)
        return _from_gap(curves) or _levelled_off(curves, last)
    return _after_best_epoch(curves) or _from_gap(curves)


def _unstable(curves: Curves, observation: str) -> Finding:
    rate = float(f"{curves.learning_rate / 3:.1g}")
    return Finding(
        "unstable",
        observation,
        f"a smaller learning rate ({rate:g} instead of {curves.learning_rate:g})",
        {"learning_rate": rate},
    )


def still_falling(
    valid: Sequence[float], *, last_epoch_interrupted: bool = False, has_constant_rate: bool = True
) -> bool:
    """Return whether the last epoch was the best and lowered the perplexity so much that more epochs are worth it.

    That is by at least `_MIN_IMPROVEMENT`. If the learning rate fell (`has_constant_rate` is False), the last quarter
    of the epochs must have lowered it by `_MIN_IMPROVEMENT_WITH_FALLING_RATE`. An interrupted last epoch
    (`last_epoch_interrupted`) that changed the perplexity only a little does not count.
    """
    if last_epoch_interrupted and _last_epoch_changed_little(valid):
        return still_falling(valid[:-1], has_constant_rate=has_constant_rate)
    if len(valid) < 2 or valid[-1] > min(valid):
        return False
    if has_constant_rate:
        return 1 - valid[-1] / valid[-2] >= _MIN_IMPROVEMENT
    return 1 - valid[-1] / valid[-1 - _last_quarter(valid)] >= _MIN_IMPROVEMENT_WITH_FALLING_RATE


def _last_quarter(epochs: Sequence[float]) -> int:
    """Return how many epochs are the last quarter, at least one."""
    return max(1, len(epochs) // 4)


def _last_epoch_changed_little(valid: Sequence[float]) -> bool:
    """Return whether the last epoch changed the perplexity only a little. An interrupted epoch can then be left out."""
    return len(valid) > 1 and -_MIN_IMPROVEMENT < valid[-1] / valid[-2] - 1 < _MIN_RISE


def verdict(model: Loss, found: Finding | None, unigram: Loss | None, ngram: Loss | None, order: int) -> str | None:
    """Return one sentence, or None if there are no baselines to compare with and the curves show nothing."""
    compared = _comparison(model, unigram, ngram, order)
    shown = None if found is None else f"it {found.observation}, so try {found.advice}"
    if compared and shown:
        return f"{compared}; {shown}."
    if shown:
        return f"{shown[0].upper()}{shown[1:]}."
    return f"{compared}." if compared else None


def _comparison(model: Loss, unigram: Loss | None, ngram: Loss | None, order: int) -> str | None:
    if unigram is not None and _are_equally_good(model, unigram):
        word = "hardly" if model.perplexity < unigram.perplexity else "no"
        equal = f"The model is {word} better than word frequencies alone ({_both_in_words(model, unigram)})"
        return equal + _chance_clause(model, unigram)
    if unigram is not None and model.perplexity > unigram.perplexity:
        return f"The model is worse than word frequencies alone: {_difference_in_words(model, unigram)}"
    if ngram is None:
        if unigram is None:
            return None
        return f"The model is better than word frequencies: {_difference_in_words(model, unigram)}"
    if _are_equally_good(model, ngram):
        return (
            f"The model is as good as the {order}-gram ({_both_in_words(model, ngram)}){_chance_clause(model, ngram)}"
        )
    word = "better" if model.perplexity < ngram.perplexity else "worse"
    return f"The model is {word} than the {order}-gram: {_difference_in_words(model, ngram)}"


def clearly_better(model: Loss, other: Loss) -> bool:
    return model.perplexity < other.perplexity and not _are_equally_good(model, other)


def _are_equally_good(model: Loss, other: Loss) -> bool:
    """Return whether both losses count as equal, or their difference is within its uncertainty."""
    return _are_nearly_equal(model, other) or model.differs(other) is False


def _are_nearly_equal(model: Loss, other: Loss) -> bool:
    return abs(model.perplexity / other.perplexity - 1) < _NO_DIFFERENCE


def _chance_clause(model: Loss, other: Loss) -> str:
    return "" if _are_nearly_equal(model, other) else ", because the difference may be chance on so little text"


def _both_in_words(model: Loss, other: Loss) -> str:
    return f"{shown_perplexity(model.perplexity)} against {shown_perplexity(other.perplexity)}"


def _difference_in_words(model: Loss, other: Loss) -> str:
    perplexity, other_perplexity = model.perplexity, other.perplexity
    ratio = perplexity / other_perplexity
    if perplexity >= 2 * other_perplexity:
        difference = f"{ratio:,.1f} times as high"
    else:
        difference = f"{abs(1 - ratio):.0%} {'lower' if perplexity < other_perplexity else 'higher'}"
    return f"its perplexity is {difference} ({_both_in_words(model, other)})"


def _undertrained(curves: Curves, last: str) -> Finding:
    epochs = len(curves.valid)
    since = 1 if curves.has_constant_rate else _last_quarter(curves.valid)
    fell = f"validation perplexity fell by {1 - curves.valid[-1] / curves.valid[-1 - since]:.1%}"
    if since > 1:
        when = f"in its last {since} epochs ({fell})"
    elif curves.last_epoch_interrupted:
        when = f"when it ended in the middle of epoch {epochs} ({fell} after epoch {epochs - 1})"
    else:
        when = f"in its {last} (epoch {epochs}: {fell})"
    return Finding("undertrained", f"was still improving {when}", "longer training", curves.longer_training)


def _levelled_off(curves: Curves, last: str) -> Finding | None:
    """Return what the curves show if the last epoch was the best but gained hardly anything.

    The training perplexity shows the reason, unless it fell with the learning rate. None if no advice is possible.
    """
    train = curves.train[-1] / curves.train[-2] - 1
    fell = _small_share_in_words(1 - curves.valid[-1] / curves.valid[-2])
    both = f"validation perplexity fell by {fell} and training perplexity "
    changed = f"{'fell' if train < 0 else 'rose'} by {abs(train):.1%}"
    both += "did not change" if abs(train) < _MAX_CHANGE_ON_PLATEAU else changed
    observation = f"has levelled off (in its {last}, epoch {len(curves.valid)}, {both})"
    if curves.has_constant_rate and train <= -_MAX_CHANGE_ON_PLATEAU:
        found = _overfitted(curves, observation)
        return None if found is None else replace(found, fit="levelled off")
    observation += "" if curves.has_constant_rate else ", as any run does when the learning rate falls"
    if curves.has_base:
        return Finding("levelled off", observation, "more text")
    return Finding("levelled off", observation, "a larger network or more text", {"units": _scaled(curves.units, 2)})


def _small_share_in_words(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"


def _after_best_epoch(curves: Curves) -> Finding | None:
    """Return what the epochs after the best one show, or None if they show nothing clear."""
    best = curves.best
    train = curves.train[-1] / curves.train[best] - 1
    valid = curves.valid[-1] / curves.valid[best] - 1
    if valid < _MIN_RISE:
        return None
    if train <= -_MIN_RISE:
        both = f"training perplexity fell by another {-train:.0%}, but validation perplexity rose by {valid:.0%}"
        return _overfitted(curves, f"is overfitted (after epoch {best + 1}, {both})")
    if train >= _MIN_RISE:
        both = f"training and validation perplexity rose by {train:.0%} and {valid:.0%}"
        return _unstable(curves, f"became unstable (after epoch {best + 1}, {both})")
    return None


def _from_gap(curves: Curves) -> Finding | None:
    """Return what training and validation perplexity show when compared, once both have stopped falling."""
    train, valid = curves.train[curves.best], curves.valid[curves.best]
    both = f"validation perplexity was {shown_perplexity(valid)} and training perplexity {shown_perplexity(train)}"
    side_by_side = f"in its best epoch, {curves.best + 1}, {both}"
    if valid > _OVERFITTED_RATIO * train:
        return _overfitted(curves, f"is overfitted ({side_by_side})")
    if valid <= _UNDERFITTED_RATIO * train and curves.has_constant_rate and _is_on_plateau(curves.train, curves.best):
        return _underfitted(curves, f"is underfitted ({side_by_side}, and both had nearly stopped improving)")
    return None


def _is_on_plateau(train: Sequence[float], best: int) -> bool:
    """Return whether training perplexity has stopped falling, too."""
    since = min(best, len(train) - 2)
    return 1 - train[-1] / train[since] < _MAX_CHANGE_ON_PLATEAU


def _underfitted(curves: Curves, observation: str) -> Finding | None:
    """Return the advice for an underfitted network, or None if nothing can be changed."""
    if max(curves.dropout.values()) <= _LITTLE_DROPOUT:
        larger = {"units": _scaled(curves.units, 2)}
        return None if curves.has_base else Finding("underfitted", observation, "a larger network", larger)
    less = {name: round(rate / 2, 2) for name, rate in curves.dropout.items() if rate > _LITTLE_DROPOUT}
    larger_network = "" if curves.has_base else " or a larger network"
    return Finding("underfitted", observation, f"less {_changes_in_words(curves.dropout, less)}{larger_network}", less)


def _overfitted(curves: Curves, observation: str) -> Finding | None:
    """Return the advice for an overfitted network, or None if nothing can be changed."""
    if min(curves.dropout.values()) < _HIGH_DROPOUT:
        more = {name: _more_dropout(rate) for name, rate in curves.dropout.items() if rate < _HIGH_DROPOUT}
        smaller_network = "" if curves.has_base else ", a smaller network"
        advice = f"more {_changes_in_words(curves.dropout, more)}{smaller_network} or more text"
        return Finding("overfitted", observation, advice, more)
    if curves.has_base:
        return Finding("overfitted", observation, "more text")
    smaller = _scaled(curves.units, 0.5)
    if smaller == curves.units:
        return None
    return Finding(
        "overfitted",
        observation,
        f"a smaller network ({shown_units(smaller)} units instead of {shown_units(curves.units)}), fewer epochs "
        f"({curves.best + 1} were enough) or more text",
        {"units": smaller},
    )


def _more_dropout(rate: float) -> float:
    """Return a slightly higher rate. On short texts, 0.5 instead of 0.3 was too much."""
    return min(_HIGH_DROPOUT, max(_MODERATE_DROPOUT, round(rate + _LITTLE_DROPOUT, 2)))


def _changes_in_words(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Return the changes in words, as "dropout (0.4 instead of 0.3)"."""
    changes = [f"{name.replace('_', ' ')} ({after[name]:g} instead of {before[name]:g})" for name in after]
    return in_a_sentence(changes)


def _scaled(units: int | tuple[int, ...], factor: float) -> int | tuple[int, ...]:
    if isinstance(units, int):
        return max(1, int(units * factor))
    return tuple(max(1, int(each * factor)) for each in units)
