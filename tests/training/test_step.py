"""A training step: gradients, clipping, dropout, averages, and several steps per call."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from wordgen.dataset.batches import Batches, Ids
from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.model.bundle import Weights
from wordgen.network.losses import summed_loss
from wordgen.network.network import Network, State
from wordgen.network.replicas import single_replica
from wordgen.text.vocabulary import START
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import Stepper, StepResult, steps_per_call

IDS = np.random.default_rng(1).integers(2, 20, size=400).astype(np.uint8)


def make_stepper(**settings: object) -> tuple[Network, Stepper, Batches]:
    chosen = TrainingSettings(**{"batch_size": 4, "seq_len": 6, "dropout": 0.0, **settings})  # pyright: ignore[reportArgumentType]
    precision = "bfloat16" if chosen.precision == "bfloat16" else "float32"
    network = Network(
        Architecture.of(NetworkSettings(layers=2, units=8), 20),
        dropout=DropoutSettings.part_of(chosen),
        random_seed=1,
        precision=precision,
    )
    stepper = Stepper(network, chosen, single_replica())
    return network, stepper, Batches(IDS, chosen.batch_size, chosen.seq_len, 1, chosen.vary_seq_len)


def one_step(
    stepper: Stepper, batch: tuple[Ids, Ids], state: State, step: int, rate: float = 0.001
) -> tuple[StepResult, State]:
    [done], _, state = stepper([batch], state, step, [rate])
    return done, state


def tape_gradients(network: Network, batches: Batches) -> list[np.ndarray]:
    inputs, targets = batches.batch(1, 0)
    with tf.GradientTape() as tape:
        hidden, _ = network(inputs, network.zero_state(4))
        loss, _ = summed_loss(network.logits(hidden), tf.constant(targets))
        mean = loss / 24
    return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(mean, network.trainable_variables)]


def first_sgd_step(clip: float, rate: float = 1.0) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """What a step of SGD subtracts from the weights, the gradients, and the norm that the step reports."""
    network, stepper, batches = make_stepper(optimizer="sgd", clip=clip)
    before = [np.asarray(variable) for variable in network.trainable_variables]
    gradients = tape_gradients(network, batches)
    norm = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1, rate)[0].norm
    changes = [was - np.asarray(now) for was, now in zip(before, network.trainable_variables, strict=True)]
    return changes, gradients, norm


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_sgd_step_subtracts_rate_times_gradient(rate: float):
    changes, gradients, norm = first_sgd_step(clip=0, rate=rate)
    for change, gradient in zip(changes, gradients, strict=True):
        np.testing.assert_allclose(change, rate * gradient, atol=1e-6)
    assert norm == pytest.approx(np.sqrt(sum((gradient**2).sum() for gradient in gradients)), rel=1e-5)


def test_clip_scales_the_whole_gradient():
    changes, gradients, norm = first_sgd_step(clip=0.01)
    assert norm > 0.01
    for change, gradient in zip(changes, gradients, strict=True):
        np.testing.assert_allclose(change, gradient * 0.01 / norm, atol=1e-6)


def test_gradient_matches_finite_differences():
    """For one weight of each variable."""
    network, _, batches = make_stepper()
    gradients = tape_gradients(network, batches)
    inputs, targets = batches.batch(1, 0)

    def mean_loss() -> float:
        hidden, _ = network(inputs, network.zero_state(4))
        logits = np.asarray(network.logits(hidden)).astype(np.float64)
        of_targets = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        losses = np.log(np.exp(logits).sum(axis=-1)) - of_targets
        return float(losses[targets != START].sum() / 24)

    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        value = np.asarray(variable).copy()
        losses = []
        for difference in (1e-2, -1e-2):
            changed = value.copy()
            changed[place] += difference
            variable.assign(changed)
            losses.append(mean_loss())
        variable.assign(value)
        assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(gradient[place], rel=0.02)


@pytest.mark.parametrize(("optimizer", "rate"), [("rmsprop", 0.01), ("sgd", 1.0)])
def test_steps_lower_the_loss_of_a_repeated_text(optimizer: str, rate: float):
    ids = np.tile(np.arange(3, 13), 40).astype(np.uint8)
    _, stepper, _ = make_stepper(optimizer=optimizer)
    batches = Batches(ids, 4, 6, 1)
    state, losses = stepper.zero_state(), []
    for step in range(60):
        done, state = one_step(stepper, batches.batch(1, step % batches.steps_per_epoch), state, step + 1, rate)
        losses.append(done.loss / done.count)
    assert losses[-1] < 0.5 * losses[0]


def test_repeated_run_gives_the_same_weights():
    def run() -> list[np.ndarray]:
        network, stepper, batches = make_stepper(dropout=0.4)
        state = stepper.zero_state()
        for step in range(5):
            _, state = one_step(stepper, batches.batch(1, step), state, step + 1)
        return [np.asarray(variable) for variable in network.trainable_variables]

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_restore_removes_nan_and_repeats_the_step_exactly(optimizer: str):
    network, stepper, batches = make_stepper(optimizer=optimizer)
    start = stepper.snapshot(stepper.zero_state())
    expected, _ = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1)
    after = network.to_weights()
    network.output_bias.assign(np.full(20, np.nan, np.float32))
    one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 2)
    assert one_step(stepper, batches.batch(1, 0), stepper.restore(start), 1)[0] == expected
    for name, weight in network.to_weights().items():
        np.testing.assert_array_equal(weight, after[name])


def losses_at_steps(dropout: float, *steps: int) -> list[float]:
    """The loss of the same batch with the same weights, at each of these numbers of a step."""
    _, stepper, batches = make_stepper(dropout=dropout)
    start = stepper.snapshot(stepper.zero_state())
    return [one_step(stepper, batches.batch(1, 0), stepper.restore(start), step)[0].loss for step in steps]


def test_dropout_depends_on_the_step():
    first, repeated, second = losses_at_steps(0.5, 1, 1, 2)
    assert first == repeated != second
    without, without_second = losses_at_steps(0.0, 1, 2)
    assert without == without_second != first


def test_step_uses_the_state_of_the_step_before():
    _, stepper, batches = make_stepper()
    start = stepper.snapshot(stepper.zero_state())
    _, state = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1)
    zero_state = stepper.restore(start)
    from_state, _ = one_step(stepper, batches.batch(1, 1), state, 2)
    stepper.restore(start)
    from_zero, _ = one_step(stepper, batches.batch(1, 1), zero_state, 2)
    assert from_state != from_zero


@pytest.mark.parametrize(
    ("optimizer", "settings", "names"),
    [
        ("sgd", {"tied": False}, ("embedding",)),
        ("rmsprop", {"tied": True, "sampled_output": 9}, ("embedding",)),
        ("rmsprop", {"tied": False, "sampled_output": 9}, ("embedding", "output/kernel")),
    ],
)
def test_update_by_rows_equals_dense_update(
    optimizer: Any, settings: dict[str, Any], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    """A step by rows changes only word vectors and output weights that have a gradient."""

    def train() -> tuple[list[float], Weights]:
        chosen = TrainingSettings(
            optimizer=optimizer,
            clip=0.1,
            batch_size=4,
            seq_len=6,
            dropout=0.0,
            sampled_output=settings.get("sampled_output"),
        )
        network = Network(
            Architecture.of(NetworkSettings(layers=1, units=8, tied=settings["tied"]), 120), random_seed=1
        )
        stepper, batches = Stepper(network, chosen, single_replica()), Batches(IDS, 4, 6, 1)
        updated_by_rows.append(stepper._by_rows)
        state, norms, rate = stepper.zero_state(), [], 1.0 if optimizer == "sgd" else 0.01
        for step in range(1, 9):
            done, state = one_step(stepper, batches.batch(1, step - 1), state, step, rate)
            norms.append(done.norm)
        return norms, network.to_weights()

    updated_by_rows: list[tuple[str, ...]] = []
    # With this scale, the mean squares are multiplied out every few steps.
    monkeypatch.setattr("wordgen.training.optimizers._MIN_SCALE", 0.7)
    norms, weights = train()
    monkeypatch.setattr("wordgen.training.step._weights_updated_by_rows", lambda *arguments: ())
    dense_norms, dense_weights = train()
    assert updated_by_rows == [names, ()]
    assert min(norms) > 0.1  # all gradients were clipped
    np.testing.assert_allclose(norms, dense_norms, rtol=1e-4)
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, dense_weights[name], atol=1e-6, err_msg=name)


def test_number_of_requests_does_not_retrace():
    """A run with a time budget measures its speed with the graph that it then trains with."""
    _, stepper, batches = make_stepper()
    state = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.001])[2]
    stepper([batches.batch(1, 0)] * 3, state, 2, [0.001] * 3, (True, False), [0.5] * 3)
    assert stepper._run_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("float32", {"label_smoothing": 0.1}),
        ("float32", {"sampled_output": 9}),
        ("bfloat16", {"vary_seq_len": True, "seq_len": 5}),
    ],
)
def test_several_steps_per_call_equal_single_steps(precision: str, settings: dict[str, Any]):
    _, stepper, batches = make_stepper(
        dropout=0.4,
        locked_dropout=True,
        word_dropout=0.1,
        weight_drop=0.2,
        weight_decay=0.01,
        average_after=1,
        precision=precision,
        **{"seq_len": 3, **settings},
    )
    start = stepper.snapshot(stepper.zero_state())

    def train(steps_by_call: list[int]) -> tuple[list[StepResult], dict[str, np.ndarray]]:
        assert stepper.max_steps >= max(steps_by_call)
        state, done, step = stepper.restore(start), [], 0
        for number in steps_by_call:
            windows = [batches.batch(1, step + k) for k in range(number)]
            rates = [0.01 / (step + k + 1) for k in range(number)]
            shares = [0.0 if step + k < 2 else 1 / (step + k - 1) for k in range(number)]
            steps, _, state = stepper(windows, state, step + 1, rates, average_shares=shares)
            done, step = [*done, *steps], step + number
        return done, stepper.snapshot(state)

    done, snapshot = train([1] * 7)
    for steps_by_call in ([7], [1, 4, 2]):
        repeated, repeated_snapshot = train(steps_by_call)
        assert repeated == done
        for name, array in snapshot.items():
            np.testing.assert_array_equal(repeated_snapshot[name], array, err_msg=name)
    assert len({step.loss for step in done}) == 7


def test_weights_and_logits_stay_float32_with_bfloat16():
    network, stepper, batches = make_stepper(precision="bfloat16")
    assert network.compute_dtype == "bfloat16"
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
    hidden, _ = network(batches.batch(1, 0)[0], network.zero_state(4))
    assert hidden.dtype == tf.bfloat16
    assert network.logits(hidden).dtype == tf.float32
    _, state = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1)
    snapshot = stepper.snapshot(state)
    assert {array.dtype for array in snapshot.values()} <= {
        np.dtype(np.float32),
        np.dtype(np.int64),
        np.dtype(np.int32),
    }
    for one, other in zip(tf.nest.flatten(state), tf.nest.flatten(stepper.restore(snapshot)), strict=True):
        assert one.dtype == other.dtype == tf.bfloat16
        np.testing.assert_array_equal(np.asarray(one, np.float32), np.asarray(other, np.float32))


def test_small_networks_do_more_steps_per_call():
    def max_steps(layers: int, units: int) -> int:
        return steps_per_call(Architecture.of(NetworkSettings(layers=layers, units=units), 5000), TrainingSettings())

    assert max_steps(3, 512) == 1
    assert 1 < max_steps(1, 64) < max_steps(1, 8)
    large = Architecture.of(NetworkSettings(layers=3, units=512), 5000)
    assert steps_per_call(large, TrainingSettings(), on_gpu=True) > 10


def test_average_is_the_mean_of_weights_since_it_began():
    _, stepper, batches = make_stepper(optimizer="sgd", average_after=1)
    state, weights = stepper.zero_state(), []
    for step in range(6):
        share = max(0.0, 1 / (step - 1)) if step > 1 else 0.0  # the average begins after the second step
        _, _, state = stepper([batches.batch(1, step)], state, step + 1, [1.0], average_shares=[share])
        weights.append(stepper.weights(averaged=False))
    averages = stepper.weights(averaged=True)
    assert averages.keys() == weights[0].keys()
    for name, average in averages.items():
        np.testing.assert_allclose(average, np.mean([each[name] for each in weights[2:]], axis=0), atol=1e-6)
        assert (average != weights[-1][name]).any()


def test_average_ignores_earlier_weights():
    """Infinite weights, too, although 0 times infinity is NaN."""
    network, stepper, batches = make_stepper(optimizer="sgd", average_after=1)
    network.variables_by_name()["embedding"].assign(np.full((20, 8), np.inf, np.float32))
    stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.0], average_shares=[0.0])
    assert all(np.isfinite(average).all() for average in stepper.weights(averaged=True).values())


def test_average_is_restored():
    _, stepper, batches = make_stepper(average_after=1)
    _, _, state = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.01], average_shares=[1.0])
    _, restored, _ = make_stepper(average_after=1)
    restored.restore(stepper.snapshot(state))
    for name, average in stepper.weights(averaged=True).items():
        np.testing.assert_array_equal(restored.weights(averaged=True)[name], average)


def test_weight_decay_shrinks_by_decay_times_rate():
    def changes(**settings: object) -> list[np.ndarray]:
        network, stepper, batches = make_stepper(optimizer="sgd", **settings)
        before = [np.asarray(variable) for variable in network.trainable_variables]
        stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.25])
        return [np.asarray(now) - was for was, now in zip(before, network.trainable_variables, strict=True)]

    network, _, _ = make_stepper()
    for weight, plain, shrunk in zip(network.trainable_variables, changes(), changes(weight_decay=0.1), strict=True):
        np.testing.assert_allclose(shrunk - plain, -0.25 * 0.1 * np.asarray(weight), atol=2e-6)


def test_label_smoothing_changes_weights_but_not_reported_loss():
    plain, smoothed = (first_step_and_bias(optimizer="sgd", label_smoothing=share, clip=0) for share in (0.0, 0.5))
    assert plain[0] == smoothed[0]
    assert (plain[1] != smoothed[1]).any()
    # Half of the probability is spread over all tokens, so the bias of a token that never occurs falls less.
    assert abs(smoothed[1][START]) < abs(plain[1][START])


def first_step_and_bias(**settings: object) -> tuple[float, np.ndarray]:
    network, stepper, batches = make_stepper(**settings)
    [done], _, _ = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [1.0])
    return done.loss, np.asarray(network.output_bias)
