"""Random changes of the images of an episode, drawn with its own seed.

An augmentation is a function `(images, classes, seed) -> images` with
`images: (n, height, width, channels)` in `[0, 1]`, `classes: (n,)` the class
of each image within the episode, and `seed: (2,)` integers. It is handed to
`episode_dataset(augmentation=...)`, which runs it inside `tf.data`.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_meta.checks import check_number, check_positive


@dataclasses.dataclass(frozen=True)
class QuarterTurns:
    """Turns all images of a class by one random multiple of 90 degrees.

    Each class of an episode draws one angle, which its support and queries
    share, as in the code of MAML (Finn et al. 2017) and in the paper of MANN
    (Santoro et al. 2016). It takes the place of rotations as new classes.
    Images must be square.
    """

    def __call__(
        self, images: tf.Tensor, classes: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        turns = tf.random.stateless_uniform(
            (tf.reduce_max(classes) + 1,), seed, 0, 4, tf.int32
        )
        degrees = 90.0 * tf.cast(tf.gather(turns, classes), "float32")
        still = tf.zeros_like(degrees)
        matrices = affine_matrices(degrees, still, still, 1 + still, 1 + still)
        return warp(images, matrices)


@dataclasses.dataclass(frozen=True)
class Affine:
    """Random affine distortion, as for the Siamese network (Koch 2015).

    Each component is present with `probability`, and then uniform in its
    range. The defaults are the paper's; its translation of 2 pixels of 105
    is given as a share of the image.

    Args:
        rotation: Largest angle, degrees.
        shear: Largest shear along either axis, as a slope.
        scale: Range `(smallest, largest)` of the factor along either axis,
            both positive.
        translation: Largest shift along either axis, as a share of the size.
        probability: Chance of each component, in `[0, 1]`.
        per_class: Whether all images of a class share one distortion (which
            then makes a new class of them) instead of one for each image.
        flips: Whether mirror images are drawn, with probability 1/2.

    Raises:
        ValueError: If a number is not finite or out of its range.
    """

    rotation: float = 10.0
    shear: float = 0.3
    scale: tuple[float, float] = (0.8, 1.2)
    translation: float = 2 / 105
    probability: float = 0.5
    per_class: bool = False
    flips: bool = False

    def __post_init__(self):
        for name in ("rotation", "shear", "translation", "probability"):
            number = check_number(name, getattr(self, name))
            object.__setattr__(self, name, number)
        if not 0 <= self.probability <= 1:
            raise ValueError(
                "`probability` must be in [0, 1]. "
                f"Received: probability={self.probability}"
            )
        pair = tuple(self.scale) if np.iterable(self.scale) else ()
        if len(pair) != 2:
            raise ValueError(
                "`scale` must be a pair (smallest, largest). "
                f"Received: scale={self.scale!r}"
            )
        pair = tuple(check_positive("scale", number) for number in pair)
        object.__setattr__(self, "scale", pair)

    def __call__(
        self, images: tf.Tensor, classes: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        count = tf.size(classes)
        draws = tf.reduce_max(classes) + 1 if self.per_class else count
        uniform = tf.random.stateless_uniform((15, draws), seed)
        if self.per_class:
            uniform = tf.gather(uniform, classes, axis=1)
        present = tf.cast(uniform[:7] < self.probability, "float32")
        spread = 2 * uniform[7:14] - 1
        low, high = self.scale
        middle, half = (low + high) / 2, (high - low) / 2
        height, width = images.shape[1:3]
        scale_x, scale_y = (
            1 + present[i] * (middle - 1 + half * spread[i]) for i in (3, 4)
        )
        if self.flips:
            scale_x *= tf.where(uniform[14] < 0.5, -1.0, 1.0)
        matrices = affine_matrices(
            self.rotation * present[0] * spread[0],
            self.shear * present[1] * spread[1],
            self.shear * present[2] * spread[2],
            scale_x,
            scale_y,
            self.translation * width * present[5] * spread[5],
            self.translation * height * present[6] * spread[6],
        )
        return warp(images, matrices)


@dataclasses.dataclass(frozen=True)
class Chain:
    """Applies several augmentations in turn.

    Args:
        steps: Tuple of augmentations.
    """

    steps: tuple

    def __call__(
        self, images: tf.Tensor, classes: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        for number, step in enumerate(self.steps):
            own = tf.random.experimental.stateless_fold_in(seed, number)
            images = step(images, classes, own)
        return images


def affine_matrices(
    degrees: tf.Tensor,
    shear_x: tf.Tensor,
    shear_y: tf.Tensor,
    scale_x: tf.Tensor,
    scale_y: tf.Tensor,
    shift_x: tf.Tensor | float = 0.0,
    shift_y: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """Matrices `Translate @ Rotate @ Shear @ Scale` of the plane.

    Args:
        degrees, shear_x, shear_y, scale_x, scale_y, shift_x, shift_y:
            Tensors `(n,)`; `x` points right, `y` down, shifts in pixels.

    Returns:
        Tensor `(n, 3, 3)` that maps points of the input to the output.
    """
    angle = degrees * (math.pi / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    a = (cosine - sine * shear_y) * scale_x
    b = (cosine * shear_x - sine) * scale_y
    c = (sine + cosine * shear_y) * scale_x
    d = (sine * shear_x + cosine) * scale_y
    zero = tf.zeros_like(a)
    rows = [a, b, shift_x + zero, c, d, shift_y + zero, zero, zero, zero + 1]
    return tf.reshape(tf.stack(rows, axis=-1), (-1, 3, 3))


def about_centre(matrices: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Converts maps about the origin to maps about the image's centre.

    Args:
        matrices: `(n, 3, 3)`, about the origin.
        height, width: Size of the image in pixels; the centre of the first
            pixel is the origin, so the centre lies at `(size - 1) / 2`.

    Returns:
        Tensor `(n, 3, 3)`.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    dtype = matrices.dtype
    to = tf.constant([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype)
    back = tf.constant([[1, 0, -x], [0, 1, -y], [0, 0, 1]], dtype)
    return to @ matrices @ back


def warp(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Moves images through affine maps about their centre, bilinearly.

    Args:
        images: `(n, height, width, channels)`; 0 outside of them.
        matrices: `(n, 3, 3)`, input to output.

    Returns:
        Tensor of the shape of `images`.
    """
    height, width = images.shape[1:3]
    sampling = tf.linalg.inv(about_centre(matrices, height, width))
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(sampling, (-1, 9))[:, :8],
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
