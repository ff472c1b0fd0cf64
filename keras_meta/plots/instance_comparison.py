"""The figure of accuracy against presentation, of one or several models."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from keras_meta.plots.colours import COLOURS
from keras_meta.plots.panels import draw_grid
from keras_meta.plots.text_fitting import FONT_SIZE, fit

# How the models differ besides their colours.
LINES = [("o", "-"), ("s", "--"), ("^", "-."), ("D", ":"), ("v", (0, (6, 2)))]


def plot_instance_comparison(
    models: Mapping[str, tuple[ArrayLike, ArrayLike]],
) -> Figure:
    """Draws the accuracy of models at the 1st, 2nd, ... presentation.

    It compares how fast networks with memory learn a class (Santoro et al.
    2016, "Meta-Learning with Memory-Augmented Neural Networks", table 1):
    each model has a curve over the presentations of a class, with 95%
    intervals as bars. Models stand a little beside each other, so that their
    bars can be told apart.

    Args:
        models: Dict of 1 to 5 pairs `(accuracies, half_widths)` by the name
            of the model. `accuracies (presentations,)` are in `[0, 1]`, or
            NaN for a presentation that is not reached: `instance_1`,
            `instance_2` and so on of what `evaluate` returns with the metric
            `keras_meta.metrics.InstanceAccuracy()`. `half_widths`, of the
            same length, are the 95% intervals' half widths, at least 0 or
            NaN; None if they are not known.

    Returns:
        A `matplotlib.figure.Figure` with one Axes.

    Raises:
        ValueError: If `models` is no such dict, lengths are unequal, or
            values are out of range.

    Example:

    >>> figure = plot_instance_comparison(
    ...     {"MANN": ([0.2, 0.8], [0.01, 0.02]), "LSTM": ([0.2, 0.4], None)})
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['MANN', 'LSTM']
    """
    models = _check_models(models)
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for position, (name, numbers) in enumerate(models.items()):
        beside = 0.08 * (position - (len(models) - 1) / 2)
        marker, line = LINES[position]
        style = {"marker": marker, "linestyle": line, "label": name}
        _draw_model(axes, *numbers, beside, color=COLOURS[position], **style)
    longest = max(len(accuracies) for accuracies, _ in models.values())
    axes.set(
        xlabel="Presentation of a class",
        xticks=range(1, longest + 1),
        xlim=(0.6, longest + 0.4),
        ylabel="Accuracy",
        ylim=(-0.02, 1.02),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    draw_grid(axes, axis="y")
    _add_legend(figure)
    return figure


def _draw_model(axes, accuracies, half_widths, beside, **style):
    """Draws a curve with its bars, moved by `beside` to the right."""
    axes.errorbar(
        np.arange(1, len(accuracies) + 1) + beside,
        accuracies,
        yerr=half_widths,
        markersize=5,
        linewidth=1.5,
        elinewidth=1,
        capsize=2.5,
        **style,
    )


def _add_legend(figure):
    """Adds the names of the models, shortened where they are too long."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles,
        [fit(name, lines=1, width=1.2) for name in names],
        loc="outside upper center",
        ncols=2 if len(names) == 4 else 3,
        frameon=False,
        fontsize=FONT_SIZE + 1,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _check_models(models):
    """Casts the numbers of each model to float64 and checks them."""
    few = isinstance(models, dict) and 1 <= len(models) <= len(LINES)
    if not few:
        received = list(models) if isinstance(models, dict) else models
        raise ValueError(
            f"`models` must be a dict of 1 to {len(LINES)} pairs (accuracies, "
            f"half_widths) by name. Received: {received!r:.80}"
        )
    return {
        str(name): _check_numbers(name, pair) for name, pair in models.items()
    }


def _check_numbers(name, pair):
    """Returns accuracies and half widths, NaN where not known."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(
            f"`models[{name!r}]` must be a pair (accuracies, half_widths). "
            f"Received: {pair!r:.80}"
        )
    accuracies = np.asarray(pair[0], "float64")
    half_widths = np.full(accuracies.shape, np.nan)
    if pair[1] is not None:
        half_widths = np.asarray(pair[1], "float64")
    if (
        accuracies.ndim != 1
        or not accuracies.size
        or accuracies.shape != half_widths.shape
    ):
        raise ValueError(
            f"`models[{name!r}]` must hold accuracies and half widths, one "
            "of each for each presentation. Received: shapes "
            f"{accuracies.shape} and {half_widths.shape}"
        )
    wrong = (accuracies < 0) | (accuracies > 1) | (half_widths < 0)
    if wrong.any():
        raise ValueError(
            f"`models[{name!r}]` must hold accuracies in [0, 1] and half "
            "widths of at least 0. Received: the accuracy "
            f"{accuracies[wrong][0]:g} with the half width "
            f"{half_widths[wrong][0]:g}"
        )
    return accuracies, half_widths
