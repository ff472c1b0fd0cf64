"""The figure of confidence and accuracy."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart

from keras_meta import plots


def test_bars_are_accuracy_and_gap_in_bins_of_confidence():
    confidence = np.array([0.95] * 4 + [0.65] * 2)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    figure = plots.plot_reliability(
        probabilities, list("aaabab"), bins=10, classes=["a", "b"]
    )
    upper, lower = figure.axes
    right, gaps = upper.containers
    drawn = [(bar.get_x(), bar.get_height()) for bar in right]
    np.testing.assert_allclose(drawn, [(0.6, 0.5), (0.9, 0.75)])
    drawn = [(bar.get_y(), bar.get_height()) for bar in gaps]
    np.testing.assert_allclose(drawn, [(0.5, 0.15), (0.75, 0.2)])
    shares = [bar.get_height() for bar in lower.patches]
    np.testing.assert_allclose(shares, [2 / 6, 4 / 6])
    error = (2 * 0.15 + 4 * 0.2) / 6
    assert f"error {error:.1%}, 6 predictions" in upper.get_title()
    assert_texts_are_apart(figure)
    with pytest.raises(ValueError, match="`bins` must be at least 1"):
        plots.plot_reliability(probabilities, np.zeros(6, int), bins=0)
