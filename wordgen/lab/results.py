"""What came out of a sweep, network by network: mean and spread over the random seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from wordgen.lab.found import DIVERGED, Found
from wordgen.lab.planning import PlannedRun, PlannedSweep
from wordgen.lab.sweep_file import Network


@dataclass(frozen=True)
class Spread:
    """Figures of one network, one for each random seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation between random seeds; one alone tells nothing of it."""
        return stdev(self.values) if len(self.values) > 1 else None

    def shown(self, digits: int = 1) -> str:
        spread = "" if self.deviation is None else f" ± {_shown(self.deviation, digits)}"
        return f"{_shown(self.mean, digits)}{spread}"

    def to_mapping(self) -> dict[str, Any]:
        return {"mean": self.mean, "deviation": self.deviation, "values": list(self.values)}


@dataclass(frozen=True)
class RunResult:
    run: PlannedRun
    found: Found
    note: str
    """Why it has no figures, or none of its whole length."""

    @property
    def counts(self) -> bool:
        """Whether it came to an end of its own, with a model."""
        return self.found.standing == "over" and self.found.best is not None

    @property
    def diverged(self) -> bool:
        """Whether that is what came out, with a model or without."""
        return self.found.standing == "diverged" or self.note == DIVERGED

    def to_mapping(self) -> dict[str, Any]:
        found = self.found
        return {
            "name": self.run.name,
            "network": self.run.network.name,
            "random_seed": self.run.random_seed,
            "standing": found.standing,
            "note": self.note,
            "valid_perplexity": found.best,
            "test_perplexity": found.test,
            "valid_perplexities": list(found.valid),
            "epochs": len(found.valid),
            "seconds": found.seconds,
        }


@dataclass(frozen=True)
class NetworkResult:
    network: Network
    settings: Mapping[str, Any]
    """All of them, those that a recipe brought along as well."""
    text: str
    """The same for networks that learned the same symbols of the same text."""
    parameters: int
    runs: tuple[RunResult, ...]
    """One for each random seed, whatever became of it."""
    steps_per_epoch: int

    @property
    def counted(self) -> list[RunResult]:
        return [each for each in self.runs if each.counts]

    @property
    def diverged(self) -> bool:
        """With each random seed."""
        return all(each.diverged for each in self.runs)

    @property
    def valid(self) -> Spread | None:
        return _spread([each.found.best for each in self.counted])

    @property
    def test(self) -> Spread | None:
        return _spread([each.found.test for each in self.counted])

    @property
    def epochs(self) -> Spread | None:
        return _spread([float(len(each.found.valid)) for each in self.counted])

    @property
    def seconds(self) -> Spread | None:
        return _spread([each.found.seconds for each in self.counted])

    @property
    def steps(self) -> float:
        """How many it might learn in: all those of its epochs, or as many as its time budget was enough for."""
        if self.settings.get("time_budget") is None:
            return float(self.steps_per_epoch * self.settings["epochs"])
        return fmean(each.found.steps for each in self.counted)

    @property
    def note(self) -> str:
        """What became of the random seeds that do not count."""
        notes = [each.note or each.found.standing for each in self.runs if not each.counts]
        told = dict.fromkeys(notes)
        return "; ".join(f"{notes.count(note)} of {len(self.runs)} {note}" for note in told)

    def to_mapping(self) -> dict[str, Any]:
        spreads = {
            "valid_perplexity": self.valid,
            "test_perplexity": self.test,
            "epochs": self.epochs,
            "seconds": self.seconds,
        }
        return {
            "name": self.network.name,
            "settings": dict(self.network.settings),
            "parameters": self.parameters,
            "counted": len(self.counted),
            "note": self.note,
            **{name: None if spread is None else spread.to_mapping() for name, spread in spreads.items()},
        }


def results_of(planned: PlannedSweep, found: Mapping[str, Found], notes: Mapping[str, str]) -> list[NetworkResult]:
    """All networks; `found` and `notes` are by the names of runs.

    The best come first where all learned the same text, else they stay in their order: those that have no figures last.
    """
    results = [_result(planned, network, found, notes) for network in planned.sweep.networks]
    comparable = len({result.text for result in results}) == 1

    def rank(result: NetworkResult) -> tuple[bool, float]:
        return result.valid is None, result.valid.mean if result.valid and comparable else 0

    return sorted(results, key=rank)


def _result(
    planned: PlannedSweep, network: Network, found: Mapping[str, Found], notes: Mapping[str, str]
) -> NetworkResult:
    runs = planned.of(network)
    plan = runs[0].plan
    return NetworkResult(
        network,
        runs[0].settings.to_mapping(),
        plan.fingerprint,
        plan.architecture.parameters,
        tuple(RunResult(run, found[run.name], notes.get(run.name, "")) for run in runs),
        plan.steps_per_epoch,
    )


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(tuple(known)) if known else None


def _shown(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if value < 1e9 else f"{value:.1e}"
