"""Pictures in cells of one width, placed in inches on a sheet."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from keras_meta.plots.colours import NEUTRAL
from keras_meta.plots.text_fitting import FONT_SIZE, small_font

# Inches.
PICTURE_WIDTH, GAP, MARGIN, HEADER_HEIGHT = 1.1, 0.16, 0.12, 0.34
# From the left end of one cell to that of the next.
COLUMN_WIDTH = PICTURE_WIDTH + GAP


@dataclasses.dataclass(frozen=True)
class Cell:
    """A picture with its texts and its frame.

    Args:
        picture: Array `(height, width, channels)`, 1 or 3 channels.
        title: Text above the picture.
        caption: Text below the picture, in the colour of the frame.
        colour: Colour of the frame. The caption of a `NEUTRAL` one is black.
        frame: Width of the frame's line, in points.
    """

    picture: np.ndarray
    title: str = ""
    caption: str = ""
    colour: str = NEUTRAL
    frame: float = 0.6


def picture_height(picture):
    """The height of a picture in its cell, in inches.

    It is at least half and at most twice the width. A picture of another
    aspect ratio is drawn whole, with space beside it.
    """
    aspect = picture.shape[0] / picture.shape[1]
    return PICTURE_WIDTH * float(np.clip(aspect, 0.5, 2))


class Sheet:
    """A figure whose parts are placed in inches from its lower left corner.

    Args:
        width, height: Size of the figure, in inches.
    """

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))

    def write(self, left, top, text, **style):
        """Writes a text to the right of `left` and below `top`."""
        self.figure.text(
            left / self.width, top / self.height, text, va="top", **style
        )

    def write_header(self, left, top, text):
        """Writes the header of a section."""
        bold = {"fontsize": FONT_SIZE + 2, "fontweight": "bold"}
        self.write(left, top - 0.06, text, **bold)

    def add_axes(self, left, bottom, width, height):
        """Adds Axes of the given size."""
        sheet = (self.width, self.height, self.width, self.height)
        return self.figure.add_axes(
            np.divide((left, bottom, width, height), sheet)
        )

    def draw_cell(self, cell, left, bottom, height):
        """Draws a cell whose picture begins at `left` and `bottom`."""
        axes = self.add_axes(left, bottom, PICTURE_WIDTH, height)
        axes.imshow(cell.picture, cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=cell.colour, linewidth=cell.frame)
        plain = {"fontproperties": small_font(), "parse_math": False}
        axes.set_title(cell.title, pad=3, **plain)
        colour = "black" if cell.colour == NEUTRAL else cell.colour
        axes.set_xlabel(cell.caption, labelpad=3, color=colour, **plain)
