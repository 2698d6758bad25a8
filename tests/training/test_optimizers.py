"""The optimizers change the weights as those of Keras do, except for float32 rounding."""

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from wordgen.errors import SettingError
from wordgen.training.optimizers import OPTIMIZERS
from wordgen.training.settings import OptimizerName, TrainingSettings

SHAPES = {"embedding": (30, 4), "layer_1/kernel": (4, 8), "layer_1/bias": (8,)}
KERAS = {"sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}
RATES = {"sgd": 0.5, "rmsprop": 0.003, "adam": 0.003}
FEW, MANY = 40, 300
"""Numbers of steps. After 300 steps, RMSprop by rows has multiplied out the scale of its mean squares."""


@cache
def gradients(step: int) -> dict[str, np.ndarray]:
    """Long and short gradients. Only some rows of the word vectors have one."""
    random = np.random.default_rng(step)
    found = {name: random.normal(scale=10 ** random.uniform(-4, 1), size=shape) for name, shape in SHAPES.items()}
    found["embedding"][random.random(30) < 0.8] = 0
    return {name: each.astype(np.float32) for name, each in found.items()}


@cache
def keras_weights(
    optimizer: OptimizerName,
    clip: float,
    weight_decay: float,
    *,
    steps: int = FEW,
    clip_value: float = 0.0,
    **more: float,
) -> dict[str, np.ndarray]:
    variables = {name: keras.Variable(np.ones(shape, np.float32)) for name, shape in SHAPES.items()}
    keras_optimizer = KERAS[optimizer](RATES[optimizer], weight_decay=weight_decay or None, **more)
    keras_optimizer.build(list(variables.values()))
    for step in range(steps):
        found = [tf.constant(each) for each in gradients(step).values()]
        if clip_value:
            found = [tf.clip_by_value(each, -clip_value, clip_value) for each in found]
        if clip:
            found, _ = tf.clip_by_global_norm(found, clip)
        keras_optimizer.apply(found, list(variables.values()))
    return {name: np.asarray(variable) for name, variable in variables.items()}


def as_indexed_slices(gradient: np.ndarray) -> tf.IndexedSlices:
    """The rows that have a gradient. One row is there twice, each time with half, as for a token that occurs twice."""
    rows = np.flatnonzero(np.abs(gradient).sum(axis=1))
    values = gradient[rows]
    values[:1] /= 2
    values, rows = np.concatenate([values, values[:1]]), np.concatenate([rows, rows[:1]]).astype(np.int32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant(gradient.shape))


def our_weights(
    optimizer: OptimizerName, clip: float, weight_decay: float, by_rows: bool, steps: int = FEW, **settings: Any
) -> tuple[Any, list[float]]:
    weights = {name: tf.Variable(tf.ones(shape)) for name, shape in SHAPES.items()}
    chosen = TrainingSettings(optimizer=optimizer, clip=clip, weight_decay=weight_decay, **settings)
    tested = OPTIMIZERS[optimizer](chosen, weights, ["embedding"] if by_rows else [])
    apply_gradients = tf.function(tested.apply_gradients, reduce_retracing=True)
    norms = []
    for step in range(steps):
        found: dict[str, Any] = {name: tf.constant(each) for name, each in gradients(step).items()}
        if by_rows:
            found["embedding"] = as_indexed_slices(gradients(step)["embedding"])
        norms.append(float(apply_gradients(found, tf.constant(RATES[optimizer]))))
    return {name: np.asarray(weight) for name, weight in weights.items()}, norms


@pytest.mark.parametrize(
    ("optimizer", "by_rows"), [("sgd", False), ("sgd", True), ("rmsprop", False), ("rmsprop", True), ("adam", False)]
)
@pytest.mark.parametrize(("clip", "weight_decay"), [(0.0, 0.0), (0.5, 0.01)])
def test_weights_match_keras(optimizer: OptimizerName, by_rows: bool, clip: float, weight_decay: float):
    steps = MANY if optimizer == "rmsprop" and by_rows and clip else FEW
    expected = keras_weights(optimizer, clip, weight_decay, steps=steps)
    found, norms = our_weights(optimizer, clip, weight_decay, by_rows, steps)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
        assert np.abs(weight - 1).max() > 0.01
    assert min(norms) < 0.5 < max(norms)  # some gradients are clipped, and some are not
    lengths = [np.sqrt(sum((each.astype(np.float64) ** 2).sum() for each in gradients(n).values())) for n in range(9)]
    np.testing.assert_allclose(norms[:9], lengths, rtol=1e-5)


def max_difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(second[name] - each).max()) for name, each in first.items())


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_rho_matches_keras(rho: float, by_rows: bool):
    expected = keras_weights("rmsprop", 0.5, 0.0, rho=rho)
    found, _ = our_weights("rmsprop", 0.5, 0.0, by_rows, rho=rho)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
    assert max_difference(found, our_weights("rmsprop", 0.5, 0.0, by_rows)[0]) > 0.001


@pytest.mark.parametrize(
    ("optimizer", "by_rows"), [("sgd", False), ("sgd", True), ("rmsprop", False), ("rmsprop", True), ("adam", False)]
)
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_clip_value_matches_keras_and_precedes_clip(optimizer: OptimizerName, by_rows: bool, clip: float):
    expected = keras_weights(optimizer, clip, 0.0, clip_value=0.02)
    found, norms = our_weights(optimizer, clip, 0.0, by_rows, clip_value=0.02)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
    unclipped, unclipped_norms = our_weights(optimizer, clip, 0.0, by_rows)
    assert max_difference(found, unclipped) > 0.001
    np.testing.assert_array_equal(norms, unclipped_norms)  # the norm is that of the gradient before any clipping


def test_clip_value_limits_each_value():
    weights = {name: tf.Variable(tf.zeros(shape)) for name, shape in SHAPES.items()}
    sgd = OPTIMIZERS["sgd"](TrainingSettings(optimizer="sgd", clip=0.0, clip_value=0.25), weights)
    found: dict[str, Any] = {name: tf.constant(each) for name, each in gradients(4).items()}
    sgd.apply_gradients(found, tf.constant(1.0))
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, -np.clip(gradients(4)[name], -0.25, 0.25))


def test_rho_is_refused_for_other_optimizers():
    with pytest.raises(SettingError, match="--rho is a setting of rmsprop: leave it out with --optimizer adam"):
        TrainingSettings(optimizer="adam", rho=0.95)
    for wrong in (0.0, 1.0):
        with pytest.raises(SettingError, match="--rho must be"):
            TrainingSettings(rho=wrong)


def test_slots_are_named_after_their_weights():
    weights = {name: tf.Variable(tf.ones(shape)) for name, shape in SHAPES.items()}
    names = {kind: set(OPTIMIZERS[kind](TrainingSettings(), weights, ["embedding"]).slots) for kind in OPTIMIZERS}
    squares = {f"mean_square/{name}" for name in SHAPES}
    assert names["sgd"] == set()
    assert names["rmsprop"] == squares | {"scale_of_rows"}
    assert names["adam"] == squares | {f"mean/{name}" for name in SHAPES} | {"steps"}
