from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from wordgen.dataset.batches import Batches, Ids
from wordgen.model.architecture import Architecture, DropoutSettings, NetworkSettings
from wordgen.model.bundle import Weights
from wordgen.network.losses import summed_loss
from wordgen.network.network import Network, State
from wordgen.network.replicas import alone
from wordgen.text.vocabulary import START
from wordgen.training.settings import TrainingSettings
from wordgen.training.step import StepDone, Stepper, steps_a_call

IDS = np.random.default_rng(1).integers(2, 20, size=400).astype(np.uint8)


def make(**settings: object) -> tuple[Network, Stepper, Batches]:
    chosen = TrainingSettings(**{"batch_size": 4, "seq_len": 6, "dropout": 0.0, **settings})  # pyright: ignore[reportArgumentType]
    precision = "bfloat16" if chosen.precision == "bfloat16" else "float32"
    network = Network(
        Architecture.of(NetworkSettings(layers=2, units=8), 20),
        dropout=DropoutSettings.part_of(chosen),
        random_seed=1,
        precision=precision,
    )
    stepper = Stepper(network, chosen, alone())
    return network, stepper, Batches(IDS, chosen.batch_size, chosen.seq_len, 1, chosen.vary_seq_len)


def one_step(
    stepper: Stepper, batch: tuple[Ids, Ids], state: State, step: int, rate: float = 0.001
) -> tuple[StepDone, State]:
    [done], _, state = stepper([batch], state, step, [rate])
    return done, state


def plain_gradients(network: Network, batches: Batches) -> list[np.ndarray]:
    inputs, targets = batches.batch(1, 0)
    with tf.GradientTape() as tape:
        hidden, _ = network(inputs, network.zero_state(4))
        loss, _ = summed_loss(network.logits(hidden), tf.constant(targets))
        mean = loss / 24
    return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(mean, network.trainable_variables)]


def first_moves(clip: float) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """What a step of SGD at rate 1 subtracted, what plain gradients say, and the norm the step reported."""
    network, stepper, batches = make(optimizer="sgd", clip=clip)
    before = [np.asarray(variable) for variable in network.trainable_variables]
    expected = plain_gradients(network, batches)
    norm = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1, rate=1.0)[0].norm
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
        hidden, _ = network(inputs, network.zero_state(4))
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


@pytest.mark.parametrize(("optimizer", "rate"), [("rmsprop", 0.01), ("sgd", 1.0)])
def test_a_text_is_learned_by_heart(optimizer: str, rate: float):
    """That adam, too, moves the weights as Keras's does stands in test_optimizers.py."""
    ids = np.tile(np.arange(3, 13), 40).astype(np.uint8)
    _, stepper, _ = make(optimizer=optimizer)
    batches = Batches(ids, 4, 6, 1)
    state, losses = stepper.zero_state(), []
    for step in range(60):
        done, state = one_step(stepper, batches.batch(1, step % batches.steps_per_epoch), state, step + 1, rate)
        losses.append(done.loss / done.count)
    assert losses[-1] < 0.5 * losses[0]


def test_the_same_run_twice_gives_the_same_weights():
    def run() -> list[np.ndarray]:
        network, stepper, batches = make(dropout=0.4)
        state = stepper.zero_state()
        for step in range(5):
            _, state = one_step(stepper, batches.batch(1, step), state, step + 1)
        return [np.asarray(variable) for variable in network.trainable_variables]

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_no_nan_is_left_after_a_restore(optimizer: str):
    network, stepper, batches = make(optimizer=optimizer)
    start = stepper.snapshot(stepper.zero_state())
    expected, _ = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1)
    after = network.to_weights()
    network.output_bias.assign(np.full(20, np.nan, np.float32))
    one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 2)
    assert one_step(stepper, batches.batch(1, 0), stepper.restore(start), 1)[0] == expected
    for name, weight in network.to_weights().items():
        np.testing.assert_array_equal(weight, after[name])


def losses_as_steps(dropout: float, *steps: int) -> list[float]:
    """The loss of the same batch and the same weights, as each of these steps of a run."""
    _, stepper, batches = make(dropout=dropout)
    start = stepper.snapshot(stepper.zero_state())
    return [one_step(stepper, batches.batch(1, 0), stepper.restore(start), step)[0].loss for step in steps]


def test_dropout_is_drawn_anew_in_every_step():
    first, again, second = losses_as_steps(0.5, 1, 1, 2)
    assert first == again != second
    plain, plain_second = losses_as_steps(0.0, 1, 2)
    assert plain == plain_second != first


