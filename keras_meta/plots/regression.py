"""The figure of regressions before and after the model adapted."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_meta.plots.colours import COLOURS
from keras_meta.plots.panels import draw_grid, grid_shape
from keras_meta.plots.text_fitting import fit, small_font

# Line styles of all predictions but the last, which is solid.
DASHES = (":", "--", "-.", (0, (6, 1, 1, 1, 1, 1)))


def plot_regression_adaptation(
    tasks: Sequence[Mapping[str, ArrayLike]],
    titles: Sequence[str] | None = None,
) -> Figure:
    """Draws how predicted curves approach the true one, step by step.

    One panel for each regression task, side by side and in one scale: the
    true curve, the support points, and what the model predicts after each
    number of inner steps (Finn et al. 2017, figure 2). Predictions go from
    light and dotted, before the first step, to dark and solid, after the last.
    The title ends with the mean squared error of each over the drawn points.

    Args:
        tasks: Sequence of dicts of the arrays of one task, with one input and
            one output: `x (points,)`, at least 2, in any order; the true
            values `target (points,)`; `support_x (n,)` and `support_y (n,)`,
            `n` at least 1; and `predictions`, a dict of 1 to 5 arrays
            `(points,)`, whose keys are the numbers of inner steps, the same
            in each task. All values are finite.
        titles: Sequence of one string for each task. Defaults to the numbers
            of support points.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each task, at most 3
        in a row.

    Raises:
        ValueError: If `tasks` are not such dicts, shapes do not fit together,
            values are not finite, or the number of titles is wrong.

    Example:

    >>> x = np.linspace(-5, 5, 50)
    >>> task = {"x": x, "target": np.sin(x)}
    >>> task.update(support_x=[0.5, 1.0], support_y=np.sin([0.5, 1.0]))
    >>> task["predictions"] = {0: 0 * x, 10: np.sin(x)}
    >>> figure = plot_regression_adaptation([task])
    >>> figure.axes[0].get_title()
    '2 support points\\nmean squared error: 0.535 → 0'
    """
    tasks, steps = _check_tasks(tasks)
    titles = _check_titles(titles, tasks)
    rows, columns = grid_shape(len(tasks))
    size = max(3.6 * columns, 4.6), 2.9 * rows + 0.5
    figure = Figure(figsize=size, layout="constrained")
    _draw_panels(figure, tasks, titles, _step_styles(steps))
    _add_legend(figure, len(steps) + 2 if columns > 1 else 3)
    return figure


def _draw_panels(figure, tasks, titles, styles):
    """Draws all tasks, with labels at the left and the lowest panels."""
    rows, columns = grid_shape(len(tasks))
    axes = None
    for position, (task, title) in enumerate(zip(tasks, titles, strict=True)):
        axes = figure.add_subplot(
            rows, columns, position + 1, sharex=axes, sharey=axes
        )
        _draw_curves(axes, task, styles)
        _write_title(axes, task, title)
        if position + columns >= len(tasks):
            axes.set_xlabel("x")
        if position % columns == 0:
            axes.set_ylabel("y")


def _draw_curves(axes, task, styles):
    """Draws the true curve, the predictions and the support points."""
    axes.plot(
        task["x"],
        task["target"],
        color="0.8",
        linewidth=5,
        solid_capstyle="round",
        label="true curve",
    )
    for step, style in styles.items():
        axes.plot(task["x"], task["predictions"][step], linewidth=1.8, **style)
    axes.plot(
        task["support_x"],
        task["support_y"],
        linestyle="",
        marker="^",
        markersize=8,
        color=COLOURS[1],
        markeredgecolor="black",
        label="support points",
        zorder=3,
    )
    draw_grid(axes)


def _write_title(axes, task, title):
    """Writes the title of a panel, and the errors of all predictions."""
    errors = [
        np.square(task["predictions"][step] - task["target"]).mean()
        for step in sorted(task["predictions"])
    ]
    axes.set_title(
        fit(str(title), lines=1, width=3)
        + "\nmean squared error: "
        + " → ".join(f"{error:.3g}" for error in errors),
        fontproperties=small_font(),
        parse_math=False,
    )


def _step_styles(steps):
    """The style of the prediction after each of `steps`, ascending."""
    shades = matplotlib.colormaps["Blues"](np.linspace(0.45, 1, len(steps)))
    styles = {}
    for i, step in enumerate(steps):
        last = step > 0 and i == len(steps) - 1
        styles[step] = {
            "color": shades[i],
            "linestyle": "-" if last else DASHES[i],
            "label": "1 step" if step == 1 else f"{step} steps",
        }
    if 0 in styles:
        styles[0]["label"] = "before adapting"
    return styles


def _add_legend(figure, columns):
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
    )


def _check_titles(titles, tasks):
    if titles is None:
        return [f"{len(task['support_x'])} support points" for task in tasks]
    if isinstance(titles, str) or len(titles) != len(tasks):
        raise ValueError(
            f"`titles` must hold one string for each of the {len(tasks)} "
            f"tasks. Received: titles={titles!r}"
        )
    return titles


def _check_tasks(tasks):
    """Returns the tasks, sorted by `x`, and the numbers of steps, ascending."""
    if not isinstance(tasks, list | tuple) or not tasks:
        raise ValueError(
            "`tasks` must be a list of dicts, one for each regression task. "
            f"Received: {type(tasks).__name__} {tasks!r:.80}"
        )
    checked = [_check_task(f"tasks[{i}]", t) for i, t in enumerate(tasks)]
    steps = sorted(checked[0]["predictions"])
    for i, task in enumerate(checked):
        if sorted(task["predictions"]) != steps:
            raise ValueError(
                "`tasks` must hold predictions after the same numbers of "
                f"steps, here {steps}. Received: tasks[{i}] with "
                f"{sorted(task['predictions'])}"
            )
    return checked, steps


def _check_task(name, task):
    """Casts the arrays of a task and sorts them by `x`."""
    keys = ("x", "target", "support_x", "support_y", "predictions")
    if not isinstance(task, dict) or set(keys) - set(task):
        raise ValueError(
            f"`{name}` must be a dict with the keys {keys}. Received: "
            f"{list(task) if isinstance(task, dict) else task!r:.80}"
        )
    predictions = _check_steps(name, task["predictions"])

    def points(key, **expected):
        return _check_points(task[key], f"{name}['{key}']", **expected)

    x, support_x = points("x", least=2), points("support_x")
    like_x = {"other": "x", "count": len(x)}
    order = np.argsort(x, kind="stable")
    return {
        "x": x[order],
        "target": points("target", **like_x)[order],
        "support_x": support_x,
        "support_y": points(
            "support_y", other="support_x", count=len(support_x)
        ),
        "predictions": {
            step: _check_points(
                values, f"{name}['predictions'][{step}]", **like_x
            )[order]
            for step, values in predictions.items()
        },
    }


def _check_steps(name, predictions):
    """Checks that predictions are a dict whose keys are numbers of steps."""
    received = type(predictions).__name__
    if isinstance(predictions, dict):
        whole = all(isinstance(k, int | np.integer) for k in predictions)
        few = 1 <= len(predictions) <= len(DASHES) + 1
        if whole and few and min(predictions) >= 0:
            return predictions
        received = f"the keys {list(predictions)}"
    raise ValueError(
        f"`{name}['predictions']` must be a dict of 1 to {len(DASHES) + 1} "
        "arrays, whose keys are numbers of steps, 0 or more. "
        f"Received: {received}"
    )


def _check_points(values, name, other=None, count=None, least=1):
    """Casts a vector to float64 and checks that it is finite.

    Args:
        values: The vector.
        name: What to call it in an error.
        other, count: Name and length of a vector of the same length. None:
            it may have any length from `least` on.
        least: Positive integer.
    """
    values = np.asarray(values)
    if other is not None:
        shape, fits = f"({count},), as `{other}` has", values.size == count
    else:
        shape, fits = f"(n,) with n at least {least}", values.size >= least
    if values.ndim != 1 or not fits:
        raise ValueError(
            f"`{name}` must have the shape {shape}; of a batch with one "
            "output, take one task: `[0, :, 0]`. "
            f"Received: shape {values.shape}"
        )
    values = values.astype("float64")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{(~np.isfinite(values)).sum()} values that are not"
        )
    return values
