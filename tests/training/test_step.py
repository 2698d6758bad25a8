import numpy as np
import pytest
import tensorflow as tf

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.dataset.batches import Batches
from wordgen.model.losses import summed_loss
from wordgen.model.network import Network
from wordgen.text.vocabulary import START
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import Stepper

IDS = np.random.default_rng(1).integers(2, 20, size=400).astype(np.uint8)


def make(**settings: object) -> tuple[Network, Stepper, Batches]:
    chosen = TrainingSettings(**{"batch_size": 4, "seq_len": 6, "dropout": 0.0, **settings})  # pyright: ignore[reportArgumentType]
    network = Network(Architecture.of(NetworkSettings(layers=2, units=8), 20), dropout=chosen.dropout, random_seed=1)
    stepper = Stepper(network, chosen, tf.distribute.get_strategy())
    return network, stepper, Batches(IDS, chosen.batch_size, chosen.seq_len, 1)


def plain_gradients(network: Network, batches: Batches) -> list[np.ndarray]:
    inputs, targets = batches.batch(1, 0)
    with tf.GradientTape() as tape:
        hidden, _ = network(inputs, network.zero_carry(4))
        loss, _ = summed_loss(network.logits(hidden), tf.constant(targets))
        mean = loss / 24
    return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(mean, network.trainable_variables)]


def first_moves(clip: float) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """What a step of SGD at rate 1 subtracted, what plain gradients say, and the norm the step reported."""
    network, stepper, batches = make(optimizer="sgd", learning_rate=1.0, clip=clip)
    before = [np.asarray(variable) for variable in network.trainable_variables]
    expected = plain_gradients(network, batches)
    _, _, norm, _ = stepper(*batches.batch(1, 0), stepper.zero_carry(), 1)
    moved = [was - np.asarray(now) for was, now in zip(before, network.trainable_variables, strict=True)]
    return moved, expected, norm


def test_a_step_follows_the_gradient_of_the_mean_loss():
    moved, expected, norm = first_moves(clip=0)
    for one, other in zip(moved, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in expected)), rel=1e-5)


def test_a_long_gradient_is_shortened_as_a_whole():
    moved, expected, norm = first_moves(clip=0.01)
    assert norm > 0.01
    for one, other in zip(moved, expected, strict=True):
        np.testing.assert_allclose(one, other * 0.01 / norm, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    """An independent look at one weight of every kind: nudge it and see what the loss does."""
    network, _, batches = make()
    gradients = plain_gradients(network, batches)
    inputs, targets = batches.batch(1, 0)

    def mean_loss() -> float:
        hidden, _ = network(inputs, network.zero_carry(4))
        logits = np.asarray(network.logits(hidden)).astype(np.float64)
        own = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        losses = np.log(np.exp(logits).sum(axis=-1)) - own
        return float(losses[targets != START].sum() / 24)

    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        value = np.asarray(variable).copy()
        nudged = []
        for nudge in (1e-2, -1e-2):
            changed = value.copy()
            changed[place] += nudge
            variable.assign(changed)
            nudged.append(mean_loss())
        variable.assign(value)
        assert (nudged[0] - nudged[1]) / 2e-2 == pytest.approx(gradient[place], rel=0.02)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_every_optimizer_learns_a_text_by_heart(optimizer: str):
    ids = np.tile(np.arange(3, 13), 40).astype(np.uint8)
    rate = 0.01 if optimizer != "sgd" else None
    _, stepper, _ = make(optimizer=optimizer, learning_rate=rate)
    batches = Batches(ids, 4, 6, 1)
    carry, losses = stepper.zero_carry(), []
    for step in range(60):
        loss, count, _, carry = stepper(*batches.batch(1, step % batches.steps_per_epoch), carry, step + 1)
        losses.append(loss / count)
    assert losses[-1] < 0.5 * losses[0]


def test_the_same_run_twice_gives_the_same_weights():
    def run() -> list[np.ndarray]:
        network, stepper, batches = make(dropout=0.4)
        carry = stepper.zero_carry()
        for step in range(5):
            *_, carry = stepper(*batches.batch(1, step), carry, step + 1)
        return [np.asarray(variable) for variable in network.trainable_variables]

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


def losses_of_first_step(dropout: float, *steps: int) -> list[float]:
    """The loss of the same batch and the same weights, as the first step of a run and as later ones."""
    found = []
    for step in steps:
        _, stepper, batches = make(dropout=dropout)
        loss, *_ = stepper(*batches.batch(1, 0), stepper.zero_carry(), step)
        found.append(loss)
    return found


def test_dropout_is_drawn_anew_in_every_step():
    first, again, second = losses_of_first_step(0.5, 1, 1, 2)
    assert first == again != second
    assert losses_of_first_step(0.0, 1) == losses_of_first_step(0.0, 2)
    assert losses_of_first_step(0.0, 1) != [first]


def test_the_carry_goes_on_into_the_next_step():
    _, stepper, batches = make()
    *_, carry = stepper(*batches.batch(1, 0), stepper.zero_carry(), 1)
    inputs = batches.batch(1, 1)
    with_carry, *_ = make()[1](*inputs, carry, 2)
    without, *_ = make()[1](*inputs, stepper.zero_carry(), 2)
    assert with_carry != without


def test_default_learning_rates():
    assert TrainingSettings().first_learning_rate == 0.001
    assert TrainingSettings(optimizer="sgd").first_learning_rate == 1.0
    assert TrainingSettings(optimizer="adam", learning_rate=0.5).first_learning_rate == 0.5
