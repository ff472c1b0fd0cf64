"""The figure of the scores of pairs."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart

from keras_meta import plots


def make_scores(same=40, different=60):
    rng = np.random.default_rng(0)
    scores = [rng.beta(3, 1, same), rng.beta(1, 3, different)]
    return np.concatenate(scores), np.repeat([1, 0], [same, different])


def test_score_histogram_shows_the_shares_of_each_kind():
    scores, same = make_scores()
    figure = plots.plot_score_histogram(scores, same, bins=10)
    (axes,) = figure.axes
    different, alike = axes.patches
    for stairs, kind in ((different, scores[40:]), (alike, scores[:40])):
        values, edges, _ = stairs.get_data()
        assert len(values) == 10
        np.testing.assert_allclose(edges, np.linspace(0, 1, 11))
        np.testing.assert_allclose(values.sum(), 1)
        # Above the threshold stands the share of the scores above it.
        np.testing.assert_allclose(values[5:].sum(), (kind > 0.5).mean())
        np.testing.assert_allclose(values[0], (kind <= 0.1).mean())
    # Filled and hatched, without a need of colours.
    assert different.get_fill() and not different.get_hatch()
    assert alike.get_hatch() and not alike.get_fill()
    (threshold,) = axes.lines
    assert list(threshold.get_xdata()) == [0.5, 0.5]
    right = (scores[:40] > 0.5).sum(), (scores[40:] <= 0.5).sum()
    assert axes.get_title() == (
        f"Verification accuracy at 0.5: {sum(right)}.0% of 100 pairs"
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"different classes: {right[1]} of 60 right",
        f"same class: {right[0]} of 40 right",
    ]
    assert_texts_are_apart(figure)


def test_a_score_of_one_half_is_judged_different():
    same = [True, False]
    figure = plots.plot_score_histogram(np.float32([0.5, 0.5]), same, bins=2)
    (axes,) = figure.axes
    for stairs in axes.patches:
        np.testing.assert_array_equal(stairs.get_data().values, [1, 0])
    assert "50.0% of 2 pairs" in axes.get_title()
    verdicts = [text.get_text() for text in axes.texts]
    assert verdicts == ["← judged different", "judged same →"]
    assert_texts_are_apart(figure)


@pytest.mark.parametrize(
    "scores, same, bins, message",
    [
        ([0.1, 0.9, 0.5], [0, 1], 20, r"same\.shape=\(2,\)"),
        ([[0.1], [0.9]], [[0], [1]], 20, r"must both have the shape \(n,\)"),
        ([0.1, 1.9], [0, 1], 20, "sigmoid .* from 0.1 to 1.9"),
        ([-0.1, 0.9], [0, 1], 20, "from -0.1 to 0.9"),
        ([np.nan, 0.9], [0, 1], 20, "1 of 2 values are NaN"),
        ([0.1, 0.9], [0, 2], 20, r"`same` must hold bools.*\[0 2\]"),
        ([0.1, 0.9], [1, 1], 20, "2 same and 0 different"),
        ([0.1, 0.9], [0, 0], 20, "0 same and 2 different"),
        ([], [], 20, "0 same and 0 different"),
        ([0.1, 0.9], [0, 1], 5, "even integer.*bins=5"),
        ([0.1, 0.9], [0, 1], 0, "bins=0"),
        ([0.1, 0.9], [0, 1], 4.0, "bins=4.0"),
    ],
)
def test_score_histogram_errors(scores, same, bins, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_score_histogram(scores, same, bins)
