"""The learned comparator of Relation Networks (Sung et al. 2018)."""

import math
from typing import Any

import keras
from keras import ops

from keras_meta.batch_statistics import merged_tasks
from keras_meta.checks import check_choice, check_integer
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

LEAST_SIZE = 4
PADDINGS = ("same", "valid")


@register
class RelationHead(keras.layers.Layer):
    """Scores how well each query fits each class.

    Class and query maps are concatenated along the channels and go through
    two blocks of 3 x 3 convolution, batch norm, ReLU and max-pool and two
    dense layers, the last with one output (Sung et al. 2018, figure 3).

    The pairs themselves are never built: a convolution of concatenated maps
    is the sum of two convolutions, so the first layer runs once for each
    class and once for each query instead of once for each pair.

    Args:
        filters: Channels of both convolutions.
        units: Width of the first dense layer.
        padding: `"same"`, as the paper's code has it for maps of 5 x 5
            (Omniglot), or `"valid"`, for 19 x 19 (mini-ImageNet).

    Raises:
        ValueError: For a number below 1 or an unknown padding, or if the
            maps are too small to be pooled twice.
    """

    def __init__(
        self,
        filters: int = 64,
        units: int = 8,
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.units = check_integer("units", units, 1)
        self.padding = check_choice("padding", padding, PADDINGS)

    def build(self, class_maps_shape: Shape, query_maps_shape: Shape) -> None:
        *_, height, width, channels = class_maps_shape
        policy = dict(dtype=self.dtype_policy)

        def convolution():
            return keras.layers.Conv2D(
                self.filters, 3, padding=self.padding, use_bias=False, **policy
            )

        def dense(units, activation):
            # The authors' initial values, with nearly equal first scores.
            return keras.layers.Dense(
                units,
                activation,
                kernel_initializer=keras.initializers.RandomNormal(0, 0.01),
                bias_initializer="ones",
                **policy,
            )

        def pooled():
            return [
                EpisodicBatchNormalization(**policy),
                keras.layers.MaxPooling2D(**policy),
                keras.layers.ReLU(**policy),
            ]

        self.first = convolution()
        self.first.build((None, height, width, 2 * channels))
        self.rest = keras.Sequential(
            [
                *pooled(),
                convolution(),
                *pooled(),
                keras.layers.Flatten(**policy),
                dense(self.units, "relu"),
                dense(1, None),
            ]
        )
        lost = 0 if self.padding == "same" else 2
        after = [(size - lost) // 2 - lost for size in (height, width)]
        if min(after) < 2:
            least = LEAST_SIZE if lost == 0 else 2 * LEAST_SIZE + 2
            raise ValueError(
                "`encoder` must return maps of at least "
                f"{least} x {least} for a relation head with padding="
                f"{self.padding!r}. Received: maps of {height} x {width}"
            )
        self.rest.build((None, height - lost, width - lost, self.filters))

    def call(
        self, class_maps: Tensor, query_maps: Tensor, training: bool = False
    ) -> Tensor:
        """Scores all pairs.

        Args:
            class_maps: `(tasks, way, height, width, channels)`.
            query_maps: `(tasks, query, height, width, channels)`.
            training: Python bool.

        Returns:
            Logits `(tasks, query, way)`.
        """
        tasks, way = ops.shape(class_maps)[:2]
        query = ops.shape(query_maps)[1]
        of_class, of_query = ops.split(self.first.kernel, 2, axis=2)
        queries, shape = self._convolve(query_maps, of_query)
        classes, _ = self._convolve(class_maps, of_class)
        pairs = ops.expand_dims(queries, 2) + ops.expand_dims(classes, 1)
        with merged_tasks(tasks):
            scores = self.rest(
                ops.reshape(pairs, (-1, *shape)), training=training
            )
        return ops.reshape(scores, (tasks, query, way))

    def compute_output_shape(
        self, class_maps_shape: Shape, query_maps_shape: Shape
    ) -> Shape:
        return (*query_maps_shape[:2], class_maps_shape[1])

    def _convolve(self, maps, kernel):
        """Convolves maps `(tasks, n, h, w, c)` of all tasks at once.

        Returns:
            The convolved maps as vectors `(tasks, n, dim)`, and the shape of
            one of them.
        """
        tasks, count = ops.shape(maps)[:2]
        merged = ops.reshape(maps, (-1, *maps.shape[2:]))
        kernel = ops.cast(kernel, merged.dtype)
        out = ops.conv(merged, kernel, padding=self.padding)
        shape = out.shape[1:]
        return ops.reshape(out, (tasks, count, math.prod(shape))), shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "filters": self.filters,
            "units": self.units,
            "padding": self.padding,
        }
