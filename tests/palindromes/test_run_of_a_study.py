"""A run that is stopped anywhere and goes on is the run that never was, to the bit; and why a run ends."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wordgen.errors import BundleError
from wordgen.palindromes import worker
from wordgen.palindromes.results import Point, RunResult, load_result
from wordgen.palindromes.settings import LearningSettings, StudyRun
from wordgen.palindromes.trainer import PalindromeRun
from wordgen.palindromes.worker import Limits, Progress, RunObserver

QUICK: dict[str, Any] = {"units": 6, "batch_size": 8, "measure_every": 4, "curriculum": True, "clip": 0.1}
STEPS = 14


class Warnings(RunObserver):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warned(self, sentence: str) -> None:
        self.sentences.append(sentence)


def made(
    folder: Path, cell: Any = "rnn", length: int = 24, observer: RunObserver | None = None, **chosen: Any
) -> PalindromeRun:
    settings = LearningSettings(**{**QUICK, **chosen})
    return PalindromeRun(StudyRun(cell, length, 1), settings, folder, observer or RunObserver())


def trained(run: PalindromeRun, limits: Limits) -> RunResult:
    """The result, without the seconds, which differ each time."""
    found = run.train(limits)
    assert found is not None
    return replace(found, seconds=0.0)


def after(number: int) -> Callable[[], bool]:
    """Says no so many times, and then yes."""
    left = iter(range(number))
    return lambda: next(left, None) is None


def test_a_run_that_was_stopped_given_more_steps_and_damaged_is_the_run_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker, "_LENGTHEN_FROM", 0.0)  # longer at each point, however little it knows
    whole = trained(made(tmp_path / "whole"), Limits(STEPS))
    assert [point.length for point in whole.curve] == [10, 15, 23, 24]

    folder = tmp_path / "parts"
    run = made(folder)
    assert run.train(Limits(STEPS), after(0)) is None
    assert load_result(folder) is None
    short = trained(run, Limits(5))  # between two points
    assert (short.ended, short.steps, [point.step for point in short.curve]) == ("all steps done", 5, [4, 5])
    run = made(folder)
    assert run.train(Limits(STEPS), after(2)) is None
    assert run.train(Limits(STEPS), after(3)) is None
    newest = max((folder / "checkpoints").glob("step-*")) / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    observer = Warnings()
    run = made(folder, observer=observer)
    assert "is damaged" in observer.sentences[0]
    assert trained(run, Limits(STEPS)) == whole
    kept = load_result(folder)
    assert kept is not None
    assert replace(kept, seconds=0.0) == whole

    shutil.copytree(tmp_path / "whole", tmp_path / "other")
    with pytest.raises(BundleError, match="another shape"):
        made(tmp_path / "other", units=7)


def test_a_result_has_the_whole_curve_and_a_norm_for_each_digit_that_is_read(tmp_path: Path):
    run = made(tmp_path / "run", length=4, curriculum=False)
    early = trained(run, Limits(1000, seconds=0.0, time_budget="5m"))
    assert (early.ended, early.time_budget, early.steps) == ("the time is up", "5m", 0)
    found = trained(run, Limits(10))
    assert [point.step for point in found.curve] == [4, 8, 10]
    assert {point.length for point in found.curve} == {4}
    assert len(found.gradients_before) == len(found.gradients_after) == 3
    assert early.gradients_after == found.gradients_before != found.gradients_after
    assert min(found.gradients_before) > 0
    assert 0 <= found.accuracy <= 1
    assert (found.ended, found.time_budget, found.steps) == ("all steps done", None, 10)
    assert found.parameters == 6 * (10 + 6 + 1) + 10 * 7

    network = run._trainer.network
    network.set_weights_by_name({**network.to_weights(), "output/bias": np.full(10, np.nan, np.float32)})
    assert run.train(Limits(40)) is not None
    kept = load_result(tmp_path / "run")
    assert kept is not None
    assert (kept.ended, kept.steps, len(kept.curve)) == ("diverged", 11, 2)
    assert np.isnan(kept.loss)


def test_what_is_easy_is_solved_and_ends_before_its_steps(tmp_path: Path):
    chosen = {"units": 16, "batch_size": 64, "learning_rate": 0.03, "measure_every": 20, "clip": 1.0}
    found = trained(made(tmp_path / "run", length=2, curriculum=False, **chosen), Limits(2000))
    assert found.ended == "solved"
    assert found.accuracy == 1
    assert [point.valid_accuracy for point in found.curve[-5:]] == [1] * 5


def test_five_points_in_a_row_without_any_mistake_make_it_solved():
    right, wrong = (Point(50, 5, 0.0, accuracy, 0.0, 0.0, 1.0) for accuracy in (1.0, 0.999))
    assert not Progress(curve=[right] * 4).solved
    assert Progress(curve=[wrong, *[right] * 5]).solved
    assert not Progress(curve=[right, wrong, *[right] * 4]).solved
    assert not Progress(curve=[*[right] * 4, replace(right, valid_accuracy=0.99)]).solved


def test_a_curriculum_makes_palindromes_longer_where_nearly_all_is_right():
    run, settings = StudyRun("rnn", 24, 1), LearningSettings(curriculum=True)
    known, unknown = (Point(50, 15, 0.0, accuracy, 0.0, 0.0, 0.0) for accuracy in (0.98, 0.979))
    assert Progress().length(run, settings) == 10
    assert Progress(curve=[known]).length(run, settings) == 23
    assert Progress(curve=[unknown]).length(run, settings) == 15
    assert Progress(curve=[replace(known, length=23)]).length(run, settings) == 24
    assert Progress().length(run, LearningSettings()) == 24
