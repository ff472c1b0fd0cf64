"""Curves of what was measured at each epoch of a training run."""

import re

import numpy as np
from matplotlib.ticker import MaxNLocator

from keras_meta.plots.panels import draw_grid


def check_history(history):
    """Casts the curves of a history to float64 and checks their lengths."""
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
            expected = curves[without_interval(name, curves)].size
        if curve.ndim != 1 or not curve.size or curve.size != expected:
            raise ValueError(
                "`history` must hold one number for each epoch, here "
                f"{expected}. Received: history[{name!r}] of shape "
                f"{curve.shape}"
            )
    return curves


def without_interval(name, curves):
    """The curve whose interval `name` is; `name` itself if it is a curve."""
    curve = name.removesuffix("_interval")
    return curve if curve in curves else name


def instance_of(name):
    """The `k` of `instance_<k>`, as `InstanceAccuracy` logs it; else None."""
    match = re.fullmatch(r"instance_(\d+)", name)
    return match and int(match[1])


def draw_curve(axes, curves, name, **style):
    """Draws a curve and, if it has an interval, the band around it."""
    values = curves[name]
    every = max(map(len, curves.values())) // len(values)
    epochs = every * np.arange(1, len(values) + 1)
    # Epochs are marked while there are few.
    marks = {"marker": "o" if len(values) <= 20 else "", "markersize": 3}
    axes.plot(epochs, values, **{"linewidth": 1.5, **marks, **style})
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


def label_epochs(axes):
    """Names the axis of epochs, with ticks at whole ones, and draws a grid."""
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True)
    )
    draw_grid(axes)
