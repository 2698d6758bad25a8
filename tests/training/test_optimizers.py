"""The optimizers move the weights as those of Keras do, within the rounding of float32."""

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
"""300 steps are enough for rows of rmsprop to get their scale anew."""


@cache
def gradients(step: int) -> dict[str, np.ndarray]:
    """Long ones and short ones, and word vectors of which some rows alone have one."""
    dice = np.random.default_rng(step)
    found = {name: dice.normal(scale=10 ** dice.uniform(-4, 1), size=shape) for name, shape in SHAPES.items()}
    found["embedding"][dice.random(30) < 0.8] = 0
    return {name: each.astype(np.float32) for name, each in found.items()}


@cache
def of_keras(
    optimizer: OptimizerName,
    clip: float,
    weight_decay: float,
    *,
    steps: int = FEW,
    clip_value: float = 0.0,
    **more: float,
) -> dict[str, np.ndarray]:
    variables = {name: keras.Variable(np.ones(shape, np.float32)) for name, shape in SHAPES.items()}
    theirs = KERAS[optimizer](RATES[optimizer], weight_decay=weight_decay or None, **more)
    theirs.build(list(variables.values()))
    for step in range(steps):
        found = [tf.constant(each) for each in gradients(step).values()]
        if clip_value:
            found = [tf.clip_by_value(each, -clip_value, clip_value) for each in found]
        if clip:
            found, _ = tf.clip_by_global_norm(found, clip)
        theirs.apply(found, list(variables.values()))
    return {name: np.asarray(variable) for name, variable in variables.items()}


def as_rows(gradient: np.ndarray) -> tf.IndexedSlices:
    """Of the rows that have one; one of them in two halves, as a word that a step met twice."""
    rows = np.flatnonzero(np.abs(gradient).sum(axis=1))
    values = gradient[rows]
    values[:1] /= 2
    values, rows = np.concatenate([values, values[:1]]), np.concatenate([rows, rows[:1]]).astype(np.int32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant(gradient.shape))


def ours(
    optimizer: OptimizerName, clip: float, weight_decay: float, by_rows: bool, steps: int = FEW, **more: Any
) -> tuple[Any, list[float]]:
    weights = {name: tf.Variable(tf.ones(shape)) for name, shape in SHAPES.items()}
    settings = TrainingSettings(optimizer=optimizer, clip=clip, weight_decay=weight_decay, **more)
    moving = OPTIMIZERS[optimizer](settings, weights, ["embedding"] if by_rows else [])
    move = tf.function(moving.move, reduce_retracing=True)
    norms = []
    for step in range(steps):
        found: dict[str, Any] = {name: tf.constant(each) for name, each in gradients(step).items()}
        if by_rows:
            found["embedding"] = as_rows(gradients(step)["embedding"])
        norms.append(float(move(found, tf.constant(RATES[optimizer]))))
    return {name: np.asarray(weight) for name, weight in weights.items()}, norms


@pytest.mark.parametrize(
    ("optimizer", "by_rows"), [("sgd", False), ("sgd", True), ("rmsprop", False), ("rmsprop", True), ("adam", False)]
)
@pytest.mark.parametrize(("clip", "weight_decay"), [(0.0, 0.0), (0.5, 0.01)])
def test_they_move_the_weights_as_keras_does(optimizer: OptimizerName, by_rows: bool, clip: float, weight_decay: float):
    steps = MANY if optimizer == "rmsprop" and by_rows and clip else FEW
    expected = of_keras(optimizer, clip, weight_decay, steps=steps)
    found, norms = ours(optimizer, clip, weight_decay, by_rows, steps)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
        assert np.abs(weight - 1).max() > 0.01
    assert min(norms) < 0.5 < max(norms)  # some are clipped and some are not
    lengths = [np.sqrt(sum((each.astype(np.float64) ** 2).sum() for each in gradients(n).values())) for n in range(9)]
    np.testing.assert_allclose(norms[:9], lengths, rtol=1e-5)


def apart(of: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(others[name] - each).max()) for name, each in of.items())


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_rho_means_what_it_means_in_keras(rho: float, by_rows: bool):
    expected = of_keras("rmsprop", 0.5, 0.0, rho=rho)
    found, _ = ours("rmsprop", 0.5, 0.0, by_rows, rho=rho)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
    assert apart(found, ours("rmsprop", 0.5, 0.0, by_rows)[0]) > 0.001


@pytest.mark.parametrize(
    ("optimizer", "by_rows"), [("sgd", False), ("sgd", True), ("rmsprop", False), ("rmsprop", True), ("adam", False)]
)
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_each_value_is_clipped_before_the_norm(optimizer: OptimizerName, by_rows: bool, clip: float):
    expected = of_keras(optimizer, clip, 0.0, clip_value=0.02)
    found, norms = ours(optimizer, clip, 0.0, by_rows, clip_value=0.02)
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, rtol=1e-5, atol=2e-6, err_msg=name)
    free, free_norms = ours(optimizer, clip, 0.0, by_rows)
    assert apart(found, free) > 0.001
    np.testing.assert_array_equal(norms, free_norms)  # the norm is that of the gradient before any clipping


def test_no_value_moves_a_weight_further_than_the_clip():
    weights = {name: tf.Variable(tf.zeros(shape)) for name, shape in SHAPES.items()}
    moving = OPTIMIZERS["sgd"](TrainingSettings(optimizer="sgd", clip=0.0, clip_value=0.25), weights)
    found: dict[str, Any] = {name: tf.constant(each) for name, each in gradients(4).items()}
    moving.move(found, tf.constant(1.0))
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, -np.clip(gradients(4)[name], -0.25, 0.25))


def test_only_rmsprop_has_a_rho():
    with pytest.raises(SettingError, match="--rho is a setting of rmsprop: leave it out with --optimizer adam"):
        TrainingSettings(optimizer="adam", rho=0.95)
    for wrong in (0.0, 1.0):
        with pytest.raises(SettingError, match="--rho must be"):
            TrainingSettings(rho=wrong)


def test_slots_have_the_names_of_their_weights():
    weights = {name: tf.Variable(tf.ones(shape)) for name, shape in SHAPES.items()}
    names = {kind: set(OPTIMIZERS[kind](TrainingSettings(), weights, ["embedding"]).slots) for kind in OPTIMIZERS}
    squares = {f"mean_square/{name}" for name in SHAPES}
    assert names["sgd"] == set()
    assert names["rmsprop"] == squares | {"scale_of_rows"}
    assert names["adam"] == squares | {f"mean/{name}" for name in SHAPES} | {"steps"}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_lower_layers_move_less(optimizer: OptimizerName):
    """A step of each at its share of the rate, which is whole at the output."""
    shapes = {"embedding": (9, 4), "layer_1/kernel": (4, 4), "layer_2/bias": (4,), "output/bias": (9,)}

    def moved(layer_decay: float, rate: float) -> dict[str, np.ndarray]:
        weights = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()}
        moving = OPTIMIZERS[optimizer](TrainingSettings(optimizer=optimizer, layer_decay=layer_decay), weights)
        moving.move({name: tf.fill(shape, 0.1) for name, shape in shapes.items()}, tf.constant(rate))
        return {name: np.asarray(weight) for name, weight in weights.items()}

    found = moved(0.5, 0.1)
    for name, share in {"output/bias": 1.0, "layer_2/bias": 0.5, "layer_1/kernel": 0.25, "embedding": 0.125}.items():
        np.testing.assert_array_equal(found[name], moved(1.0, share * 0.1)[name])
        assert (found[name] != 0).all()
