"""Networks that make fast weights from gradients, coordinate by coordinate.

A network looks at one coordinate of a gradient at a time, with the same
weights for all of them, so a few hundred numbers serve any number of fast
weights. Both networks see a gradient `g` as two numbers (`log_and_sign`),
and gradients are data to them: no derivative goes back through.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_integer
from keras_meta.layers.coordinate_blocks import in_blocks
from keras_meta.layers.forget_gate import open_forget_gate
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

# `k` of Munkhdalai and Yu.
SMALL = 7
# The machine epsilon of float64.
EPSILON = 2.0**-52


def log_and_sign(
    gradients: Tensor, small: float = SMALL
) -> tuple[Tensor, Tensor]:
    """A gradient as its magnitude and its sign, both of moderate size.

    `[max(log(|g| + eps) / p, -1), clip(g e^p, -1, 1)]` (Andrychowicz et al.
    2016, appendix A), where `eps` keeps `log 0` from arising.

    Args:
        gradients: Tensor `(...)`.
        small: `p`: magnitudes below `exp(-p)` count as small; 7 as in the
            code of Munkhdalai and Yu.

    Returns:
        Two tensors of that shape: the first at least -1, the second in
        [-1, 1].
    """
    logs = ops.log(ops.abs(gradients) + EPSILON) / small
    signs = ops.clip(gradients * math.exp(small), -1, 1)
    return ops.maximum(logs, -1), signs


@register
class CoordinateLSTM(keras.layers.Layer):
    """An LSTM that reads a sequence of gradients, each coordinate alone.

    With `x_t = log_and_sign(g_t)` of one coordinate, `w+ = Dense(LSTM(x_1 ..
    x_T))`: `F_w` of Munkhdalai and Yu (2017, section 3.1). Gates are in the
    order of Keras: input, forget, candidate, output; the forget gate begins
    open.

    Args:
        units: Width of the LSTM.

    Raises:
        ValueError: If `units` is no positive integer.
    """

    def __init__(self, units: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, 1)

    def build(
        self, gradients_shape: Shape, steps_shape: Shape | None = None
    ) -> None:
        units, start = self.units, "lecun_normal"
        self.kernel = self.add_weight(
            shape=(2, 4 * units), initializer=start, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units), initializer=start, name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=(4 * units,), initializer=open_forget_gate, name="bias"
        )
        self.output_kernel = self.add_weight(
            shape=(units, 1), initializer=start, name="output_kernel"
        )
        self.output_bias = self.add_weight(shape=(1,), name="output_bias")

    def call(self, gradients: Tensor, steps: Tensor) -> Tensor:
        """Makes fast weights.

        Args:
            gradients: `(most steps, coordinates)`, with both sizes known.
            steps: Integer tensor, how many of these steps are read.

        Returns:
            Tensor `(1, coordinates)`.
        """
        most = gradients.shape[0]
        # The outputs of all steps, of which one is kept: shorter sequences
        # need no other loop.
        last = ops.one_hot(steps - 1, most, dtype=gradients.dtype)

        def read(gradients, weights):
            kernel, recurrent, bias, output, output_bias = weights
            inputs = ops.concatenate([bias[None], kernel, recurrent])
            # Features come first: gates are then rows, split without a copy.
            inputs = ops.transpose(inputs)
            h = c = None
            outputs = 0.0
            logs, signs = log_and_sign(gradients)
            ones = ops.ones_like(logs[:1])
            for step in range(most):
                x = [ones, logs[step : step + 1], signs[step : step + 1]]
                if step == 0:
                    gates = ops.matmul(inputs[:, :3], ops.concatenate(x))
                else:
                    gates = ops.matmul(inputs, ops.concatenate([*x, h]))
                i, f, g, o = ops.split(gates, 4, axis=0)
                written = ops.sigmoid(i) * ops.tanh(g)
                c = written if step == 0 else ops.sigmoid(f) * c + written
                h = ops.sigmoid(o) * ops.tanh(c)
                found = ops.matmul(ops.transpose(output), h) + output_bias
                outputs = outputs + last[step] * found
            return outputs

        weights = [
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            self.output_kernel,
            self.output_bias,
        ]
        return in_blocks(read, gradients, weights)

    def compute_output_shape(
        self, gradients_shape: Shape, steps_shape: Shape | None = None
    ) -> Shape:
        return (1, gradients_shape[1])

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}


@register
class CoordinateMLP(keras.layers.Layer):
    """A network of two hidden layers over single coordinates of gradients.

    `w+ = Dense(relu(Dense(relu(Dense(log_and_sign(g))))))`: `G_v` of
    Munkhdalai and Yu (2017, section 3.2).

    Args:
        units: Width of both hidden layers.

    Raises:
        ValueError: If `units` is no positive integer.
    """

    def __init__(self, units: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, 1)

    def build(self, gradients_shape: Shape) -> None:
        sizes = [2, self.units, self.units, 1]
        self.layer_weights = []
        for number in range(3):
            kernel = self.add_weight(
                shape=sizes[number : number + 2],
                initializer="lecun_normal",
                name=f"kernel_{number}",
            )
            bias = self.add_weight(
                shape=sizes[number + 1 : number + 2], name=f"bias_{number}"
            )
            self.layer_weights += [kernel, bias]

    def call(self, gradients: Tensor) -> Tensor:
        """Makes fast weights, one for each number.

        Args:
            gradients: `(rows, coordinates)`, coordinates known.

        Returns:
            Tensor `(rows, coordinates)`.
        """

        def transform(gradients, weights):
            shape = ops.shape(gradients)
            features = [
                ops.reshape(x, (1, -1)) for x in log_and_sign(gradients)
            ]
            h = ops.concatenate(features)
            for number in range(3):
                kernel, bias = weights[2 * number : 2 * number + 2]
                h = ops.matmul(ops.transpose(kernel), h) + bias[:, None]
                h = h if number == 2 else ops.relu(h)
            return ops.reshape(h, shape)

        weights = [
            ops.convert_to_tensor(weight) for weight in self.layer_weights
        ]
        return in_blocks(transform, gradients, weights)

    def compute_output_shape(self, gradients_shape: Shape) -> Shape:
        return gradients_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}
