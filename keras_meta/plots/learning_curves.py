"""The figure of what was measured at each epoch of a training run."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from keras_meta.plots.colours import COLOURS, NEUTRAL
from keras_meta.plots.panels import draw_grid, grid_shape

TRAINING = {"color": COLOURS[0], "linestyle": "--"}
VALIDATION = {"color": COLOURS[1]}
INTERVAL = "95% interval"


def plot_learning_curves(history, metrics=None):
    """Draws one panel for each quantity of a training run.

    A metric and its validation share a panel. If the history holds
    `<name>_interval`, the half width of a 95% interval as `AccuracyInterval`
    logs it, the band of `name` plus or minus it is shaded. The learning rate
    gets a logarithmic panel of its own.

    Args:
        history: Dict of lists, one number for each epoch: the attribute
            `history` of what `fit` returns. Validation lists may be shorter,
            as `validation_freq` makes them: they are then drawn at evenly
            spaced epochs.
        metrics: Sequence of names without `val_`: a panel for each, in this
            order. Defaults to all, the learning rate last.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each quantity.

    Raises:
        ValueError: If `history` is not a dict of lists, lists are of unequal
            length, or the history lacks a metric.
    """
    curves = _check_history(history)
    metrics = _check_metrics(metrics, curves)
    rows, columns = grid_shape(len(metrics))
    figure = Figure(
        figsize=(max(3.3 * columns + 0.2, 4.6), 2.6 * rows + 0.5),
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.1)
    keys = {}
    for position, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(rows, columns, position)
        if metric == "learning_rate":
            _draw_learning_rate(axes, curves)
        else:
            keys |= _draw_metric(axes, curves, metric)
        _label_axes(axes, metric)
    if keys:
        _add_legend(figure, keys)
    return figure


def _draw_learning_rate(axes, curves):
    _draw_curve(axes, curves, "learning_rate", {"color": NEUTRAL})
    if curves["learning_rate"].min() > 0:
        axes.set_yscale("log")


def _draw_metric(axes, curves, metric):
    """Draws a metric and its validation; returns the keys of the legend."""
    keys = {}
    for name, label, style in (
        (metric, "training", TRAINING),
        ("val_" + metric, "validation", VALIDATION),
    ):
        if name in curves:
            _draw_curve(axes, curves, name, style)
            keys[label] = Line2D([], [], **style)
            if name + "_interval" in curves:
                keys[INTERVAL] = Patch(color="0.8")
    return keys


def _draw_curve(axes, curves, name, style):
    """Draws a curve and, if it has an interval, the band around it."""
    values = curves[name]
    every = max(map(len, curves.values())) // len(values)
    epochs = every * np.arange(1, len(values) + 1)
    # Epochs are marked while there are few.
    style = {"marker": "o" if len(values) <= 20 else "", **style}
    axes.plot(epochs, values, markersize=3, linewidth=1.5, **style)
    half_width = curves.get(name + "_interval")
    if half_width is not None:
        axes.fill_between(
            epochs,
            values - half_width,
            values + half_width,
            color=style["color"],
            alpha=0.25,
            linewidth=0,
        )


def _label_axes(axes, metric):
    axes.set(xlabel="Epoch", ylabel=metric.replace("_", " ").capitalize())
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True)
    )
    draw_grid(axes)


def _add_legend(figure, keys):
    """Adds the keys, a dict of handles by label, the interval last."""
    labels = sorted(keys, key=lambda label: label == INTERVAL)
    figure.legend(
        [keys[label] for label in labels],
        labels,
        loc="outside upper center",
        ncols=len(labels),
        frameon=False,
    )


def _without_interval(name, curves):
    """The curve whose interval `name` is; `name` itself if it is a curve."""
    curve = name.removesuffix("_interval")
    return curve if curve in curves else name


def _check_history(history):
    """Casts the curves to float64 and checks their lengths."""
    if not isinstance(history, dict) or not history:
        raise ValueError(
            "`history` must be a dict of lists, as `fit(...).history`. "
            f"Received: {type(history).__name__} {history!r:.80}"
        )
    curves = {name: np.asarray(v, "float64") for name, v in history.items()}
    epochs = max(curve.size for curve in curves.values())
    for name, curve in curves.items():
        expected = epochs
        if name.startswith("val_"):
            # Validation may be rarer, but its interval may not be rarer still.
            expected = curves[_without_interval(name, curves)].size
        if curve.ndim != 1 or not curve.size or curve.size != expected:
            raise ValueError(
                "`history` must hold one number for each epoch, here "
                f"{expected}. Received: history[{name!r}] of shape "
                f"{curve.shape}"
            )
    return curves


def _check_metrics(metrics, curves):
    """Returns the names of the panels."""
    found = dict.fromkeys(
        name.removeprefix("val_")
        for name in curves
        if _without_interval(name, curves) == name
    )
    if metrics is None:
        return sorted(found, key=lambda name: name == "learning_rate")
    if isinstance(metrics, str) or not metrics or set(metrics) - set(found):
        raise ValueError(
            f"`metrics` must be a list of names among {sorted(found)}. "
            f"Received: metrics={metrics!r}"
        )
    return metrics
