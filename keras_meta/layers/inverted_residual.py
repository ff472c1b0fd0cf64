"""The block of MobileNetV2 and of EfficientNet-Lite."""

from typing import Any

import keras

from keras_meta.checks import check_integer
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

# Of the batch norm of EfficientNet.
MOMENTUM, EPSILON = 0.99, 1e-3


@register
class InvertedResidual(keras.layers.Layer):
    """Expands the channels, filters each by itself and projects them.

    `x + bn(project(relu6(bn(filter(relu6(bn(expand(x))))))))`: a 1 x 1
    convolution to `expansion` times the channels, a depthwise one, and a 1 x
    1 convolution to `filters` channels without an activation (Sandler et al.
    2018). The sum is left out where shapes differ, and the expansion where
    it is 1. It is the block of EfficientNet-Lite, which is EfficientNet (Tan
    & Le 2019) without squeeze-and-excitation and with ReLU6.

    Args:
        filters: Output channels, at least 1.
        kernel_size: Side of the depthwise filters, at least 1.
        strides: 1, or more to divide height and width by it, rounded up.
        expansion: Factor of the channels inside, at least 1.

    Raises:
        ValueError: If an argument is not a positive integer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        expansion: int = 6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.kernel_size = check_integer("kernel_size", kernel_size, 1)
        self.strides = check_integer("strides", strides, 1)
        self.expansion = check_integer("expansion", expansion, 1)
        self.depthwise = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            self.strides,
            padding="same",
            use_bias=False,
            dtype=self.dtype_policy,
        )
        self.project = keras.layers.Conv2D(
            self.filters, 1, use_bias=False, dtype=self.dtype_policy
        )
        self.expand = None
        # One after each convolution.
        self.normalizations = [
            EpisodicBatchNormalization(
                MOMENTUM, EPSILON, dtype=self.dtype_policy
            )
            for _ in range(2 if self.expansion == 1 else 3)
        ]

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        inner = (*input_shape[:-1], channels * self.expansion)
        if self.expansion > 1:
            self.expand = keras.layers.Conv2D(
                inner[-1], 1, use_bias=False, dtype=self.dtype_policy
            )
            self.expand.build(input_shape)
        self.depthwise.build(inner)
        self.project.build(inner)
        for layer in self.normalizations[:-1]:
            layer.build(inner)
        self.normalizations[-1].build((*input_shape[:-1], self.filters))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        x = inputs
        convolutions = [self.depthwise, self.project]
        if self.expand is not None:
            convolutions.insert(0, self.expand)
        for convolution, normalization in zip(
            convolutions, self.normalizations, strict=True
        ):
            x = normalization(convolution(x), training=training)
            if convolution is not self.project:
                x = keras.ops.relu6(x)
        if self.strides == 1 and inputs.shape[-1] == self.filters:
            x = x + inputs
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sides = [
            side and -(-side // self.strides) for side in input_shape[1:-1]
        ]
        return (input_shape[0], *sides, self.filters)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expansion": self.expansion,
        }
