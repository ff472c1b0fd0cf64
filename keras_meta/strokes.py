"""Tells the strokes of a drawing from specks and from what is no drawing."""

import numpy as np

from keras_meta.ink_filters import box_means, largest, squares


def stroke_width(ink):
    """Mean width of strokes, in pixels: twice their area by their outline.

    An outline crosses 4 / pi grid lines per pixel of its length.
    """
    crossings = (ink[1:] != ink[:-1]).sum() + (ink[:, 1:] != ink[:, :-1]).sum()
    return 2 * ink.sum() / max(np.pi / 4 * crossings, 1)


def without_specks(ink):
    """Ink `(height, width)` without specks and hairlines.

    What is less than a quarter of a dot goes, and what is apart from strokes
    and less than half as wide, such as the rest of a ruled line.
    """
    for _ in range(2):
        # The second time, specks do not lower the width.
        width = stroke_width(ink)
        radius = max(1, round(1.5 * width))
        near = box_means(ink.astype("float32"), radius) * (2 * radius + 1) ** 2
        strokes = squares(ink, max(1, int(width / 2 + 0.5)))
        ink = ink & (near >= width**2 / 4) & largest(strokes, 2 * radius)
    return ink


def inside(ink):
    """Ink `(height, width)` without what is connected to the border.

    Ruled lines, shadows and the paper's edge come from there. If they are
    over three quarters of the ink, it is the drawing itself that does.
    """
    height, width = ink.shape
    # Coarse cells, so that few steps go all the way.
    cell = -(-max(height, width) // 128)
    cells = np.pad(ink, ((0, -height % cell), (0, -width % cell)))
    cells = cells.reshape(
        cells.shape[0] // cell, cell, cells.shape[1] // cell, cell
    ).any(axis=(1, 3))
    outer = np.ones_like(cells)
    outer[1:-1, 1:-1] = False
    reached, before = cells & outer, None
    while before is None or (reached != before).any():
        before = reached
        reached = largest(reached, 1) & cells
    reached = np.repeat(np.repeat(reached, cell, axis=0), cell, axis=1)
    rest = ink & ~reached[:height, :width]
    return rest if rest.sum() >= 0.25 * ink.sum() else ink
