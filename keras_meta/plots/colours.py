"""The colours of all figures, safe for colour-blind readers."""

import matplotlib

COLOURS = matplotlib.color_sequences["petroff10"]
CORRECT, WRONG, NEUTRAL = "#00795a", "#c4320a", "#8c8c8c"
