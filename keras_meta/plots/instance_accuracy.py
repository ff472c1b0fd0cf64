"""The figure of accuracy by presentation over training."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from keras_meta.plots.epoch_curves import (
    check_history,
    draw_curve,
    label_epochs,
)
from keras_meta.plots.text_fitting import FONT_SIZE

# The presentations that are drawn, and the marker of each.
MARKERS = {1: "o", 2: "s", 3: "^", 4: "D", 5: "v", 10: "P"}
TITLES = {"": "Training sequences", "val_": "Validation sequences"}


def plot_instance_accuracy(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draws the accuracy at the 1st, 2nd, ... presentation over training.

    A network with memory guesses the label of a class at its first
    presentation and knows it from the second on, if it has learned to bind
    examples to labels (Santoro et al. 2016, "Meta-Learning with
    Memory-Augmented Neural Networks", figure 2). There is a curve for each of
    the presentations 1 to 5 and 10, from light to dark, and a
    panel for each of training and validation. The band around a curve is its
    95% interval.

    Args:
        history: Dict of lists, one number for each epoch: the attribute
            `history` of what `fit` returns, for a model compiled with the
            metric `keras_meta.metrics.InstanceAccuracy()`. Read are
            `instance_<k>` and `val_instance_<k>`, in `[0, 1]`, and their
            `_interval`; NaN is not drawn. Validation lists may be shorter.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for training, one for
        validation, or both.

    Raises:
        ValueError: If `history` is not a dict of lists, lists are of unequal
            length, the history holds no accuracy of these presentations, or
            one is out of range.

    Example:

    >>> history = {"instance_1": [0.2, 0.3], "instance_2": [0.5, 0.8]}
    >>> figure = plot_instance_accuracy(history)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['2nd', '1st']
    """
    curves = check_history(history)
    panels = _find_curves(curves)
    styles = _styles()
    size = (3.3 * len(panels) + 1.4, 3.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = None
    for position, (prefix, names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(
            1, len(panels), position, sharex=axes, sharey=axes
        )
        _draw_panel(axes, curves, names, styles)
        axes.set_title(TITLES[prefix], fontsize=FONT_SIZE + 2)
        axes.label_outer()
    figure.axes[0].set(ylabel="Accuracy", ylim=(-0.02, 1.02))
    figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _add_legend(figure, curves, panels, styles)
    return figure


def _styles():
    """The style of the curve of each presentation, from light to dark."""
    shades = matplotlib.colormaps["viridis_r"](
        np.linspace(0.15, 1, len(MARKERS))
    )
    return {
        k: {"color": shade, "marker": marker, "markersize": 4}
        for shade, (k, marker) in zip(shades, MARKERS.items(), strict=True)
    }


def _draw_panel(axes, curves, names, styles):
    """Draws the curves `names`, a dict by presentation."""
    for k, name in names.items():
        # About ten markers on a curve, however many epochs it has.
        every = -(-len(curves[name]) // 10)
        draw_curve(axes, curves, name, markevery=every, **styles[k])
    label_epochs(axes)


def _add_legend(figure, curves, panels, styles):
    """Adds the key of each presentation, in the order of high curves."""
    ordinals = {1: "1st", 2: "2nd", 3: "3rd"}
    keys = {
        ordinals.get(k, f"{k}th"): Line2D([], [], **styles[k])
        for k in sorted(set().union(*panels.values()), reverse=True)
    }
    names = [name for panel in panels.values() for name in panel.values()]
    if any(name + "_interval" in curves for name in names):
        keys["95% interval"] = Patch(color="0.8")
    figure.legend(
        keys.values(),
        keys,
        loc="outside right center",
        title="Presentation",
        frameon=False,
    )


def _find_curves(curves):
    """The curves to be drawn, as dicts by presentation, of each panel."""
    panels = {}
    for prefix in TITLES:
        names = {k: f"{prefix}instance_{k}" for k in MARKERS}
        found = {
            k: name
            for k, name in names.items()
            if name in curves and not np.isnan(curves[name]).all()
        }
        for name in found.values():
            _check_range(name, curves[name])
        if found:
            panels[prefix] = found
    if not panels:
        raise ValueError(
            "`history` must hold accuracies by presentation, `instance_1` "
            "and so on: compile the model with the metric "
            "`keras_meta.metrics.InstanceAccuracy()`. "
            f"Received: a history of {sorted(curves)}"
        )
    return panels


def _check_range(name, curve):
    """Raises a ValueError unless a curve is in `[0, 1]` or NaN."""
    if (curve < 0).any() or (curve > 1).any():
        raise ValueError(
            "`history` must hold accuracies in [0, 1]. Received: "
            f"history[{name!r}] from {np.nanmin(curve):g} to "
            f"{np.nanmax(curve):g}"
        )
