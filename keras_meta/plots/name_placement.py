"""Names of classes written near their points, without overlaps."""

import numpy as np

from keras_meta.plots.text_fitting import (
    LINE_HEIGHT,
    count_lines,
    fit,
    line_width,
    outline,
    small_font,
)

# Inches.
NAME_WIDTH = 1.1
# Points: the size of the star of a prototype.
STAR = 11


def write_class_names(axes, points, indices, names):
    """Writes each name near the mean of its class, joined by a thin line.

    Args:
        axes: Axes on which the points are drawn already.
        points: Array `(n, 2)`.
        indices: Array `(n,)`: the class of each point, an index into `names`.
        names: List of strings.
    """
    classes = np.unique(indices)
    means = np.stack([points[indices == k].mean(axis=0) for k in classes])
    texts = [fit(names[k], lines=2, width=NAME_WIDTH) for k in classes]
    axes.margins(0.1)
    # Drawing settles the limits, and with them the transform.
    axes.figure.draw_without_rendering()
    to_points = 72 / axes.figure.dpi
    anchors = axes.transData.transform(means) * to_points
    sizes = np.array([_text_size(text) for text in texts])
    corners = axes.bbox.get_points() * to_points
    centres = place_boxes(anchors, sizes + 2, *corners)
    for text, mean, offset in zip(texts, means, centres - anchors, strict=True):
        axes.annotate(
            text,
            mean,
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontproperties=small_font(),
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6},
            path_effects=outline(),
            zorder=4,
        )


def _text_size(text):
    """The width and the height of a text, in points."""
    width = max(map(line_width, text.split("\n")))
    return 72 * width, 72 * LINE_HEIGHT * count_lines(text)


def place_boxes(anchors, sizes, low, high):
    """Finds centres for boxes, each close to its anchor and clear of others.

    All boxes start above their anchors. Then each, in four sweeps, moves if
    it overlaps another box or a star at another anchor. Of the places of a
    grid around its anchor it takes the one with the fewest overlaps, and of
    several such places the one that is closest to the anchor.

    Args:
        anchors: Array `(n, 2)`, in points like all that follow.
        sizes: Array `(n, 2)`: width and height of each box.
        low, high: Arrays `(2,)`: the corners between which the boxes stay.

    Returns:
        Array `(n, 2)`.
    """
    steps = np.arange(-160, 161, 6)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    low, high = low + sizes / 2, high - sizes / 2
    centres = np.clip(anchors + (sizes + STAR) * [0, 0.5], low, high)
    extents = np.concatenate([sizes, np.full_like(sizes, STAR)])
    for i in np.tile(np.arange(len(anchors)), 4):
        # The other boxes, and the stars at all anchors.
        others = np.delete(np.concatenate([centres, anchors]), i, axis=0)
        reach = (np.delete(extents, i, axis=0) + sizes[i]) / 2
        if (np.abs(centres[i] - others) >= reach).any(axis=1).all():
            continue
        # (places, others, 2)
        places = np.clip(anchors[i] + grid, low[i], high[i])
        overlap = (np.abs(places[:, None] - others) < reach).all(axis=2)
        way = np.maximum(np.abs(places - anchors[i]) - sizes[i] / 2, 0)
        cost = np.linalg.norm(way, axis=1) + 1000 * overlap.sum(axis=1)
        centres[i] = places[cost.argmin()]
    return centres
