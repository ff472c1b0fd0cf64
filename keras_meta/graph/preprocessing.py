"""A `Preprocessing` in a graph, as `keras_meta.preprocessing`."""

import tensorflow as tf

from keras_meta.graph.resizing import resize
from keras_meta.preprocessing import LUMA


def prepare(preprocessing, pictures):
    """Puts pictures through a preprocessing.

    Args:
        preprocessing: A `keras_meta.Preprocessing`.
        pictures: uint8 `(n, height, width, channels)` with 1, 3 (RGB) or 4
            (RGBA) channels; each of these sizes may be open.

    Returns:
        float32 `(n, *size, channels)` in its `value_range`.
    """
    images = _resized(preprocessing, _unit_range(pictures))
    low, high = preprocessing.value_range
    if (low, high) == (0, 1):
        return images
    return low + (high - low) * images


def _resized(preprocessing, images):
    """`Preprocessing.resize`: clean images `[0, 1]` of 1 or 3 channels."""
    images = _recoloured(images, preprocessing.channels)
    images = resize(images, preprocessing.size, preprocessing.interpolation)
    images = tf.clip_by_value(images, 0, 1)
    return invert_bright_ground(images) if preprocessing.ink else images


def _recoloured(images, channels):
    """Grey or colour; products with constants take 1 channel and 3."""
    if images.shape[-1] == channels:
        return images
    if channels == 1:
        return tf.reduce_sum(images * LUMA, axis=-1, keepdims=True)
    return images * tf.ones(3)


def _unit_range(pictures):
    """uint8 pictures as float32 in `[0, 1]`; transparency shows white."""
    images = tf.cast(pictures, "float32") / 255
    channels = images.shape[-1]
    if channels == 4:
        return _on_white(images)
    if channels is not None:
        return images
    return tf.cond(
        tf.shape(images)[-1] == 4,
        lambda: _on_white(images),
        lambda: images,
    )


def _on_white(images):
    alpha = images[..., 3:]
    return images[..., :3] * alpha + (1 - alpha)


def invert_bright_ground(images):
    """Inverts each picture whose median border pixel is above 0.5.

    Args:
        images: float32 `(n, height, width, channels)` in `[0, 1]`, of which
            `n` may be open.

    Returns:
        Tensor of the same shape: bright ink on a dark ground.
    """
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    border = tf.concat(sides, axis=1)
    border = tf.reshape(
        border, (tf.shape(images)[0], border.shape[1] * border.shape[2])
    )
    bright = median(border) > 0.5
    return tf.where(bright[:, None, None, None], 1 - images, images)


def median(values):
    """The median of each row, as NumPy takes it.

    Args:
        values: float32 `(..., n)`; n may be open.

    Returns:
        float32 `(...)`.
    """
    size = values.shape[-1] or tf.shape(values)[-1]
    ordered = tf.sort(values, axis=-1)
    return (ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / 2
