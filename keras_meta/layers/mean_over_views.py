"""The mean of an encoder's embeddings over distorted views of an image."""

import math
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_meta.checks import check_network, check_number
from keras_meta.convolution_blocks import run_network
from keras_meta.serialization import deserialize_nested, register
from keras_meta.typing import Config, Shape, Tensor

# Of each kind of distortion, one view in either direction.
DIRECTIONS = (1, -1)


@register
class MeanOverViews(keras.layers.Layer):
    """Embeds an image as the mean over slightly distorted views of it.

    This is test-time augmentation: where two drawings of a class differ by a
    shift or a slant, the means of their views differ less than they do. With
    all kinds of distortion there are 11 views, the image itself among them,
    and a prediction takes eleven times as long. In training the encoder sees
    the images alone, so that it may be trained with or without this layer.

    Batch norm sees each view on its own. With the statistics `"support"`
    queries of all views are normalized by the moments of the undistorted
    support.

    Args:
        encoder: Keras model or layer, images `(batch, height, width,
            channels)` of a fixed size to embeddings `(batch, ...)`.
        translation: Part of the height and of the width by which views are
            shifted.
        rotation: Degrees by which views are turned.
        scale: Views are `exp(scale)` and `exp(-scale)` times as large.
        shear: Slope by which views slant. All four are at least 0; a kind of
            distortion that is 0 has no views.

    Raises:
        ValueError: For an encoder that is no Keras layer, a number below 0,
            or images of an unknown size.

    Example:

    >>> layer = MeanOverViews(keras_meta.encoders.conv4(filters=8))
    >>> tuple(layer(np.zeros((2, 28, 28, 1), "float32")).shape)
    (2, 8)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        translation: float = 0.05,
        rotation: float = 9.0,
        scale: float = 0.1,
        shear: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = check_network("encoder", encoder)
        for name, value in (
            ("translation", translation),
            ("rotation", rotation),
            ("scale", scale),
            ("shear", shear),
        ):
            value = check_number(name, value)
            if value < 0:
                raise ValueError(
                    f"`{name}` must be at least 0. Received: {name}={value}"
                )
            setattr(self, name, value)

    def build(self, input_shape: Shape) -> None:
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(input_shape) != 4 or len(sizes) != 3:
            raise ValueError(
                "`MeanOverViews` needs images `(batch, height, width, "
                "channels)` of one size. Received: "
                f"input_shape={tuple(input_shape)}"
            )
        if not self.encoder.built:
            self.encoder.build(input_shape)
        height, width, _ = sizes
        self._samplings = [
            bilinear_sampling(matrix, height, width)
            for matrix in self._matrices(height, width)
        ]
        super().build(input_shape)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        if training:
            return run_network(self.encoder, images, training)
        views = [self._view(images, *rest) for rest in self._samplings]
        # Last, as later passes overwrite the moments of earlier ones.
        views.append(images)
        embeddings = [run_network(self.encoder, v, training) for v in views]
        return sum(embeddings) / len(views)

    def _view(self, images, pixels, weights):
        """The images at other points, `(batch, height, width, channels)`.

        Keras' `affine_transform` is an operation that XLA and LiteRT lack.
        """
        shape = ops.shape(images)
        flat = ops.reshape(images, (shape[0], -1, shape[3]))
        view = 0
        for corner in range(4):
            values = ops.take(flat, pixels[corner], axis=1)
            view += values * ops.cast(weights[corner][:, None], images.dtype)
        return ops.reshape(view, shape)

    def _matrices(self, height, width):
        """Maps from points `(x, y)` of a view to points of the image.

        They are about the centre; each is `(2, 3)`.
        """
        for sign in DIRECTIONS:
            if self.translation:
                shift = sign * self.translation
                yield np.array([[1, 0, shift * width], [0, 1, 0]])
                yield np.array([[1, 0, 0], [0, 1, shift * height]])
            if self.rotation:
                angle = sign * math.radians(self.rotation)
                cosine, sine = math.cos(angle), math.sin(angle)
                yield np.array([[cosine, -sine, 0], [sine, cosine, 0]])
            if self.scale:
                yield math.exp(sign * self.scale) * np.eye(2, 3)
            if self.shear:
                yield np.array([[1, sign * self.shear, 0], [0, 1, 0]])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.encoder.compute_output_shape(input_shape)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "translation": self.translation,
            "rotation": self.rotation,
            "scale": self.scale,
            "shear": self.shear,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**deserialize_nested(config))


def bilinear_sampling(
    matrix: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels make a distorted image, and how much of each.

    Args:
        matrix: `(2, 3)`, from points `(x, y)` of the distorted image to
            points of the image, both about the centre.
        height, width: Size of both in pixels.

    Returns:
        `(pixels, weights)`, each `(4, height * width)`: the numbers of the
        four nearest pixels of each point and their bilinear weights, 0 for
        those that lie outside.
    """
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    y, x = np.divmod(np.arange(height * width), width)
    points = np.stack([x, y], axis=1) - centre
    points = points @ matrix[:, :2].T + matrix[:, 2] + centre
    corner = np.floor(points)
    inside = points - corner
    pixels, weights = [], []
    for right in (0, 1):
        for below in (0, 1):
            x, y = (corner + (right, below)).astype(int).T
            weight = np.prod(
                np.where((right, below), inside, 1 - inside), axis=1
            )
            weight *= (x >= 0) & (x < width) & (y >= 0) & (y < height)
            x, y = x.clip(0, width - 1), y.clip(0, height - 1)
            pixels.append(y * width + x)
            weights.append(weight)
    return np.array(pixels, "int32"), np.array(weights)
