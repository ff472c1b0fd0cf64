"""Leaves ruled lines out in a graph, as `keras_meta.ruled_lines`."""

import tensorflow as tf

from keras_meta.graph.ordering import quantile
from keras_meta.ruled_lines import FAINTEST, SLOPES


def without_rules(dark):
    """Darkness without the lines that run from left to right.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float32 of the same shape.
    """
    height, width = tf.unstack(tf.shape(dark))
    columns = tf.range(width)
    # Lines are long: a few columns tell.
    some = tf.range(0, width, tf.maximum(1, width // 64))
    padded = tf.pad(dark, [[1, 1], [0, 0]], "SYMMETRIC")
    tall = tf.maximum(tf.maximum(padded[:-2], padded[1:-1]), padded[2:])
    palest = tf.size(some) // 5
    # (slopes, columns): how far a line of each slope drops.
    offsets = tf.cast(columns, "float64") - tf.cast(width, "float64") / 2
    drops = tf.cast(tf.round(SLOPES[:, None] * offsets), "int32")
    levels = tf.range(height)[:, None]

    # (slopes, height, some columns), as places in the rows of `tall`.
    rows = levels + tf.gather(drops, some, axis=1)[:, None]
    rows = tf.clip_by_value(rows, 0, height - 1)
    found = tf.gather(tf.reshape(tall, (-1,)), rows * width + some)
    found = tf.sort(found, axis=-1)[..., palest]
    found = tf.maximum(found, 0)
    scores = tf.reduce_sum(tf.cast(found, "float64") ** 2, axis=1)
    best = tf.argmax(scores)

    rows = tf.clip_by_value(levels - drops[best], 0, height - 1)
    line = tf.gather(found[best], rows)
    darkest = quantile(dark, 0.995)
    ruled = (line > FAINTEST) & (line < 0.75 * darkest)
    # Where no slope has a score, all of `line` is 0.
    removed = ruled & (dark < (line + darkest) / 2)
    return tf.where(removed, tf.zeros_like(dark), dark)
