"""How gradients move the weights: SGD, RMSprop and Adam by the formulas of Keras, in TensorFlow's fused operations.

All of it happens within a replica, on the replica's own copy of every weight: the gradients are the sum over all
replicas, so all copies move alike. A gradient of some rows alone moves those rows alone, where that is the same.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from wordgen.training.settings import TrainingSettings

Tensor = Any  # TensorFlow brings no types along
Gradients = Mapping[str, Any]

_RHO, _RMSPROP_EPSILON = 0.9, 1e-7
_BETA_1, _BETA_2, _ADAM_EPSILON = 0.9, 0.999, 1e-7
_SMALLEST_SCALE = 1e-12


class Optimizer:
    """Clips the gradients by their global norm and moves the weights. This one is SGD; others have slots."""

    moves_rows = True
    """Whether a weight whose gradient is zero stays where it is, so that rows without one can be left out."""

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Any], by_rows: Iterable[str] = ()) -> None:
        """`by_rows` names the weights whose gradients are of some rows. Call this in the scope of the strategy."""
        self._clip, self._weight_decay, self._pull = settings.clip, settings.weight_decay, settings.pull
        self._shares = _shares_of_rate(weights, settings.layer_decay)
        self._weights = weights
        self._by_rows = tuple(by_rows)
        self.slots: dict[str, Any] = {}
        """What the optimizer keeps from step to step, by name."""
        if self._pull:  # kept, so that a run that goes on needs no more the model that it began from
            self.slots |= {f"start/{name}": tf.Variable(weight, trainable=False) for name, weight in weights.items()}

    def move(self, gradients: Gradients, rate: Tensor) -> Tensor:
        """The norm of the gradient before it was clipped."""
        gradients = {name: _each_row_once(gradient) for name, gradient in gradients.items()}
        norm = tf.sqrt(2 * tf.add_n([tf.nn.l2_loss(_values(gradient)) for gradient in gradients.values()]))
        if self._weight_decay:
            for name, weight in self._weights.items():
                _subtract(weight, self._rate(rate, name) * self._weight_decay * weight)
        if self._pull:
            for name, weight in self._weights.items():
                _subtract(weight, self._rate(rate, name) * self._pull * (weight - self.slots[f"start/{name}"]))
        self._move(gradients, rate, norm)
        return norm

    def _rate(self, rate: Tensor, name: str) -> Tensor:
        """That of one weight."""
        return rate * self._shares[name]

    def _move(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        rate = rate * self._share_kept(norm)
        for name, gradient in gradients.items():
            handle, own = self._weights[name].handle, self._rate(rate, name)
            if name in self._by_rows:
                _add_to_rows(self._weights[name], gradient.indices, -own * gradient.values)
            else:
                tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=own, delta=gradient)

    def _share_kept(self, norm: Tensor) -> Tensor:
        return self._clip / tf.maximum(norm, self._clip) if self._clip > 0 else tf.constant(1.0)

    def _clipped(self, gradients: Gradients, norm: Tensor) -> dict[str, Any]:
        """Where nothing is to be clipped, the gradients are not passed over once more."""
        if self._clip == 0:
            return dict(gradients)
        values = [_values(gradient) for gradient in gradients.values()]
        share = self._share_kept(norm)
        # Asked the other way round, so that a norm that is no number reaches the weights, as in Keras.
        values = tf.cond(norm <= self._clip, lambda: values, lambda: [share * each for each in values])
        return {
            name: tf.IndexedSlices(clipped, gradient.indices, gradient.dense_shape)
            if isinstance(gradient, tf.IndexedSlices)
            else clipped
            for (name, gradient), clipped in zip(gradients.items(), values, strict=True)
        }

    def _add_slots(self, kind: str) -> None:
        for name, weight in self._weights.items():
            self.slots[f"{kind}/{name}"] = tf.Variable(tf.zeros(weight.shape), trainable=False)


class RMSprop(Optimizer):
    """Of rows without a gradient only the mean square would change, by a factor that is the same for all of them.

    So the mean squares of weights that move by rows are kept without that factor, which is one number.
    """

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Any], by_rows: Iterable[str] = ()) -> None:
        super().__init__(settings, weights, by_rows)
        self._add_slots("mean_square")
        if self._by_rows:
            self.slots["scale_of_rows"] = tf.Variable(tf.ones(()), trainable=False)
        # The fused operation wants a variable for a momentum, and here there is none: one for each shape will do.
        shapes = {tuple(weight.shape) for name, weight in weights.items() if name not in self._by_rows}
        self._unused = {shape: tf.Variable(tf.zeros(shape), trainable=False) for shape in sorted(shapes)}

    def _move(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        gradients = self._clipped(gradients, norm)
        for name, gradient in gradients.items():
            if name not in self._by_rows:
                weight = self._weights[name]
                tf.raw_ops.ResourceApplyRMSProp(
                    var=weight.handle,
                    ms=self.slots[f"mean_square/{name}"].handle,
                    mom=self._unused[tuple(weight.shape)].handle,
                    lr=self._rate(rate, name),
                    rho=_RHO,
                    momentum=0.0,
                    epsilon=_RMSPROP_EPSILON,
                    grad=gradient,
                )
        if self._by_rows:
            self._move_rows({name: gradients[name] for name in self._by_rows}, rate)

    def _move_rows(self, gradients: Gradients, rate: Tensor) -> None:
        scale = _RHO * self.slots["scale_of_rows"]
        for name, gradient in gradients.items():
            squares, rows = self.slots[f"mean_square/{name}"], gradient.indices
            _add_to_rows(squares, rows, (1 - _RHO) / scale * gradient.values**2)
            mean = scale * tf.raw_ops.ResourceGather(resource=squares.handle, indices=rows, dtype=tf.float32)
            moves = -self._rate(rate, name) * gradient.values * tf.math.rsqrt(mean + _RMSPROP_EPSILON)
            _add_to_rows(self._weights[name], rows, moves)
        too_small = scale < _SMALLEST_SCALE
        tf.cond(too_small, lambda: self._multiply_out(scale), lambda: None)
        _assign(self.slots["scale_of_rows"], tf.where(too_small, 1.0, scale))

    def _multiply_out(self, scale: Tensor) -> None:
        for name in self._by_rows:
            squares = self.slots[f"mean_square/{name}"]
            _assign(squares, scale * squares)


class Adam(Optimizer):
    moves_rows = False

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Any], by_rows: Iterable[str] = ()) -> None:
        super().__init__(settings, weights, by_rows)
        self._add_slots("mean")
        self._add_slots("mean_square")
        self.slots["steps"] = tf.Variable(tf.zeros(()), trainable=False)

    def _move(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        steps = self.slots["steps"] + 1.0
        _assign(self.slots["steps"], steps)
        for name, gradient in self._clipped(gradients, norm).items():
            tf.raw_ops.ResourceApplyAdam(
                var=self._weights[name].handle,
                m=self.slots[f"mean/{name}"].handle,
                v=self.slots[f"mean_square/{name}"].handle,
                beta1_power=_BETA_1**steps,
                beta2_power=_BETA_2**steps,
                lr=self._rate(rate, name),
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_ADAM_EPSILON,
                grad=gradient,
            )


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Optimizer, "rmsprop": RMSprop, "adam": Adam}


def _shares_of_rate(names: Iterable[str], layer_decay: float) -> dict[str, float]:
    """By weight: the whole rate at the output, and in each layer below less by that factor, least in the embedding."""
    found = {name: re.match(r"layer_(\d+)/", name) for name in names}
    above = 1 + max((int(each[1]) for each in found.values() if each), default=0)
    below_output = {name: above - int(each[1]) if each else 0 for name, each in found.items()}
    return {name: layer_decay ** (above if name == "embedding" else depth) for name, depth in below_output.items()}


# Variables are changed through their handles: a replica may change its own copy so, and Keras and tf.distribute, which
# would have all copies changed at one place, need not be asked.


def _assign(variable: Any, value: Tensor) -> None:
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def _subtract(variable: Any, value: Tensor) -> None:
    tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=value)


def add_to(variable: Any, value: Tensor) -> None:
    tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=value)


def _add_to_rows(variable: Any, rows: Tensor, values: Tensor) -> None:
    tf.raw_ops.ResourceScatterAdd(resource=variable.handle, indices=rows, updates=values)


def _values(gradient: Any) -> Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _each_row_once(gradient: Any) -> Any:
    """A gradient of rows in which none stands twice, so that its norm is that of the dense one."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    summed = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)
