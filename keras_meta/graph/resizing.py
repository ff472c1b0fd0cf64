"""Resizing of images in a graph, as `keras_meta.resizing`."""

import tensorflow as tf

from keras_meta import resizing


def _bilinear(x):
    return tf.maximum(1 - tf.abs(x), 0)


def _bicubic(x):
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return tf.where(x < 1, near, tf.where(x < 2, far, 0))


KERNELS = {"bilinear": _bilinear, "bicubic": _bicubic}


def resize(images, size, interpolation="area"):
    """Resizes images.

    Args:
        images: float32 `(n, height, width, channels)`, of open sizes too.
        size: Pair `(height, width)` of the result, integers.
        interpolation: A name of `keras_meta.resizing.INTERPOLATIONS`.

    Returns:
        float32 `(n, *size, channels)`.
    """
    known = images.shape[1:3]
    if known == tuple(size):
        return images
    rows, columns = (
        _weights(old, new, interpolation)
        if old is not None
        else _open_weights(tf.shape(images)[axis], new, interpolation)
        for axis, old, new in zip((1, 2), known, size, strict=True)
    )
    images = tf.einsum("nhwc,ih->niwc", images, rows)
    return tf.einsum("niwc,jw->nijc", images, columns)


def _weights(old, new, interpolation):
    """The matrix for known sizes, a constant."""
    return tf.constant(resizing.weights(old, new, interpolation), "float32")


def _open_weights(old, new, interpolation):
    """The matrix `(new, old)` of `keras_meta.resizing.weights`.

    Args:
        old: Scalar integer tensor.
        new: Python integer.
        interpolation: A name of `keras_meta.resizing.INTERPOLATIONS`.
    """
    pixels = tf.cast(tf.range(old), "float64")
    scale = tf.cast(old, "float64") / new
    if interpolation == "area":
        edges = tf.range(new + 1, dtype="float64") * scale
        overlap = tf.minimum(edges[1:, None], pixels + 1) - tf.maximum(
            edges[:-1, None], pixels
        )
        weights = tf.maximum(overlap, 0)
    else:
        centres = (tf.range(new, dtype="float64")[:, None] + 0.5) * scale
        distances = (pixels + 0.5 - centres) / tf.maximum(scale, 1)
        weights = KERNELS[interpolation](distances)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.cast(weights, "float32")
