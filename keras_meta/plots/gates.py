"""The figure of the gates with which an LSTM updates a network."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from keras_meta.checks import check_positive
from keras_meta.plots.colours import NEUTRAL
from keras_meta.plots.panels import draw_grid
from keras_meta.plots.text_fitting import FONT_SIZE

TITLES = {"forget_gates": "Forget gate", "input_gates": "Input gate"}


def plot_gates(
    gates: Mapping[str, ArrayLike], names: Sequence[str], rate: float = 0.01
) -> Figure:
    """Draws the gates of each weight over the steps of a task.

    Gradient descent is the special case of a forget gate of 1 and an input
    gate that is the learning rate (Ravi and Larochelle 2017, section 3.1);
    both are dashed lines. There is a curve for each weight, the mean over the
    tasks, from light to dark in the order of the network.

    Args:
        gates: Dict of `forget_gates` and `input_gates`, arrays `(tasks,
            steps, weights)` in [0, 1], as `read_gates` of `MetaLSTM` returns
            them.
        names: The names of the weights, in that order.
        rate: Positive: the learning rate of gradient descent.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each kind of gate.

    Raises:
        ValueError: If arrays or names do not fit, or a gate is out of range.

    Example:

    >>> gates = np.full((2, 8, 1), 0.5)
    >>> figure = plot_gates(
    ...     {"forget_gates": gates, "input_gates": gates}, ["kernel"])
    >>> [axes.get_title() for axes in figure.axes]
    ['Forget gate', 'Input gate']
    """
    rate = check_positive("rate", rate)
    arrays = {key: _check(gates, key, names) for key in TITLES}
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.15, 1, len(names)))
    for position, (key, constant) in enumerate(
        zip(TITLES, (1.0, rate), strict=True), start=1
    ):
        axes = figure.add_subplot(1, 2, position)
        draw_grid(axes)
        means = arrays[key].mean(axis=0)
        steps = np.arange(1, len(means) + 1)
        for number, name in enumerate(names):
            label = name if position == 1 else None
            axes.plot(
                steps, means[:, number], ".-", color=shades[number], label=label
            )
        label = "Gradient descent" if position == 1 else None
        axes.axhline(constant, color=NEUTRAL, linestyle="--", label=label)
        axes.set_title(TITLES[key], fontsize=FONT_SIZE + 2)
        axes.set_xlabel("Step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right center", fontsize=FONT_SIZE)
    return figure


def _check(gates, key, names):
    """The array of one kind of gate."""
    array = np.asarray(gates[key]) if key in gates else np.zeros(0)
    if array.ndim != 3 or not array.size or array.shape[2] != len(names):
        raise ValueError(
            f"`gates` must hold `{key}` of shape (tasks, steps, weights), "
            f"with {len(names)} weights as in `names`. Received: an array of "
            f"shape {array.shape}"
        )
    if not np.all((array >= 0) & (array <= 1)):
        raise ValueError(
            f"`gates` must be in [0, 1]. Received: {key} from {array.min()} "
            f"to {array.max()}"
        )
    return array
