"""What each setting of a sweep changed: networks that differ in nothing else are compared, and chance is kept apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import expm1, log
from statistics import fmean
from typing import Any

from wordgen.corpora.settings import CorpusSettings
from wordgen.lab.chance import Chance, chance_of, half_width
from wordgen.lab.results import NetworkResult
from wordgen.lab.sweep_file import Sweep
from wordgen.text.settings import TextSettings

_OF_LENGTH = {"epochs", "time_budget"}
_MORE_STEPS = 1.05
OF_THE_TEXT = {each.name for group in (CorpusSettings, TextSettings) for each in fields(group)}


@dataclass(frozen=True)
class Difference:
    """Between two values of a setting, the other settings being the same: in logarithms of valid perplexity."""

    setting: str
    lower: Any
    """The value with the lower perplexity."""
    higher: Any
    by: float
    """How much lower it is; never negative."""
    pairs: int
    """Of how many pairs of networks."""
    may_be_off: float | None
    """With 95% certainty for all comparisons together; nothing where chance is not known."""
    steps: tuple[float, float]
    """How many the networks with the lower and with the higher perplexity might learn in."""
    seconds: tuple[float, float]
    """How long both took."""

    @property
    def confounded(self) -> bool:
        """Whether one of both might learn in more steps, where that is not what was set."""
        return self.setting not in _OF_LENGTH and max(self.steps) > _MORE_STEPS * min(self.steps)

    @property
    def beyond_chance(self) -> bool:
        return self.may_be_off is not None and self.by > self.may_be_off

    @property
    def share(self) -> float:
        """By which share the perplexity is lower."""
        return -expm1(-self.by)

    @property
    def share_off(self) -> float | None:
        """How far that share may be off."""
        return None if self.may_be_off is None else (1 - self.share) * expm1(min(50.0, self.may_be_off))


@dataclass(frozen=True)
class Interplay:
    """Which value of a setting is best goes by another setting, beyond chance."""

    setting: str
    other: str
    best: tuple[tuple[Any, Any], ...]
    """For each value of the other setting, the best of this."""


@dataclass(frozen=True)
class Effects:
    chance: Chance | None
    differences: tuple[Difference, ...]
    """Of each setting the largest, the largest first."""
    interplays: tuple[Interplay, ...]
    left_out: tuple[str, ...]
    """Settings of the text: perplexities of different texts or vocabularies cannot be compared."""
    one_text: bool
    """Whether all networks learned the same symbols of the same text."""


@dataclass(frozen=True)
class _Measured:
    """A network with log perplexities, one a random seed."""

    settings: Mapping[str, Any]
    """In which networks differ."""
    text: str
    logs: list[float]
    steps: float
    seconds: float

    @property
    def mean(self) -> float:
        return fmean(self.logs)


@dataclass(frozen=True)
class _Side:
    """The networks with one of two values that are compared."""

    value: Any
    members: Sequence[_Measured]

    @property
    def mean(self) -> float:
        return fmean(each.mean for each in self.members)

    @property
    def steps(self) -> float:
        return fmean(each.steps for each in self.members)

    @property
    def seconds(self) -> float:
        return fmean(each.seconds for each in self.members)


def effects_of(sweep: Sweep, results: Sequence[NetworkResult]) -> Effects:
    varied = [name for name in sweep.named if len({_value(result, name) for result in results}) > 1]

    def differing(result: NetworkResult) -> dict[str, Any]:
        return {name: _value(result, name) for name in varied}

    measured = [
        _Measured(
            differing(result),
            result.text,
            [log(value) for value in result.valid.values],
            result.steps,
            fmean(each.found.seconds for each in result.counted),
        )
        for result in results
        if result.valid is not None
    ]
    diverged = [differing(result) for result in results if result.diverged]
    one_text = len({result.text for result in results}) <= 1
    left_out = [name for name in varied if name in OF_THE_TEXT or (name == "recipe" and not one_text)]
    compared = [name for name in varied if name not in left_out]
    chance = chance_of([each.logs for each in measured])
    comparing = _Comparing(measured, diverged, chance)
    largest = [found for name in compared if (found := comparing.largest(name)) is not None]
    return Effects(
        chance,
        tuple(sorted(largest, key=lambda difference: -difference.by)),
        tuple(comparing.interplays(compared)) if chance else (),
        tuple(left_out),
        one_text,
    )


def _value(result: NetworkResult, setting: str) -> Any:
    value = result.settings[setting]
    return tuple(value) if isinstance(value, list) else value


class _Comparing:
    def __init__(
        self, measured: Sequence[_Measured], diverged: Sequence[Mapping[str, Any]], chance: Chance | None
    ) -> None:
        self._measured, self._diverged, self._chance = measured, diverged, chance
        self._comparisons = self._number_of_comparisons()

    def _number_of_comparisons(self) -> int:
        """All that can be made: over all networks, and for an interplay within each value of another setting."""
        settings = list(self._measured[0].settings) if self._measured else []
        number = 0
        for setting in settings:
            for pair in combinations(self._values(setting), 2):
                number += any(True for _ in _pairs(setting, *pair, self._measured))
                for other in settings:
                    places = 0 if other == setting else self._places(setting, *pair, other)
                    number += places if places > 1 else 0
        return number

    def _places(self, setting: str, one: Any, another: Any, other: str) -> int:
        """Within how many values of the other setting two values of this can be compared."""
        pairs = _pairs(setting, one, another, self._measured)
        return len({first.settings[other] for first, _ in pairs})

    def _values(self, setting: str) -> list[Any]:
        return list(dict.fromkeys(each.settings[setting] for each in self._measured))

    def largest(self, setting: str) -> Difference | None:
        """Between which two values most lies, beyond chance if that is anywhere; nothing where no two networks
        differ in this setting alone.
        """
        found = [self._difference(setting, *pair, self._measured) for pair in combinations(self._values(setting), 2)]
        known = (each for each in found if each is not None)
        return max(known, key=lambda each: (each.beyond_chance, each.by), default=None)

    def _difference(self, setting: str, one: Any, other: Any, among: Sequence[_Measured]) -> Difference | None:
        """Between two values, over the pairs of which chance is known, or else over all."""
        pairs = list(_pairs(setting, one, other, among))
        known = [pair for pair in pairs if all(len(each.logs) > 1 for each in pair)]
        pairs = known or pairs
        if not pairs:
            return None
        networks = [(1 / len(pairs), each.logs) for pair in pairs for each in pair]
        off = half_width(networks, self._comparisons) if known else None
        sides = [_Side(value, members) for value, members in zip((one, other), zip(*pairs, strict=True), strict=True)]
        lower, higher = sorted(sides, key=lambda side: side.mean)
        return Difference(
            setting,
            lower.value,
            higher.value,
            higher.mean - lower.mean,
            len(pairs),
            off,
            steps=(lower.steps, higher.steps),
            seconds=(lower.seconds, higher.seconds),
        )

    def interplays(self, settings: Sequence[str]) -> Iterator[Interplay]:
        """Each two settings are told of once, as what is best of the one that has more values."""
        for pair in combinations(settings, 2):
            setting, other = sorted(pair, key=lambda name: -len(self._values(name)))
            best = {value: self._best(setting, other, value) for value in self._values(other)}
            known = {value: name for value, name in best.items() if name is not None}
            if self._differ_beyond_chance(setting, other, known):
                yield Interplay(setting, other, tuple(known.items()))

    def _best(self, setting: str, other: str, value: Any) -> Any:
        """Where the other setting has this value; nothing where not all values of this one were measured alike."""
        among = [each for each in self._measured if each.settings[other] == value]
        means = {
            each: [one.mean for one in among if one.settings[setting] == each]
            for each in dict.fromkeys(one.settings[setting] for one in among)
        }
        if len({len(found) for found in means.values()}) != 1:
            return None
        return min(means, key=lambda each: fmean(means[each]))

    def _differ_beyond_chance(self, setting: str, other: str, best: Mapping[Any, Any]) -> bool:
        for (here, mine), (there, others) in combinations(best.items(), 2):
            if mine != others and all(
                self._surely_better(setting, winner, loser, other, value)
                for value, winner, loser in ((here, mine, others), (there, others, mine))
            ):
                return True
        return False

    def _surely_better(self, setting: str, winner: Any, loser: Any, other: str, value: Any) -> bool:
        among = [each for each in self._measured if each.settings[other] == value]
        found = self._difference(setting, winner, loser, among)
        if found is None:  # what diverged there is surely worse
            return any(each.settings[setting] == winner and self._diverged_with(each, setting, loser) for each in among)
        return found.lower == winner and found.beyond_chance

    def _diverged_with(self, network: _Measured, setting: str, value: Any) -> bool:
        return {**network.settings, setting: value} in self._diverged


def _pairs(setting: str, one: Any, other: Any, among: Sequence[_Measured]) -> Iterator[tuple[_Measured, _Measured]]:
    """Networks that are alike in all but this setting."""

    def but_for_this(network: _Measured) -> tuple[Any, ...]:
        return network.text, *(value for name, value in network.settings.items() if name != setting)

    others = {but_for_this(each): each for each in among if each.settings[setting] == other}
    for each in among:
        if each.settings[setting] == one and but_for_this(each) in others:
            yield each, others[but_for_this(each)]
