"""The figure of accuracy against presentation."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart

from keras_meta import plots


def test_each_model_has_a_curve_with_its_intervals():
    mann, lstm = np.linspace(0.2, 0.95, 10), np.linspace(0.2, 0.6, 5)
    figure = plots.plot_instance_comparison(
        {"MANN": (mann, np.full(10, 0.02)), "LSTM": (lstm, None)}
    )
    (axes,) = figure.axes
    drawn = []
    for container, accuracies in zip(
        axes.containers, (mann, lstm), strict=True
    ):
        line, _, (bars,) = container.lines
        np.testing.assert_array_equal(line.get_ydata(), accuracies)
        presentations = range(1, len(accuracies) + 1)
        assert abs(line.get_xdata() - presentations).max() < 0.2
        drawn.append((line, bars.get_segments()))
    (first, segments), (second, none) = drawn
    for (low, high), accuracy in zip(segments, mann, strict=True):
        np.testing.assert_allclose(low[1], accuracy - 0.02)
        np.testing.assert_allclose(high[1], accuracy + 0.02)
    assert not any(len(segment) for segment in none)
    # They are told apart without colours, and do not hide each other.
    assert first.get_marker() != second.get_marker()
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_xdata()[0] < second.get_xdata()[0]
    assert list(axes.get_xticks()) == list(range(1, 11))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["MANN", "LSTM"]
    assert_texts_are_apart(figure)


def test_published_numbers_may_have_gaps():
    figure = plots.plot_instance_comparison(
        {"human": ([0.345, 0.573, np.nan, np.nan, 0.814], [np.nan] * 5)}
    )
    (container,) = figure.axes[0].containers
    found = np.isnan(container.lines[0].get_ydata())
    np.testing.assert_array_equal(found, [False, False, True, True, False])
    assert list(container.lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    assert_texts_are_apart(figure)


def test_five_models_fit():
    numbers = (np.linspace(0.2, 0.9, 10), np.full(10, 0.03))
    figure = plots.plot_instance_comparison(
        {f"A $model$ of many words, {k}": numbers for k in range(5)}
    )
    assert len(figure.axes[0].containers) == 5
    assert_texts_are_apart(figure)


@pytest.mark.parametrize(
    "models, message",
    [
        ([0.5], r"1 to 5 pairs .*Received: \[0.5\]"),
        ({}, "1 to 5 pairs"),
        ({str(k): ([0.5], None) for k in range(6)}, "1 to 5 pairs"),
        ({"a": [0.5]}, r"`models\['a'\]` must be a pair"),
        ({"a": ([0.5, 0.6], [0.1])}, r"shapes \(2,\) and \(1,\)"),
        ({"a": ([], None)}, "one of each for each presentation"),
        ({"a": ([[0.5]], None)}, r"shapes \(1, 1\) and \(1, 1\)"),
        ({"a": ([0.5, 50], None)}, "the accuracy 50 with"),
        ({"a": ([0.5], [-0.1])}, "half width -0.1"),
    ],
)
def test_instance_comparison_errors(models, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_instance_comparison(models)
