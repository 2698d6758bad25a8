"""The effect of each setting of a sweep, whether it is larger than chance alone would make it, and this in sentences.

The test is Welch's t-test. It uses how much the results of each network vary between random seeds. The sentences claim
no more than the figures support.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import expm1, log, sqrt
from statistics import fmean, variance

from wordgen.corpus.settings import CorpusSettings
from wordgen.errors import in_a_sentence
from wordgen.evaluation import figures
from wordgen.evaluation.measurement import student_quantile
from wordgen.evaluation.verdict import still_falling
from wordgen.sweep.planning import Sweep
from wordgen.sweep.results import NetworkResult
from wordgen.text.settings import TextSettings

Weighted = tuple[float, Sequence[float]]
"""The weight of the network's mean in a difference, and its log perplexities, one for each random seed."""


@dataclass(frozen=True)
class SeedVariation:
    """How much the log perplexity of a network varies between random seeds."""

    deviation: float
    """The standard deviation between the random seeds of one network, pooled over all networks."""
    largest_deviation: float
    """The standard deviation of the network that varies most."""


def measure_seed_variation(groups: Sequence[Sequence[float]]) -> SeedVariation | None:
    """Return how much networks vary between random seeds, or None if no network has two random seeds.

    `groups` has the log perplexities of each network, one for each random seed.
    """
    spreads = [(variance(group), len(group) - 1) for group in groups if len(group) > 1]
    if not spreads:
        return None
    pooled = sum(spread * freedom for spread, freedom in spreads) / sum(freedom for _, freedom in spreads)
    return SeedVariation(sqrt(pooled), sqrt(max(spread for spread, _ in spreads)))


def half_width(networks: Iterable[Weighted], comparisons: int) -> float:
    """Return half the width of the 95% confidence interval of a weighted sum of means.

    The 95% hold for all `comparisons` together (Bonferroni). Each network must have at least two random seeds. Each
    keeps its own variance, because some networks vary more than others (Welch).
    """
    parts = [(weight**2 * variance(logs) / len(logs), len(logs) - 1) for weight, logs in networks]
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0
    # The degrees of freedom after Satterthwaite.
    freedom = total**2 / sum(part**2 / part_freedom for part, part_freedom in parts)
    return student_quantile(0.05 / (2 * max(1, comparisons)), freedom) * sqrt(total)


_TRAINING_LENGTH_SETTINGS = {"epochs", "time_budget"}
_CONFOUNDING_STEP_RATIO = 1.05
"""If one side has more steps than the other by this factor, its steps may be the cause of a difference."""
TEXT_SETTINGS = {each.name for group in (CorpusSettings, TextSettings) for each in fields(group)}
"""The settings that change the text or its tokens."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the networks with one of two values of a setting, and means over them."""

    value: Hashable
    mean: float
    """The mean log perplexity."""
    steps: float
    """The most steps that the networks could train for."""
    seconds: float
    """The training time."""


@dataclass(frozen=True)
class Difference:
    """The difference in log validation perplexity between two values of a setting.

    It is the mean over pairs of networks that have the same value of every other setting.
    """

    setting: str
    lower: Side
    """The side with the lower perplexity."""
    higher: Side
    pairs: int
    """The number of pairs of networks that were compared."""
    margin_in_nats: float | None
    """Half the width of the 95% confidence interval of `difference_in_nats`, for all comparisons together.

    None if no pair has several random seeds for both networks.
    """

    @property
    def difference_in_nats(self) -> float:
        """The difference of the mean log perplexities, in nats; never negative."""
        return self.higher.mean - self.lower.mean

    @property
    def is_confounded(self) -> bool:
        """Whether over 5% more steps of one side may be the cause, for a setting that is not the training length."""
        fewer, more = sorted((self.lower.steps, self.higher.steps))
        return self.setting not in _TRAINING_LENGTH_SETTINGS and more > _CONFOUNDING_STEP_RATIO * fewer

    @property
    def is_significant(self) -> bool:
        """Whether the difference is larger than its margin, and therefore beyond chance."""
        return self.margin_in_nats is not None and self.difference_in_nats > self.margin_in_nats

    @property
    def share(self) -> float:
        """The share by which the perplexity is lower: 0.1 means 10% lower."""
        return -expm1(-self.difference_in_nats)

    @property
    def share_margin(self) -> float | None:
        """The margin of `share`, as a share. None if `margin_in_nats` is None."""
        return None if self.margin_in_nats is None else (1 - self.share) * expm1(min(50.0, self.margin_in_nats))


