"""The LSTM that updates the weights of a learner (Ravi, Larochelle, 2017)."""

import math

import keras
from keras import ops

from keras_meta.checks import check_choice, check_integer
from keras_meta.ops import HALF_PRECISION
from keras_meta.serialization import register

# `p` of Ravi and Larochelle: magnitudes below exp(-10) count as small.
SMALL = 10
FEEDBACKS = ("gates", "logits")


def magnitude_and_sign(values):
    """A number as its magnitude and its sign, both of moderate size.

    `(log|x| / 10, sign x)` if `|x| >= exp(-10)`, else `(-1, x exp(10))`
    (Andrychowicz et al. 2016, appendix A, with p = 10).

    Args:
        values: Tensor `(...)`.

    Returns:
        Tensor `(..., 2)`.
    """
    size = ops.abs(values)
    large = size >= math.exp(-SMALL)
    # The branch that is not taken must be finite as well as its derivative.
    logs = ops.log(ops.where(large, size, ops.ones_like(size))) / SMALL
    return ops.stack(
        [
            ops.where(large, logs, -ops.ones_like(size)),
            ops.where(large, ops.sign(values), values * math.exp(SMALL)),
        ],
        axis=-1,
    )


@register
class MetaLSTMCell(keras.layers.Layer):
    """An LSTM cell whose cell state is the weights of a learner.

    All `P` weights of the learner are updated alike, each by its own gradient
    (Ravi and Larochelle 2017, "Optimization as a Model for Few-Shot
    Learning", section 3). With `L`, `g` the loss and its gradient at `c`, and
    `pre` = `magnitude_and_sign`:

        u = [pre(L), pre(g)]
        h = LSTM(u)                        of Keras' gate order i, f, g, o
        f = sigmoid([h, c, f_before] w_f + b_f)
        i = sigmoid([h, c, i_before] w_i + b_i)
        c = f c_before - i g

    The raw gradient moves `c`; the gates alone see `pre(g)`. Both are data:
    no derivative goes through them. Gates before the first step are zero.
    With `b_f` in [4, 5) and `b_i` in [-5, -4) the cell begins as a slow
    gradient descent.

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

    def __init__(self, units=20, first_layer=True, feedback="gates", **kwargs):
        super().__init__(**kwargs)
        if self.compute_dtype in HALF_PRECISION:
            self.dtype_policy = "float32"
        self.units = check_integer("units", units, 1)
        self.first_layer = first_layer
        self.feedback = check_choice("feedback", feedback, FEEDBACKS)

    def build(self, input_shape=None):
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

    def initial_state(self, weights):
        """The state before the first step.

        Args:
            weights: The learner's weights, `(P,)`.

        Returns:
            Dict of tensors `(P,)`: `weights`, `forget` and `input`, what the
            next step sees of the gates; with a first layer also its `hidden`
            and `memory`, `(P, units)`.
        """
        zeros = ops.zeros_like(weights)
        state = {"weights": weights, "forget": zeros, "input": zeros}
        if self.first_layer:
            wide = ops.zeros((*weights.shape, self.units), weights.dtype)
            state.update(hidden=wide, memory=wide)
        return state

    def call(self, loss, gradients, state):
        """One step.

        Args:
            loss: Scalar.
            gradients: `(P,)`.
            state: See `initial_state`.

        Returns:
            `(state, forget_gates, input_gates)`: the state after the step and
            gates `(P,)` in (0, 1).
        """
        loss, gradients = ops.stop_gradient(loss), ops.stop_gradient(gradients)
        before, after = state["weights"], {}
        seen = ops.concatenate(
            [
                ops.broadcast_to(
                    magnitude_and_sign(loss), (*gradients.shape, 2)
                ),
                magnitude_and_sign(gradients),
            ],
            axis=-1,
        )
        if self.first_layer:
            seen, memory = self._first_layer(seen, state)
            after.update(hidden=seen, memory=memory)
        gates = {}
        for name, kernel, bias in (
            ("forget", self.forget_kernel, self.forget_bias),
            ("input", self.input_kernel, self.input_bias),
        ):
            parts = [seen, before[:, None], state[name][:, None]]
            parts = ops.concatenate(parts, axis=-1)
            logits = (ops.matmul(parts, kernel) + bias)[:, 0]
            gates[name] = ops.sigmoid(logits)
            after[name] = gates[name] if self.feedback == "gates" else logits
        after["weights"] = gates["forget"] * before - gates["input"] * gradients
        return after, gates["forget"], gates["input"]

    def _first_layer(self, seen, state):
        """Output and memory of the LSTM, each `(P, units)`."""
        gates = ops.matmul(seen, self.kernel) + self.bias
        gates += ops.matmul(state["hidden"], self.recurrent_kernel)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        memory = ops.sigmoid(f) * state["memory"]
        memory += ops.sigmoid(i) * ops.tanh(g)
        return ops.sigmoid(o) * ops.tanh(memory), memory

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "first_layer": self.first_layer,
            "feedback": self.feedback,
        }
