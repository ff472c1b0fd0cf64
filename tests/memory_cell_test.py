"""Tests of what the cells with an external memory share."""

import json
import pathlib

import keras
import numpy as np
import pytest

import keras_meta
from keras_meta.layers.content_addressing import cosine_similarity
from keras_meta.layers.memory_cell import ProjectedCell

VECTORS = pathlib.Path(__file__).parent / "vectors"
every_cell = pytest.mark.parametrize(
    "cell_class", [keras_meta.layers.LRUACell, keras_meta.layers.NTMCell]
)


def small(cell_class):
    return cell_class(units=3, memory_slots=6, memory_width=4, read_heads=2)


def test_cosines_equal_those_of_the_vector(double):
    vector = json.loads((VECTORS / "kernels.json").read_text("utf-8"))
    given = {k: np.array(v) for k, v in vector["inputs"].items()}
    for name, x in (
        ("cosine_similarity", given["x"]),
        ("cosine_similarity_zero_row", given["x_with_zero_row"]),
    ):
        found = cosine_similarity(x[None], given["y"][None])[0]
        np.testing.assert_allclose(
            found, vector["expected"][name], rtol=0, atol=1e-10
        )


@every_cell
def test_inputs_of_all_steps_may_be_projected_at_once(cell_class):
    cell = small(cell_class)
    x = np.random.default_rng(0).random((2, 5, 3)).astype("float32")
    expected = keras.layers.RNN(cell, return_sequences=True)(x)
    found = keras.layers.RNN(ProjectedCell(cell), return_sequences=True)(
        cell.project(x)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"\(batch, 3\).*Received: inputs of"):
        cell.project(x[..., :2])


@every_cell
@pytest.mark.parametrize("shape", [(2, 5), (2, 4, 5, 3), (2, 4, None)])
def test_sequences_must_hold_vectors(cell_class, shape):
    layer = keras.layers.RNN(small(cell_class))
    with pytest.raises(ValueError, match=r"must be vectors.*Received: inputs"):
        layer.build(shape)


@every_cell
@pytest.mark.parametrize("shape", [(2, 4), (2, 5, 1), (5,)])
def test_inputs_must_have_the_size_built_for(cell_class, shape):
    cell = small(cell_class)
    cell.build((None, 5))
    states = cell.get_initial_state(2)
    with pytest.raises(ValueError, match=r"\(batch, 5\) that it was built"):
        cell.step(np.ones(shape, "float32"), states)


@every_cell
def test_states_must_have_their_sizes(cell_class):
    cell = small(cell_class)
    cell.build((None, 5))
    states = cell.get_initial_state(2)
    with pytest.raises(ValueError, match=r"sizes \[3, 3, 8, .*'memory'\]"):
        cell.step(np.ones((2, 5), "float32"), states[:-1])


@every_cell
def test_a_step_alone_builds_the_cell_and_keeps_no_state(cell_class):
    cell = small(cell_class)
    x = np.ones((2, 5), "float32")
    cell.build(x.shape)
    states = cell.get_initial_state(2)
    (first, new, weights), (second, _, _) = (
        cell.step(x, states) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    called, after = cell(x, states)
    np.testing.assert_array_equal(first, called)
    for a, b in zip(new, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert weights["memory"].shape == (2, 6, 4)
    assert weights["read_weights"].shape == (2, 2, 6)


@every_cell
def test_a_trace_has_the_weights_of_all_steps(cell_class):
    cell = small(cell_class)
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    layer = keras.layers.RNN(cell, return_state=True)
    memory = layer(x)[-1]
    traced = cell.trace(x)
    assert "usage_weights" in traced or cell_class is keras_meta.layers.NTMCell
    np.testing.assert_allclose(
        traced["memory"], np.reshape(memory, (2, 6, 4)), rtol=1e-5, atol=1e-6
    )
    states = cell.get_initial_state(2)
    for step in range(4):
        _, states, weights = cell.step(x[:, step], states)
        for name in set(weights) - {"memory"}:
            np.testing.assert_array_equal(
                traced[name][:, step], weights[name], err_msg=name
            )


@every_cell
@pytest.mark.parametrize("shape", [(4, 5), (2, 0, 5)])
def test_a_trace_needs_sequences_with_steps(cell_class, shape):
    cell = small(cell_class)
    cell.build((None, 5))
    with pytest.raises(ValueError, match="`inputs` must have the shape .*step"):
        cell.trace(np.ones(shape))
