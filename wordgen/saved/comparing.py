"""Several runs side by side: what was set differently, and which came out better, where that can be said."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from wordgen.errors import BundleError
from wordgen.evaluation.measures import Loss
from wordgen.page.facts import PARTS, Facts, Score
from wordgen.saved.listing import SavedRun

Ground = Literal["symbols", "text", "nothing"]
"""What runs have in common: the symbols of one text, the text alone, or neither."""
_OWN = {"name", "overwrite"}


@dataclass(frozen=True)
class Figure:
    part: str
    measure: Literal["perplexity", "bits per character"]
    values: tuple[float | None, ...]
    """One for each run."""
    off: tuple[float | None, ...]
    """How far each may be off, with 95% certainty, where that is known."""
    better: frozenset[int]
    """The places of the best; none where they cannot be compared, or may be as good as another."""
    no_difference: frozenset[int] = frozenset()
    """The places of the least, and of those that differ from it by no more than chance."""


@dataclass(frozen=True)
class Comparison:
    runs: tuple[SavedRun, ...]
    ground: Ground
    settings: dict[str, tuple[Any, ...]]
    """Those that differ, with the value of each run."""
    figures: tuple[Figure, ...]

    @property
    def unknown_shares(self) -> tuple[float, ...]:
        """Of the valid part."""
        return tuple(each.splits["valid"].unknown_share for each in _all_facts(self.runs))

    @property
    def unmeasured(self) -> list[SavedRun]:
        """The runs that have not been measured on the test part."""
        return [run for run in self.runs if run.score("test").perplexity is None]

    def to_mapping(self) -> dict[str, Any]:
        return {
            "runs": [run.to_mapping() for run in self.runs],
            "in_common": self.ground,
            "settings": {name: list(values) for name, values in self.settings.items()},
            "better": {
                f"{figure.part}_{figure.measure.replace(' ', '_')}": [
                    self.runs[at].name for at in sorted(figure.better)
                ]
                for figure in self.figures
            },
            "no_difference": {
                f"{figure.part}_{figure.measure.replace(' ', '_')}": [
                    self.runs[at].name for at in sorted(figure.no_difference)
                ]
                for figure in self.figures
            },
        }


def compare(runs: Sequence[SavedRun]) -> Comparison:
    every = _all_facts(runs)
    ground = _ground(every)
    return Comparison(tuple(runs), ground, _differences(every), tuple(_figures(runs, ground)))


def _all_facts(runs: Sequence[SavedRun]) -> list[Facts]:
    for run in runs:
        if run.facts is None:
            raise BundleError(f"{run.name} has no report that can be read, so there is nothing to compare it by.")
    return [run.facts for run in runs if run.facts is not None]


def _ground(every: Sequence[Facts]) -> Ground:
    if _same(every, lambda facts: facts.fingerprint):
        return "symbols"
    return "text" if _same(every, _text_of) else "nothing"


def _text_of(facts: Facts) -> Any:
    """The same for the same text, cut into the same parts."""
    return facts.corpus, [(name, of.units, of.characters) for name, of in facts.splits.items()]


def _same(every: Sequence[Facts], what: Callable[[Facts], Any]) -> bool:
    return all(what(facts) == what(every[0]) for facts in every)


def _differences(every: Sequence[Facts]) -> dict[str, tuple[Any, ...]]:
    names = (each.name for each in fields(every[0].settings) if each.name not in _OWN)
    values = {name: tuple(getattr(facts.settings, name) for facts in every) for name in names}
    return {name: of_each for name, of_each in values.items() if any(value != of_each[0] for value in of_each)}


def _figures(runs: Sequence[SavedRun], ground: Ground) -> Iterator[Figure]:
    for part in PARTS:
        scores: list[Score] = [run.score(part) for run in runs]
        perplexities = tuple(score.perplexity for score in scores)
        bits = tuple(score.bits_per_character for score in scores)
        losses = [_loss(run, part) for run in runs]
        figures: list[tuple[Literal["perplexity", "bits per character"], Any, Any, bool]] = [
            ("perplexity", perplexities, tuple(score.perplexity_off for score in scores), ground == "symbols"),
            ("bits per character", bits, tuple(score.bits_per_character_off for score in scores), ground != "nothing"),
        ]
        for measure, values, off, comparable in figures:
            best = _least(values) if comparable else frozenset()
            alike = _alike(best, values, off, losses)
            surely = not alike - best
            yield Figure(part, measure, values, off, best if surely else frozenset(), frozenset() if surely else alike)


def _loss(run: SavedRun, part: str) -> Loss | None:
    """What predicting a part has cost, where it was measured passage by passage."""
    measured = None if run.facts is None else run.facts.measured.get(part)
    if measured is None or measured.blocks is None:
        return None
    nats, symbols = measured.blocks.sum(axis=0)
    return Loss(float(nats), int(symbols), measured.blocks)


def _alike(
    best: frozenset[int],
    values: Sequence[float | None],
    off: Sequence[float | None],
    losses: Sequence[Loss | None],
) -> frozenset[int]:
    """The places of the best and of those that differ from it by no more than chance, as far as that is known."""
    if not best:
        return best
    first = min(best)
    return best | {
        at for at in range(len(values)) if at not in best and _differ(first, at, values, off, losses) is False
    }


def _differ(
    one: int,
    other: int,
    values: Sequence[float | None],
    off: Sequence[float | None],
    losses: Sequence[Loss | None],
) -> bool | None:
    """By the same passages where both were cut into the same symbols, or else by what each may be off."""
    mine, others = losses[one], losses[other]
    paired = None if mine is None or others is None else mine.differs(others)
    a, b, off_a, off_b = values[one], values[other], off[one], off[other]
    if paired is not None or a is None or b is None or off_a is None or off_b is None:
        return paired
    return abs(a - b) > math.hypot(off_a, off_b)


def _least(values: Sequence[float | None]) -> frozenset[int]:
    """The places of the least; none where no two are known, or all are the same."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or min(known) == max(known):
        return frozenset()
    return frozenset(at for at, value in enumerate(values) if value == min(known))
