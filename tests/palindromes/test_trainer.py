"""Palindromes, the network that learns them, and its runs: stopped and resumed equals never stopped, bitwise."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.networks import next_state
from wordgen.errors import BundleError
from wordgen.model.architecture import Cell
from wordgen.palindromes import worker
from wordgen.palindromes.results import Point, RunResult, load_result
from wordgen.palindromes.settings import DIGITS, Encoding, LearningSettings, StudyRun, trainable_parameters
from wordgen.palindromes.trainer import (
    Digits,
    PalindromeRun,
    Part,
    Trainer,
    draw_palindromes,
    encoding_table,
    initial_bias,
    inputs_and_targets,
    random_generator,
)
from wordgen.palindromes.worker import Event, Limits, Progress

LSTM = StudyRun("lstm", 100, 1)


@given(st.integers(0, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_rows_are_palindromes_of_given_length(count: int, length: int, seed: int):
    rows = draw_palindromes(count, length, np.random.default_rng(seed))
    assert rows.shape == (count, length)
    assert (rows == rows[:, ::-1]).all()
    assert (rows < DIGITS).all()


@given(st.integers(1, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_target_is_first_digit_and_no_input(count: int, length: int, seed: int):
    rows = draw_palindromes(count, length, np.random.default_rng(seed))
    inputs, targets = inputs_and_targets(rows)
    assert inputs.shape == (count, length - 1)
    assert (inputs == rows[:, :-1]).all()
    assert (targets == inputs[:, 0]).all()


def test_digits_of_first_half_are_uniform_and_independent():
    half = draw_palindromes(20_000, 6, np.random.default_rng(1))[:, :3].astype(int)
    pairs = np.bincount(half[:, 0] * DIGITS + half[:, 1], minlength=DIGITS**2)
    expected = len(half) / DIGITS**2
    chi_squared = float(((pairs - expected) ** 2 / expected).sum())
    assert chi_squared < 150  # with 99 degrees of freedom, p = 0.001 at 149


def test_batches_are_reproducible_and_all_different():
    parts: tuple[Part, ...] = ("train", "valid", "test")
    runs = (LSTM, StudyRun("lstm", 100, 2))
    batches = [draw_palindromes(8, 30, random_generator(*each)).tobytes() for each in product(runs, parts, (0, 1))]
    repeated = draw_palindromes(8, 30, random_generator(LSTM, "train", 0)).tobytes()
    assert len(set(batches)) == len(batches)
    assert batches[0] == repeated


def test_cells_learn_same_palindromes_with_same_random_seed():
    first, second = (
        draw_palindromes(8, 30, random_generator(StudyRun(cell, 30, 3), "train", 5)) for cell in ("rnn", "gru")
    )
    assert (first == second).all()


def test_encodings_are_one_hot_or_standardised_number():
    assert (encoding_table("one-hot") == np.eye(DIGITS)).all()
    number = encoding_table("number")
    assert number.shape == (DIGITS, 1)
    assert number.mean() == pytest.approx(0, abs=1e-6)
    assert number.var() == pytest.approx(1)
    assert (np.diff(number[:, 0]) > 0).all()


@given(st.integers(3, 2000), st.integers(0, 1000))
def test_first_forget_bias_remembers_2_to_length_steps(length: int, seed: int):
    bias = np.zeros(4 * 16, np.float32)
    run = StudyRun("lstm", length, seed)
    first_biases = initial_bias(run, bias, None, length)
    forget_gates = 1 / (1 + np.exp(-first_biases[16:32]))
    time_steps = 1 / (1 - forget_gates)
    assert (time_steps >= 2 - 1e-4).all()
    assert (time_steps <= length + 1e-2 * length).all()
    assert (first_biases[:16] == -first_biases[16:32]).all()
    assert (first_biases[32:] == 0).all()
    assert (bias == 0).all()
    # with a curriculum, the input gate opens further and the forget gate stays
    shorter = initial_bias(run, bias, None, 3)
    assert (shorter[16:32] == first_biases[16:32]).all()
    assert (shorter[:16] >= first_biases[:16]).all()
    gru = initial_bias(StudyRun("gru", length, seed), np.zeros((2, 3 * 16), np.float32), None, length)
    assert (gru[0, :16] == first_biases[16:32]).all()


def test_given_forget_bias_is_used():
    lstm = initial_bias(LSTM, np.zeros(12, np.float32), 1.0, 100)
    assert lstm.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    gru = initial_bias(StudyRun("gru", 100, 1), np.zeros((2, 9), np.float32), 2.5, 100)
    assert gru.tolist() == [[2.5] * 3 + [0] * 6, [0] * 9]
    rnn = np.arange(3, dtype=np.float32)
    assert initial_bias(StudyRun("rnn", 100, 1), rnn, 2.5, 100).tolist() == rnn.tolist()


CELLS: tuple[Cell, ...] = get_args(Cell)
DIFFERENCE = 1e-5


def make_trainer(cell: Cell, length: int = 5, **chosen: Any) -> Trainer:
    return Trainer(StudyRun(cell, length, 1), LearningSettings(**{"units": 4, "batch_size": 8, **chosen}))


def palindromes(count: int, length: int, seed: int = 1) -> Digits:
    return draw_palindromes(count, length, np.random.default_rng(seed))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("encoding", get_args(Encoding))
def test_gradient_norms_equal_differences_of_the_loss(cell: Cell, encoding: Encoding):
    """The expected norms are central differences of a float64 loss, with one value of the state changed."""
    trainer, batch = make_trainer(cell, length=4, encoding=encoding), palindromes(2, 4)
    trained = [array for name, array in trainer.snapshot().items() if name.startswith("weights/")]
    expected_count = trainable_parameters(cell, LearningSettings(units=4, encoding=encoding))
    assert sum(prod(array.shape) for array in trained) == expected_count
    weights = {name: array.astype(np.float64) for name, array in trainer.network.to_weights().items()}
    inputs, targets = inputs_and_targets(batch)

    def loss_from(row: int, step: int, state: list[np.ndarray]) -> float:
        for digit in inputs[row, step:]:
            state = next_state(cell, weights, "layer_1", weights["embedding"][digit], state)
        logits = weights["output/bias"] + weights["output/kernel"] @ state[0]
        return float(np.log(np.exp(logits).sum()) - logits[targets[row]])

    def slope(row: int, step: int, state: list[np.ndarray], place: tuple[int, int]) -> float:
        losses = []
        for change in (DIFFERENCE, -DIFFERENCE):
            changed = [each.copy() for each in state]
            changed[place[0]][place[1]] += change
            losses.append(loss_from(row, step, changed))
        return (losses[0] - losses[1]) / (2 * DIFFERENCE)

    expected = np.zeros((2, 3))
    for row in range(2):
        state = [np.zeros(4)] * trainer.network.architecture.states
        for step, digit in enumerate(inputs[row], start=1):
            state = next_state(cell, weights, "layer_1", weights["embedding"][digit], state)
            slopes = [slope(row, step, state, place) for place in np.ndindex(len(state), 4)]  # pyright: ignore[reportArgumentType]
            expected[row, step - 1] = np.sqrt(np.sum(np.square(slopes)))
    np.testing.assert_allclose(trainer.gradient_norms(batch), expected.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_loss_falls_and_embedding_stays(cell: Cell):
    trainer, run = make_trainer(cell, length=3, units=16, batch_size=64, learning_rate=0.02), StudyRun(cell, 3, 1)
    batches = [draw_palindromes(64, 3, random_generator(run, "train", step)) for step in range(100)]
    losses = [trainer.step(batch).loss for batch in batches]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert (trainer.network.to_weights()["embedding"] == np.eye(10)).all()


def test_gradient_norm_halves_each_step_in_linear_network():
    """A nearly linear RNN (tiny inputs), whose recurrent kernel is half of the identity."""
    trainer = make_trainer("rnn", length=7)
    weights = {name: np.array(array) for name, array in trainer.network.to_weights().items()}
    weights["layer_1/kernel"] *= 1e-4
    weights["layer_1/recurrent_kernel"] = np.eye(4, dtype=np.float32) * np.float32(0.5)
    trainer.network.set_weights_by_name(weights)
    norms = trainer.gradient_norms(palindromes(6, 7))
    np.testing.assert_allclose(norms[1:] / norms[:-1], 2, rtol=1e-3)


def test_accuracy_and_loss_of_constant_prediction():
    trainer = make_trainer("rnn", length=3)
    weights = {name: np.array(array) for name, array in trainer.network.to_weights().items()}
    weights["output/kernel"][:] = 0
    weights["output/bias"][7] = 1
    trainer.network.set_weights_by_name(weights)
    batch = palindromes(256, 3)
    measured = trainer.measure(batch)
    assert measured.accuracy == pytest.approx((batch[:, -1] == 7).mean())
    right_loss, wrong_loss = np.log(np.e + 9) - 1, np.log(np.e + 9)
    assert measured.loss == pytest.approx(
        measured.accuracy * right_loss + (1 - measured.accuracy) * wrong_loss, rel=1e-5
    )


def test_restored_trainer_repeats_the_same_step():
    """Also if NaN weights have reached those values of RMSprop that no snapshot has."""
    trainer, batch = make_trainer("rnn", optimizer="rmsprop"), palindromes(8, 5)
    trainer.step(batch)
    snapshot = trainer.snapshot()
    expected = trainer.step(batch)
    broken = {name: np.full_like(array, np.nan) for name, array in snapshot.items() if name.startswith("weights/")}
    trainer.restore({**snapshot, **broken})
    trainer.step(batch)
    trainer.restore(snapshot)
    assert trainer.step(batch) == expected
    assert trainer.step(batch).loss < expected.loss


def test_steps_with_curriculum_equal_steps_without():
    batch, steps = palindromes(8, 5), []
    for curriculum in (False, True):
        trainer = make_trainer("lstm", length=5, curriculum=curriculum)
        steps.append([trainer.step(batch) for _ in range(3)])
    for plain, with_curriculum in zip(*steps, strict=True):
        assert plain.loss == pytest.approx(with_curriculum.loss, rel=1e-5)
        assert plain.gradient_norm == pytest.approx(with_curriculum.gradient_norm, rel=1e-4)
    assert trainer.step(palindromes(8, 4)).loss > 0


SMALL: dict[str, Any] = {"units": 6, "batch_size": 8, "measure_every": 4, "curriculum": True, "clip": 0.1}
STEPS = 14


def make_run(
    folder: Path,
    cell: Any = "rnn",
    length: int = 24,
    report: Callable[[Event], None] = lambda event: None,
    **chosen: Any,
) -> PalindromeRun:
    settings = LearningSettings(**{**SMALL, **chosen})
    return PalindromeRun(StudyRun(cell, length, 1), settings, folder, report)


def train_run(run: PalindromeRun, limits: Limits) -> RunResult:
    """The result without the seconds, which differ each time."""
    result = run.train(limits)
    assert result is not None
    return replace(result, seconds=0.0)


def stop_after(checks: int) -> Callable[[], bool]:
    """A stop condition that is false this many times, and then true."""
    remaining = iter(range(checks))
    return lambda: next(remaining, None) is None


def test_stopped_and_damaged_run_resumes_bitwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_LENGTHEN_FROM", 0.0)  # makes palindromes longer at each point, at any accuracy
    uninterrupted = train_run(make_run(tmp_path / "whole"), Limits(STEPS))
    assert [point.length for point in uninterrupted.curve] == [10, 15, 23, 24]

    folder = tmp_path / "parts"
    run = make_run(folder)
    assert run.train(Limits(STEPS), stop_after(0)) is None
    assert load_result(folder) is None
    shorter = train_run(run, Limits(5))  # between two points of the curve
    assert (shorter.ended, shorter.steps, [point.step for point in shorter.curve]) == ("all steps done", 5, [4, 5])
    run = make_run(folder)
    assert run.train(Limits(STEPS), stop_after(2)) is None
    assert run.train(Limits(STEPS), stop_after(3)) is None
    newest = max((folder / "checkpoints").glob("step-*")) / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    events: list[Event] = []
    run = make_run(folder, report=events.append)
    assert events[0].kind == "warning"
    assert "is damaged" in events[0].sentence
    assert train_run(run, Limits(STEPS)) == uninterrupted
    saved = load_result(folder)
    assert saved is not None
    assert replace(saved, seconds=0.0) == uninterrupted

    shutil.copytree(tmp_path / "whole", tmp_path / "other")
    with pytest.raises(BundleError, match="another shape"):
        make_run(tmp_path / "other", units=7)


def test_result_has_curve_gradient_norms_and_divergence(tmp_path: Path):
    run = make_run(tmp_path / "run", length=4, curriculum=False)
    untrained = train_run(run, Limits(1000, seconds=0.0, time_budget="5m"))
    assert (untrained.ended, untrained.time_budget, untrained.steps) == ("the time is up", "5m", 0)
    result = train_run(run, Limits(10))
    assert [point.step for point in result.curve] == [4, 8, 10]
    assert {point.length for point in result.curve} == {4}
    assert len(result.gradients_before) == len(result.gradients_after) == 3
    assert untrained.gradients_after == result.gradients_before != result.gradients_after
    assert min(result.gradients_before) > 0
    assert 0 <= result.accuracy <= 1
    assert (result.ended, result.time_budget, result.steps) == ("all steps done", None, 10)
    assert result.parameters == 6 * (10 + 6 + 1) + 10 * 7

    network = run._trainer.network
    network.set_weights_by_name({**network.to_weights(), "output/bias": np.full(10, np.nan, np.float32)})
    assert run.train(Limits(40)) is not None
    diverged = load_result(tmp_path / "run")
    assert diverged is not None
    assert (diverged.ended, diverged.steps, len(diverged.curve)) == ("diverged", 11, 2)
    assert np.isnan(diverged.loss)


def test_easy_task_is_solved_before_last_step(tmp_path: Path):
    settings = {"units": 16, "batch_size": 64, "learning_rate": 0.03, "measure_every": 20, "clip": 1.0}
    result = train_run(make_run(tmp_path / "run", length=2, curriculum=False, **settings), Limits(2000))
    assert result.ended == "solved"
    assert result.accuracy == 1
    assert [point.valid_accuracy for point in result.curve[-5:]] == [1] * 5


def test_five_perfect_points_in_a_row_are_solved():
    right, wrong = (Point(50, 5, 0.0, accuracy, 0.0, 0.0, 1.0) for accuracy in (1.0, 0.999))
    assert not Progress(curve=[right] * 4).solved
    assert Progress(curve=[wrong, *[right] * 5]).solved
    assert not Progress(curve=[right, wrong, *[right] * 4]).solved
    assert not Progress(curve=[*[right] * 4, replace(right, valid_accuracy=0.99)]).solved


def test_curriculum_lengthens_palindromes_at_98_percent():
    run, settings = StudyRun("rnn", 24, 1), LearningSettings(curriculum=True)
    known, unknown = (Point(50, 15, 0.0, accuracy, 0.0, 0.0, 0.0) for accuracy in (0.98, 0.979))
    assert Progress().length(run, settings) == 10
    assert Progress(curve=[known]).length(run, settings) == 23
    assert Progress(curve=[unknown]).length(run, settings) == 15
    assert Progress(curve=[replace(known, length=23)]).length(run, settings) == 24
    assert Progress().length(run, LearningSettings()) == 24
