"""Small text: its font, its size, and names that fit into a given width."""

import re

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path

# Points.
FONT_SIZE = 7.5
# Inches.
LINE_HEIGHT = 1.25 * FONT_SIZE / 72


def small_font():
    """The font of small text."""
    # Matplotlib brings DejaVu Sans, which has the check mark and the cross.
    family = [*matplotlib.rcParams["font.family"], "DejaVu Sans"]
    return FontProperties(family=family, size=FONT_SIZE)


def outline():
    """A white outline that keeps text legible on top of a drawing."""
    return [withStroke(linewidth=2, foreground="white")]


def count_lines(text):
    """The number of lines of a text; an empty text has none."""
    return text.count("\n") + 1 if text else 0


def line_width(line):
    """The width of one line of small text, in inches."""
    size = text_to_path.get_text_width_height_descent(line, small_font(), False)
    return size[0] / 72


def fit(text, lines, width):
    """Breaks a name into lines, and shortens what is still too long.

    Lines break after `/`, `_`, `-` or a space. They are filled from the end:
    `Greek/character07/90` becomes `Greek/` and `character07/90`. If there are
    too many, those before the last are left out.

    Args:
        text: The name, in one line.
        lines: Positive integer: how many lines there may be.
        width: How wide a line may be, in inches.

    Returns:
        The name with line breaks. An ellipsis stands for what is left out.
    """
    rows = [""]
    for piece in reversed(re.findall("[^ /_-]*[ /_-]+|[^ /_-]+", text)):
        if rows[0] and line_width((piece + rows[0]).rstrip()) > width:
            rows.insert(0, "")
        rows[0] = piece + rows[0]
    if len(rows) > lines:
        rows[lines - 1 :] = ["…" + rows[-1]]
    return "\n".join(_shorten(row.strip(" "), width) for row in rows)


def _shorten(row, width):
    """Replaces the middle of a line by an ellipsis until the line fits."""
    shortened = row
    for keep in range(len(row) - 1, 1, -1):
        if line_width(shortened) <= width:
            break
        # The end is kept, as names that begin alike differ there.
        shortened = row[: keep - keep // 2] + "…" + row[-(keep // 2) :]
    return shortened
