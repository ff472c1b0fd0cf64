"""The block of the twelve-layer residual network."""

from typing import Any

import keras

from keras_meta.checks import check_integer
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor


@register
class ResidualBlock(keras.layers.Layer):
    """Three 3 x 3 convolutions with a 1 x 1 shortcut, then max-pool.

    `pool(relu(conv_bn(relu(conv_bn(relu(conv_bn(x))))) + shortcut(x)))` with
    `relu` a leaky ReLU of slope 0.1, the block of ResNet-12 (Lee et al.
    2019). Halves height and width.

    Args:
        filters: Output channels, at least 1.

    Raises:
        ValueError: If `filters` is not a positive integer.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.convolutions = [
            keras.layers.Conv2D(
                self.filters,
                size,
                padding="same",
                use_bias=False,
                dtype=self.dtype_policy,
            )
            for size in (3, 3, 3, 1)
        ]
        self.normalizations = [
            EpisodicBatchNormalization(dtype=self.dtype_policy)
            for _ in range(4)
        ]
        self.activation = keras.layers.LeakyReLU(0.1, dtype=self.dtype_policy)
        self.pool = keras.layers.MaxPooling2D(dtype=self.dtype_policy)

    def build(self, input_shape: Shape) -> None:
        inner = (*input_shape[:-1], self.filters)
        shapes = [input_shape, inner, inner, input_shape]
        for layer, shape in zip(self.convolutions, shapes, strict=True):
            layer.build(shape)
        for layer in self.normalizations:
            layer.build(inner)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        def branch(x, number):
            x = self.convolutions[number](x)
            return self.normalizations[number](x, training=training)

        x = self.activation(branch(inputs, 0))
        x = self.activation(branch(x, 1))
        x = branch(x, 2) + branch(inputs, 3)
        return self.pool(self.activation(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.pool.compute_output_shape((*input_shape[:-1], self.filters))

    def get_config(self) -> Config:
        return {**super().get_config(), "filters": self.filters}
