"""Panels: Axes with a light grid, up to three in a row."""


def grid_shape(count):
    """The numbers of rows and columns of `count` panels."""
    columns = min(count, 3)
    return -(-count // columns), columns


def draw_grid(axes, axis="both"):
    """Draws a light grid behind the data; hides the top and right frame."""
    axes.grid(axis=axis, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
