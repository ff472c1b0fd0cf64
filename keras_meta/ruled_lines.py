"""Leaves the lines of ruled paper out of a drawing."""

import numpy as np

# Lines are looked for along slopes of whole steps; `TURN` is the largest, in
# steps, of a line through the centre, and `TILT` by how much the slopes at the
# upper and lower border may differ from it.
STEP, TURN, TILT = 0.01, 14, 14
# Columns that tell whether there is a line.
COLUMNS = 32
# What is less dark, of 1, is neither line nor ink.
FAINTEST = 0.05
# Lines that are more than this are rules, be they as dark as ink.
FEW = 4


def without_rules(dark):
    """Darkness without the lines that run from left to right.

    A line is as dark, in four fifths of the columns, as it is at all. It is a
    rule if it is paler than ink, or one of many.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float32 of the same shape.
    """
    found, means = _line_darkness(dark)
    line = _along_lines(found, _convergence(found * means), dark.shape)
    darkest = np.quantile(dark[::2, ::2], 0.998)
    middle = line[:, line.shape[1] // 2] > FAINTEST
    many = (middle[1:] > middle[:-1]).sum() > FEW
    ruled = (line > FAINTEST) & (many | (line < 0.75 * darkest))
    # A line varies by less than a quarter.
    ruled &= dark < np.maximum((line + darkest) / 2, 1.25 * line)
    left = np.where(ruled, 0, dark)
    return np.where(ruled, np.minimum(dark, _bridges(left)), left)


def _bridges(dark):
    """The paler of what is above and what is below of each pixel, up to 5 rows.

    It bridges the gap in a stroke where a line was left out.
    """
    height = len(dark)
    padded = np.pad(dark, ((5, 5), (0, 0)))
    above = [padded[5 - row : 5 - row + height] for row in range(1, 6)]
    below = [padded[5 + row : 5 + row + height] for row in range(1, 6)]
    return np.minimum(np.max(above, axis=0), np.max(below, axis=0))


def _line_darkness(dark):
    """How dark the line is through each middle point, of each slope.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        Two float32 arrays `(ceil(height / 2), slopes)`, 0 or more: the
        darkness of the column where a line is paler than in four fifths of
        them, and the mean of all. What is outside of the picture could be as
        dark as any, if that is less than half of the line.
    """
    height, width = dark.shape
    columns = np.arange(width // (2 * COLUMNS), width, max(1, width // COLUMNS))
    some = dark[:, columns]
    # Pairs of rows, with a neighbour above and below.
    padded = np.pad(some, ((1, 2 + height % 2), (0, 0)), mode="edge")
    tall = np.maximum(padded[:-1], padded[1:])
    tall = np.maximum(tall[:-2], tall[2:])[::2]
    rows = np.arange(len(tall))
    palest = len(columns) // 5
    found, means = [], []
    for step in range(-TURN - TILT, TURN + TILT + 1):
        drops = np.round(step * STEP * (columns - width / 2) / 2).astype(int)
        at = rows[:, None] + drops
        outside = (at < 0) | (at >= len(tall))
        values = tall[np.clip(at, 0, len(tall) - 1), np.arange(len(columns))]
        inside = len(columns) - outside.sum(axis=1)
        means.append(
            np.where(outside, 0, values).sum(axis=1) / np.maximum(inside, 1)
        )
        values = np.where(outside, np.inf, values)
        value = np.partition(values, palest, axis=1)[:, palest]
        found.append(np.where(inside > len(columns) / 2, value, 0))
    return tuple(
        np.maximum(np.stack(part, axis=1), 0) for part in (found, means)
    )


def _convergence(score):
    """The slopes of lines on paper that is seen from a side.

    Such lines meet in one point, so that their slope is a linear function of
    the row where they cross the middle column.

    Args:
        score: float32 `(rows, slopes)`: how much there is of each line.

    Returns:
        Two integers, in steps: the slope at the central row, and how much
        larger it is at the last one.
    """
    rows = np.arange(len(score))
    place = 2 * rows / max(len(rows), 1) - 1
    turns = np.arange(-TURN, TURN + 1)
    totals = []
    for tilt in range(-TILT, TILT + 1):
        slopes = np.round(tilt * place).astype(int)[:, None] + turns
        lines = score[rows[:, None], slopes + TURN + TILT]
        totals.append(lines.sum(axis=0))
    tilt, turn = np.divmod(np.argmax(totals), len(turns))
    return turn - TURN, tilt - TILT


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
    height, width = shape
    rows = np.arange(len(found))
    place = 2 * rows / max(len(rows), 1) - 1
    slopes = np.round(tilt * place).astype(int) + turn + TURN + TILT
    best = found[rows, slopes]
    x = STEP * (np.arange(width) - width / 2)
    y = np.arange(height)[:, None] - height / 2
    # The row at the middle column from which a line comes here, up to where
    # the lines of a wide picture have almost met.
    middle = (y - turn * x) / np.maximum(1 + 2 * tilt * x / height, 0.1)
    middle = np.round((middle + height / 2 - 0.5) / 2)
    return best[np.clip(middle, 0, len(rows) - 1).astype(int)]