@dataclass(frozen=True)
class Interaction:
    """An interaction of two settings: the best value of one depends on the other, beyond chance."""

    setting: str
    other: str
    best: tuple[tuple[Hashable, Hashable], ...]
    """Pairs: a value of `other`, and the best value of `setting` with it."""


@dataclass(frozen=True)
class Effects:
    seed_variation: SeedVariation | None
    differences: tuple[Difference, ...]
    """The largest difference of each setting, sorted from large to small."""
    interactions: tuple[Interaction, ...]
    left_out: tuple[str, ...]
    """Settings that were not compared because they change the text.

    Perplexities of different texts or vocabularies cannot be compared.
    """
    is_same_text: bool
    """Whether all networks were trained on the same tokens of the same text."""


@dataclass(frozen=True)
class _MeasuredNetwork:
    """A network and its log perplexities, one for each random seed."""

    settings: Mapping[str, Hashable]
    """The values of the settings that differ between the networks."""
    text: str
    log_perplexities: list[float]
    steps: float
    seconds: float

    @property
    def mean(self) -> float:
        return fmean(self.log_perplexities)


def effects_of(sweep: Sweep, results: Sequence[NetworkResult]) -> Effects:
    varied = [name for name in sweep.setting_names if len({_value(result, name) for result in results}) > 1]

    def differing(result: NetworkResult) -> dict[str, Hashable]:
        return {name: _value(result, name) for name in varied}

    measured = [
        _MeasuredNetwork(
            differing(result),
            result.text,
            [log(value) for value in result.valid.values],
            result.steps,
            result.seconds.mean,
        )
        for result in results
        if result.completed_runs
    ]
    diverged = [differing(result) for result in results if result.diverged]
    is_same_text = len({result.text for result in results}) <= 1
    left_out = [name for name in varied if name in TEXT_SETTINGS or (name == "recipe" and not is_same_text)]
    compared = [name for name in varied if name not in left_out]
    seed_variation = measure_seed_variation([each.log_perplexities for each in measured])
    comparisons = _Comparisons(measured, diverged)
    largest = [found for name in compared if (found := comparisons.largest(name)) is not None]
    return Effects(
        seed_variation,
        tuple(sorted(largest, key=lambda difference: -difference.difference_in_nats)),
        tuple(comparisons.interactions(compared)) if seed_variation else (),
        tuple(left_out),
        is_same_text,
    )


def _value(result: NetworkResult, setting: str) -> Hashable:
    value = result.settings[setting]
    return tuple(value) if isinstance(value, list) else value


