"""The figure of a training run."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart

from keras_meta import plots


def make_history(epochs=30):
    falling = np.exp(-np.arange(epochs) / 10)
    return {
        "learning_rate": list(1e-3 * falling),
        "loss": list(falling),
        "task_accuracy": list(1 - falling / 2),
        "val_loss": list(falling + 0.1),
        "val_task_accuracy": list(0.9 - falling / 2),
        "val_task_accuracy_interval": [0.02] * epochs,
    }


def test_learning_curves_have_a_panel_for_each_quantity():
    figure = plots.plot_learning_curves(make_history())
    loss, accuracy, rate = figure.axes
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["Loss", "Task accuracy", "Learning rate"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 1]
    assert rate.get_yscale() == "log" and loss.get_yscale() == "linear"
    assert not loss.collections
    (band,) = accuracy.collections
    middle = accuracy.lines[1].get_ydata()
    heights = band.get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(heights.min(), middle.min() - 0.02)
    np.testing.assert_allclose(heights.max(), middle.max() + 0.02)
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["training", "validation", "95% interval"]
    assert_texts_are_apart(figure)


def test_learning_curves_of_chosen_metrics_and_rare_validation():
    history = make_history() | {"val_loss": [3.0, 2.0, 1.0]}
    figure = plots.plot_learning_curves(history, metrics=["loss"])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), range(1, 31))
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [10, 20, 30])
    assert_texts_are_apart(figure)


def test_slow_weights_are_drawn_beside_slow_and_fast_ones():
    history = make_history()
    for name in ("slow_task_accuracy", "val_slow_task_accuracy"):
        history |= {name: [0.2] * 30, name + "_interval": [0.01] * 30}
    figure = plots.plot_learning_curves(history)
    loss, accuracy, _ = figure.axes
    assert [len(axes.lines) for axes in (loss, accuracy)] == [2, 4]
    for line in accuracy.lines[2:]:
        np.testing.assert_array_equal(line.get_ydata(), [0.2] * 30)
    colours = {line.get_color() for line in accuracy.lines}
    assert len(colours) == 4
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "training, slow weights alone" in keys
    assert "validation, slow weights alone" in keys
    assert_texts_are_apart(figure)


def test_accuracies_by_presentation_have_a_figure_of_their_own():
    history = make_history()
    for k in range(1, 11):
        for name in (f"instance_{k}", f"val_instance_{k}"):
            history |= {name: [0.5] * 30, name + "_interval": [np.nan] * 30}
    figure = plots.plot_learning_curves(history)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["Loss", "Task accuracy", "Learning rate"]
    chosen = plots.plot_learning_curves(history, ["loss", "instance_2"])
    assert chosen.axes[1].get_ylabel() == "Instance 2"
    only = {k: v for k, v in history.items() if "instance" in k}
    assert len(plots.plot_learning_curves(only).axes) == 10


def test_a_learning_rate_of_zero_is_drawn_on_a_linear_axis():
    figure = plots.plot_learning_curves({"learning_rate": [0.1, 0.0]})
    assert figure.axes[0].get_yscale() == "linear"
    assert not figure.legends


@pytest.mark.parametrize(
    "history, metrics, message",
    [
        (None, None, "dict of lists"),
        ({}, None, "dict of lists"),
        ({"loss": [1, 2], "accuracy": [1]}, None, r"here 2.*'accuracy'"),
        ({"loss": [1], "val_loss": []}, None, "'val_loss'"),
        ({"loss": 1.0}, None, "'loss'"),
        (
            {"loss": [1, 2], "val_f": [1, 2], "val_f_interval": [1]},
            None,
            "'val_f_interval'",
        ),
        ({"loss": [1]}, ["accuracy"], r"\['loss'\]. Received: metrics="),
        ({"loss": [1]}, "loss", "list of names"),
        ({"loss": [1]}, [], "list of names"),
    ],
)
def test_learning_curve_errors(history, metrics, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_learning_curves(history, metrics)
