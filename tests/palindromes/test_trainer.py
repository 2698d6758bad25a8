"""The task, the network that learns it, and a run: stopped anywhere and continued, it is the same run, to the bit."""

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

from tests.helpers.plain_cells import next_state
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
    first_bias,
    inputs_and_targets,
    random_generator,
)
from wordgen.palindromes.worker import Event, Limits, Progress

LSTM = StudyRun("lstm", 100, 1)


@given(st.integers(0, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_every_row_is_a_palindrome_of_that_length(count: int, length: int, seed: int):
    found = draw_palindromes(count, length, np.random.default_rng(seed))
    assert found.shape == (count, length)
    assert (found == found[:, ::-1]).all()
    assert (found < DIGITS).all()


@given(st.integers(1, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_the_last_digit_follows_from_the_first_and_is_not_read(count: int, length: int, seed: int):
    whole = draw_palindromes(count, length, np.random.default_rng(seed))
    read, last = inputs_and_targets(whole)
    assert read.shape == (count, length - 1)
    assert (read == whole[:, :-1]).all()
    assert (last == read[:, 0]).all()


def test_the_first_half_is_random_with_all_digits_alike():
    half = draw_palindromes(20_000, 6, np.random.default_rng(1))[:, :3].astype(int)
    pairs = np.bincount(half[:, 0] * DIGITS + half[:, 1], minlength=DIGITS**2)
    expected = len(half) / DIGITS**2
    chi_squared = float(((pairs - expected) ** 2 / expected).sum())
    assert chi_squared < 150  # of 99 degrees of freedom; 149 in one case of a thousand


def test_batches_are_repeatable_and_no_two_parts_or_steps_are_alike():
    parts: tuple[Part, ...] = ("train", "valid", "test")
    runs = (LSTM, StudyRun("lstm", 100, 2))
    drawn = [draw_palindromes(8, 30, random_generator(*each)).tobytes() for each in product(runs, parts, (0, 1))]
    again = draw_palindromes(8, 30, random_generator(LSTM, "train", 0)).tobytes()
    assert len(set(drawn)) == len(drawn)
    assert drawn[0] == again


def test_cells_of_one_random_seed_learn_the_same_palindromes():
    one, other = (
        draw_palindromes(8, 30, random_generator(StudyRun(cell, 30, 3), "train", 5)) for cell in ("rnn", "gru")
    )
    assert (one == other).all()


def test_a_digit_is_ten_inputs_or_one_with_mean_0_and_variance_1():
    assert (encoding_table("one-hot") == np.eye(DIGITS)).all()
    number = encoding_table("number")
    assert number.shape == (DIGITS, 1)
    assert number.mean() == pytest.approx(0, abs=1e-6)
    assert number.var() == pytest.approx(1)
    assert (np.diff(number[:, 0]) > 0).all()


@given(st.integers(3, 2000), st.integers(0, 1000))
def test_a_unit_begins_with_a_gate_that_lets_it_remember_up_to_the_length(length: int, seed: int):
    bias = np.zeros(4 * 16, np.float32)
    run = StudyRun("lstm", length, seed)
    begun = first_bias(run, bias, None, length)
    kept = 1 / (1 + np.exp(-begun[16:32]))
    remembered = 1 / (1 - kept)
    assert (remembered >= 2 - 1e-4).all()
    assert (remembered <= length + 1e-2 * length).all()
    assert (begun[:16] == -begun[16:32]).all()
    assert (begun[32:] == 0).all()
    assert (bias == 0).all()
    shorter = first_bias(run, bias, None, 3)  # with a curriculum it writes more, and keeps as long
    assert (shorter[16:32] == begun[16:32]).all()
    assert (shorter[:16] >= begun[:16]).all()
    gru = first_bias(StudyRun("gru", length, seed), np.zeros((2, 3 * 16), np.float32), None, length)
    assert (gru[0, :16] == begun[16:32]).all()


def test_a_forget_bias_that_is_given_is_taken():
    lstm = first_bias(LSTM, np.zeros(12, np.float32), 1.0, 100)
    assert lstm.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    gru = first_bias(StudyRun("gru", 100, 1), np.zeros((2, 9), np.float32), 2.5, 100)
    assert gru.tolist() == [[2.5] * 3 + [0] * 6, [0] * 9]
    rnn = np.arange(3, dtype=np.float32)
    assert first_bias(StudyRun("rnn", 100, 1), rnn, 2.5, 100).tolist() == rnn.tolist()


CELLS: tuple[Cell, ...] = get_args(Cell)
NUDGE = 1e-5


def trainer(cell: Cell, length: int = 5, **chosen: Any) -> Trainer:
    return Trainer(StudyRun(cell, length, 1), LearningSettings(**{"units": 4, "batch_size": 8, **chosen}))


def drawn(count: int, length: int, seed: int = 1) -> Digits:
    return draw_palindromes(count, length, np.random.default_rng(seed))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("encoding", get_args(Encoding))
def test_it_trains_as_many_parameters_as_are_told_and_the_norms_are_those_of_differences_of_the_loss(
    cell: Cell, encoding: Encoding
):
    """The loss is computed again in float64, one time step after another, from a state that is nudged."""
    made, whole = trainer(cell, length=4, encoding=encoding), drawn(2, 4)
    trained = [array for name, array in made.snapshot().items() if name.startswith("weights/")]
    told = trainable_parameters(cell, LearningSettings(units=4, encoding=encoding))
    assert sum(prod(array.shape) for array in trained) == told
    weights = {name: array.astype(np.float64) for name, array in made.network.to_weights().items()}
    inputs, targets = inputs_and_targets(whole)

    def loss_from(row: int, step: int, state: list[np.ndarray]) -> float:
        for digit in inputs[row, step:]:
            state = next_state(cell, weights, "layer_1", weights["embedding"][digit], state)
        logits = weights["output/bias"] + weights["output/kernel"] @ state[0]
        return float(np.log(np.exp(logits).sum()) - logits[targets[row]])

    def slope(row: int, step: int, state: list[np.ndarray], place: tuple[int, int]) -> float:
        losses = []
        for nudge in (NUDGE, -NUDGE):
            nudged = [each.copy() for each in state]
            nudged[place[0]][place[1]] += nudge
            losses.append(loss_from(row, step, nudged))
        return (losses[0] - losses[1]) / (2 * NUDGE)

    expected = np.zeros((2, 3))
    for row in range(2):
        state = [np.zeros(4)] * made.network.architecture.states
        for step, digit in enumerate(inputs[row], start=1):
            state = next_state(cell, weights, "layer_1", weights["embedding"][digit], state)
            slopes = [slope(row, step, state, place) for place in np.ndindex(len(state), 4)]  # pyright: ignore[reportArgumentType]
            expected[row, step - 1] = np.sqrt(np.sum(np.square(slopes)))
    np.testing.assert_allclose(made.gradient_norms(whole), expected.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_falls_and_the_inputs_for_the_digits_stay(cell: Cell):
    made, run = trainer(cell, length=3, units=16, batch_size=64, learning_rate=0.02), StudyRun(cell, 3, 1)
    batches = [draw_palindromes(64, 3, random_generator(run, "train", step)) for step in range(100)]
    losses = [made.step(batch).loss for batch in batches]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert (made.network.to_weights()["embedding"] == np.eye(10)).all()


def test_in_a_linear_network_the_norm_halves_with_each_time_step():
    """A plain RNN that hardly bends, whose recurrent kernel is half of the identity."""
    made = trainer("rnn", length=7)
    weights = {name: np.array(array) for name, array in made.network.to_weights().items()}
    weights["layer_1/kernel"] *= 1e-4
    weights["layer_1/recurrent_kernel"] = np.eye(4, dtype=np.float32) * np.float32(0.5)
    made.network.set_weights_by_name(weights)
    norms = made.gradient_norms(drawn(6, 7))
    np.testing.assert_allclose(norms[1:] / norms[:-1], 2, rtol=1e-3)


def test_the_accuracy_is_the_share_of_palindromes_whose_last_digit_is_predicted():
    made = trainer("rnn", length=3)
    weights = {name: np.array(array) for name, array in made.network.to_weights().items()}
    weights["output/kernel"][:] = 0
    weights["output/bias"][7] = 1
    made.network.set_weights_by_name(weights)
    whole = drawn(256, 3)
    found = made.measure(whole)
    assert found.accuracy == pytest.approx((whole[:, -1] == 7).mean())
    right, wrong = np.log(np.e + 9) - 1, np.log(np.e + 9)
    assert found.loss == pytest.approx(found.accuracy * right + (1 - found.accuracy) * wrong, rel=1e-5)


def test_a_restored_trainer_goes_on_as_it_did_from_its_snapshot():
    """Also if a loss that is no number has reached the values of RMSprop that no snapshot has."""
    made, whole = trainer("rnn", optimizer="rmsprop"), drawn(8, 5)
    made.step(whole)
    snapshot = made.snapshot()
    expected = made.step(whole)
    broken = {name: np.full_like(array, np.nan) for name, array in snapshot.items() if name.startswith("weights/")}
    made.restore({**snapshot, **broken})
    made.step(whole)
    made.restore(snapshot)
    assert made.step(whole) == expected
    assert made.step(whole).loss < expected.loss


def test_a_curriculum_has_steps_of_any_length_and_they_are_the_same_steps():
    whole, found = drawn(8, 5), []
    for curriculum in (False, True):
        made = trainer("lstm", length=5, curriculum=curriculum)
        found.append([made.step(whole) for _ in range(3)])
    for one, other in zip(*found, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
    assert made.step(drawn(8, 4)).loss > 0


QUICK: dict[str, Any] = {"units": 6, "batch_size": 8, "measure_every": 4, "curriculum": True, "clip": 0.1}
STEPS = 14


def made(
    folder: Path,
    cell: Any = "rnn",
    length: int = 24,
    report: Callable[[Event], None] = lambda event: None,
    **chosen: Any,
) -> PalindromeRun:
    settings = LearningSettings(**{**QUICK, **chosen})
    return PalindromeRun(StudyRun(cell, length, 1), settings, folder, report)


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
    events: list[Event] = []
    run = made(folder, report=events.append)
    assert events[0].kind == "warning"
    assert "is damaged" in events[0].sentence
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
