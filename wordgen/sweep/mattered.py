"""Describes in sentences which settings made a difference in a sweep. They claim no more than the figures support."""

from collections.abc import Hashable, Iterator, Sequence

from wordgen.errors import in_a_sentence
from wordgen.evaluation import figures
from wordgen.evaluation.verdict import still_falling
from wordgen.sweep.effects import Chance, Difference, Effects, Interplay
from wordgen.sweep.results import NetworkResult


def what_mattered(results: Sequence[NetworkResult], effects: Effects) -> str:
    return " ".join(_sentences(results, effects))


def _sentences(results: Sequence[NetworkResult], effects: Effects) -> Iterator[str]:
    counted = [result for result in results if result.counted]
    if not counted:
        yield "No run has finished yet, so there is nothing to compare."
        return
    if effects.one_text:
        yield _best(counted)
    if effects.chance is None:
        yield "Each network has only one random seed, so any difference may be chance: give more random_seeds."
    by_interplay = {name for each in effects.interplays for name in (each.setting, each.other)}
    yield from (_interplay(each) for each in effects.interplays)
    simple = [each for each in effects.differences if each.setting not in by_interplay]
    if effects.chance is None:
        yield from (_plain(each) for each in simple)
    else:
        yield from _beside_chance(simple, alone=not effects.interplays)
        yield _of_chance(effects.chance, counted)
    yield from _unfinished(counted)
    if effects.left_out:
        names = in_a_sentence(_words(name) for name in effects.left_out)
        yield f"The {names} cannot be compared, because perplexities of different texts or vocabularies cannot."


def _of_chance(chance: Chance, counted: Sequence[NetworkResult]) -> str:
    runs = sum(len(each.counted) for each in counted)
    return (
        "Between random seeds, the perplexity of a network varies with a standard deviation of "
        f"{chance.deviation:.1%} (n = {runs} runs; {chance.widest:.1%} for the network that varies most). "
        "± gives a 95% confidence interval for all comparisons together."
    )


def _best(counted: Sequence[NetworkResult]) -> str:
    best = counted[0]
    seeds = f" over {len(best.counted)} random seeds" if len(best.counted) > 1 else ""
    return f"The best network is {best.network.name}, with a validation perplexity of {best.valid.shown()}{seeds}."


def _unfinished(counted: Sequence[NetworkResult]) -> Iterator[str]:
    """Yield a warning if networks may have needed more epochs.

    A comparison of these networks depends not only on how good they can become, but also on how fast they train.
    """
    runs = [each.figures for result in counted for each in result.counted]
    falling = sum(each.at_last_epoch and still_falling(each.valid, rate_stays=each.rate_stays) for each in runs)
    if falling:
        yield (
            f"In {falling} of {len(runs)} runs the perplexity was still falling in the last epoch: more epochs may "
            "change the order of the networks."
        )


def _beside_chance(differences: Sequence[Difference], *, alone: bool) -> Iterator[str]:
    """Yield sentences that compare the differences with chance.

    `alone` is True if the sweep has no interplays. Otherwise, no sentence says that a setting mattered most: a setting
    of an interplay may have mattered more.
    """
    surely = [each for each in differences if each.beyond_chance and not each.confounded]
    confounded = [each for each in differences if each.beyond_chance and each.confounded]
    most = " most" if alone and len(differences) > 1 and not confounded else ""
    for each in surely[:1]:
        yield f"The {_words(each.setting)} mattered{most}: {_comparison(each)}."
    yield from map(_plain, [*surely[1:], *confounded])
    yield from _no_more_than_chance(differences)
    unknown = [each for each in differences if each.may_be_off is None]
    why = "Only one random seed of a network has a result, so this may be chance."
    yield from (f"{_plain(each)} {why}" for each in unknown)


def _no_more_than_chance(differences: Sequence[Difference]) -> Iterator[str]:
    chance = [
        f"the {_words(each.setting)} ({_percent(each.share)} ± {_percent(each.share_off)})"
        for each in differences
        if each.may_be_off is not None and not each.beyond_chance
    ]
    if chance:
        yield f"{_capitalized(in_a_sentence(chance))} made no difference beyond chance."


def _plain(difference: Difference) -> str:
    return f"{_capitalized(_words(difference.setting))}: {_comparison(difference)}."


def _comparison(difference: Difference) -> str:
    lower, higher = difference.lower, difference.higher
    values = f"{_shown(lower.value)} instead of {_shown(higher.value)}"
    off = "" if difference.share_off is None else f" (± {_percent(difference.share_off)})"
    average = f", on average of {difference.pairs} pairs of networks" if difference.pairs > 1 else ""
    how_much = f"{_percent(difference.share)}{off}{average}"
    if not difference.confounded:
        return f"{values} lowers validation perplexity by {how_much}"
    seconds, against = figures.shown_duration(lower.seconds), figures.shown_duration(higher.seconds)
    time = "" if seconds == against else f" and {seconds} instead of {against}"
    return (
        f"with {values}, validation perplexity is lower by {how_much}, but there are also {lower.steps:,.0f} steps "
        f"instead of {higher.steps:,.0f}{time}, so this sweep does not show which of these is the cause"
    )


def _interplay(interplay: Interplay) -> str:
    by_best: dict[Hashable, list[str]] = {}
    for value, best in interplay.best:
        by_best.setdefault(best, []).append(_shown(value))
    listed = ", ".join(f"{_shown(best)} with {' and '.join(values)}" for best, values in by_best.items())
    return f"The best {_words(interplay.setting)} depends on the {_words(interplay.other)}: {listed}."


def _words(setting: str) -> str:
    return setting.replace("_", " ")


def _capitalized(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _shown(value: object) -> str:
    return "the default" if value is None else figures.value(value)


def _percent(share: float | None) -> str:
    if share is None:
        return "?"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
