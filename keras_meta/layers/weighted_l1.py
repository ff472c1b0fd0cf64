"""The output unit of the Siamese network (Koch et al. 2015)."""

from typing import Any

import keras
from keras import ops

from keras_meta.ops import in_chunks
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor


@register
class WeightedL1(keras.layers.Layer):
    """Weighs the differences of two embeddings, component by component.

    `logit = sum_d a_d |x_d - y_d| + b` for each `x` with each `y` (Koch et
    al. 2015, section 3.1).

    Args:
        use_bias: Whether there is a `b`. The paper has none: equal embeddings
            then always have the probability 1/2.
    """

    def __init__(self, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_bias = use_bias

    def build(self, x_shape: Shape, y_shape: Shape) -> None:
        self.kernel = self.add_weight(
            shape=(x_shape[-1], 1), name="kernel", initializer="glorot_uniform"
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(), name="bias")

    def call(self, x: Tensor, y: Tensor) -> Tensor:
        """Compares all pairs.

        Args:
            x: `(tasks, n, dim)`.
            y: `(tasks, m, dim)`.

        Returns:
            Logits `(tasks, n, m)`.
        """
        logits = in_chunks(self._weigh, x, y)
        return logits + self.bias if self.use_bias else logits

    def _weigh(self, x, y):
        differences = ops.abs(x[:, :, None] - y[:, None])
        return ops.matmul(differences, self.kernel)[..., 0]

    def compute_output_shape(self, x_shape: Shape, y_shape: Shape) -> Shape:
        return (*x_shape[:2], y_shape[1])

    def get_config(self) -> Config:
        return {**super().get_config(), "use_bias": self.use_bias}
