"""Heat maps over the steps of a sequence, and which slots they show."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from keras_meta.plots.colours import NEUTRAL
from keras_meta.plots.text_fitting import FONT_SIZE

# A slot counts as used where a head puts this much of its weight.
USED = 0.1
# Points: of marks on steps, and of the lines around maps.
SMALLEST_MARK, LARGEST_MARK, FRAME = 4, 6, 0.6


def figure_width(steps):
    """The width of Axes with some steps, in inches."""
    return float(np.clip(0.1 * steps, 3.4, 7.5))


def mark_size(steps):
    """The size of a mark on one of the steps, in points.

    It fits into the step, unless it could not be told from others then.
    """
    size = 0.8 * 72 * figure_width(steps) / steps
    return float(np.clip(size, SMALLEST_MARK, LARGEST_MARK))


def draw_steps(axes, values, title, ylabel, **colours):
    """Draws a map whose columns are steps, counted from 1.

    Args:
        axes: Where to draw.
        values: `(rows, steps)`; NaN is not drawn.
        title: Text above the map.
        ylabel: What the rows are.
        **colours: Of `imshow`: `cmap`, `vmin`, `vmax`.

    Returns:
        The image.
    """
    rows, steps = values.shape
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="none",
        extent=(0.5, steps + 0.5, rows - 0.5, -0.5),
        **colours,
    )
    title_map(axes, title, ylabel)
    return image


def draw_weights(axes, weights, title, ylabel):
    """Draws weights `(slots, steps)` from 0 to their largest."""
    most = max(weights.max(), np.finfo("float32").tiny)
    return draw_steps(
        axes, weights, title, ylabel, cmap="Blues", vmin=0, vmax=most
    )


def draw_colour_bar(axes, image, width):
    """Draws the colours beside a map, with numbers at both ends.

    Args:
        axes: The Axes of the map.
        image: The map.
        width: Width of the Axes, in inches.
    """
    beside = axes.inset_axes((1 + 0.06 / width, 0, 0.09 / width, 1))
    bar = axes.figure.colorbar(
        image, cax=beside, ticks=image.get_clim(), format="{x:.2g}"
    )
    bar.outline.set(linewidth=FRAME, edgecolor=NEUTRAL)
    beside.tick_params(labelsize=FONT_SIZE, length=2)


def title_map(axes, title, ylabel):
    """Writes what is drawn and what its rows are; draws a fine frame."""
    axes.set_title(title, loc="left", fontsize=FONT_SIZE + 1.5, pad=3)
    axes.set_ylabel(ylabel, fontsize=FONT_SIZE + 0.5)
    axes.spines[:].set(color=NEUTRAL, linewidth=FRAME)
    axes.tick_params(labelsize=FONT_SIZE, length=2, color=NEUTRAL)


def number_slots(axes, slots):
    """Writes the number of a slot at some of the rows, which are `slots`."""
    every = -(-len(slots) // 8)
    rows = np.arange(0, len(slots), every)
    axes.set_yticks(rows, [str(slot) for slot in slots[rows]])


def number_steps(axes):
    """Names the axis of steps, with ticks at whole ones."""
    axes.set_xlabel("Step", fontsize=FONT_SIZE + 0.5)
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True)
    )


def check_array(name, values, shape):
    """Casts an array to float64; checks its shape and that it is finite.

    Args:
        name: What to call it in an error.
        values: The array.
        shape: Pairs of the name of an axis and its size; None for any size
            of at least 1.
    """
    values = np.asarray(values)
    sizes = [size for _, size in shape]
    if len(values.shape) != len(sizes) or any(
        found == 0 or size not in (None, found)
        for found, size in zip(values.shape, sizes, strict=True)
    ):
        axes = ", ".join(
            axis if size is None else f"{axis}={size}" for axis, size in shape
        )
        raise ValueError(
            f"`{name}` must have the shape ({axes}); of a batch, take one "
            f"sequence. Received: shape {values.shape}"
        )
    values = values.astype("float64")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{(~np.isfinite(values)).sum()} values that are not"
        )
    return values
