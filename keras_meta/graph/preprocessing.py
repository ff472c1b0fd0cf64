"""A `Preprocessing` in a graph, as `keras_meta.preprocessing`."""

import tensorflow as tf

from keras_meta.graph.ink import block_means, drawing, has_training_look
from keras_meta.graph.ordering import median
from keras_meta.graph.resizing import resize
from keras_meta.ink import SMALLEST
from keras_meta.preprocessing import LUMA

# Drawings that are cleaned at once, which bounds the memory.
AT_ONCE = 4


def prepare(preprocessing, pictures):
    """Puts pictures through a preprocessing.

    Args:
        preprocessing: A `keras_meta.Preprocessing`.
        pictures: uint8 `(n, height, width, channels)` with 1, 3 (RGB) or 4
            (RGBA) channels; each of these sizes may be open.

    Returns:
        float32 `(n, *size, channels)` in its `value_range`.
    """
    images = _prepared(preprocessing, pictures)
    low, high = preprocessing.value_range
    if (low, high) == (0, 1):
        return images
    return low + (high - low) * images


def _prepared(preprocessing, pictures):
    """Images in `[0, 1]`; drawings in photographs are cleaned."""

    def resized():
        return _resized(preprocessing, _unit_range(_scaled(pictures)))

    def cleaned():
        return tf.map_fn(
            lambda picture: _prepared_drawing(preprocessing, picture),
            pictures,
            parallel_iterations=AT_ONCE,
            fn_output_signature=tf.TensorSpec(preprocessing.shape),
        )

    most = max(*preprocessing.size, SMALLEST)
    sizes = pictures.shape[1:3]
    if not preprocessing.ink or (
        sizes.is_fully_defined() and max(sizes) <= most
    ):
        return resized()
    large = tf.reduce_max(tf.shape(pictures)[1:3]) > most
    return tf.cond(large, cleaned, resized)


def _prepared_drawing(preprocessing, picture):
    """A picture, which is cleaned if it is no scan."""
    picture = _unit_range(block_means(picture))
    image = tf.cond(
        has_training_look(picture),
        lambda: _resized(preprocessing, picture[None]),
        lambda: _resized(preprocessing, drawing(picture)[None, ..., None]),
    )
    return image[0]


def _scaled(pictures):
    """uint8 as float32 in `[0, 1]`."""
    return tf.cast(pictures, "float32") / 255


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


def _unit_range(images):
    """Pictures in `[0, 1]` without alpha: what is transparent shows white."""
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
