"""The LSTM that updates the weights of a learner (Ravi, Larochelle, 2017)."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_choice, check_integer
from keras_meta.layers.coordinate_networks import log_and_sign
from keras_meta.ops import HALF_PRECISION
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

# `p` of Ravi and Larochelle.
SMALL = 10
FEEDBACKS = ("gates", "logits")


@register
class MetaLSTMCell(keras.layers.Layer):
    """An LSTM cell whose cell state is the weights of a learner.

    All `P` weights of the learner are updated alike, each by its own gradient
    (Ravi and Larochelle 2017, "Optimization as a Model for Few-Shot
    Learning", section 3). With `L`, `g` the loss and its gradient at `c`, and
    `pre(x)` the pair `(log|x| / 10, sign x)`, or `(-1, e^10 x)` where `|x| <
    e^-10`:

        u = [pre(L), pre(g)]
        h = LSTM(u)                        of Keras' gate order i, f, g, o
        f = sigmoid([h, c, f_before] w_f + b_f)
        i = sigmoid([h, c, i_before] w_i + b_i)
        c = f c_before - i g

    The raw gradient moves `c`; the gates alone see `pre(g)`. Both are data:
    no derivative goes through them. Gates before the first step are zero.
    With `b_f` in [4, 5) and `b_i` in [-5, -4) the cell begins as a slow
    gradient descent.

    The state is one tensor `(state_size, P)`, a column for each weight: `c`,
    what the next step sees of `f` and `i`, and, of the first layer, `h` and
    its own cell state, `units` rows each.

    Under half-precision policies the cell computes in float32.

    Args:
        units: Width of the LSTM of the first layer.
        first_layer: Whether there is one, as in the authors' code; without
            it `u` stands for `h`, as in equation (2) of the paper.
        feedback: What a step sees of the gates before it: `"gates"`, as in
            the paper, or `"logits"`, their values before the sigmoid, as in
            the authors' code.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        units: int = 20,
        first_layer: bool = True,
        feedback: str = "gates",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.compute_dtype in HALF_PRECISION:
            self.dtype_policy = "float32"
        self.units = check_integer("units", units, 1)
        self.first_layer = first_layer
        self.feedback = check_choice("feedback", feedback, FEEDBACKS)

    @property
    def state_size(self) -> int:
        """Rows of the state."""
        return 3 + 2 * self.units * self.first_layer

    def build(self, input_shape: Shape | None = None) -> None:
        def add(name, shape, low=-0.01, high=0.01):
            return self.add_weight(
                shape=shape,
                name=name,
                initializer=keras.initializers.RandomUniform(low, high),
            )

        if self.first_layer:
            self.kernel = add("kernel", (4, 4 * self.units))
            self.recurrent_kernel = add(
                "recurrent_kernel", (self.units, 4 * self.units)
            )
            self.bias = add("bias", (4 * self.units,))
        seen = (self.units if self.first_layer else 4) + 2
        self.forget_kernel = add("forget_kernel", (seen, 1))
        self.forget_bias = add("forget_bias", (1,), 4, 5)
        self.input_kernel = add("input_kernel", (seen, 1))
        self.input_bias = add("input_bias", (1,), -5, -4)
        self.built = True

    def initial_state(self, weights: Tensor) -> Tensor:
        """The state before the first step.

        Args:
            weights: The learner's weights, `(P,)`.

        Returns:
            Tensor `(state_size, P)`.
        """
        return ops.pad(weights[None], [[0, self.state_size - 1], [0, 0]])

    def gates(self, state: Tensor) -> Tensor:
        """The gates of the step that led to a state.

        Args:
            state: `(state_size, P)`.

        Returns:
            Tensor `(2, P)` in [0, 1]: forget gates and input gates.
        """
        seen = state[1:3]
        return seen if self.feedback == "gates" else ops.sigmoid(seen)

    def call(self, loss: Tensor, gradients: Tensor, state: Tensor) -> Tensor:
        """One step.

        Args:
            loss: Scalar.
            gradients: `(P,)`.
            state: `(state_size, P)`.

        Returns:
            The state after the step.
        """
        gradients = ops.stop_gradient(gradients)
        # Features are rows, so gates are parts of a tensor without a copy.
        loss = ops.stop_gradient(loss)
        seen_loss = ops.stack(log_and_sign(loss, SMALL))[:, None]
        seen = ops.stack(log_and_sign(gradients, SMALL))
        weights, fed_back = state[:1], state[1:3]
        kernels = ops.concatenate(
            [self.forget_kernel, self.input_kernel], axis=1
        )
        # (2, 1) each: what the gates make of the weight, of themselves, and
        # their biases.
        of_weight, of_gates = kernels[-2][:, None], kernels[-1][:, None]
        biases = ops.concatenate([self.forget_bias, self.input_bias])[:, None]
        of_seen, layer = ops.transpose(kernels[:-2]), []
        if self.first_layer:
            layer = self._first_layer(seen_loss, seen, state[3:])
            logits = ops.matmul(of_seen, layer[0]) + biases
        else:
            biases += ops.matmul(of_seen[:, :2], seen_loss)
            logits = ops.matmul(of_seen[:, 2:], seen) + biases
        logits += of_weight * weights + of_gates * fed_back
        gates = ops.sigmoid(logits)
        weights = gates[:1] * weights - gates[1:] * gradients
        fed_back = gates if self.feedback == "gates" else logits
        return ops.concatenate([weights, fed_back, *layer])

    def _first_layer(self, seen_loss, seen, state):
        """Output and cell state of the LSTM, each `(units, P)`.

        Args:
            seen_loss: `(2, 1)`, the same for all weights.
            seen: `(2, P)`.
            state: `(2 * units, P)`, both after the step before.
        """
        hidden, memory = state[: self.units], state[self.units :]
        kernel = ops.transpose(self.kernel)
        bias = self.bias[:, None] + ops.matmul(kernel[:, :2], seen_loss)
        recurrent = ops.transpose(self.recurrent_kernel)
        inputs = ops.concatenate([bias, kernel[:, 2:], recurrent], axis=1)
        ones = ops.ones_like(seen[:1])
        gates = ops.matmul(inputs, ops.concatenate([ones, seen, hidden]))
        i, f, g, o = ops.split(gates, 4)
        memory = ops.sigmoid(f) * memory + ops.sigmoid(i) * ops.tanh(g)
        return ops.sigmoid(o) * ops.tanh(memory), memory

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": self.units,
            "first_layer": self.first_layer,
            "feedback": self.feedback,
        }