def test_the_state_goes_on_into_the_next_step():
    _, stepper, batches = make()
    start = stepper.snapshot(stepper.zero_state())
    _, state = one_step(stepper, batches.batch(1, 0), stepper.zero_state(), 1)
    zero_state = stepper.restore(start)
    with_state, _ = one_step(stepper, batches.batch(1, 1), state, 2)
    stepper.restore(start)
    without, _ = one_step(stepper, batches.batch(1, 1), zero_state, 2)
    assert with_state != without


@pytest.mark.parametrize(
    ("optimizer", "more", "names"),
    [
        ("sgd", {"tied": False}, ("embedding",)),
        ("rmsprop", {"tied": True, "sampled_output": 9}, ("embedding",)),
        ("rmsprop", {"tied": False, "sampled_output": 9}, ("embedding", "output/kernel")),
    ],
)
def test_moving_some_rows_is_moving_all_of_them(
    optimizer: Any, more: dict[str, Any], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    """A step leaves those alone that it did not look up: word vectors and output weights with a gradient of zero."""

    def learned() -> tuple[list[float], Weights]:
        settings = TrainingSettings(
            optimizer=optimizer,
            clip=0.1,
            batch_size=4,
            seq_len=6,
            dropout=0.0,
            sampled_output=more.get("sampled_output"),
        )
        network = Network(Architecture.of(NetworkSettings(layers=1, units=8, tied=more["tied"]), 120), random_seed=1)
        stepper, batches = Stepper(network, settings, alone()), Batches(IDS, 4, 6, 1)
        moved_by_rows.append(stepper._by_rows)
        state, norms, rate = stepper.zero_state(), [], 1.0 if optimizer == "sgd" else 0.01
        for step in range(1, 9):
            done, state = one_step(stepper, batches.batch(1, step - 1), state, step, rate)
            norms.append(done.norm)
        return norms, network.to_weights()

    moved_by_rows: list[tuple[str, ...]] = []
    # So that the mean squares are multiplied out every few steps, too.
    monkeypatch.setattr("wordgen.training.optimizers._SMALLEST_SCALE", 0.7)
    norms, weights = learned()
    monkeypatch.setattr("wordgen.training.step._moved_by_rows", lambda *given: ())
    all_norms, all_weights = learned()
    assert moved_by_rows == [names, ()]
    assert min(norms) > 0.1  # so all were clipped
    np.testing.assert_allclose(norms, all_norms, rtol=1e-4)
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, all_weights[name], atol=1e-6, err_msg=name)


def test_the_numbers_of_requests_do_not_make_another_graph():
    """A run with a time budget measures its speed first, with the graph that it then learns with."""
    _, stepper, batches = make()
    state = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.001])[2]
    stepper([batches.batch(1, 0)] * 3, state, 2, [0.001] * 3, (True, False), [0.5] * 3)
    assert stepper._several_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("precision", "more"),
    [
        ("float32", {"label_smoothing": 0.1}),
        ("float32", {"sampled_output": 9}),
        ("bfloat16", {"vary_seq_len": True, "seq_len": 5}),
    ],
)
def test_several_steps_a_call_are_the_same_as_one_by_one(precision: str, more: dict[str, Any]):
    _, stepper, batches = make(
        dropout=0.4,
        locked_dropout=True,
        word_dropout=0.1,
        weight_drop=0.2,
        weight_decay=0.01,
        layer_decay=0.7,
        pull=0.1,
        average_after=1,
        precision=precision,
        **{"seq_len": 3, **more},
    )
    start = stepper.snapshot(stepper.zero_state())

    def states(calls: list[int]) -> tuple[list[StepDone], dict[str, np.ndarray]]:
        assert stepper.most_steps >= max(calls)
        state, done, step = stepper.restore(start), [], 0
        for number in calls:
            windows = [batches.batch(1, step + k) for k in range(number)]
            rates = [0.01 / (step + k + 1) for k in range(number)]
            shares = [0.0 if step + k < 2 else 1 / (step + k - 1) for k in range(number)]
            steps, _, state = stepper(windows, state, step + 1, rates, shares=shares)
            done, step = [*done, *steps], step + number
        return done, stepper.snapshot(state)

    done, snapshot = states([1] * 7)
    for calls in ([7], [1, 4, 2]):
        again, same = states(calls)
        assert again == done
        for name, array in snapshot.items():
            np.testing.assert_array_equal(same[name], array, err_msg=name)
    assert len({step.loss for step in done}) == 7