class _Comparisons:
    """The comparisons of two values of a setting that the networks of a sweep allow."""

    def __init__(self, measured: Sequence[_MeasuredNetwork], diverged: Sequence[Mapping[str, Hashable]]) -> None:
        self._measured, self._diverged = measured, diverged
        self._comparison_count = self._count_comparisons()

    def _count_comparisons(self) -> int:
        """Return how many comparisons of two values are possible.

        Each two values of a setting can be compared over all networks. For interactions they can also be compared
        within each value of another setting, if that is possible for at least two of its values.
        """
        settings = list(self._measured[0].settings) if self._measured else []
        number = 0
        for setting in settings:
            for pair in combinations(self._values(setting), 2):
                firsts = [first for first, _ in _pairs(setting, *pair, self._measured)]
                number += bool(firsts)
                for other in settings:
                    values = {first.settings[other] for first in firsts}  # only one if it is the same setting
                    number += len(values) if len(values) > 1 else 0
        return number

    def _values(self, setting: str) -> list[Hashable]:
        return list(dict.fromkeys(each.settings[setting] for each in self._measured))

    def largest(self, setting: str) -> Difference | None:
        """Return the largest difference between two values of a setting.

        A difference beyond chance takes precedence over a larger one that is not. None if no two networks differ in
        this setting alone.
        """
        found = [self._difference(setting, *pair, self._measured) for pair in combinations(self._values(setting), 2)]
        known = (each for each in found if each is not None)
        return max(known, key=lambda each: (each.is_significant, each.difference_in_nats), default=None)

    def _difference(
        self, setting: str, one: Hashable, other: Hashable, among: Sequence[_MeasuredNetwork]
    ) -> Difference | None:
        """Compare two values of a setting. Return None if there is no pair of networks for it.

        If some pairs have several random seeds for both networks, only these pairs count; otherwise all pairs do.
        """
        pairs = list(_pairs(setting, one, other, among))
        known = [pair for pair in pairs if all(len(each.log_perplexities) > 1 for each in pair)]
        pairs = known or pairs
        if not pairs:
            return None
        weighted = [(1 / len(pairs), each.log_perplexities) for pair in pairs for each in pair]
        margin = half_width(weighted, self._comparison_count) if known else None
        sides = [_side(value, networks) for value, networks in zip((one, other), zip(*pairs, strict=True), strict=True)]
        lower, higher = sorted(sides, key=lambda side: side.mean)
        return Difference(setting, lower, higher, len(pairs), margin)

    def interactions(self, settings: Sequence[str]) -> Iterator[Interaction]:
        """Yield the interactions between these settings, at most one for each two of them.

        An interaction gives the best values of the setting that has more values.
        """
        for pair in combinations(settings, 2):
            setting, other = sorted(pair, key=lambda name: -len(self._values(name)))
            best = dict(self._best_values(setting, other))
            if self._differ_significantly(setting, other, best):
                yield Interaction(setting, other, tuple(best.items()))

    def _best_values(self, setting: str, other: str) -> Iterator[tuple[Hashable, Hashable]]:
        """Yield each value of `other`, and the value of `setting` with the lowest perplexity among its networks.

        A value of `other` is left out if the values of `setting` have different numbers of networks with it.
        """
        for value in self._values(other):
            means: dict[Hashable, list[float]] = {}
            for each in self._with(other, value):
                means.setdefault(each.settings[setting], []).append(each.mean)
            if len({len(found) for found in means.values()}) == 1:
                yield value, min(means, key=lambda each: fmean(means[each]))

    def _differ_significantly(self, setting: str, other: str, best: Mapping[Hashable, Hashable]) -> bool:
        """Return whether two values of `other` have different best values of `setting`, both beyond chance."""
        return any(
            first_best != second_best
            and self._is_significantly_better(setting, first_best, second_best, other, first_value)
            and self._is_significantly_better(setting, second_best, first_best, other, second_value)
            for (first_value, first_best), (second_value, second_best) in combinations(best.items(), 2)
        )

    def _is_significantly_better(
        self, setting: str, winner: Hashable, loser: Hashable, other: str, value: Hashable
    ) -> bool:
        among = self._with(other, value)
        found = self._difference(setting, winner, loser, among)
        if found is not None:
            return found.lower.value == winner and found.is_significant
        # If the other value diverged, it is certainly worse.
        winners = [each for each in among if each.settings[setting] == winner]
        return any({**each.settings, setting: loser} in self._diverged for each in winners)

    def _with(self, setting: str, value: Hashable) -> list[_MeasuredNetwork]:
        return [each for each in self._measured if each.settings[setting] == value]


def _side(value: Hashable, networks: Sequence[_MeasuredNetwork]) -> Side:
    return Side(
        value,
        fmean(each.mean for each in networks),
        fmean(each.steps for each in networks),
        fmean(each.seconds for each in networks),
    )


def _pairs(
    setting: str, one: Hashable, other: Hashable, among: Sequence[_MeasuredNetwork]
) -> Iterator[tuple[_MeasuredNetwork, _MeasuredNetwork]]:
    """Yield the pairs of networks that differ in this setting alone: one with the value `one`, one with `other`."""

    def text_and_other_settings(network: _MeasuredNetwork) -> tuple[Hashable, ...]:
        return network.text, *(value for name, value in network.settings.items() if name != setting)

    others = {text_and_other_settings(each): each for each in among if each.settings[setting] == other}
    for each in among:
        if each.settings[setting] == one and text_and_other_settings(each) in others:
            yield each, others[text_and_other_settings(each)]


def summarize_effects(results: Sequence[NetworkResult], effects: Effects) -> str:
    return " ".join(_sentences(results, effects))


def _sentences(results: Sequence[NetworkResult], effects: Effects) -> Iterator[str]:
    completed = [result for result in results if result.completed_runs]
    if not completed:
        yield "No run has finished yet, so there is nothing to compare."
        return
    if effects.is_same_text:
        yield _best(completed)
    if effects.seed_variation is None:
        yield "Each network has only one random seed, so any difference may be chance: give more random_seeds."
    interacting = {name for each in effects.interactions for name in (each.setting, each.other)}
    yield from (_interaction_sentence(each) for each in effects.interactions)
    simple = [each for each in effects.differences if each.setting not in interacting]
    if effects.seed_variation is None:
        yield from (_difference_sentence(each) for each in simple)
    else:
        yield from _significance_sentences(simple, alone=not effects.interactions)
        yield _seed_variation_sentence(effects.seed_variation, completed)
    yield from _unfinished(completed)
    if effects.left_out:
        names = in_a_sentence(_words(name) for name in effects.left_out)
        yield f"The {names} cannot be compared, because perplexities of different texts or vocabularies cannot."


