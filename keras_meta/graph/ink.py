"""Finds a drawing in a photograph in a graph, as `keras_meta.ink`."""

import math

import tensorflow as tf

from keras_meta.graph.ink_filters import (
    blurred,
    box_means,
    closed,
    largest,
    squares,
    thinned,
)
from keras_meta.graph.ordering import median
from keras_meta.graph.page import page_inside
from keras_meta.graph.ruled_lines import without_rules
from keras_meta.graph.strokes import (
    count,
    inside,
    stroke_width,
    without_specks,
)
from keras_meta.ink import (
    EXTENT,
    FRAME,
    GROUND,
    LONGEST,
    NEAR,
    NOISE_RATIO,
    PEN,
)
from keras_meta.ruled_lines import FAINTEST


def block_means(picture):
    """Shrinks a large picture by whole factors.

    Args:
        picture: uint8 `(height, width, channels)`.

    Returns:
        float32 `(height / n, width / n, channels)` in `[0, 1]`.
    """
    height, width, channels = tf.unstack(tf.shape(picture))
    factor = tf.maximum(height, width) // LONGEST
    small = (factor < 2) | (tf.minimum(height, width) < factor)
    factor = tf.where(small, 1, factor)
    height, width = height // factor, width // factor
    rows = tf.reshape(
        picture[: height * factor, : width * factor],
        (height, factor, width * factor * channels),
    )
    # A row of each block at a time, which bounds the memory.
    _, total = tf.while_loop(
        lambda row, _: row < factor,
        lambda row, total: (row + 1, total + tf.cast(rows[:, row], "int32")),
        (0, tf.zeros((height, width * factor * channels), "int32")),
    )
    total = tf.reshape(total, (height, width, factor, channels))
    total = tf.cast(tf.reduce_sum(total, axis=2), "float32")
    means = total / tf.cast(255 * factor**2, "float32")
    return tf.ensure_shape(means, (None, None, picture.shape[-1]))


def has_training_look(picture):
    """Whether a picture looks like a scan of the training data already.

    Args:
        picture: float32 `(height, width, 1 or 3)` in `[0, 1]`.

    Returns:
        Scalar, bool.
    """
    height, width = tf.unstack(tf.shape(picture)[:2])
    grey = tf.reduce_mean(picture, axis=-1)

    def strokes_are_as_wide():
        size = tf.cast(height, "float64")
        sampled = _sample(grey, (size / 2, size / 2), size)
        ink = (sampled > 0.5) != (median(_border(sampled)) > 0.5)
        area = count(ink)
        return (area == 0) | (
            (count(squares(ink, 4)) >= 0.8 * area)
            & (count(squares(ink, 8)) <= 0.985 * area)
        )

    between = tf.cast((grey > 0.02) & (grey < 0.98), "float64")
    return tf.cond(
        (height == width)
        & (height >= FRAME)
        & (tf.reduce_mean(between) <= 0.05),
        strokes_are_as_wide,
        lambda: tf.constant(False),
    )


def drawing(picture):
    """The drawing in a picture, as a scan of the training data shows it.

    Args:
        picture: float32 `(height, width, 1 or 3)` in `[0, 1]`.

    Returns:
        float32 `(105, 105)`: ink 1, ground 0.
    """
    picture = _shrunk(picture)
    page = page_inside(picture)
    whole = tf.stack([0, tf.shape(picture)[0], 0, tf.shape(picture)[1]])

    def attempt(turn, _):
        top, bottom, left, right = tf.unstack(tf.where(turn == 0, page, whole))
        return turn + 1, _drawn(picture[top:bottom, left:right])

    # The page, if there is one; the whole picture, if the page was none, but
    # a filled shape.
    _, image = tf.while_loop(
        lambda turn, image: (turn < 2) & ~tf.reduce_any(image > 0),
        attempt,
        (tf.where(tf.reduce_any(page > 0), 0, 1), tf.zeros((FRAME, FRAME))),
    )
    return image


def _drawn(picture):
    """As `drawing`, of a picture of at most `LONGEST` pixels a side."""
    dark = _darkness(picture)
    level = edge_level(dark)
    dark = dark - _ground_level(dark, dark < level)
    dark = tf.transpose(without_rules(tf.transpose(without_rules(dark))))
    level = edge_level(dark)
    ink = without_specks(dark > level)
    noise = 1.5 * median(tf.reshape(tf.abs(dark[::2, ::2]), (-1,)))
    total = tf.reduce_sum(tf.cast(_only(dark, ink), "float64"))
    mean = tf.cast(total / tf.maximum(count(ink), 1), "float32")
    image = tf.cond(
        tf.reduce_any(ink)
        & (level >= FAINTEST)
        & (mean >= NOISE_RATIO * noise),
        lambda: _pen_drawing(dark, inside(ink)),
        lambda: tf.zeros((FRAME, FRAME)),
    )
    return tf.ensure_shape(image, (FRAME, FRAME))


