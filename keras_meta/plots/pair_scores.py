"""The figure of the scores of same and of different pairs."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from keras_meta.plots.colours import COLOURS
from keras_meta.plots.panels import draw_grid
from keras_meta.plots.text_fitting import outline, small_font

# Above it a pair is judged to be of the same class.
THRESHOLD = 0.5
FILLED = {"fill": True, "color": COLOURS[0], "alpha": 0.6}
HATCHED = {"hatch": "////", "edgecolor": COLOURS[2], "linewidth": 1.5}


def plot_score_histogram(
    scores: ArrayLike, same: ArrayLike, bins: int = 20
) -> Figure:
    """Draws the scores of same and of different pairs, and the threshold.

    A Siamese network verifies whether two examples are of one class: it says
    so with a score above 0.5 (Koch et al. 2015). Different pairs are a filled
    histogram, same pairs a hatched one, and the shares of each sum to 100%.
    The title gives the verification accuracy: the share of all pairs that are
    judged rightly. The legend counts the right ones of each kind.

    Args:
        scores: Array `(n,)` in `[0, 1]`: what the model returns for each pair
            of `keras_meta.data.pair_dataset`, as a vector.
        same: Array `(n,)` of bool, or of 0 and 1: which pairs are of one
            class. There must be at least one pair of each kind.
        bins: Positive even integer, so that 0.5 is between two bins. A bin
            holds its upper end but not its lower end, because a score of 0.5
            is judged different.

    Returns:
        A `matplotlib.figure.Figure` with one Axes.

    Raises:
        ValueError: If lengths are unequal, scores are NaN or out of range,
            all pairs are of one kind, or the number of bins is odd.

    Example:

    >>> figure = plot_score_histogram([0.9, 0.4, 0.2, 0.1], [1, 1, 0, 0])
    >>> figure.axes[0].get_title()
    'Verification accuracy at 0.5: 75.0% of 4 pairs'
    """
    scores, same = _check_scores(scores, same)
    _check_bins(bins)
    right = (scores > THRESHOLD) == same
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, kind, style in (
        ("different classes", ~same, FILLED),
        ("same class", same, HATCHED),
    ):
        label = f"{name}: {right[kind].sum()} of {kind.sum()} right"
        _draw_shares(axes, scores[kind], bins, label=label, **style)
    _draw_threshold(axes)
    _label_axes(axes, right)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_shares(axes, scores, bins, **style):
    """Draws which share of the scores `(n,)` is in each of `bins` bins."""
    # NumPy's bins hold their lower ends, which are the upper ends of 1 - score.
    counts, edges = np.histogram(1 - scores, bins, (0, 1))
    axes.stairs(counts[::-1] / len(scores), edges, **style)


def _draw_threshold(axes):
    """Draws a line at the threshold, and the verdicts on both its sides."""
    axes.axvline(THRESHOLD, color="black", linewidth=1.2, linestyle="--")
    # Room for the verdicts above the bars.
    axes.margins(y=0.12)
    for x, alignment, verdict in (
        (THRESHOLD - 0.01, "right", "← judged different"),
        (THRESHOLD + 0.01, "left", "judged same →"),
    ):
        axes.text(
            x,
            0.99,
            verdict,
            transform=axes.get_xaxis_transform(),
            ha=alignment,
            va="top",
            fontproperties=small_font(),
            path_effects=outline(),
        )


def _label_axes(axes, right):
    """Writes the accuracy and the units; `right (n,)` is bool."""
    axes.set(
        title=f"Verification accuracy at {THRESHOLD}: {right.mean():.1%} "
        f"of {len(right)} pairs",
        xlabel="Score: predicted probability of the same class",
        ylabel="Share of the pairs of a kind",
        xlim=(0, 1),
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    draw_grid(axes, axis="y")


def _check_bins(bins):
    whole = isinstance(bins, int | np.integer) and not isinstance(bins, bool)
    if not whole or bins < 2 or bins % 2:
        raise ValueError(
            "`bins` must be a positive even integer, so that the threshold "
            f"{THRESHOLD} is between two bins. Received: bins={bins!r}"
        )


def _check_scores(scores, same):
    """Casts the scores to float64 and `same` to bool."""
    scores, same = np.asarray(scores).astype("float64"), np.asarray(same)
    if scores.ndim != 1 or scores.shape != same.shape:
        raise ValueError(
            "`scores` and `same` must both have the shape (n,), one entry "
            f"for each pair. Received: scores.shape={scores.shape}, "
            f"same.shape={same.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError(
            "`scores` must not be NaN. Received: "
            f"{np.isnan(scores).sum()} of {len(scores)} values are NaN"
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            "`scores` must lie in [0, 1]; pass logits through a sigmoid "
            f"first. Received: values from {scores.min():g} to "
            f"{scores.max():g}"
        )
    if not np.isin(same, (0, 1)).all():
        raise ValueError(
            "`same` must hold bools, or 0 and 1. "
            f"Received: values {np.unique(same)}"
        )
    same = same.astype(bool)
    if same.all() or not same.any():
        raise ValueError(
            "`same` must hold at least one same and one different pair. "
            f"Received: {same.sum()} same and {(~same).sum()} different pairs"
        )
    return scores, same
