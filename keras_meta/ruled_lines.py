"""Leaves the lines of ruled paper out of a drawing."""

import numpy as np

# Slopes of lines that are looked for.
SLOPES = np.linspace(-0.12, 0.12, 49)
# What is less dark, of 1, is neither line nor ink.
FAINTEST = 0.05


def without_rules(dark):
    """Darkness without the lines that run from left to right.

    A line is as dark, in four fifths of the columns, as it is at all, and
    paler than ink. Along each slope of `SLOPES`, that fifth of the columns
    which is palest tells how dark the line of each row is.

    Args:
        dark: float32 `(height, width)`.

    Returns:
        float32 of the same shape.
    """
    height, width = dark.shape
    columns = np.arange(width)
    # Lines are long: a few columns tell.
    some = columns[:: max(1, width // 64)]
    padded = np.pad(dark, ((1, 1), (0, 0)), mode="edge")
    tall = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    palest = len(some) // 5
    best, line = 0, None
    for slope in SLOPES:
        drops = np.round(slope * (columns - width / 2)).astype(int)
        rows = np.clip(np.arange(height)[:, None] + drops[some], 0, height - 1)
        found = np.partition(tall[rows, some], palest, axis=1)[:, palest]
        found = np.maximum(found, 0)
        score = (found**2).sum()
        if score > best:
            rows = np.clip(np.arange(height)[:, None] - drops, 0, height - 1)
            best, line = score, found[rows]
    if line is None:
        return dark
    darkest = np.quantile(dark, 0.995)
    ruled = (line > FAINTEST) & (line < 0.75 * darkest)
    return np.where(ruled & (dark < (line + darkest) / 2), 0, dark)
