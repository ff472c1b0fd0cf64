"""Leaves ruled lines out in a graph, as `keras_meta.ruled_lines`."""

import numpy as np
import tensorflow as tf

from keras_meta.graph.ordering import quantile
from keras_meta.ruled_lines import COLUMNS, FAINTEST, FEW, STEP, TILT, TURN


def without_rules(dark):
    """Darkness without the lines that run from left to right.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float32 of the same shape.
    """
    found, means = _line_darkness(dark)
    score = tf.cast(found, "float64") * means
    line = _along_lines(found, _convergence(score), tf.shape(dark))
    darkest = quantile(dark[::2, ::2], 0.998)
    middle = line[:, tf.shape(line)[1] // 2] > FAINTEST
    starts = tf.cast(middle[1:] & ~middle[:-1], "int32")
    many = tf.reduce_sum(starts) > FEW
    ruled = (line > FAINTEST) & (many | (line < 0.75 * darkest))
    # A line varies by less than a quarter.
    ruled &= dark < tf.maximum((line + darkest) / 2, 1.25 * line)
    left = tf.where(ruled, tf.zeros_like(dark), dark)
    return tf.where(ruled, tf.minimum(dark, _bridges(left)), left)


def _bridges(dark):
    """The paler of what is above and what is below of each pixel."""
    height = tf.shape(dark)[0]
    padded = tf.pad(dark, [[5, 5], [0, 0]])
    above, below = (
        [padded[start : start + height] for start in starts]
        for starts in (range(5), range(6, 11))
    )
    return tf.minimum(
        tf.reduce_max(tf.stack(above), axis=0),
        tf.reduce_max(tf.stack(below), axis=0),
    )


def _line_darkness(dark):
    """How dark the line is through each middle point, of each slope.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float32 and float64 `(ceil(height / 2), slopes)`: see
        `keras_meta.ruled_lines`.
    """
    height, width = tf.unstack(tf.shape(dark))
    start, step = width // (2 * COLUMNS), tf.maximum(1, width // COLUMNS)
    columns = tf.range(start, width, step)
    # Pairs of rows, with a neighbour above and below.
    rows = tf.range(-1, height + 2 + height % 2)
    rows = tf.clip_by_value(rows, 0, height - 1)
    padded = tf.gather(tf.gather(dark, columns, axis=1), rows)
    tall = tf.maximum(padded[:-1], padded[1:])
    tall = tf.maximum(tall[:-2], tall[2:])[::2]

    high, some = tf.unstack(tf.shape(tall))
    slopes = STEP * np.arange(-TURN - TILT, TURN + TILT + 1.0)
    offsets = tf.cast(columns, "float64") - tf.cast(width, "float64") / 2
    drops = tf.cast(tf.round(slopes[:, None] * offsets / 2), "int32")
    # (rows, slopes, columns)
    at = tf.range(high)[:, None, None] + drops
    outside = (at < 0) | (at >= high)
    at = tf.clip_by_value(at, 0, high - 1) * some + tf.range(some)
    values = tf.gather(tf.reshape(tall, (-1,)), at)
    inside = some - tf.reduce_sum(tf.cast(outside, "int32"), axis=2)

    sums = tf.where(outside, tf.zeros_like(values), values)
    sums = tf.reduce_sum(tf.cast(sums, "float64"), axis=2)
    means = sums / tf.cast(tf.maximum(inside, 1), "float64")
    values = tf.where(outside, tf.fill(tf.shape(values), np.inf), values)
    value = tf.sort(values, axis=2)[..., some // 5]
    value = tf.where(2 * inside > some, value, tf.zeros_like(value))
    return tf.maximum(value, 0), tf.maximum(means, 0)


def _convergence(score):
    """The slopes of lines on paper that is seen from a side.

    Args:
        score: float64 `(rows, slopes)`: how much there is of each line.

    Returns:
        Two int64 scalars, in steps: the slope at the central row, and how much
        larger it is at the last one.
    """
    rows, slopes = tf.shape(score)[0], 2 * (TURN + TILT) + 1
    tilts = np.arange(-TILT, TILT + 1.0)[:, None]
    turns = np.arange(2 * TURN + 1)
    # (tilts, rows), the slopes of whole pages, as places in `score`.
    first = tf.cast(tf.round(tilts * _places(rows)), "int32") + TILT
    first += tf.range(rows) * slopes
    lines = tf.gather(tf.reshape(score, (-1,)), first[..., None] + turns)
    totals = tf.reduce_sum(lines, axis=1)
    best = tf.argmax(tf.reshape(totals, (-1,)))
    return best % len(turns) - TURN, best // len(turns) - TILT


def _places(rows):
    """-1 for the first of some rows, about 1 for the last; float64."""
    rows = tf.range(rows)
    return tf.cast(2 * rows, "float64") / tf.cast(tf.size(rows), "float64") - 1


def _along_lines(found, convergence, shape):
    """The darkness of the line through each pixel.

    Args:
        found: float32 `(rows, slopes)`: see `_line_darkness`.
        convergence: See `_convergence`.
        shape: `(height, width)`.

    Returns:
        float32 `(height, width)`.
    """
    turn, tilt = convergence
    height, width = (tf.cast(size, "float64") for size in tf.unstack(shape))
    rows = tf.shape(found)[0]
    slopes = tf.round(tf.cast(tilt, "float64") * _places(rows))
    slopes = tf.cast(slopes, "int64") + turn + TURN + TILT
    best = tf.gather(found, slopes, axis=1, batch_dims=1)
    turn, tilt = tf.cast(turn, "float64"), tf.cast(tilt, "float64")
    x = STEP * (tf.range(width) - width / 2)
    y = tf.range(height)[:, None] - height / 2
    # The row at the middle column from which a line comes here, up to where
    # the lines of a wide picture have almost met.
    middle = (y - turn * x) / tf.maximum(1 + 2 * tilt * x / height, 0.1)
    middle = tf.round((middle + height / 2 - 0.5) / 2)
    last = tf.cast(rows - 1, "float64")
    return tf.gather(best, tf.cast(tf.clip_by_value(middle, 0, last), "int32"))
