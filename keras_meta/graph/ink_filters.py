"""Filters of pictures of ink in a graph, as `keras_meta.ink_filters`.

Sizes and radii may be tensors.
"""

import tensorflow as tf


def box_means(image, radius):
    """Means over squares of 2 * radius + 1 pixels, clipped at the border.

    Args:
        image: float32 `(height, width)` or `(height, width, channels)`.
        radius: Non-negative integer.

    Returns:
        float32 of the same shape.
    """
    for order in ((0, 1, 2), (1, 0, 2)):
        order = order[: image.shape.rank]
        image = tf.transpose(image, order)
        size = tf.shape(image)[0]
        sums = tf.cumsum(tf.cast(image, "float64"), axis=0)
        sums = tf.concat([tf.zeros_like(sums[:1]), sums], axis=0)
        high = tf.minimum(tf.range(size) + radius + 1, size)
        low = tf.maximum(tf.range(size) - radius, 0)
        counts = tf.cast(high - low, "float64")
        counts = tf.reshape(counts, (-1,) + (1,) * (image.shape.rank - 1))
        image = (tf.gather(sums, high) - tf.gather(sums, low)) / counts
        image = tf.transpose(tf.cast(image, "float32"), order)
    return image


def largest(image, radius):
    """Maxima over squares of 2 * radius + 1 pixels, clipped at the border.

    Args:
        image: float32 or bool `(height, width)`.
        radius: Non-negative integer.

    Returns:
        Tensor of the same shape and type.
    """
    lowest = False if image.dtype == tf.bool else image.dtype.min
    return _window_maxima(_padded(image, radius, lowest), 2 * radius + 1)


def _padded(image, width, value):
    return tf.pad(image, [[width, width]] * 2, constant_values=value)


def _window_maxima(image, size):
    """Maxima over all whole squares of a size; each axis gets size - 1 less."""
    either = tf.logical_or if image.dtype == tf.bool else tf.maximum
    # A known size needs no loop in the graph.
    smaller = min if isinstance(size, int) else tf.minimum

    def wider(window, image):
        # Two windows that overlap or touch make a longer one.
        step = smaller(window, size - window)
        return window + step, either(image[:-step], image[step:])

    for _ in range(2):
        # Turned, so that the other axis is next.
        image = tf.transpose(_widened(wider, image, size))
    return image


def _widened(wider, image, size):
    """The rows of an image after all steps from windows of 1 to a size."""
    if isinstance(size, int):
        window = 1
        while window < size:
            window, image = wider(window, image)
        return image
    _, image = tf.while_loop(
        lambda window, _: window < size,
        wider,
        (tf.constant(1), image),
        (tf.TensorShape(()), tf.TensorShape((None, None))),
    )
    return image


def closed(image, radius):
    """Morphological closing: fills dark parts narrower than a square.

    Args:
        image: float32 `(height, width)`.
        radius: Of squares of 2 * radius + 1 pixels.

    Returns:
        float32 of the same shape, nowhere darker.
    """
    return -largest(-largest(image, radius), radius)


def squares(ink, size):
    """The part of ink that squares of a size inside it cover (opening).

    Args:
        ink: bool `(height, width)`.
        size: Side of the squares, pixels.

    Returns:
        bool `(height, width)`.
    """
    ink = _padded(ink, size, False)
    fits = ~_window_maxima(~ink, size)
    covered = _window_maxima(_padded(fits, size - 1, False), size)
    return covered[size:-size, size:-size]


def blurred(image):
    """Binomial means of 3 x 3 pixels.

    Args:
        image: float32 `(height, width[, channels])`.

    Returns:
        float32 of the same shape.
    """
    padding = [[1, 1], [1, 1], [0, 0]][: image.shape.rank]
    # Of one pixel, it repeats the edge.
    image = tf.pad(image, padding, "SYMMETRIC")
    image = (image[:-2] + 2 * image[1:-1] + image[2:]) / 4
    return (image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]) / 4


def thinned(ink):
    """The middle lines of strokes, one pixel wide (Zhang and Suen 1984).

    Args:
        ink: bool `(height, width)`.

    Returns:
        bool `(height, width)`.
    """

    def round_of_steps(_, pixels):
        before = pixels
        for step in (0, 1):
            pixels -= _outer_pixels(_padded(pixels, 1, 0), step)
        return tf.reduce_any(pixels != before), pixels

    _, pixels = tf.while_loop(
        lambda changed, _: changed,
        round_of_steps,
        (tf.constant(True), tf.cast(ink, "int32")),
        (tf.TensorShape(()), tf.TensorShape((None, None))),
    )
    return pixels > 0


def _outer_pixels(padded, step):
    """The pixels, int32, that a half step of thinning removes."""
    height, width = tf.unstack(tf.shape(padded) - 2)
    # Clockwise from the pixel above.
    offsets = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    around = [padded[y : y + height, x : x + width] for y, x in offsets]
    north, _, east, _, south, _, west, _ = around
    count = tf.add_n(around)
    starts = tf.add_n(
        [(1 - around[i]) * around[(i + 1) % 8] for i in range(len(around))]
    )
    if step == 0:
        free = (north * east * south == 0) & (east * south * west == 0)
    else:
        free = (north * east * west == 0) & (north * south * west == 0)
    edge = (count >= 2) & (count <= 6) & (starts == 1) & free
    return padded[1:-1, 1:-1] * tf.cast(edge, "int32")
