"""Finds a drawing in a photograph and gives it the look of training data.

Models of drawings are trained on scans such as Omniglot's: flat ground,
strokes of one width, square frame. On a photograph of paper they fail, since
paper is grey, shaded and larger than the drawing. `drawing` does in turn what
a person with an image editor would:

1. it shrinks the picture, crops a page that lies on a table (`page.py`), and
   reduces colours to the one that separates ink from ground (`_ink_direction`);
2. it finds the ground by a morphological closing, which removes strokes but
   keeps the edges of shadows, and divides by it (`_darkness`);
3. it leaves out ruled lines (`ruled_lines.py`);
4. it takes as threshold the level half-way up the strongest edges
   (`edge_level`), and leaves out specks and what touches the border, such as
   the edge of the paper (`strokes.py`);
5. it crops a square around the ink, and draws the middle lines of its strokes
   (Zhang and Suen 1984) with the pen of the training data.

All is made of sums, maxima, products with matrices and loops of them, so that
it can be written in operations of a graph too.
"""

import numpy as np

from keras_meta.ink_filters import (
    blurred,
    box_means,
    closed,
    largest,
    squares,
    thinned,
)
from keras_meta.page import page_inside
from keras_meta.ruled_lines import FAINTEST, without_rules
from keras_meta.strokes import inside, stroke_width, without_specks

# The frame and pen of Omniglot's scans, in pixels, and the extent that a
# drawing gets in the frame.
FRAME, PEN, EXTENT = 105, 5, 80
# The longest side that is analysed: a pen of 0.5% of it is still seen.
LONGEST = 512
# Pictures up to this size are prepared data already, such as Omniglot and MNIST
# at 28 pixels, and show too little of paper to be judged.
SMALLEST = 32
# As shares of the smaller side: the half width of the closing, which no stroke
# may exceed, and that of the means to which colours refer.
GROUND, NEAR = 0.09, 0.06
# Ink is darker than this many deviations of the noise of its ground.
NOISE_RATIO = 5.0


def block_means(picture):
    """Shrinks a large picture by whole factors, in bounded memory.

    Args:
        picture: Array `(height, width, channels)`, of uint8 if it is large.

    Returns:
        `picture` itself if its longer side is below 2 * `LONGEST`, or the
        means of square blocks, float32 `(height / n, width / n, channels)`
        in `[0, 1]`.
    """
    height, width, channels = picture.shape
    factor = max(height, width) // LONGEST
    if factor < 2 or min(height, width) < factor or picture.dtype != np.uint8:
        return picture
    height, width = height // factor, width // factor
    rows = picture[: height * factor, : width * factor].reshape(
        height, factor, -1
    )
    # At most 255 of them fit into 16 bits.
    total = np.zeros(rows.shape[::2], "uint32")
    for row in range(factor):
        total += rows[:, row]
    total = total.reshape(height, width, factor, channels).sum(axis=2)
    return total.astype("float32") / np.float32(255 * factor**2)


def has_training_look(picture):
    """Whether a picture looks like a scan of the training data already.

    It does if it is square and not smaller than a scan's frame; if its ground
    and ink are flat, black and white; and if strokes are as wide as the pen of
    the training data: at least 80% of the ink is in squares of 4 pixels, and
    at most 98.5% in squares of 8 (of 105 a side). All 32,460 scans of
    Omniglot pass. A photograph fails for its ground, a drawing in a wide
    margin for the width of its strokes.

    Args:
        picture: float32 `(height, width, 1 or 3)` in `[0, 1]`.

    Returns:
        bool.
    """
    height, width = picture.shape[:2]
    if height != width or height < FRAME:
        return False
    grey = _grey(picture)
    if np.mean((grey > 0.02) & (grey < 0.98)) > 0.05:
        return False
    grey = _sample(grey, (height / 2, width / 2), height)
    ink = (grey > 0.5) != (np.median(_border(grey)) > 0.5)
    area = ink.sum()
    if not area:
        return True
    return bool(
        squares(ink, 4).sum() >= 0.8 * area
        and squares(ink, 8).sum() <= 0.985 * area
    )


def drawing(picture):
    """The drawing in a picture, as a scan of the training data shows it.

    Args:
        picture: float32 `(height, width, 1 or 3)` in `[0, 1]`.

    Returns:
        float32 `(105, 105)`: ink 1, ground 0. A picture without ink gives
        zeros.
    """
    picture = _shrunk(picture)
    page = page_inside(picture)
    if page is not None:
        found = _drawn(page)
        if found.any():
            return found
        # It was no page, but a filled shape.
    return _drawn(picture)


