"""Finds a sheet of paper that lies on something else."""

import numpy as np

from keras_meta.ink_filters import closed

# Cells along the smaller side in which a page is looked for.
CELLS = 48
# A page differs from what is around by at least this, of 1.
CONTRAST = 0.12


def page_inside(picture):
    """The inside of a page whose edges are seen on all sides.

    The medians of the border and of the middle of the picture are two colours;
    each cell is part of the page if it is closer to that of the middle. It is
    a page if it is a large rectangle, apart from the border of the picture,
    and few cells are in between, as in a vignette.

    Args:
        picture: float32 `(height, width, channels)` in `[0, 1]`.

    Returns:
        The part of the picture, or None if there is no such page.
    """
    cell = min(picture.shape[:2]) // CELLS
    if not cell:
        return None
    share = _share_of_middle(_cell_means(picture, cell))
    if share is None:
        return None
    # Strokes belong to the page.
    page = closed((share > 0.5).astype("float32"), 3)
    between = np.mean((share > 0.25) & (share < 0.75))
    if _ring(page).mean() > 0.1 or between > 0.2:
        return None
    spans = []
    for axis in (0, 1):
        lines = page.mean(axis=1 - axis)
        # A little less than the page, whose edges may be turned.
        full = np.flatnonzero(lines >= 0.85 * lines.max())
        spans.append((full[0] + 1, full[-1]))
    (top, bottom), (left, right) = spans
    inner = page[top:bottom, left:right]
    if inner.size < 0.05 * page.size or inner.mean() < 0.9:
        return None
    if inner.sum() < 0.6 * page.sum():
        return None
    return picture[top * cell : bottom * cell, left * cell : right * cell]


def _cell_means(picture, cell):
    """Means of square cells, `(height // cell, width // cell, channels)`."""
    rows, columns = (size // cell for size in picture.shape[:2])
    cells = picture[: rows * cell, : columns * cell]
    cells = cells.reshape(rows, cell, columns, cell, -1)
    return cells.sum(axis=1).sum(axis=2) / cell**2


def _share_of_middle(cells):
    """How far each cell is from the border's colour to that of the middle.

    Args:
        cells: float32 `(rows, columns, channels)`.

    Returns:
        float32 `(rows, columns)`: 0 at the border's colour, 1 at that of the
        middle; or None if the colours are about the same.
    """
    rows, columns = cells.shape[:2]
    middle = cells[rows // 3 : rows - rows // 3, columns // 3 : -(columns // 3)]
    outer = np.median(_ring(cells), axis=0)
    away = np.median(middle.reshape(-1, cells.shape[-1]), axis=0) - outer
    if np.abs(away).mean() < CONTRAST:
        return None
    return (cells - outer) @ away / (away @ away)


def _ring(cells):
    """The cells at the border, in a row."""
    return np.concatenate((cells[0], cells[-1], cells[:, 0], cells[:, -1]))
