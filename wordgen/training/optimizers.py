"""Optimizers: SGD, RMSprop and Adam with the formulas of Keras, computed by TensorFlow's fused operations.

An optimizer runs within each replica and updates the replica's own copy of every weight. The gradients are the sum over
all replicas, so all copies stay the same. If a gradient has only some rows, only these rows of the weight are updated,
provided that the result is the same.
"""

from collections.abc import Iterable, Mapping

import tensorflow as tf

from wordgen.network import Tensor
from wordgen.training.settings import TrainingSettings

Gradients = Mapping[str, Tensor]

_RMSPROP_EPSILON = 1e-7
_BETA_1, _BETA_2, _ADAM_EPSILON = 0.9, 0.999, 1e-7
_MIN_SCALE = 1e-12


class Optimizer:
    """Clips the gradients, first value by value and then by their global norm, and updates the weights.

    This base class is SGD. Its subclasses keep more values from step to step, in slots.
    """

    can_skip_rows = True
    """Whether a weight with a gradient of zero does not change, so that rows without a gradient can be skipped."""

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Tensor], by_rows: Iterable[str] = ()) -> None:
        """Create the slots. Call this in the scope of the strategy.

        `by_rows` are the names of the weights whose gradients have only some rows (tf.IndexedSlices).
        """
        self._clip, self._clip_value = settings.clip, settings.clip_value
        self._weight_decay = settings.weight_decay
        self._weights = weights
        self._by_rows = tuple(by_rows)
        self.slots: dict[str, Tensor] = {}
        """The variables that the optimizer keeps from step to step, by name."""
        self._unused: list[Tensor] = []
        """Variables that a fused operation requires and multiplies by 0. NaN in one of them would spread."""

    def apply_gradients(self, gradients: Gradients, rate: Tensor) -> Tensor:
        """Update the weights with this learning rate. Return the global norm of the gradient before it is clipped."""
        gradients = {name: _with_unique_rows(gradient) for name, gradient in gradients.items()}
        norm = _norm(gradients)
        if self._weight_decay:
            for weight in self._weights.values():
                _subtract(weight, rate * self._weight_decay * weight)
        if limit := self._clip_value:
            gradients = {
                name: _with_values(each, tf.clip_by_value(_values(each), -limit, limit))
                for name, each in gradients.items()
            }
        self._apply(gradients, rate, _norm(gradients) if limit else norm)
        return norm

    def clear_unused(self) -> None:
        """Set the values of the variables to zero that are no slots. Call this after the slots are restored."""
        for variable in self._unused:
            variable.assign(tf.zeros(variable.shape))

    def _apply(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        rate = rate * self._clip_factor(norm)
        for name, gradient in gradients.items():
            if name in self._by_rows:
                _add_to_rows(self._weights[name], gradient.indices, -rate * gradient.values)
            else:
                tf.raw_ops.ResourceApplyGradientDescent(var=self._weights[name].handle, alpha=rate, delta=gradient)

    def _clip_factor(self, norm: Tensor) -> Tensor:
        return self._clip / tf.maximum(norm, self._clip) if self._clip > 0 else tf.constant(1.0)

    def _clipped(self, gradients: Gradients, norm: Tensor) -> dict[str, Tensor]:
        """Return the clipped gradients. If their norm is within the limit, they are not computed again."""
        if self._clip == 0:
            return dict(gradients)
        values = [_values(gradient) for gradient in gradients.values()]
        factor = self._clip_factor(norm)
        # The condition is false if the norm is NaN. Then NaN reaches the weights, as in Keras.
        values = tf.cond(norm <= self._clip, lambda: values, lambda: [factor * each for each in values])
        return {
            name: _with_values(gradient, clipped)
            for (name, gradient), clipped in zip(gradients.items(), values, strict=True)
        }

    def _add_slots(self, kind: str) -> None:
        for name, weight in self._weights.items():
            self.slots[f"{kind}/{name}"] = tf.Variable(tf.zeros(weight.shape), trainable=False)


class RMSprop(Optimizer):
    """RMSprop without momentum.

    In a row without a gradient, only the mean square changes, by a factor that is the same for all rows. So for weights
    that are updated by rows, the mean squares are stored without this factor. The factor is stored as one number,
    `scale_of_rows`.
    """

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Tensor], by_rows: Iterable[str] = ()) -> None:
        super().__init__(settings, weights, by_rows)
        self._rho = settings.rho
        self._add_slots("mean_square")
        if self._by_rows:
            self.slots["scale_of_rows"] = tf.Variable(tf.ones(()), trainable=False)
        # The fused operation requires a variable for the momentum. Weights of the same shape share one.
        shapes = {tuple(weight.shape) for name, weight in weights.items() if name not in self._by_rows}
        self._momentum = {shape: tf.Variable(tf.zeros(shape), trainable=False) for shape in sorted(shapes)}
        self._unused = list(self._momentum.values())

    def _apply(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        gradients = self._clipped(gradients, norm)
        for name, gradient in gradients.items():
            if name not in self._by_rows:
                weight = self._weights[name]
                tf.raw_ops.ResourceApplyRMSProp(
                    var=weight.handle,
                    ms=self.slots[f"mean_square/{name}"].handle,
                    mom=self._momentum[tuple(weight.shape)].handle,
                    lr=rate,
                    rho=self._rho,
                    momentum=0.0,
                    epsilon=_RMSPROP_EPSILON,
                    grad=gradient,
                )
        if self._by_rows:
            self._apply_to_rows({name: gradients[name] for name in self._by_rows}, rate)

    def _apply_to_rows(self, gradients: Gradients, rate: Tensor) -> None:
        scale = self._rho * self.slots["scale_of_rows"]
        for name, gradient in gradients.items():
            squares, rows = self.slots[f"mean_square/{name}"], gradient.indices
            _add_to_rows(squares, rows, (1 - self._rho) / scale * gradient.values**2)
            mean = scale * tf.raw_ops.ResourceGather(resource=squares.handle, indices=rows, dtype=tf.float32)
            moves = -rate * gradient.values * tf.math.rsqrt(mean + _RMSPROP_EPSILON)
            _add_to_rows(self._weights[name], rows, moves)
        too_small = scale < _MIN_SCALE
        tf.cond(too_small, lambda: self._multiply_out(scale), lambda: None)
        _assign(self.slots["scale_of_rows"], tf.where(too_small, 1.0, scale))

    def _multiply_out(self, scale: Tensor) -> None:
        for name in self._by_rows:
            squares = self.slots[f"mean_square/{name}"]
            _assign(squares, scale * squares)


class Adam(Optimizer):
    can_skip_rows = False

    def __init__(self, settings: TrainingSettings, weights: Mapping[str, Tensor], by_rows: Iterable[str] = ()) -> None:
        super().__init__(settings, weights, by_rows)
        self._add_slots("mean")
        self._add_slots("mean_square")
        self.slots["steps"] = tf.Variable(tf.zeros(()), trainable=False)

    def _apply(self, gradients: Gradients, rate: Tensor, norm: Tensor) -> None:
        steps = self.slots["steps"] + 1.0
        _assign(self.slots["steps"], steps)
        for name, gradient in self._clipped(gradients, norm).items():
            tf.raw_ops.ResourceApplyAdam(
                var=self._weights[name].handle,
                m=self.slots[f"mean/{name}"].handle,
                v=self.slots[f"mean_square/{name}"].handle,
                beta1_power=_BETA_1**steps,
                beta2_power=_BETA_2**steps,
                lr=rate,
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_ADAM_EPSILON,
                grad=gradient,
            )


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Optimizer, "rmsprop": RMSprop, "adam": Adam}


# The functions below update variables through their handles. This way, a replica can update its own copy. Keras and
# tf.distribute would require that all copies are updated together.


def _assign(variable: Tensor, value: Tensor) -> None:
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def _subtract(variable: Tensor, value: Tensor) -> None:
    tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=value)


def add_to(variable: Tensor, value: Tensor) -> None:
    tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=value)


def _add_to_rows(variable: Tensor, rows: Tensor, values: Tensor) -> None:
    tf.raw_ops.ResourceScatterAdd(resource=variable.handle, indices=rows, updates=values)


def _norm(gradients: Gradients) -> Tensor:
    return tf.sqrt(2 * tf.add_n([tf.nn.l2_loss(_values(gradient)) for gradient in gradients.values()]))


def _values(gradient: Tensor) -> Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _with_values(gradient: Tensor, values: Tensor) -> Tensor:
    """Return the gradient with other values, in the same rows if it has only some."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return values


def _with_unique_rows(gradient: Tensor) -> Tensor:
    """Return a gradient in which no row occurs twice, so that its norm is that of the dense gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    summed = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)