def _drawn(picture):
    """As `drawing`, of a picture of at most `LONGEST` pixels a side."""
    dark = _darkness(picture)
    level = edge_level(dark)
    dark = dark - _ground_level(dark, dark < level)
    dark = without_rules(without_rules(dark).T).T
    level = edge_level(dark)
    ink = without_specks(dark > level)
    noise = 1.5 * np.median(np.abs(dark[::2, ::2]))
    if not (ink.any() and level >= FAINTEST):
        return np.zeros((FRAME, FRAME), "float32")
    if dark[ink].mean() < NOISE_RATIO * noise:
        return np.zeros((FRAME, FRAME), "float32")
    ink = inside(ink)
    filled = _is_filled(ink)
    ink = _framed(dark, ink, 0 if filled else stroke_width(ink))
    if not filled:
        ink = largest(thinned(ink), PEN // 2)
    return ink.astype("float32")


def _grey(picture):
    """Means of the channels, as a product, which is faster than a mean."""
    channels = picture.shape[-1]
    return picture @ np.full(channels, 1 / channels, "float32")


def _shrunk(picture):
    """The picture with a longer side of at most `LONGEST` pixels."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= LONGEST:
        return picture
    for _ in range(2):
        # Rows are whole pieces of memory; the second turn is for columns.
        picture = np.ascontiguousarray(picture.swapaxes(0, 1))
        old = len(picture)
        new = max(1, round(old * LONGEST / longest))
        weights = _sampling(old, 0, old, new)
        # Few weights of a row differ from 0: a product with the matrix would
        # take ten times as long.
        first = (weights > 0).argmax(axis=1)
        total = 0
        for tap in range(int((weights > 0).sum(axis=1).max())):
            at = np.minimum(first + tap, old - 1)
            weight = np.where(first + tap < old, weights[range(new), at], 0)
            weight = weight.astype("float32")[:, None, None]
            total = total + weight * picture[at]
        picture = total
    return picture


def _darkness(picture):
    """How far each pixel departs from the ground towards ink.

    Args:
        picture: float32 `(height, width, 1 or 3)`.

    Returns:
        float32 `(height, width)`: 0 is ground, 1 about the light that falls
        there. Light multiplies ink and ground, so their difference is divided
        by the ground.
    """
    smooth = blurred(picture)
    least = min(smooth.shape[:2])
    # A part of the pixels tells which colour and side ink has.
    step = max(1, least // 200)
    some = smooth[::step, ::step]
    direction = _ink_direction(some)
    scalar, light = smooth @ direction, _grey(smooth)
    if _has_flat_border(light):
        level = np.median(_border(light))
        departure = (scalar - np.median(_border(scalar))) / (level + 0.05)
        return departure if departure.sum() > 0 else -departure
    sign = _ink_sign(some @ direction, _grey(some))
    radius = max(2, int(GROUND * least))
    ground, light = (-closed(-sign * part, radius) for part in (scalar, light))
    return (sign * scalar - ground) / (blurred(np.abs(light)) + 0.05)


def _ink_sign(scalar, light):
    """Whether ink is above (1) or below (-1) its ground.

    Ink is less than half of a drawing, so departures from a local mean lean
    to its side. Wide windows see thick strokes too; in logarithms, ink departs
    further than a shadow's edge. The colour that separates ink best has a
    vote for ink as bright as its ground.

    Args:
        scalar, light: float32 `(height, width)`.

    Returns:
        1 or -1.
    """
    brightness = np.log(light + 0.05)
    votes = [(scalar, 0.08), (brightness, 0.25), (brightness, 0.5)]
    total = 0
    for image, share in votes:
        radius = max(1, int(share * min(image.shape)))
        departure = image - box_means(image, radius)
        cubes = departure * departure * departure
        total += cubes.sum() / max(np.abs(cubes).sum(), 1e-12)
    return 1 if total > 0 else -1


def _border(image):
    """The border pixels of an image `(height, width)`, in a row."""
    sides = (image[0], image[-1], image[:, 0], image[:, -1])
    return np.concatenate(sides)


def _has_flat_border(light):
    """Whether ground is flat, as no photograph's is, judged by its border.

    Then shapes of any size stand out from it, filled ones too.

    Args:
        light: float32 `(height, width)` in `[0, 1]`.

    Returns:
        bool.
    """
    border = _border(light)
    return np.mean(np.abs(border - np.median(border)) < 0.01) > 0.9


def _ink_direction(picture):
    """Weights of the channels in which ink and ground differ most.

    It is the first principal direction of what varies locally, so red ink on
    green paper of the same brightness shows too.

    Args:
        picture: float32 `(height, width, channels)`.

    Returns:
        float32 `(channels,)` whose absolute values have the sum 1.
    """
    least = min(picture.shape[:2])
    local = picture - box_means(picture, max(2, int(NEAR * least)))
    covariance = np.einsum("hwi,hwj->ij", local, local)
    weights = np.linalg.eigh(covariance)[1][:, -1]
    if weights.sum() < 0:
        weights = -weights
    return (weights / np.abs(weights).sum()).astype("float32")


def _ground_level(dark, ground):
    """Local mean of the darkness of ground, which noise lifts above 0.

    Args:
        dark: float32 `(height, width)`.
        ground: bool of the same shape.

    Returns:
        float32 of the same shape.
    """
    ground = ~largest(~ground, 2)
    radius = max(2, int(0.12 * min(dark.shape)))
    share = box_means(ground.astype("float32"), radius)
    level = box_means(np.where(ground, dark, 0), radius)
    return level / np.maximum(share, 1e-3)


def edge_level(dark, medians=12):
    """The level half-way between ground and ink.

    It is the mean of the pixels, weighted by the fourth power of their
    gradients. An edge has as many pixels above its middle as below, and ink
    has steeper edges than ruled lines and texture. Gradients of noise, whose
    squares rarely exceed twelve medians, have no weight.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float; infinity for a picture without edges.
    """
    padded = np.pad(dark, 1, mode="edge")
    slopes = (padded[2:, 1:-1] - padded[:-2, 1:-1]) ** 2 + (
        padded[1:-1, 2:] - padded[1:-1, :-2]
    ) ** 2
    weights = np.maximum(
        slopes - medians * np.median(slopes[::2, ::2]), 0
    ).astype("float64")
    weights = weights**2
    total = weights.sum()
    return float((weights * dark).sum() / total) if total > 0 else np.inf


def _place(ink):
    """Where ink lies.

    Args:
        ink: bool `(height, width)`, True somewhere.

    Returns:
        Its centre `[y, x]` and the larger of its height and width, pixels.
    """
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    centre = [(part[0] + part[-1] + 1) / 2 for part in (rows, columns)]
    return centre, max(np.ptp(rows), np.ptp(columns)) + 1


def _is_filled(ink):
    """Whether a shape is wider than two fifths of its extent: no stroke.

    Args:
        ink: bool `(height, width)`, True somewhere.

    Returns:
        bool.
    """
    centre, extent = _place(ink)
    ink = _sample(ink.astype("float32"), centre, extent * FRAME / EXTENT) > 0.5
    return bool(squares(ink, 2 * EXTENT // 5).sum() > 0.5 * ink.sum())


def _framed(dark, ink, pen):
    """The ink in a frame of the training data, where it has `EXTENT`.

    Args:
        dark: float32 `(height, width)`.
        ink: bool of the same shape, True somewhere: where ink is about.
        pen: Width of strokes, pixels, or 0 for a filled shape. The middle
            lines of strokes get the extent that they have in the training
            data, whatever the pen.

    Returns:
        bool `(105, 105)`.
    """
    centre, extent = _place(ink)
    side = extent * FRAME / EXTENT
    if pen:
        side = max(extent - pen, extent / 2) * FRAME / (EXTENT - PEN)
    # The frame keeps a pen of 3 of its pixels, and loses a finer one.
    widen = (3 * side / FRAME - stroke_width(ink)) / 2
    near = largest(ink, max(1, int(extent) // 20))
    dark = largest(np.where(near, dark, 0), max(0, round(widen)))
    framed = _sample(dark, centre, side)
    # Ground is left out already, and edges of few pixels are wide here.
    return without_specks(framed > edge_level(framed, medians=0))


def _sample(image, centre, side):
    """A square part of an image `(height, width)` as `(105, 105)`."""
    rows, columns = (
        _sampling(n, at - side / 2, at + side / 2, FRAME)
        for n, at in zip(image.shape, centre, strict=True)
    )
    return rows @ image @ columns.T


def _sampling(old, start, stop, new):
    """Matrix `(new, old)` that samples an interval by a triangle filter.

    The triangle is as wide as two new pixels, or two old ones if these are
    larger. Outside the old pixels the result is 0.
    """
    scale = (stop - start) / new
    centres = start + (np.arange(new) + 0.5) * scale - 0.5
    offsets = np.abs(np.arange(old) - centres[:, None])
    weights = np.maximum(0, 1 - offsets / max(scale, 1.0))
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1)).astype("float32")
