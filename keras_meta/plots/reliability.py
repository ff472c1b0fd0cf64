"""The figure of how sure predictions are, and how often they are right."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from keras_meta.calibration import (
    confidence_bins,
    expected_calibration_error,
)
from keras_meta.plots.colours import COLOURS, NEUTRAL
from keras_meta.plots.panels import draw_grid
from keras_meta.typing import Labels

RIGHT = {"color": COLOURS[0], "alpha": 0.6}
GAP = {"hatch": "////", "fill": False, "edgecolor": COLOURS[2]}
SHARE = {"color": NEUTRAL}


def plot_reliability(
    probabilities: ArrayLike,
    labels: Labels,
    bins: int = 10,
    classes: Labels | None = None,
) -> Figure:
    """Draws accuracy against confidence, and how often each confidence occurs.

    The upper panel is the reliability diagram (Guo et al. 2017, figure 1):
    for the predictions whose confidence is in a bin, a filled bar is the
    share that is right, and a hatched one its gap to their mean confidence.
    Where predictions are as sure as they are right, bars end at the diagonal;
    above it they are less sure, below it surer. The lower panel is the share
    of the predictions in each bin. The title gives the expected calibration
    error of these bins.

    Args:
        probabilities: Array `(n, way)`, rows that sum to 1, as of
            `FewShotClassifier.predict_proba`; at least one.
        labels: `n` true labels among `classes`.
        bins: Positive integer: bins of equal width in `[0, 1]`.
        classes: The label of each column, such as `classifier.classes_`; by
            default 0, 1 and so on.

    Returns:
        A `matplotlib.figure.Figure` with two Axes.

    Raises:
        ValueError: As for
            `keras_meta.calibration.expected_calibration_error`.

    Example:

    >>> figure = plot_reliability([[0.75, 0.25]] * 4, [0, 0, 0, 1])
    >>> figure.axes[0].get_title()
    'Expected calibration error 0.0%, 4 predictions'
    """
    counts, confidence, accuracy = confidence_bins(
        probabilities, labels, bins, classes
    )
    error = expected_calibration_error(probabilities, labels, bins, classes)
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, height_ratios=(3, 1), sharex=True)
    filled = counts > 0
    width = 1 / bins
    left = (np.arange(bins) * width)[filled]
    place = dict(width=width, align="edge")
    confidence, accuracy = confidence[filled], accuracy[filled]
    upper.bar(left, accuracy, label="right", **RIGHT, **place)
    upper.bar(
        left,
        confidence - accuracy,
        bottom=accuracy,
        label="gap to the confidence",
        **GAP,
        **place,
    )
    upper.plot([0, 1], [0, 1], "k--", linewidth=1.2, label="as sure as right")
    lower.bar(left, counts[filled] / counts.sum(), **SHARE, **place)
    _label_axes(upper, lower, error, counts.sum())
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _label_axes(upper, lower, error, count):
    predictions = "prediction" if count == 1 else "predictions"
    upper.set(
        title=f"Expected calibration error {error:.1%}, {count} {predictions}",
        ylabel="Share that is right",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    lower.set(
        xlabel="Confidence: probability of the predicted class",
        ylabel="Share of all",
        ylim=(0, 1),
    )
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        draw_grid(axes)
    lower.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
