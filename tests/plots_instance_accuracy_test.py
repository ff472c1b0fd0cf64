"""The figure of accuracy by presentation over training."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart
from matplotlib.colors import to_hex

from keras_meta import plots


def make_history(epochs=30, prefixes=("", "val_"), instances=10):
    growth = 1 - np.exp(-np.arange(epochs) / 10)
    history = {"loss": list(1 - growth)}
    for prefix in prefixes:
        for k in range(1, instances + 1):
            name = f"{prefix}instance_{k}"
            history[name] = list(0.2 + 0.7 * growth * (1 - 1 / k))
            history[name + "_interval"] = [0.01] * epochs
    return history


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_there_is_a_curve_for_each_presentation_of_the_paper():
    history = make_history()
    figure = plots.plot_instance_accuracy(history)
    training, validation = figure.axes
    assert training.get_title() == "Training sequences"
    assert validation.get_title() == "Validation sequences"
    for axes, prefix in ((training, ""), (validation, "val_")):
        for line, band, k in zip(
            axes.lines, axes.collections, (1, 2, 3, 4, 5, 10), strict=True
        ):
            middle = history[f"{prefix}instance_{k}"]
            np.testing.assert_array_equal(line.get_ydata(), middle)
            np.testing.assert_array_equal(line.get_xdata(), range(1, 31))
            heights = band.get_paths()[0].vertices[:, 1]
            np.testing.assert_allclose(heights.min(), min(middle) - 0.01)
            np.testing.assert_allclose(heights.max(), max(middle) + 0.01)
    # Curves differ by their markers as by their colours.
    for of in ("get_color", "get_marker"):
        looks = [getattr(line, of)() for line in training.lines]
        assert len(set(map(str, map(np.array, looks)))) == 6
    first = training.lines[0].get_color(), validation.lines[0].get_color()
    assert to_hex(first[0]) == to_hex(first[1])
    presentations = ["10th", "5th", "4th", "3rd", "2nd", "1st"]
    assert legend(figure) == [*presentations, "95% interval"]
    assert_texts_are_apart(figure)


def test_presentations_that_are_not_reached_are_not_drawn():
    history = make_history(epochs=3, prefixes=[""])
    history["instance_10"] = [np.nan] * 3
    history["instance_3"] = [np.nan, 0.5, 0.6]
    del history["instance_5"], history["instance_5_interval"]
    figure = plots.plot_instance_accuracy(history)
    (axes,) = figure.axes
    assert legend(figure)[:-1] == ["4th", "3rd", "2nd", "1st"]
    np.testing.assert_array_equal(
        axes.lines[2].get_ydata(), history["instance_3"]
    )
    assert_texts_are_apart(figure)


def test_validation_alone_may_be_rare_and_without_intervals():
    history = {"loss": [1.0] * 6, "val_instance_2": [0.2, 0.4, 0.6]}
    figure = plots.plot_instance_accuracy(history)
    (axes,) = figure.axes
    assert axes.get_title() == "Validation sequences"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [2, 4, 6])
    assert not axes.collections and legend(figure) == ["2nd"]


@pytest.mark.parametrize(
    "history, message",
    [
        (None, "dict of lists"),
        ({"loss": [1, 2], "instance_1": [1]}, r"here 2.*'instance_1'"),
        ({"loss": [1]}, r"InstanceAccuracy.*Received: .*\['loss'\]"),
        ({"instance_1": [np.nan]}, "must hold accuracies by presentation"),
        ({"instance_7": [0.5]}, "must hold accuracies by presentation"),
        ({"instance_1": [20.0, np.nan]}, r"'instance_1'\] from 20 to 20"),
        ({"val_instance_2": [-0.1, 0.5]}, "from -0.1 to 0.5"),
    ],
)
def test_instance_accuracy_errors(history, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_instance_accuracy(history)
