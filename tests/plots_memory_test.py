"""The figure of a memory over one sequence."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart
from matplotlib.colors import to_hex

from keras_meta import plots
from keras_meta.plots.colours import CORRECT, WRONG


def make_memory(steps=8, slots=20, heads=2, usage=True):
    """Head 0 writes to slot 9 first, then 8 and so on, and reads it next."""
    write = np.full((steps, heads, slots), 0.01)
    read = write.copy()
    for step in range(steps):
        write[step, 0, (9 - step) % slots] = 0.8
        read[step, -1, (10 - step) % slots] = 0.6
    rows = np.arange(slots)[:, None] - 5.0
    arrays = {
        "write_weights": write,
        "read_weights": read,
        "memory": np.tile(rows, (1, 4)),
    }
    if usage:
        arrays["usage_weights"] = np.cumsum(write.sum(axis=1), axis=0)
    return arrays


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def marks(figure):
    """The steps and classes of the marks, by their label."""
    return {
        line.get_label(): list(
            zip(line.get_xdata(), line.get_ydata(), strict=True)
        )
        for line in figure.axes[0].lines
    }


def test_weights_are_maps_of_the_used_slots_in_the_order_of_their_use():
    memory = make_memory()
    figure = plots.plot_memory(memory)
    write, read, usage, beside = figure.axes
    assert titles(figure) == [
        "Write weights, largest of 2 heads",
        "Read weights, largest of 2 heads",
        "Usage weights",
        "Memory at the end",
    ]
    # Slot 10 is only read. It is first used at the step of slot 9.
    used = [9, 10, 8, 7, 6, 5, 4, 3, 2]
    assert figure.get_suptitle() == (
        "9 of 20 slots, in the order of their first use"
    )
    for axes, expected in (
        (write, memory["write_weights"].max(axis=1)),
        (read, memory["read_weights"].max(axis=1)),
        (usage, memory["usage_weights"]),
    ):
        image = axes.images[0]
        np.testing.assert_allclose(image.get_array(), expected[:, used].T)
        assert image.get_clim() == (0, expected[:, used].max())
        # The first step is at 1.
        assert axes.get_xlim() == (0.5, 8.5)
        numbers = [label.get_text() for label in axes.get_yticklabels()]
        assert numbers == ["9", "8", "6", "4", "2"]
        assert list(axes.get_yticks()) == [0, 2, 4, 6, 8]
    rows = beside.images[0]
    np.testing.assert_array_equal(rows.get_array(), memory["memory"][used])
    # Zero is in the middle of the colours.
    assert rows.get_clim() == (-5, 5)
    assert_texts_are_apart(figure)


def test_all_slots_are_drawn_where_no_weight_is_high():
    weights = np.full((3, 1, 50), 0.02)
    figure = plots.plot_memory(
        {
            "write_weights": weights,
            "read_weights": weights,
            "memory": np.zeros((50, 4)),
        }
    )
    assert figure.get_suptitle() == (
        "All 50 slots: none gets 10% of a head's weight"
    )
    assert titles(figure) == [
        "Write weights",
        "Read weights",
        "Memory at the end",
    ]
    assert figure.axes[0].images[0].get_array().shape == (50, 3)
    assert_texts_are_apart(figure)


def test_marks_tell_first_presentations_and_right_from_wrong():
    labels = [2, 0, 2, 0, 1, 2, 1, 0]
    answers = [0, 0, 2, 0, 2, 2, 1, 2]
    figure = plots.plot_memory(
        make_memory(), np.eye(3)[labels], np.eye(3)[answers]
    )
    classes = figure.axes[0]
    assert classes.get_title(loc="left") == (
        "Right: 1 of 3 first presentations, 4 of 5 later ones"
    )
    # Classes are in the order in which they come.
    order = [0, 1, 0, 1, 2, 0, 2, 1]
    steps = list(zip(range(1, 9), order, strict=True))
    assert marks(figure) == {
        "right": [steps[k] for k in (1, 2, 3, 5, 6)],
        "wrong": [steps[k] for k in (0, 4, 7)],
        "first presentation": [(1, 0), (2, 1), (5, 2)],
    }
    good, bad, first = classes.lines
    assert to_hex(good.get_color()) == CORRECT
    assert to_hex(bad.get_color()) == WRONG
    assert len({line.get_marker() for line in classes.lines}) == 3
    # The first class is at the top; steps are above those of the maps.
    assert classes.get_ylim()[0] > classes.get_ylim()[1]
    assert classes.get_xlim() == figure.axes[1].get_xlim()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["right", "wrong", "first presentation"]
    assert_texts_are_apart(figure)


def test_a_string_is_right_if_all_its_letters_are():
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 5, (2, 5))[[0, 1, 0, 1]]
    target = np.eye(5)[letters].reshape(4, 25)
    answers = letters.copy()
    answers[3, 2] = (answers[3, 2] + 1) % 5
    predictions = np.eye(5)[answers].reshape(4, 25)
    figure = plots.plot_memory(make_memory(steps=4), target, predictions)
    assert marks(figure)["wrong"] == [(4, 1)]
    assert len(marks(figure)["right"]) == 3


def test_without_predictions_no_step_is_right_or_wrong():
    target = np.eye(2)[[0, 1] * 4]
    figure = plots.plot_memory(make_memory(usage=False), target)
    assert titles(figure)[0] == "8 steps of 2 classes"
    assert set(marks(figure)) == {"step", "first presentation"}
    assert_texts_are_apart(figure)


@pytest.mark.parametrize("steps, way", [(1, 1), (50, 5), (150, 15), (300, 100)])
def test_sequences_of_any_length_fit(steps, way):
    rng = np.random.default_rng(0)
    target = np.eye(way + 1)[rng.integers(0, way, steps)]
    memory = make_memory(steps, slots=128, heads=4)
    figure = plots.plot_memory(memory, target, rng.random((steps, way + 1)))
    assert_texts_are_apart(figure)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"memory": None}, r"`memory\['memory'\]` must have the shape"),
        ({"memory": np.zeros((5, 4))}, r"\(slots=20, width\).*\(5, 4\)"),
        ({"write_weights": np.ones((8, 20))}, r"\(steps, heads, slots\)"),
        ({"write_weights": np.ones((0, 1, 20))}, r"shape \(0, 1, 20\)"),
        ({"read_weights": np.ones((7, 2, 20))}, r"\(steps=8, heads, slots=20"),
        ({"read_weights": np.full((8, 2, 20), np.nan)}, "320 values that are"),
        ({"usage_weights": np.ones((8, 2, 20))}, r"\(steps=8, slots=20\)"),
    ],
)
def test_errors_of_the_arrays_of_a_memory(change, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_memory({**make_memory(), **change})


@pytest.mark.parametrize("memory", [None, [1], {"memory": np.ones((2, 2))}])
def test_a_memory_is_a_dict_with_its_keys(memory):
    with pytest.raises(ValueError, match="as `read_memory` returns it"):
        plots.plot_memory(memory)


@pytest.mark.parametrize(
    "target, predictions, message",
    [
        (None, np.eye(8), "`target` must be given"),
        (np.eye(7), None, r"`target` must have the shape \(steps=8, labels\)"),
        (np.zeros((8, 3)), None, "`target` must hold one-hot rows"),
        (np.ones((8, 3)) / 3, None, "`target` must hold one-hot rows"),
        (np.eye(8), np.ones((8, 3)), r"`predictions` .*labels=8\)"),
        (np.eye(8), np.full((8, 8), np.inf), "`predictions` must be finite"),
    ],
)
def test_errors_of_labels(target, predictions, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_memory(make_memory(), target, predictions)
