"""Made-up results of a study of palindromes."""

from collections.abc import Sequence

from wordgen.model.architecture import Cell
from wordgen.palindromes.results import Ended, Point, RunResult


def run_result(
    cell: Cell = "lstm",
    length: int = 10,
    random_seed: int = 1,
    accuracies: Sequence[float] = (0.3, 0.7, 1.0),
    accuracy: float | None = None,
    ended: Ended = "all steps done",
    time_budget: str | None = None,
    norms: Sequence[float] | None = None,
) -> RunResult:
    """`accuracies` has one accuracy for every 50 steps; the last is also the test accuracy."""
    points = [
        Point(50 * number, length, 2.4 - share, share * 0.9, 0.5, 2.3 - 2 * share, share)
        for number, share in enumerate(accuracies, start=1)
    ]
    norms = [0.5 ** (length - 1 - step) for step in range(1, length)] if norms is None else norms
    return RunResult(
        cell=cell,
        length=length,
        random_seed=random_seed,
        parameters=19_850,
        ended=ended,
        time_budget=time_budget,
        steps=50 * len(points),
        seconds=12.5,
        test_palindromes=4096,
        accuracy=accuracies[-1] if accuracy is None else accuracy,
        loss=0.25,
        curve=tuple(points),
        gradients_before=tuple(norms),
        gradients_after=tuple(2 * norm for norm in norms),
    )
