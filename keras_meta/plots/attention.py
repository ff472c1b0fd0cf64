"""The figure of one query's attention over the support set."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_meta.plots.cells import (
    COLUMN_WIDTH,
    GAP,
    HEADER_HEIGHT,
    MARGIN,
    PICTURE_WIDTH,
    Cell,
    Sheet,
    picture_height,
)
from keras_meta.plots.colours import COLOURS, CORRECT, NEUTRAL
from keras_meta.plots.task_arrays import (
    check_names,
    check_one_hot,
    check_pictures,
    support_header,
)
from keras_meta.plots.text_fitting import (
    LINE_HEIGHT,
    count_lines,
    fit,
    outline,
    small_font,
)
from keras_meta.preprocessing import to_unit_range

# Inches.
BARS_HEIGHT = 0.56
READ_HEIGHT = BARS_HEIGHT + GAP / 2
# Where the support set begins, to the right of the query.
SUPPORT_LEFT = MARGIN + PICTURE_WIDTH + 2 * GAP


def plot_attention(
    attention: ArrayLike,
    support_x: ArrayLike,
    query_x: ArrayLike,
    support_y: ArrayLike | None = None,
    query_y: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draws one query's attention over the support set at each read step.

    With full context embeddings a Matching Network reads the support set
    several times before it classifies a query (Vinyals et al. 2016, eq. 3 to
    6). Under each support picture is a bar for each read step, all in one
    scale; a dotted line marks even attention. The query's class has a check
    mark, a thick green frame and hatched bars. Pictures keep their order, on
    which full context depends; more than 10 are broken into bands.

    Args:
        attention: Array `(read_steps, support)`, each row a distribution:
            `read_attention(...)[:, task, query]` of `MatchingNetwork`.
        support_x: Array `(support, height, width, channels)`, values in
            `[0, 1]` (or integers 0 to 255), 1 or 3 channels: at most 30
            pictures besides padding, drawn as `plot_episode` does.
        query_x: Array `(height, width, channels)` like them.
        support_y: Optional one-hot array `(support, way)`: the classes, which
            are written above the pictures. All-zero rows are padding, which
            is not drawn.
        query_y: Optional one-hot array `(way,)`: the query's class. It needs
            `support_y`.
        class_names: Sequence of `way` names; they need `support_y`. Defaults
            to `class 0`, `class 1`, ...

    Returns:
        A `matplotlib.figure.Figure`: one Axes for the query, then for each
        band one Axes for each picture and one for each read step.

    Raises:
        ValueError: If shapes do not fit together, rows of `attention` are not
            distributions, values are out of range, labels are not one-hot, or
            there are too many support pictures.

    Example:

    >>> x, y = np.random.default_rng(0).random((2, 8, 8, 1)), np.eye(2)
    >>> figure = plot_attention([[0.5, 0.5], [0.2, 0.8]], x, x[1], y, y[1])
    >>> [axes.get_ylabel() for axes in figure.axes[3:]]
    ['read 1\\n50% on ✓', 'read 2\\n80% on ✓']
    """
    support, query = _check_query(support_x, query_x)
    labels = _read_labels(support_y, query_y, class_names, len(support))
    attention = _check_attention(attention, labels.real)
    query = Cell(query, caption=labels.caption)
    cells = _support_cells(support, labels)
    return _draw_figure(query, cells, attention, labels)


@dataclasses.dataclass(frozen=True)
class _Labels:
    """What the labels say.

    Args:
        header: Header of the support set.
        names: The name of each support picture's class, `support` strings.
        real: Bool `(support,)`: which pictures are not padding.
        caption: Caption of the query; empty if its class is not known.
        true: Bool `(support,)`: which pictures are of the query's class.
    """

    header: str
    names: list
    real: np.ndarray
    caption: str
    true: np.ndarray


def _read_labels(support_y, query_y, class_names, count):
    """Checks the labels of `count` support pictures and of the query."""
    caption, true = "", np.full(count, False)
    if support_y is None:
        if query_y is not None or class_names is not None:
            raise ValueError(
                "`support_y` must be given if `query_y` or `class_names` is. "
                "Received: support_y=None"
            )
        real = np.full(count, True)
        return _Labels("Support set", [""] * count, real, caption, true)
    support_y = check_one_hot(support_y, "support_y", "support_x", count)
    names = check_names(class_names, support_y.shape[1])
    if query_y is not None:
        k = _check_true_class(query_y, len(names))
        caption = fit(f"true: {names[k]}", lines=3, width=PICTURE_WIDTH)
        true = support_y[:, k] == 1
    return _Labels(
        support_header(support_y),
        [names[k] for k in support_y.argmax(axis=1)],
        support_y.any(axis=1),
        caption,
        true,
    )


def _support_cells(support, labels):
    """The cells of the pictures `support` that are not padding."""
    cells = []
    for i in np.flatnonzero(labels.real):
        title, style = labels.names[i], {}
        if labels.true[i]:
            title, style = "✓\xa0" + title, {"colour": CORRECT, "frame": 3}
        title = fit(title, lines=2, width=PICTURE_WIDTH)
        cells.append(Cell(support[i], title, **style))
    return cells


