"""Medians and quantiles in a graph, as NumPy's."""

import tensorflow as tf


def median(values):
    """The medians of rows.

    Args:
        values: float32 `(..., n)`; n may be open.

    Returns:
        float32 `(...)`.
    """
    size = values.shape[-1] or tf.shape(values)[-1]
    ordered = tf.sort(values, axis=-1)
    return (ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / 2


def quantile(values, share):
    """The quantile of all values, between two of them if need be.

    Args:
        values: float32 of any shape.
        share: Python float in `[0, 1]`.

    Returns:
        Scalar, float32.
    """
    ordered = tf.sort(tf.reshape(values, (-1,)))
    last = tf.size(ordered) - 1
    place = tf.cast(last, "float32") * share
    low = tf.cast(place, "int32")
    below, above = ordered[low], ordered[tf.minimum(low + 1, last)]
    return below + (above - below) * (place - tf.cast(low, "float32"))
