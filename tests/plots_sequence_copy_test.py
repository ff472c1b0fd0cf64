"""The figure of a sequence that is copied from memory."""

import numpy as np
import pytest
from figure_checks import assert_texts_are_apart

from keras_meta import plots


def make_copy(length=4, bits=3, slots=16, first=2, silent=2):
    """A perfect copy, of which `silent` steps are behind the end."""
    steps = 2 * length + 2 + silent
    vectors = np.random.default_rng(0).integers(0, 2, (length, bits))
    seen, recalled = slice(1, length + 1), slice(length + 2, steps - silent)
    inputs, target = np.zeros((steps, bits + 2)), np.zeros((steps, bits))
    inputs[seen, :bits] = vectors
    inputs[0, bits] = inputs[length + 1, bits + 1] = 1
    target[recalled] = vectors
    counts = np.zeros(steps)
    counts[recalled] = 1
    write, read = np.full((2, steps, slots), 0.01)
    at = (first + np.arange(length)) % slots
    write[np.arange(1, length + 1), at] = 0.9
    read[np.arange(length + 2, steps - silent), at] = 0.9
    return {
        "inputs": inputs,
        "target": target,
        "outputs": 0.8 * target + 0.1,
        "write_weights": write,
        "read_weights": read,
        "sample_weight": counts,
    }


def images(figure):
    return [np.ma.getdata(axes.images[0].get_array()) for axes in figure.axes]


def test_a_copy_is_five_maps_over_the_same_steps():
    copied = make_copy()
    figure = plots.plot_copy(**copied)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Inputs",
        "Target",
        "Outputs: 0 of 12 bits wrong",
        "Write weights: 4 of 16 slots",
        "Read weights: 4 of 16 slots",
    ]
    # Nothing is asked for behind step 10, and before step 7.
    inputs, target, outputs, write, read = images(figure)
    np.testing.assert_array_equal(inputs, copied["inputs"][:10].T)
    np.testing.assert_array_equal(target, copied["target"][:10].T)
    np.testing.assert_array_equal(outputs[:, 6:], copied["outputs"][6:10].T)
    assert np.isnan(outputs[:, :6]).all()
    np.testing.assert_array_equal(write, copied["write_weights"][:10, 2:6].T)
    np.testing.assert_array_equal(read, copied["read_weights"][:10, 2:6].T)
    for axes in figure.axes:
        assert axes.get_xlim() == (0.5, 10.5)
        assert list(axes.lines[-1].get_xdata()) == [6.5, 6.5]
    assert_texts_are_apart(figure)


def test_wrong_bits_have_a_cross():
    copied = make_copy()
    copied["outputs"][7, 1] = 1 - copied["outputs"][7, 1]
    copied["outputs"][9, 2] = 0.5
    copied["outputs"][2] = 1
    figure = plots.plot_copy(**copied)
    outputs = figure.axes[2]
    assert outputs.get_title(loc="left") == "Outputs: 2 of 12 bits wrong"
    crosses = outputs.lines[0]
    assert crosses.get_marker() == "x"
    np.testing.assert_array_equal(crosses.get_xydata(), [(8, 1), (10, 2)])


def test_the_stretch_of_slots_may_go_on_from_the_last_to_the_first():
    copied = make_copy(slots=16, first=14)
    figure = plots.plot_copy(**copied)
    write = figure.axes[3]
    numbers = [label.get_text() for label in write.get_yticklabels()]
    assert numbers == ["14", "15", "0", "1"]
    np.testing.assert_array_equal(
        images(figure)[3], copied["write_weights"][:10, [14, 15, 0, 1]].T
    )


def test_without_a_stretch_all_slots_are_drawn():
    copied = make_copy()
    copied |= dict.fromkeys(
        ("write_weights", "read_weights"), np.full((12, 16), 1 / 16)
    )
    figure = plots.plot_copy(**copied)
    assert figure.axes[3].get_title(loc="left") == (
        "Write weights: 16 of 16 slots"
    )
    one = make_copy(length=1, silent=0)
    assert images(plots.plot_copy(**one))[4].shape == (1, 4)


def test_all_steps_count_by_default():
    copied = make_copy(silent=0)
    del copied["sample_weight"]
    figure = plots.plot_copy(**copied)
    np.testing.assert_array_equal(images(figure)[2], copied["outputs"].T)
    assert figure.axes[2].get_title(loc="left").endswith("of 30 bits wrong")
    assert not figure.axes[0].lines


@pytest.mark.parametrize("length, bits", [(1, 1), (20, 8), (60, 8)])
def test_sequences_of_any_length_fit(length, bits):
    copied = make_copy(length, bits, slots=128, silent=0)
    assert_texts_are_apart(plots.plot_copy(**copied))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"inputs": np.zeros((12, 5, 1))}, r"`inputs` .*\(steps, channels\)"),
        ({"inputs": np.full((12, 5), 2)}, r"`inputs` must lie in \[0, 1\]"),
        ({"target": np.zeros((11, 3))}, r"`target` .*\(steps=12, bits\)"),
        ({"outputs": np.zeros((12, 4))}, r"`outputs` .*\(steps=12, bits=3\)"),
        ({"outputs": np.full((12, 3), -1.5)}, "`outputs` .* from -1.5 to -1.5"),
        ({"outputs": np.full((12, 3), np.nan)}, "`outputs` must be finite"),
        ({"write_weights": np.zeros((12, 1, 16))}, r"\(steps=12, slots\)"),
        ({"read_weights": np.zeros((12, 15))}, r"\(steps=12, slots=16\)"),
        ({"sample_weight": np.ones((12, 1))}, r"`sample_weight` .*\(steps=12"),
        ({"sample_weight": np.zeros(12)}, "must not be 0 at all steps"),
    ],
)
def test_copy_errors(change, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_copy(**{**make_copy(), **change})
