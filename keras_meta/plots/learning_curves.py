"""The figure of what was measured at each epoch of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from keras_meta.plots.colours import COLOURS, NEUTRAL
from keras_meta.plots.epoch_curves import (
    check_history,
    draw_curve,
    instance_of,
    label_epochs,
    without_interval,
)
from keras_meta.plots.panels import grid_shape

TRAINING = {"color": COLOURS[0], "linestyle": "--"}
VALIDATION = {"color": COLOURS[1]}
SLOW, SLOW_VALIDATION = {**TRAINING, "color": COLOURS[2]}, {"color": COLOURS[3]}
INTERVAL = "95% interval"


def plot_learning_curves(
    history: Mapping[str, Sequence[float]], metrics: Sequence[str] | None = None
) -> Figure:
    """Draws one panel for each quantity of a training run.

    A metric and its validation share a panel. If the history holds
    `<name>_interval`, the half width of a 95% interval as `AccuracyInterval`
    logs it, the band of `name` plus or minus it is shaded. The learning rate
    gets a logarithmic panel of its own. `slow_<name>`, as a `MetaNetwork` logs
    what it can do without fast weights, is drawn in the panel of `<name>`.

    Args:
        history: Dict of lists, one number for each epoch: the attribute
            `history` of what `fit` returns. Validation lists may be shorter,
            as `validation_freq` makes them: they are then drawn at evenly
            spaced epochs.
        metrics: Sequence of names without `val_`: a panel for each, in this
            order. Defaults to all, the learning rate last, but for the
            accuracies by presentation, `instance_1` and so on: see
            `plot_instance_accuracy`. A history of nothing else shows them.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each quantity.

    Raises:
        ValueError: If `history` is not a dict of lists, lists are of unequal
            length, or the history lacks a metric.
    """
    curves = check_history(history)
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
        axes.set_ylabel(metric.replace("_", " ").capitalize())
        label_epochs(axes)
    if keys:
        _add_legend(figure, keys)
    return figure


def _draw_learning_rate(axes, curves):
    draw_curve(axes, curves, "learning_rate", color=NEUTRAL)
    if curves["learning_rate"].min() > 0:
        axes.set_yscale("log")


def _draw_metric(axes, curves, metric):
    """Draws a metric and its validation; returns the keys of the legend."""
    keys = {}
    for name, label, style in (
        (metric, "training", TRAINING),
        ("val_" + metric, "validation", VALIDATION),
        ("slow_" + metric, "training, slow weights alone", SLOW),
        (
            "val_slow_" + metric,
            "validation, slow weights alone",
            SLOW_VALIDATION,
        ),
    ):
        if name in curves:
            draw_curve(axes, curves, name, **style)
            keys[label] = Line2D([], [], **style)
            if name + "_interval" in curves:
                keys[INTERVAL] = Patch(color="0.8")
    return keys


def _add_legend(figure, keys):
    """Adds the keys, a dict of handles by label, the interval last."""
    labels = sorted(keys, key=lambda label: label == INTERVAL)
    figure.legend(
        [keys[label] for label in labels],
        labels,
        loc="outside upper center",
        ncols=min(len(labels), 3),
        frameon=False,
    )


def _check_metrics(metrics, curves):
    """Returns the names of the panels."""
    found = dict.fromkeys(
        name.removeprefix("val_")
        for name in curves
        if without_interval(name, curves) == name
    )
    if metrics is None:
        slow = {"slow_" + name for name in found}
        drawn = [
            name
            for name in found
            if instance_of(name) is None and name not in slow
        ]
        return sorted(drawn or found, key=lambda name: name == "learning_rate")
    if isinstance(metrics, str) or not metrics or set(metrics) - set(found):
        raise ValueError(
            f"`metrics` must be a list of names among {sorted(found)}. "
            f"Received: metrics={metrics!r}"
        )
    return metrics
