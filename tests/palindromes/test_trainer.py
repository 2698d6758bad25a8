"""The training of a network: its parameters, its gradient at each time step, its accuracy, and what a step changes."""

from math import prod
from typing import Any, get_args

import numpy as np
import pytest

from tests.helpers.plain_cells import next_state
from wordgen.model.architecture import Cell
from wordgen.palindromes.settings import Encoding, LearningSettings, StudyRun, trainable_parameters
from wordgen.palindromes.trainer import (
    Digits,
    Trainer,
    draw_palindromes,
    inputs_and_targets,
    random_generator,
)

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
