"""Tests of the figure of gates."""

import numpy as np
import pytest

from keras_meta.plots import plot_gates


def drawn_gates(steps=4, weights=2):
    rng = np.random.default_rng(0)
    shape = (3, steps, weights)
    return {key: rng.random(shape) for key in ("forget_gates", "input_gates")}


def test_curves_are_means_over_tasks_beside_those_of_descent():
    gates = drawn_gates()
    figure = plot_gates(gates, ["kernel", "bias"], rate=0.1)
    for axes, key, constant in zip(figure.axes, gates, (1, 0.1), strict=True):
        *curves, descent = axes.lines
        found = np.transpose([curve.get_ydata() for curve in curves])
        np.testing.assert_allclose(found, gates[key].mean(axis=0))
        np.testing.assert_array_equal(descent.get_ydata(), constant)


@pytest.mark.parametrize("key", ["forget_gates", "input_gates"])
def test_bad_gates_are_errors(key):
    names = ["kernel", "bias"]
    with pytest.raises(ValueError, match=key):
        plot_gates({**drawn_gates(), key: np.ones((3, 4))}, names)
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        plot_gates({**drawn_gates(), key: np.full((3, 4, 2), 2.0)}, names)
