"""What mattered in a sweep, in sentences that say no more than its figures."""

from collections.abc import Iterator, Sequence
from typing import Any

from wordgen.evaluation.verdict import still_falling
from wordgen.lab.chance import Chance
from wordgen.lab.effects import Difference, Effects, Interplay
from wordgen.lab.results import NetworkResult
from wordgen.training.reports import shown_duration


def what_mattered(results: Sequence[NetworkResult], effects: Effects) -> str:
    return " ".join(_sentences(results, effects))


def _sentences(results: Sequence[NetworkResult], effects: Effects) -> Iterator[str]:
    counted = [result for result in results if result.valid is not None]
    if not counted:
        yield "No run has come to its end yet, so nothing can be said."
        return
    if effects.one_text:
        yield _best(counted)
    if effects.chance is None:
        yield "With one random seed for each network nothing is known of chance: give more random_seeds."
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
        names = " and ".join(_words(name) for name in effects.left_out)
        yield f"Perplexities of another {names} cannot be compared, so nothing is said of that."


def _of_chance(chance: Chance, counted: Sequence[NetworkResult]) -> str:
    runs = sum(len(each.counted) for each in counted)
    return (
        "By chance alone, from random seed to random seed, a network's perplexity varies with a standard deviation "
        f"of {chance.deviation:.1%} (n = {runs} runs; {chance.widest:.1%} in the network that varies most); "
        "± is 95% certainty for all comparisons together, by how much each network varies."
    )


def _best(counted: Sequence[NetworkResult]) -> str:
    best = counted[0]
    assert best.valid is not None
    seeds = len(best.valid.values)
    spread = f" over {seeds} random seeds" if seeds > 1 else ""
    return f"Best is {best.network.name}, with a valid perplexity of {best.valid.shown()}{spread}."


def _unfinished(counted: Sequence[NetworkResult]) -> Iterator[str]:
    """Networks that may have needed more epochs are compared by how fast they learn, too."""
    runs = [each.found for result in counted for each in result.counted]
    falling = sum(each.at_last_epoch and still_falling(each.valid) for each in runs)
    if falling:
        yield (
            f"In {falling} of {len(runs)} runs the perplexity was still falling in the last epoch that they may have: "
            "with more epochs the order may be another."
        )


def _beside_chance(differences: Sequence[Difference], *, alone: bool) -> Iterator[str]:
    """`alone` says that no setting mattered in an interplay, perhaps more than all of these."""
    surely = [each for each in differences if each.beyond_chance and not each.confounded]
    confounded = [each for each in differences if each.beyond_chance and each.confounded]
    most = " most" if alone and len(differences) > 1 and not confounded else ""
    for each in surely:
        begins = f"The {_words(each.setting)} mattered{most}" if each is surely[0] else _first(_words(each.setting))
        yield f"{begins}: {_comparison(each)}."
    yield from (_plain(each) for each in confounded)
    yield from _no_more_than_chance(differences)
    unknown = [each for each in differences if each.may_be_off is None]
    yield from (f"{_plain(each)} Of these one random seed alone came through, so it may be chance." for each in unknown)


def _no_more_than_chance(differences: Sequence[Difference]) -> Iterator[str]:
    chance = [
        f"the {_words(each.setting)} ({_percent(each.share)} ± {_percent(each.share_off)})"
        for each in differences
        if each.may_be_off is not None and not each.beyond_chance
    ]
    if chance:
        listed = chance[0] if len(chance) == 1 else f"{', '.join(chance[:-1])} and {chance[-1]}"
        yield f"{_first(listed)} made no difference beyond chance."


def _plain(difference: Difference) -> str:
    return f"{_first(_words(difference.setting))}: {_comparison(difference)}."


def _comparison(difference: Difference) -> str:
    values = f"{_shown(difference.lower)} instead of {_shown(difference.higher)}"
    off = "" if difference.share_off is None else f" (± {_percent(difference.share_off)})"
    average = f", on average of {difference.pairs} pairs of networks" if difference.pairs > 1 else ""
    how_much = f"{_percent(difference.share)}{off}{average}"
    if not difference.confounded:
        return f"{values} lowers valid perplexity by {how_much}"
    lower, higher = difference.steps
    seconds, against = map(shown_duration, difference.seconds)
    time = "" if seconds == against else f" and {seconds} instead of {against}"
    return (
        f"{values} goes with a valid perplexity lower by {how_much}, but also with {lower:,.0f} steps instead of "
        f"{higher:,.0f}{time}, so this sweep does not say which of these lowered it"
    )


def _interplay(interplay: Interplay) -> str:
    by_best: dict[Any, list[str]] = {}
    for value, best in interplay.best:
        by_best.setdefault(best, []).append(_shown(value))
    listed = ", ".join(f"{_shown(best)} with {' and '.join(values)}" for best, values in by_best.items())
    return f"Which {_words(interplay.setting)} is best depends on the {_words(interplay.other)}: {listed}."


def _words(setting: str) -> str:
    return setting.replace("_", " ")


def _first(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "the default"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _percent(share: float | None) -> str:
    if share is None:
        return "?"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
