"""A factor that is learned and stays positive."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_positive
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor


@register
class LearnedScale(keras.layers.Layer):
    """Multiplies by `initial * exp(log_scale)`, always positive.

    Args:
        initial: Positive, finite number: the scale before training.

    Raises:
        ValueError: If `initial` is not positive.
    """

    def __init__(self, initial: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial = check_positive("initial", initial)

    def build(self, input_shape: Shape) -> None:
        self.log_scale = self.add_weight(
            shape=(), name="log_scale", initializer="zeros"
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * (self.initial * ops.exp(self.log_scale))

    def get_config(self) -> Config:
        return {**super().get_config(), "initial": self.initial}
