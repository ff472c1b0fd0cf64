"""The colours of all figures, safe for colour-blind readers."""

import matplotlib
from matplotlib.colors import to_hex, to_rgb

COLOURS = matplotlib.color_sequences["petroff10"]
CORRECT, WRONG, NEUTRAL = "#00795a", "#c4320a", "#8c8c8c"


def _shade(colour):
    """A dark shade of a light colour, and a light one of a dark colour."""
    red, green, blue = to_rgb(colour)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # The shares leave the two nearest of all shades farthest apart.
    share, other = (0.55, 0.0) if light > 0.46 else (0.35, 1.0)
    return to_hex([share * c + (1 - share) * other for c in (red, green, blue)])


# Twenty that differ: those of `COLOURS`, and a second shade of each.
CLASS_COLOURS = (*COLOURS, *map(_shade, COLOURS))