def test_the_rate_of_a_step_is_the_one_it_was_given():
    network, stepper, batches = make(optimizer="sgd", clip=0)
    expected = plain_gradients(network, batches)
    before = [np.asarray(variable) for variable in network.trainable_variables]
    stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.25])
    for was, now, gradient in zip(before, network.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(was - np.asarray(now), 0.25 * gradient, atol=1e-6)


def test_weights_and_loss_are_float32_also_where_the_network_computes_in_bfloat16():
    network, stepper, batches = make(precision="bfloat16")
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


def test_a_large_network_does_one_step_a_call_and_a_small_one_many():
    def calls(layers: int, units: int) -> int:
        return steps_a_call(Architecture.of(NetworkSettings(layers=layers, units=units), 5000), TrainingSettings())

    assert calls(3, 512) == 1
    assert 1 < calls(1, 64) < calls(1, 8)
    large = Architecture.of(NetworkSettings(layers=3, units=512), 5000)
    assert steps_a_call(large, TrainingSettings(), on_gpu=True) > 10


def test_the_average_is_that_of_the_weights_of_all_steps_since_it_began():
    _, stepper, batches = make(optimizer="sgd", average_after=1)
    state, seen = stepper.zero_state(), []
    for step in range(6):
        share = max(0.0, 1 / (step - 1)) if step > 1 else 0.0  # begins behind the second step
        _, _, state = stepper([batches.batch(1, step)], state, step + 1, [1.0], shares=[share])
        seen.append(stepper.weights(averaged=False))
    averages = stepper.weights(averaged=True)
    assert averages.keys() == seen[0].keys()
    for name, average in averages.items():
        np.testing.assert_allclose(average, np.mean([weights[name] for weights in seen[2:]], axis=0), atol=1e-6)
        assert (average != seen[-1][name]).any()


def test_weights_before_the_average_begins_leave_no_trace_in_it():
    """Not even infinite ones, of which nothing times is no number."""
    network, stepper, batches = make(optimizer="sgd", average_after=1)
    network.variables_by_name()["embedding"].assign(np.full((20, 8), np.inf, np.float32))
    stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.0], shares=[0.0])
    assert all(np.isfinite(average).all() for average in stepper.weights(averaged=True).values())


def test_a_restored_average_goes_on():
    _, stepper, batches = make(average_after=1)
    _, _, state = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.01], shares=[1.0])
    _, other, _ = make(average_after=1)
    other.restore(stepper.snapshot(state))
    for name, average in stepper.weights(averaged=True).items():
        np.testing.assert_array_equal(other.weights(averaged=True)[name], average)


def test_weights_shrink_by_the_decay_times_the_rate():
    def moved(**settings: object) -> list[np.ndarray]:
        network, stepper, batches = make(optimizer="sgd", **settings)
        before = [np.asarray(variable) for variable in network.trainable_variables]
        stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.25])
        return [np.asarray(now) - was for was, now in zip(before, network.trainable_variables, strict=True)]

    network, _, _ = make()
    for weight, plain, shrunk in zip(network.trainable_variables, moved(), moved(weight_decay=0.1), strict=True):
        np.testing.assert_allclose(shrunk - plain, -0.25 * 0.1 * np.asarray(weight), atol=2e-6)


def test_weights_go_back_to_those_that_the_run_began_with():
    """By the pull times the rate; and a run that goes on pulls to the same ones."""
    _, stepper, batches = make(optimizer="sgd", pull=0.1)
    start = stepper.snapshot(stepper.zero_state())
    _, _, state = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [0.5])
    snapshot = stepper.snapshot(state)

    def moved(pull: float) -> dict[str, np.ndarray]:
        _, other, _ = make(optimizer="sgd", pull=pull)
        kept = {name: each for name, each in snapshot.items() if pull or not name.startswith("optimizer/start/")}
        _, _, behind = other([batches.batch(1, 1)], other.restore(kept), 2, [0.5])
        return {name: each for name, each in other.snapshot(behind).items() if name.startswith("weights/")}

    plain = moved(0.0)
    for name, pulled in moved(0.1).items():
        went_back = -0.5 * 0.1 * (snapshot[name] - start[name])
        assert np.abs(went_back).max() > 1e-5
        np.testing.assert_allclose(pulled - plain[name], went_back, atol=2e-6, err_msg=name)


def test_label_smoothing_moves_the_weights_but_not_the_loss_that_is_told():
    plain, smoothed = (first_step_and_bias(optimizer="sgd", label_smoothing=share, clip=0) for share in (0.0, 0.5))
    assert plain[0] == smoothed[0]
    assert (plain[1] != smoothed[1]).any()
    # With half of the probability for all alike, tokens that never come are pushed down half as hard.
    assert abs(smoothed[1][START]) < abs(plain[1][START])


def first_step_and_bias(**settings: object) -> tuple[float, np.ndarray]:
    network, stepper, batches = make(**settings)
    [done], _, _ = stepper([batches.batch(1, 0)], stepper.zero_state(), 1, [1.0])
    return done.loss, np.asarray(network.output_bias)