def _pen_drawing(dark, ink):
    """The end of `_drawn`: framed ink, drawn with the pen of the scans."""
    filled = _is_filled(ink)
    pen = stroke_width(ink)
    ink = _framed(dark, ink, tf.where(filled, tf.zeros_like(pen), pen))
    ink = tf.cond(filled, lambda: ink, lambda: largest(thinned(ink), PEN // 2))
    return tf.cast(ink, "float32")


def _shrunk(picture):
    """The picture with a longer side of at most `LONGEST` pixels."""
    sizes = tf.shape(picture)[:2]
    longest = tf.reduce_max(sizes)

    def smaller():
        new = tf.cast(sizes * LONGEST, "float64") / tf.cast(longest, "float64")
        new = tf.maximum(1, tf.cast(tf.round(new), "int32"))
        rows, columns = (
            _sampling(sizes[i], 0, tf.cast(sizes[i], "float64"), new[i])
            for i in range(2)
        )
        image = tf.einsum("ih,hwc->iwc", rows, picture)
        return tf.einsum("iwc,jw->ijc", image, columns)

    return tf.cond(longest <= LONGEST, lambda: picture, smaller)


def _darkness(picture):
    """How far each pixel departs from the ground towards ink."""
    smooth = blurred(picture)
    least = tf.reduce_min(tf.shape(smooth)[:2])
    # A part of the pixels tells which colour and side ink has.
    # A picture of at most `LONGEST` pixels has the step 1 or 2; a slice by a
    # step that the graph computes makes what follows very slow.
    some = tf.cond(least // 200 > 1, lambda: smooth[::2, ::2], lambda: smooth)
    direction = _ink_direction(some)
    scalar = tf.reduce_sum(smooth * direction, axis=-1)
    light = tf.reduce_mean(smooth, axis=-1)

    def from_border():
        level = median(_border(light))
        departure = (scalar - median(_border(scalar))) / (level + 0.05)
        total = tf.reduce_sum(tf.cast(departure, "float64"))
        return tf.where(total > 0, 1.0, -1.0) * departure

    def from_ground():
        sign = _ink_sign(
            tf.reduce_sum(some * direction, axis=-1),
            tf.reduce_mean(some, axis=-1),
        )
        radius = tf.maximum(2, _share(GROUND, least))
        ground, lit = (
            -closed(-sign * part, radius) for part in (scalar, light)
        )
        return (sign * scalar - ground) / (blurred(tf.abs(lit)) + 0.05)

    return tf.cond(_has_flat_border(light), from_border, from_ground)


def _ink_sign(scalar, light):
    """Whether ink is above (1) or below (-1) its ground."""
    brightness = tf.math.log(light + 0.05)
    votes = [(scalar, 0.08), (brightness, 0.25), (brightness, 0.5)]
    total = 0
    for image, share in votes:
        least = tf.reduce_min(tf.shape(image))
        radius = tf.maximum(1, _share(share, least))
        departure = image - box_means(image, radius)
        cubes = tf.cast(departure * departure * departure, "float64")
        whole = tf.reduce_sum(tf.abs(cubes))
        total += tf.reduce_sum(cubes) / tf.maximum(whole, 1e-12)
    return tf.where(total > 0, 1.0, -1.0)


def _border(image):
    """The border pixels of an image `(height, width)`, in a row."""
    sides = (image[0], image[-1], image[:, 0], image[:, -1])
    return tf.concat(sides, axis=0)


def _has_flat_border(light):
    """Whether ground is flat, as no photograph's is, judged by its border."""
    border = _border(light)
    near = tf.abs(border - median(border)) < 0.01
    return tf.reduce_mean(tf.cast(near, "float64")) > 0.9


def _ink_direction(picture):
    """Weights of the channels in which ink and ground differ most."""
    least = tf.reduce_min(tf.shape(picture)[:2])
    local = picture - box_means(picture, tf.maximum(2, _share(NEAR, least)))
    local = tf.reshape(local, (-1, tf.shape(picture)[-1]))
    local = tf.cast(local, "float64")
    covariance = tf.matmul(local, local, transpose_a=True)
    weights = tf.linalg.eigh(covariance)[1][:, -1]
    weights *= tf.cast(tf.where(tf.reduce_sum(weights) < 0, -1, 1), "float64")
    return tf.cast(weights / tf.reduce_sum(tf.abs(weights)), "float32")


def _ground_level(dark, ground):
    """Local mean of the darkness of ground, which noise lifts above 0."""
    ground = ~largest(~ground, 2)
    radius = tf.maximum(2, _share(0.12, tf.reduce_min(tf.shape(dark))))
    share = box_means(tf.cast(ground, "float32"), radius)
    level = box_means(_only(dark, ground), radius)
    return level / tf.maximum(share, 1e-3)


def edge_level(dark, medians=12):
    """The level half-way between ground and ink.

    Args:
        dark: float32 `(height, width)`.
        medians: How many medians of the squared gradients have no weight.

    Returns:
        Scalar, float32; infinity for a picture without edges.
    """
    padded = tf.pad(dark, [[1, 1], [1, 1]], "SYMMETRIC")
    slopes = (padded[2:, 1:-1] - padded[:-2, 1:-1]) ** 2 + (
        padded[1:-1, 2:] - padded[1:-1, :-2]
    ) ** 2
    middle = median(tf.reshape(slopes[::2, ::2], (-1,)))
    weights = tf.cast(tf.maximum(slopes - medians * middle, 0), "float64") ** 2
    total = tf.reduce_sum(weights)
    level = tf.reduce_sum(weights * tf.cast(dark, "float64")) / total
    return tf.cast(tf.where(total > 0, level, math.inf), "float32")


def _place(ink):
    """Where ink lies: its centre `[y, x]` and extent, pixels; float64."""
    parts = [tf.where(tf.reduce_any(ink, axis=axis))[:, 0] for axis in (1, 0)]
    first = tf.stack([part[0] for part in parts])
    last = tf.stack([part[-1] for part in parts])
    extent = tf.cast(tf.reduce_max(last - first) + 1, "float64")
    return tf.unstack(tf.cast(first + last + 1, "float64") / 2), extent


def _is_filled(ink):
    """Whether a shape is wider than two fifths of its extent: no stroke."""
    centre, extent = _place(ink)
    ink = tf.cast(ink, "float32")
    ink = _sample(ink, centre, extent * FRAME / EXTENT) > 0.5
    return count(squares(ink, 2 * EXTENT // 5)) > 0.5 * count(ink)


def _framed(dark, ink, pen):
    """The ink in a frame of the training data, where it has `EXTENT`.

    Args:
        dark: float32 `(height, width)`.
        ink: bool of the same shape, True somewhere: where ink is about.
        pen: Width of strokes, pixels, float64, or 0 for a filled shape.

    Returns:
        bool `(105, 105)`.
    """
    centre, extent = _place(ink)
    lines = tf.maximum(extent - pen, extent / 2) * FRAME / (EXTENT - PEN)
    side = tf.where(pen > 0, lines, extent * FRAME / EXTENT)
    widen = (3 * side / FRAME - stroke_width(ink)) / 2
    near = largest(ink, tf.maximum(1, tf.cast(extent, "int32") // 20))
    widen = tf.maximum(0, tf.cast(tf.round(widen), "int32"))
    dark = largest(_only(dark, near), widen)
    framed = _sample(dark, centre, side)
    return without_specks(framed > edge_level(framed, medians=0))


def _sample(image, centre, side):
    """A square part of an image `(height, width)` as `(105, 105)`."""
    sizes = tf.unstack(tf.shape(image))
    rows, columns = (
        _sampling(n, at - side / 2, at + side / 2, FRAME)
        for n, at in zip(sizes, centre, strict=True)
    )
    return rows @ image @ tf.transpose(columns)


def _sampling(old, start, stop, new):
    """Matrix `(new, old)` that samples an interval by a triangle filter."""
    scale = (stop - start) / tf.cast(new, "float64")
    centres = start + (tf.cast(tf.range(new), "float64") + 0.5) * scale - 0.5
    offsets = tf.abs(tf.cast(tf.range(old), "float64") - centres[:, None])
    weights = tf.maximum(1 - offsets / tf.maximum(scale, 1.0), 0)
    total = tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.cast(weights / tf.where(total > 0, total, 1), "float32")


def _only(dark, where):
    """Darkness where a bool of its shape is True, and 0 elsewhere."""
    # Not a scalar 0, with which `tf.where` forgets the number of axes.
    return tf.where(where, dark, tf.zeros_like(dark))


def _share(share, size):
    """`int(share * size)`."""
    return tf.cast(share * tf.cast(size, "float64"), "int32")
