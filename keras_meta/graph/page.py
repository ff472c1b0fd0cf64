"""Finds a sheet of paper in a graph, as `keras_meta.page`."""

import tensorflow as tf

from keras_meta.graph.ink_filters import closed
from keras_meta.graph.ordering import median
from keras_meta.page import CELLS, CONTRAST


def page_inside(picture):
    """Where the inside of a page is whose edges are seen on all sides.

    Args:
        picture: float32 `(height, width, channels)` in `[0, 1]`.

    Returns:
        int32 `(4,)`: the rows `top` to `bottom` and the columns `left` to
        `right` of the picture, or zeros if there is no such page.
    """
    cell = tf.reduce_min(tf.shape(picture)[:2]) // CELLS
    return tf.cond(
        cell > 0,
        lambda: _page_in_cells(_cell_means(picture, cell)) * cell,
        lambda: tf.zeros(4, "int32"),
    )


def _page_in_cells(cells):
    """As `page_inside`, of cells and in cells."""
    share, contrast = _share_of_middle(cells)
    # Strokes belong to the page.
    page = closed(tf.cast(share > 0.5, "float32"), 3)
    between = tf.cast((share > 0.25) & (share < 0.75), "float64")
    # Sums of zeros and ones are exact.
    ring = _ring(page)
    on_ring = tf.reduce_sum(ring) / _size(ring)
    spans = []
    for axis in (0, 1):
        lines = tf.reduce_sum(page, axis=1 - axis)
        lines /= tf.cast(tf.shape(page)[1 - axis], "float32")
        # A little less than the page, whose edges may be turned.
        full = tf.where(lines >= 0.85 * tf.reduce_max(lines))[:, 0]
        spans += [full[0] + 1, full[-1]]
    spans = tf.cast(tf.stack(spans), "int32")
    inner = page[spans[0] : spans[1], spans[2] : spans[3]]
    area = tf.reduce_sum(inner)
    found = (
        (contrast >= CONTRAST)
        & (on_ring <= 0.1)
        & (tf.reduce_mean(between) <= 0.2)
        & (tf.size(inner) > 0)
        & (_size(inner, "float64") >= 0.05 * _size(page, "float64"))
        & (area / tf.maximum(_size(inner), 1) >= 0.9)
        & (area >= 0.6 * tf.reduce_sum(page))
    )
    return tf.where(found, spans, tf.zeros_like(spans))


def _cell_means(picture, cell):
    """Means of square cells, `(height // cell, width // cell, channels)`."""
    height, width, channels = tf.unstack(tf.shape(picture))
    rows, columns = height // cell, width // cell
    cells = picture[: rows * cell, : columns * cell]
    cells = tf.reshape(cells, (rows, cell, columns, cell, channels))
    return tf.reduce_sum(cells, axis=(1, 3)) / tf.cast(cell**2, "float32")


def _share_of_middle(cells):
    """How far each cell is from the border's colour to that of the middle.

    Args:
        cells: float32 `(rows, columns, channels)`.

    Returns:
        float32 `(rows, columns)`: 0 at the border's colour, 1 at that of the
        middle; and how much the colours differ, a scalar.
    """
    rows, columns, channels = tf.unstack(tf.shape(cells))
    high, wide = rows // 3, columns // 3
    middle = cells[high : rows - high, wide : columns - wide]
    outer = median(tf.transpose(_ring(cells)))
    middle = tf.transpose(tf.reshape(middle, (-1, channels)))
    away = median(middle) - outer
    square = tf.reduce_sum(away**2)
    share = tf.reduce_sum((cells - outer) * away, axis=-1)
    share = tf.math.divide_no_nan(share, square)
    return share, tf.reduce_mean(tf.abs(away))


def _ring(cells):
    """The cells at the border, in a row."""
    sides = (cells[0], cells[-1], cells[:, 0], cells[:, -1])
    return tf.concat(sides, axis=0)


def _size(values, dtype="float32"):
    return tf.cast(tf.size(values), dtype)
