"""The figure of an episode: support set, queries, predictions."""

from collections.abc import Mapping, Sequence

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
from keras_meta.plots.colours import CORRECT, WRONG
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
    line_width,
)


def plot_episode(
    episode: Mapping[str, ArrayLike],
    probabilities: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    max_queries: int = 15,
) -> Figure:
    """Draws one task: the support set above, the queries below.

    Each class of the support set is a column of its shots; more than 10
    classes are broken into bands. The caption of a query is the predicted
    class and its probability. A correct prediction has a green frame and a
    check mark; a wrong one has a thick red frame, a cross and the name of the
    true class. Grey pictures are drawn as ink on paper: 1 is black. Padding
    (an all-zero label row) is not drawn.

    Args:
        episode: Dict of the arrays of one task, without the tasks axis:
            `support_x (support, height, width, channels)`, values in `[0, 1]`
            (or integers 0 to 255), 1 or 3 channels; values of another range
            come back by `Preprocessing.unscaled`; `support_y (support,
            way)`, one-hot; `query_x`, like `support_x`; and, optionally,
            `query_y (query, way)`, one-hot.
        probabilities: Array `(query, way)` in `[0, 1]`: the predictions.
            None draws the queries under their true classes.
        class_names: Sequence of `way` names. Defaults to `class 0`,
            `class 1`, ...
        max_queries: Positive integer: how many queries are drawn at most,
            evenly from the classes, and wrong predictions first where there
            are more. The header counts all queries.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each picture.

    Raises:
        ValueError: If keys are missing, shapes do not fit together, labels
            are not one-hot, or values are out of range.

    Example:

    >>> pictures = np.random.default_rng(0).random((2, 8, 8, 1))
    >>> episode = {"support_x": pictures, "support_y": np.eye(2)}
    >>> episode.update(query_x=pictures, query_y=np.eye(2))
    >>> figure = plot_episode(episode, [[0.9, 0.1], [0.7, 0.3]], ["cat", "dog"])
    >>> [axes.get_xlabel() for axes in figure.axes[2:]]
    ['✓\\xa0cat 90%', '✗\\xa0cat 70%\\ntrue: dog']
    """
    episode = _check_episode(episode)
    shape = len(episode["query_x"]), episode["support_y"].shape[1]
    probabilities = _check_probabilities(probabilities, shape)
    names = check_names(class_names, shape[1])
    _check_max_queries(max_queries)
    present = np.flatnonzero(episode["support_y"].any(axis=0))
    bands = -(-len(present) // 10)
    columns = max(-(-len(present) // bands), 5)
    support = _support_rows(episode, names, present, columns)
    queries = _query_rows(episode, probabilities, names, max_queries, columns)
    return _draw_rows([*support, *queries], columns)


def _support_rows(episode, names, present, columns):
    """Yields the header, then rows of cells: None where a shot is missing.

    Args:
        episode: Dict of arrays.
        names: The names of all classes.
        present: Indices of the classes that have examples.
        columns: How many classes stand side by side.
    """
    support_x, support_y = episode["support_x"], episode["support_y"]
    yield support_header(support_y)
    for start in range(0, len(present), columns):
        band = present[start : start + columns]
        shots = [support_x[support_y[:, k] == 1] for k in band]
        titles = [fit(names[k], lines=2, width=PICTURE_WIDTH) for k in band]
        for shot in range(max(map(len, shots))):
            yield [
                Cell(pictures[shot], title="" if shot else title)
                if shot < len(pictures)
                else None
                for pictures, title in zip(shots, titles, strict=True)
            ]


def _query_rows(episode, probabilities, names, max_queries, columns):
    """Yields the header, then rows of cells; nothing without queries."""
    query_y = episode.get("query_y")
    truth = None if query_y is None else query_y.argmax(axis=1)
    wrong = np.zeros(len(episode["query_x"]), bool)
    if probabilities is not None and truth is not None:
        wrong = probabilities.argmax(axis=1) != truth
    real, drawn = _choose_queries(episode, wrong, max_queries)
    if not len(drawn):
        return
    counts = []
    if len(drawn) < len(real):
        first = ", wrong ones first" if wrong[real].any() else ""
        counts.append(f"{len(drawn)} of {len(real)} shown{first}")
    if probabilities is not None and truth is not None:
        correct = len(real) - wrong[real].sum()
        counts.append(f"{correct} of {len(real)} correct")
    yield "Queries" + (": " if counts else "") + ", ".join(counts)
    cells = [
        _query_cell(
            episode["query_x"][i],
            None if probabilities is None else probabilities[i],
            None if truth is None else truth[i],
            names,
        )
        for i in drawn
    ]
    for start in range(0, len(cells), columns):
        yield cells[start : start + columns]


def _choose_queries(episode, wrong, max_queries):
    """The indices of the queries without padding, and of those drawn.

    Args:
        episode: Dict of arrays.
        wrong: Bools `(query,)`: which are predicted wrongly. They come first
            where not all are drawn, as a few right ones say little about many.
        max_queries: How many are drawn at most.
    """
    query_y = episode.get("query_y")
    if query_y is None:
        real = np.arange(len(episode["query_x"]))
        count = min(len(real), max_queries)
        return real, np.linspace(0, len(real) - 1, count).round().astype(int)
    real = np.flatnonzero(query_y.any(axis=1))
    truth = query_y.argmax(axis=1)
    # The first of each class, then the second of each, ...
    rank = np.cumsum(query_y, axis=0)[np.arange(len(truth)), truth]
    late = ~wrong[real] if len(real) > max_queries else np.zeros(len(real))
    order = np.lexsort((truth[real], rank[real], late))
    return real, real[order][:max_queries]


def _query_cell(picture, probabilities, true, names):
    """A query with its prediction, or else its true class.

    Args:
        picture: `(height, width, channels)`.
        probabilities: `(way,)`, or None.
        true: Index of the true class, or None.
        names: The names of all classes.
    """
    if probabilities is None:
        name = "" if true is None else names[true]
        return Cell(picture, caption=fit(name, lines=2, width=PICTURE_WIDTH))
    predicted = probabilities.argmax()
    answer = names[predicted], probabilities[predicted]
    if true is None:
        return Cell(picture, caption=_fit_answer(*answer))
    if predicted == true:
        caption = _fit_answer(*answer, sign="✓\xa0")
        return Cell(picture, "", caption, CORRECT, frame=1.6)
    caption = _fit_answer(*answer, sign="✗\xa0")
    truth = fit(f"true: {names[true]}", lines=3, width=PICTURE_WIDTH)
    return Cell(picture, "", f"{caption}\n{truth}", WRONG, frame=3)


def _fit_answer(name, probability, sign=""):
    """A sign, a name and a percentage, in as few lines as fit."""
    text = fit(sign + name, lines=2, width=PICTURE_WIDTH)
    percentage = f"{probability:.0%}"
    last = text.split("\n")[-1]
    fits = line_width(f"{last} {percentage}") <= PICTURE_WIDTH + GAP / 2
    return text + (" " if fits else "\n") + percentage


def _draw_rows(rows, columns):
    """Stacks headers (strings) and rows of cells (None leaves a gap)."""
    # The first row of cells is below the first header.
    height = picture_height(rows[1][0].picture)
    heights = [
        HEADER_HEIGHT
        if isinstance(row, str)
        else sum(_text_heights(row)) + height + GAP
        for row in rows
    ]
    width = 2 * MARGIN + columns * COLUMN_WIDTH - GAP
    sheet = Sheet(width, 2 * MARGIN + sum(heights))
    top = sheet.height - MARGIN
    for row in rows:
        if isinstance(row, str):
            sheet.write_header(MARGIN, top, row)
            top -= HEADER_HEIGHT
            continue
        above, below = _text_heights(row)
        bottom = top - above - height
        for column, cell in enumerate(row):
            if cell is not None:
                left = MARGIN + column * COLUMN_WIDTH
                sheet.draw_cell(cell, left, bottom, height)
        top = bottom - below - GAP
    return sheet.figure


def _text_heights(row):
    """The heights of the titles and captions of a row, in inches."""
    cells = [cell for cell in row if cell is not None]
    titles = max(count_lines(cell.title) for cell in cells)
    captions = max(count_lines(cell.caption) for cell in cells)
    return LINE_HEIGHT * titles, LINE_HEIGHT * captions


def _check_episode(episode):
    """Casts and checks the arrays of one task."""
    expected = (
        "`episode` must be a dict of the arrays of one task: support_x, "
        "support_y, query_x and, optionally, query_y. "
    )
    if not isinstance(episode, dict):
        raise ValueError(f"{expected}Received: {type(episode).__name__}")
    missing = {"support_x", "support_y", "query_x"} - set(episode)
    if missing:
        raise ValueError(
            f"{expected}Received: a dict without {sorted(missing)}"
        )
    arrays = {}
    for name in ("support_x", "query_x"):
        arrays[name] = check_pictures(episode[name], name)
    way = None
    for x, y in (("support_x", "support_y"), ("query_x", "query_y")):
        if episode.get(y) is None:
            continue
        arrays[y] = check_one_hot(episode[y], y, x, len(arrays[x]), way)
        way = arrays[y].shape[1]
    return arrays


def _check_probabilities(probabilities, shape):
    """Checks the predictions, which have the shape `(query, way)`."""
    if probabilities is None:
        return None
    probabilities = np.asarray(probabilities)
    if probabilities.shape != shape:
        raise ValueError(
            f"`probabilities` must have the shape (query, way), here {shape}. "
            f"Received: probabilities.shape={probabilities.shape}"
        )
    # Written so that NaN fails too.
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all():
        raise ValueError(
            "`probabilities` must lie in [0, 1]; pass logits through the "
            "model's `probabilities` first. Received: values from "
            f"{probabilities.min():g} to {probabilities.max():g}"
        )
    return probabilities


def _check_max_queries(max_queries):
    if not isinstance(max_queries, int | np.integer) or max_queries < 1:
        raise ValueError(
            "`max_queries` must be a positive integer. "
            f"Received: max_queries={max_queries}"
        )
