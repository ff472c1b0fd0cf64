"""Filters of pictures of ink, of sums and maxima alone.

They clip their windows at the border, so that nothing outside is invented.
"""

import numpy as np


def box_means(image, radius):
    """Means over squares of 2 * radius + 1 pixels, clipped at the border.

    Args:
        image: float32 `(height, width, ...)`.
        radius: Non-negative integer.

    Returns:
        float32 of the same shape.
    """
    for axis in (0, 1):
        # Sums along neighbours in memory are several times as fast.
        image = np.ascontiguousarray(np.moveaxis(image, axis, -1))
        size = image.shape[-1]
        sums = np.zeros((*image.shape[:-1], size + 1))
        np.cumsum(image, axis=-1, out=sums[..., 1:])
        high = np.minimum(np.arange(size) + radius + 1, size)
        low = np.maximum(np.arange(size) - radius, 0)
        image = sums.take(high, axis=-1) - sums.take(low, axis=-1)
        image = (image / (high - low)).astype("float32")
        image = np.moveaxis(image, -1, axis)
    return image


def largest(image, radius):
    """Maxima over squares of 2 * radius + 1 pixels, clipped at the border.

    Args:
        image: float32 or bool `(height, width)`.
        radius: Non-negative integer.

    Returns:
        Array of the same shape and type.
    """
    lowest = False if image.dtype == bool else -np.inf
    image = np.pad(image, radius, constant_values=lowest)
    return _window_maxima(image, 2 * radius + 1)


def _window_maxima(image, size):
    """Maxima over all whole squares of a size; each axis gets size - 1 less."""
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        window = 1
        while window < size:
            # Two windows that overlap or touch make a longer one.
            step = min(window, size - window)
            image = np.maximum(image[:-step], image[step:])
            window += step
        image = np.moveaxis(image, 0, axis)
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
    ink = np.pad(ink, size)
    fits = ~_window_maxima(~ink, size)
    covered = _window_maxima(np.pad(fits, size - 1), size)
    return covered[size:-size, size:-size]


def blurred(image):
    """Binomial means of 3 x 3 pixels.

    Args:
        image: float32 `(height, width[, channels])`.

    Returns:
        float32 of the same shape.
    """
    padding = ((1, 1), (1, 1)) + ((0, 0),) * (image.ndim - 2)
    image = np.pad(image, padding, mode="edge")
    image = (image[:-2] + 2 * image[1:-1] + image[2:]) / 4
    return (image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]) / 4


def thinned(ink):
    """The middle lines of strokes, one pixel wide.

    The algorithm is that of Zhang and Suen (1984), "A fast parallel algorithm
    for thinning digital patterns".

    Args:
        ink: bool `(height, width)`.

    Returns:
        bool `(height, width)`.
    """
    padded = np.pad(ink, 1).astype("uint8")
    changed = True
    while changed:
        changed = False
        for step in (0, 1):
            removed = _outer_pixels(padded, step)
            changed |= bool(removed.any())
            padded[1:-1, 1:-1] -= removed
    return padded[1:-1, 1:-1].astype(bool)


def _outer_pixels(padded, step):
    """The pixels, uint8, that a half step of thinning removes."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    # Clockwise from the pixel above.
    offsets = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    around = [padded[y : y + height, x : x + width] for y, x in offsets]
    north, _, east, _, south, _, west, _ = around
    count = sum(around)
    starts = sum(
        (1 - around[i]) * around[(i + 1) % 8] for i in range(len(around))
    )
    if step == 0:
        free = (north * east * south == 0) & (east * south * west == 0)
    else:
        free = (north * east * west == 0) & (north * south * west == 0)
    edge = (count >= 2) & (count <= 6) & (starts == 1) & free
    return padded[1:-1, 1:-1] * edge