def _seed_variation_sentence(variation: SeedVariation, completed: Sequence[NetworkResult]) -> str:
    runs = sum(len(each.completed_runs) for each in completed)
    return (
        "Between random seeds, the perplexity of a network varies with a standard deviation of "
        f"{variation.deviation:.1%} (n = {runs} runs; {variation.largest_deviation:.1%} for the network that varies "
        "most). ± gives a 95% confidence interval for all comparisons together."
    )


def _best(completed: Sequence[NetworkResult]) -> str:
    best = completed[0]
    seeds = f" over {len(best.completed_runs)} random seeds" if len(best.completed_runs) > 1 else ""
    return f"The best network is {best.network.name}, with a validation perplexity of {best.valid.shown()}{seeds}."


def _unfinished(completed: Sequence[NetworkResult]) -> Iterator[str]:
    """Yield a warning if networks may have needed more epochs.

    A comparison of these networks depends not only on how good they can become, but also on how fast they train.
    """
    runs = [each.figures for result in completed for each in result.completed_runs]
    falling = sum(
        each.has_reached_last_epoch and still_falling(each.valid, has_constant_rate=each.has_constant_rate)
        for each in runs
    )
    if falling:
        yield (
            f"In {falling} of {len(runs)} runs the perplexity was still falling in the last epoch: more epochs may "
            "change the order of the networks."
        )


def _significance_sentences(differences: Sequence[Difference], *, alone: bool) -> Iterator[str]:
    """Yield sentences that compare the differences with chance.

    `alone` is True if the sweep has no interactions. Otherwise, no sentence says that a setting mattered most: a
    setting of an interaction may have mattered more.
    """
    significant = [each for each in differences if each.is_significant and not each.is_confounded]
    confounded = [each for each in differences if each.is_significant and each.is_confounded]
    unknown = [each for each in differences if each.margin_in_nats is None]
    most = " most" if alone and len(differences) > 1 and not confounded and not unknown else ""
    for each in significant[:1]:
        yield f"The {_words(each.setting)} mattered{most}: {_comparison(each)}."
    yield from map(_difference_sentence, [*significant[1:], *confounded])
    yield from _insignificance_sentence(differences)
    why = "Only one random seed of a network has a result, so this may be chance."
    yield from (f"{_difference_sentence(each)} {why}" for each in unknown)


def _insignificance_sentence(differences: Sequence[Difference]) -> Iterator[str]:
    insignificant = [
        f"the {_words(each.setting)} ({_percent(each.share)} ± {_percent(margin)})"
        for each in differences
        if (margin := each.share_margin) is not None and not each.is_significant
    ]
    if insignificant:
        yield f"{_capitalized(in_a_sentence(insignificant))} made no difference beyond chance."


def _difference_sentence(difference: Difference) -> str:
    return f"{_capitalized(_words(difference.setting))}: {_comparison(difference)}."


def _comparison(difference: Difference) -> str:
    lower, higher = difference.lower, difference.higher
    values = f"{_shown(lower.value)} instead of {_shown(higher.value)}"
    margin = "" if difference.share_margin is None else f" (± {_percent(difference.share_margin)})"
    average = f", on average of {difference.pairs} pairs of networks" if difference.pairs > 1 else ""
    amount = f"{_percent(difference.share)}{margin}{average}"
    if not difference.is_confounded:
        return f"{values} lowers validation perplexity by {amount}"
    seconds, against = figures.shown_duration(lower.seconds), figures.shown_duration(higher.seconds)
    time = "" if seconds == against else f" and {seconds} instead of {against}"
    return (
        f"with {values}, validation perplexity is lower by {amount}, but there are also {lower.steps:,.0f} steps "
        f"instead of {higher.steps:,.0f}{time}, so this sweep does not show which of these is the cause"
    )


def _interaction_sentence(interaction: Interaction) -> str:
    by_best: dict[Hashable, list[str]] = {}
    for value, best in interaction.best:
        by_best.setdefault(best, []).append(_shown(value))
    listed = ", ".join(f"{_shown(best)} with {' and '.join(values)}" for best, values in by_best.items())
    return f"The best {_words(interaction.setting)} depends on the {_words(interaction.other)}: {listed}."


def _words(setting: str) -> str:
    return setting.replace("_", " ")


def _capitalized(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _shown(value: object) -> str:
    return "the default" if value is None else figures.shown_value(value)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
