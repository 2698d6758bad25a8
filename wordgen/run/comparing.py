"""Compare several runs: the settings that differ, and which run is better, if that can be decided."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from wordgen.errors import BundleError
from wordgen.evaluation.measurement import PARTS, Loss, Part
from wordgen.run.listing import SavedRun
from wordgen.run.record import RunRecord
from wordgen.run.settings import ABOUT_ONE_RUN

Ground = Literal["tokens", "text", "nothing"]
"""What the runs have in common: the same tokens of the same text, only the text, or neither."""
Measure = Literal["perplexity", "bits per character"]


@dataclass(frozen=True)
class Figure:
    """One figure of several runs, measured on the same set."""

    part: Part
    measure: Measure
    values: tuple[float | None, ...]
    """One value for each run, or None if it is not known."""
    off: tuple[float | None, ...]
    """How far each value may be off, with 95% certainty, or None if that is not known."""
    better: frozenset[int]
    """The indices of the best runs. Empty if the runs cannot be compared, or if another run may be as good."""
    no_difference: frozenset[int] = frozenset()
    """The indices of the run with the lowest value and of the runs whose difference from it may be chance.

    Empty if no other run is that close, or if the runs cannot be compared.
    """

    @property
    def name(self) -> str:
        """The name in JSON."""
        return f"{self.part}_{self.measure.replace(' ', '_')}"


@dataclass(frozen=True)
class Comparison:
    runs: tuple[SavedRun, ...]
    ground: Ground
    settings: dict[str, tuple[object, ...]]
    """The settings that differ between the runs: by name, one value for each run."""
    figures: tuple[Figure, ...]

    @property
    def unknown_shares(self) -> tuple[float, ...]:
        """For each run the share of words in its validation set that are not in its vocabulary."""
        return tuple(each.dataset.splits["valid"].unknown_share for each in _records(self.runs))

    @property
    def unmeasured(self) -> list[SavedRun]:
        """The runs that have not been measured on the test set."""
        return [run for run in self.runs if run.perplexity("test") is None]

    def to_mapping(self) -> dict[str, Any]:
        return {
            "runs": [run.to_mapping() for run in self.runs],
            "in_common": self.ground,
            "settings": {name: list(values) for name, values in self.settings.items()},
            "better": {figure.name: self._names(figure.better) for figure in self.figures},
            "no_difference": {figure.name: self._names(figure.no_difference) for figure in self.figures},
        }

    def _names(self, indices: Iterable[int]) -> list[str]:
        return [self.runs[at].name for at in sorted(indices)]


def compare(runs: Sequence[SavedRun]) -> Comparison:
    """Compare runs by their settings and figures. Raise a BundleError if the record of a run cannot be read."""
    every = _records(runs)
    ground = _ground(every)
    return Comparison(tuple(runs), ground, _differences(every), tuple(_figures(runs, ground)))


def _records(runs: Sequence[SavedRun]) -> list[RunRecord]:
    for run in runs:
        if run.record is None:
            raise BundleError(f"{run.name} has no report that can be read, so it cannot be compared: leave it out.")
    return [run.record for run in runs if run.record is not None]


def _ground(every: Sequence[RunRecord]) -> Ground:
    if len({record.dataset.fingerprint for record in every}) == 1:
        return "tokens"
    return "text" if all(_text_of(record) == _text_of(every[0]) for record in every) else "nothing"


def _text_of(record: RunRecord) -> object:
    """Return a value that is equal for two runs on the same text with the same training, validation and test sets."""
    return record.text.corpus, [(name, of.passages, of.characters) for name, of in record.dataset.splits.items()]


def _differences(every: Sequence[RunRecord]) -> dict[str, tuple[object, ...]]:
    names = (each.name for each in fields(every[0].settings) if each.name not in ABOUT_ONE_RUN)
    values = {name: tuple(getattr(record.settings, name) for record in every) for name in names}
    return {name: of_each for name, of_each in values.items() if any(value != of_each[0] for value in of_each)}


@dataclass(frozen=True)
class _Value:
    """The value of a figure of one run."""

    value: float | None
    off: float | None
    loss: Loss | None


def _figures(runs: Sequence[SavedRun], ground: Ground) -> Iterator[Figure]:
    for part in PARTS:
        perplexities, bits = [], []
        for run in runs:
            found = run.measured(part)
            if found is None:
                perplexities.append(_Value(run.perplexity(part), None, None))
                bits.append(_Value(None, None, None))
            else:
                own, characters = found.own, found.characters
                perplexities.append(_Value(own.perplexity, own.off, own))
                bits.append(_Value(own.bits_per(characters), own.off_per(characters), own))
        yield _figure(part, "perplexity", perplexities, ground == "tokens")
        yield _figure(part, "bits per character", bits, ground != "nothing")


def _figure(part: Part, measure: Measure, of_runs: Sequence[_Value], comparable: bool) -> Figure:
    values, off = tuple(each.value for each in of_runs), tuple(each.off for each in of_runs)
    best = _least(values) if comparable else frozenset()
    alike = {at for at, each in enumerate(of_runs) if best and _differ(of_runs[min(best)], each) is False} - best
    if alike:
        return Figure(part, measure, values, off, frozenset(), best | alike)
    return Figure(part, measure, values, off, best)


def _differ(one: _Value, other: _Value) -> bool | None:
    """Return whether two runs differ by more than chance, or None if that is not known.

    If both runs have the same tokens, their losses are compared passage by passage. Otherwise the difference must be
    larger than the root of the sum of the squares of both uncertainties.
    """
    paired = None if one.loss is None or other.loss is None else one.loss.differs(other.loss)
    if paired is not None or one.value is None or other.value is None or one.off is None or other.off is None:
        return paired
    return abs(one.value - other.value) > math.hypot(one.off, other.off)


def _least(values: Sequence[float | None]) -> frozenset[int]:
    """Return the indices of the lowest value. Empty if fewer than two values are known, or if all are equal."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or min(known) == max(known):
        return frozenset()
    return frozenset(at for at, value in enumerate(values) if value == min(known))
