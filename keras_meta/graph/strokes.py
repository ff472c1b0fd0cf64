"""Tells strokes from specks in a graph, as `keras_meta.strokes`."""

import math

import tensorflow as tf

from keras_meta.graph.ink_filters import box_means, largest, squares


def count(ink):
    """How many are True; float64, in which products with shares are exact."""
    return tf.reduce_sum(tf.cast(ink, "float64"))


def stroke_width(ink):
    """Mean width of strokes, in pixels; float64."""
    crossings = count(ink[1:] != ink[:-1]) + count(ink[:, 1:] != ink[:, :-1])
    return 2 * count(ink) / tf.maximum(math.pi / 4 * crossings, 1)


def without_specks(ink):
    """Ink `(height, width)` without specks and hairlines."""
    for _ in range(2):
        # The second time, specks do not lower the width.
        width = stroke_width(ink)
        radius = tf.maximum(1, tf.cast(tf.round(1.5 * width), "int32"))
        near = box_means(tf.cast(ink, "float32"), radius)
        near *= tf.cast((2 * radius + 1) ** 2, "float32")
        size = tf.maximum(1, tf.cast(width / 2 + 0.5, "int32"))
        strokes = largest(squares(ink, size), 2 * radius)
        ink &= strokes & (tf.cast(near, "float64") >= width**2 / 4)
    return ink


def inside(ink):
    """Ink `(height, width)` without what is connected to the border."""
    height, width = tf.unstack(tf.shape(ink))
    # Coarse cells, so that few steps go all the way.
    cell = -(-tf.maximum(height, width) // 128)
    cells = tf.pad(ink, [[0, -height % cell], [0, -width % cell]])
    high, wide = tf.unstack(tf.shape(cells) // cell)
    cells = tf.reshape(cells, (high, cell, wide, cell))
    cells = tf.reduce_any(cells, axis=(1, 3))
    inner = tf.zeros((tf.maximum(high - 2, 0), tf.maximum(wide - 2, 0)), bool)
    outer = tf.pad(inner, [[1, 1], [1, 1]], constant_values=True)
    outer = outer[:high, :wide]

    def spread(_, reached):
        wider = largest(reached, 1) & cells
        return tf.reduce_any(wider != reached), wider

    _, reached = tf.while_loop(
        lambda changed, _: changed,
        spread,
        (tf.constant(True), cells & outer),
        (tf.TensorShape(()), tf.TensorShape((None, None))),
    )
    reached = tf.repeat(tf.repeat(reached, cell, axis=0), cell, axis=1)
    reached = reached[:height, :width]
    rest = ink & ~reached
    return ink & ~(reached & (count(rest) >= 0.25 * count(ink)))