def _draw_figure(query, cells, attention, labels):
    """The query at the left; bands of pictures above their bars at the right.

    Args:
        query: The cell of the query.
        cells: The cells of the `pictures` that are not padding.
        attention: `(read_steps, pictures)`.
        labels: `_Labels` of all pictures.
    """
    bands = -(-len(cells) // 10)
    columns = -(-len(cells) // bands)
    height = picture_height(query.picture)
    titles = LINE_HEIGHT * max(count_lines(cell.title) for cell in cells)
    caption = LINE_HEIGHT * count_lines(query.caption)
    band_height = titles + height + len(attention) * READ_HEIGHT + 2 * GAP
    sheet = Sheet(
        SUPPORT_LEFT + max(columns, 2) * COLUMN_WIDTH - GAP + MARGIN,
        2 * MARGIN + HEADER_HEIGHT + caption + bands * band_height,
    )
    top = sheet.height - MARGIN
    sheet.write_header(MARGIN, top, "Query")
    sheet.write_header(SUPPORT_LEFT, top, labels.header)
    top -= HEADER_HEIGHT
    sheet.draw_cell(query, MARGIN, top - titles - height, height)
    for first in range(0, len(cells), columns):
        band = slice(first, first + columns)
        for column, cell in enumerate(cells[band]):
            left = SUPPORT_LEFT + column * COLUMN_WIDTH
            sheet.draw_cell(cell, left, top - titles - height, height)
        # The first bars are below the query's caption.
        top -= titles + height + (0 if first else caption)
        top = _draw_reads(sheet, top, attention, labels, band)
        top -= 2 * GAP
    note = f"dotted line: even attention, {_percent(1 / len(cells))}"
    sheet.write(SUPPORT_LEFT, top + GAP, note, fontproperties=small_font())
    return sheet.figure


def _draw_reads(sheet, top, attention, labels, band):
    """Draws the bars of the pictures in `band`, a row for each read step.

    Args:
        sheet: The sheet.
        top: Where the rows begin, in inches.
        attention: `(read_steps, pictures)`, of all bands.
        labels: `_Labels` of all pictures.
        band: Slice of the pictures.

    Returns:
        Where the rows end, in inches.
    """
    true = labels.true[labels.real]
    # Above the highest bar is room for its value.
    highest = attention.max() * BARS_HEIGHT / (BARS_HEIGHT - LINE_HEIGHT)
    for read, shares in enumerate(attention, start=1):
        top -= READ_HEIGHT
        columns = len(shares[band])
        # The bar of a picture is in the middle of the picture's column.
        axes = sheet.add_axes(
            SUPPORT_LEFT - GAP / 2, top, columns * COLUMN_WIDTH, BARS_HEIGHT
        )
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(0, highest))
        _draw_bars(axes, shares[band], true[band])
        even = {"color": NEUTRAL, "linewidth": 0.9, "linestyle": ":"}
        axes.axhline(1 / len(shares), **even)
        label = f"read {read}"
        if labels.caption and band.start == 0:
            # The sum over all bands, written once.
            label += f"\n{_percent(shares[true].sum())} on ✓"
        _label_read(axes, label)
    return top


def _draw_bars(axes, shares, true):
    """Draws a bar and its value for each of `shares (columns,)`."""
    for column, share in enumerate(shares):
        style = {"color": COLOURS[0]}
        if true[column]:
            style = {"color": CORRECT, "hatch": "///", "edgecolor": "white"}
        axes.bar(column, share, width=0.55, linewidth=0, **style)
        axes.annotate(
            _percent(share),
            (column, share),
            (0, 1.5),
            textcoords="offset points",
            ha="center",
            fontproperties=small_font(),
            path_effects=outline(),
        )


def _label_read(axes, label):
    """Writes the label at the left of the bars, which stand on a line."""
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(NEUTRAL)
    axes.set_ylabel(
        label,
        rotation=0,
        ha="right",
        va="center",
        labelpad=4,
        fontproperties=small_font(),
    )


def _percent(share):
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _check_query(support_x, query_x):
    """Casts the pictures of the support set and that of one query."""
    support = check_pictures(support_x, "support_x")
    if not len(support):
        raise ValueError(
            "`support_x` must hold at least one picture. "
            f"Received: support_x.shape={support.shape}"
        )
    query = np.asarray(query_x)
    if query.shape != support.shape[1:]:
        raise ValueError(
            "`query_x` must be one picture (height, width, channels) of the "
            f"same shape as those of `support_x`, here {support.shape[1:]}. "
            f"Received: query_x.shape={query.shape}"
        )
    return support, to_unit_range(query, "query_x")


def _check_true_class(query_y, way):
    """Returns the index of the query's class."""
    query_y = np.asarray(query_y)
    if query_y.shape != (way,) or sorted(query_y) != [0] * (way - 1) + [1]:
        raise ValueError(
            "`query_y` must be the one-hot label (way,) of the query, here "
            f"of {way} classes. Received: query_y={query_y}"
        )
    return int(query_y.argmax())


def _check_attention(attention, real):
    """Returns the attention of the pictures `real`, bool `(support,)`."""
    attention = np.asarray(attention).astype("float64")
    if attention.shape[1:] != real.shape or not len(attention):
        raise ValueError(
            "`attention` must have the shape (read_steps, support), here "
            f"(read_steps, {len(real)}); take one query of one task. "
            f"Received: attention.shape={attention.shape}"
        )
    if real.sum() > 30:
        raise ValueError(
            "`support_x` must hold at most 30 pictures besides padding, so "
            "that the figure can be read; take fewer classes or shots. "
            f"Received: {real.sum()} pictures"
        )
    attention = attention[:, real]
    sums = attention.sum(axis=1)
    # Written so that NaN fails too.
    if not ((attention >= 0).all() and (abs(sums - 1) < 1e-3).all()):
        raise ValueError(
            "`attention` must hold distributions: no row may have negative "
            "values, and each must, without padding, sum to 1. Received: "
            f"values from {attention.min():g} to {attention.max():g}, and "
            f"sums from {sums.min():g} to {sums.max():g}"
        )
    return attention
