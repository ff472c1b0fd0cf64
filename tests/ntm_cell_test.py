"""Tests of the memory of the Neural Turing Machine."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta
from keras_meta.layers.content_addressing import cosine_similarity, read
from keras_meta.layers.ntm_cell import (
    addressing_parameters,
    interpolate,
    sharpen,
    shift,
    write,
)
from tests import memory_cells, reference
from tests.memory_cells import randomized, trace

VECTORS = pathlib.Path(__file__).parent / "vectors"
VECTOR = json.loads((VECTORS / "ntm_addressing.json").read_text("utf-8"))
OPTIONS = [
    {},
    {"write_heads": 3, "shift_range": 2},
    {"addressing": "content"},
    {"read_after_write": True, "controller": "dense"},
]


def small(slots=6, width=4, heads=2, units=3, **options):
    return keras_meta.layers.NTMCell(units, slots, width, heads, **options)


def random_inputs(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_addressing_equals_the_vector(double):
    # One head: an axis after that of the batch.
    given = {
        name: np.array(value)[:, None]
        for name, value in VECTOR["inputs"].items()
        if name not in ("memory", "raw_head_outputs")
    }
    beta, g, gamma = (given[name][..., None] for name in ("beta", "g", "gamma"))
    memory = np.array(VECTOR["inputs"]["memory"])
    expected = VECTOR["expected"]
    similarity = cosine_similarity(given["key"], memory)
    close(similarity[:, 0], expected["content_similarity"])
    content = keras.ops.softmax(beta * similarity)
    close(content[:, 0], expected["w_content"])
    gated = interpolate(content, given["w_prev"], g)
    close(gated[:, 0], expected["w_gated"])
    shifted = shift(gated, given["s"])
    close(shifted[:, 0], expected["w_shifted"])
    close(shift(gated, given["s5"])[:, 0], expected["w_shifted_range2"])
    weights = sharpen(shifted, gamma)
    close(weights[:, 0], expected["w"])
    close(read(weights, memory)[:, 0], expected["read"])
    close(
        write(memory, weights, given["erase"], given["add"]),
        expected["memory_after_write"],
    )


def test_head_activations_equal_the_vector(double):
    raw = VECTOR["inputs"]["raw_head_outputs"]
    names = ("k", "beta", "g", "s", "gamma")
    columns = [np.reshape(raw[name], (2, 1, -1)) for name in names]
    found = addressing_parameters(np.concatenate(columns, axis=-1), 4)
    for name, value in zip(names, found, strict=True):
        expected = VECTOR["expected"]["activated_head_outputs"][name]
        close(value, np.reshape(expected, (2, 1, -1)))


def test_an_offset_of_one_moves_to_the_next_row():
    one_hot = np.eye(8, dtype="float32")[None, None, 2]
    moved = shift(one_hot, np.array([[[0.0, 0, 1]]], "float32"))
    expected = VECTOR["expected"]["one_hot_row2_shift_plus1"]
    np.testing.assert_array_equal(moved[0], expected)
    # It is circular.
    moved = shift(one_hot, np.array([[[1.0, 0, 0, 0, 0, 0, 0]]], "float32"))
    np.testing.assert_array_equal(moved[0, 0], np.eye(8)[7])


@pytest.mark.parametrize("gamma", [1.0, 21.0])
def test_sharpening_is_finite_where_powers_underflow(gamma):
    weights = tf.Variable(tf.fill((1, 1, 1000), 1e-3))
    for values in (weights, tf.one_hot([[3]], 1000)):
        with tf.GradientTape() as tape:
            tape.watch(values)
            sharp = sharpen(values, gamma)
            first = sharp[0, 0, 0]
        np.testing.assert_allclose(tf.reduce_sum(sharp), 1, rtol=1e-5)
        assert np.all(np.isfinite(tape.gradient(first, values)))


@pytest.mark.parametrize("options", OPTIONS)
def test_steps_equal_those_of_numpy(options, double):
    cell = randomized(small(**options), 5)
    inputs = random_inputs(2, 4, 5)
    for sample in range(2):
        state = {
            name: np.reshape(value[0], shape)
            for (name, shape), value in zip(
                cell.state_shapes.items(),
                cell.get_initial_state(1),
                strict=True,
            )
        }
        for t, (outputs, weights) in enumerate(trace(cell, inputs)):
            h, state = numpy_step(cell, inputs[sample, t], state)
            close(outputs[sample], np.concatenate([h, state["reads"].ravel()]))
            for name, found in weights.items():
                close(found[sample], state[name])


def numpy_step(cell, x, state):
    """`h` and all states after one step of one sample."""
    h, carried = memory_cells.numpy_control(cell, x, state)

    def heads(layer, count):
        kernel, bias = (weight.numpy() for weight in layer.weights)
        return np.clip(h @ kernel + bias, -20, 20).reshape(count, -1)

    def address(memory, name, raw):
        before = state.get(name, [None] * len(raw))
        return np.array(
            [
                reference.ntm_weights(memory, w, numbers, cell.addressing)
                for w, numbers in zip(before, raw, strict=True)
            ]
        )

    memory, width = state["memory"], cell.memory_width
    raw = heads(cell.write_layer, cell.write_heads)
    write_weights = address(memory, "write_weights", raw[:, 2 * width :])
    written = memory.copy()
    for w, numbers in zip(write_weights, raw, strict=True):
        erase, add = numbers[:width], numbers[width : 2 * width]
        written = written * (1 - np.outer(w, reference.sigmoid(erase)))
        written = written + np.outer(w, np.tanh(add))
    seen = written if cell.read_after_write else memory
    raw = heads(cell.read_layer, cell.read_heads)
    read_weights = address(seen, "read_weights", raw)
    return h, {
        **carried,
        "memory": written,
        "read_weights": read_weights,
        "write_weights": write_weights,
        "reads": read_weights @ seen,
    }


def test_reads_see_the_memory_before_the_write():
    """Unless asked: then a first write of a large number is read at once."""
    for after in (False, True):
        cell = small(read_after_write=after, write_heads=1)
        cell.build((None, 5))
        bias = cell.write_layer.bias.numpy()
        bias[:8] = 9
        cell.write_layer.bias.assign(bias)
        outputs, _, weights = cell.step(
            np.zeros((1, 5), "float32"), cell.get_initial_state(1)
        )
        assert weights["memory"].numpy().max() > 0.01
        assert (np.abs(outputs[:, 3:]).max() > 1e-3) == after


def test_one_sharp_write_comes_back():
    memory = np.full((1, 5, 4), 1e-6, "float32")
    content = np.array([[[0.5, -1, 0.2, 0.9]]], "float32")
    weights = np.eye(5, dtype="float32")[None, None, 3]
    memory = write(memory, weights, np.ones((1, 1, 4), "float32"), content)
    found = keras.ops.softmax(20 * cosine_similarity(content, memory))
    np.testing.assert_allclose(read(found, memory), content, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
def test_all_weights_sum_to_one(options):
    cell = randomized(small(**options), 5, scale=3)
    for _, weights in trace(cell, random_inputs(2, 20, 5).astype("float32")):
        for name in ("read_weights", "write_weights"):
            sums = weights[name].sum(axis=-1)
            np.testing.assert_allclose(sums, 1, rtol=1e-5)
            assert weights[name].min() >= 0


def test_what_heads_ask_for_is_clipped():
    cell = randomized(small(), 5, scale=1e6)
    layer = keras.layers.RNN(cell, return_sequences=True)
    outputs = layer(random_inputs(2, 20, 5))
    assert np.all(np.isfinite(outputs))


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_equal_finite_differences(options, double):
    cell = randomized(small(**options), 5)
    memory_cells.check_finite_differences(cell, random_inputs(2, 4, 5))


@pytest.mark.parametrize("options", OPTIONS[1:2])
def test_jit_compile_changes_nothing(options):
    cell = randomized(small(slots=9, **options), 5)
    memory_cells.check_jit_compile(cell, random_inputs(2, 6, 5))


@pytest.mark.parametrize("options", OPTIONS)
def test_long_sequences_have_finite_gradients(options):
    memory_cells.check_long_sequences(small(slots=16, **options), 5)


def test_masked_steps_are_skipped():
    memory_cells.check_mask(small(), 5)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_model_is_saved_and_loaded(options, tmp_path):
    memory_cells.check_saving(small(**options), 5, tmp_path / "m.keras")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float64"])
def test_other_dtypes_run(policy):
    keras.config.set_dtype_policy(policy)
    memory_cells.check_policy(small(), 5)


@pytest.mark.parametrize(
    "controller, states, parameters",
    [("lstm", [3, 3], 4 * 3 * (5 + 8 + 3 + 1)), ("dense", [], 3 * (5 + 8 + 1))],
)
def test_sizes(controller, states, parameters):
    cell = small(controller=controller, write_heads=3, shift_range=2)
    cell.build((None, 5))
    assert cell.state_size == [*states, 2 * 4, 2 * 6, 3 * 6, 6 * 4]
    assert cell.output_size == 3 + 2 * 4
    head = 4 + 3 + 5
    heads = (3 + 1) * (2 * head + 3 * (head + 2 * 4))
    learned = 2 * 4 + 2 * 6 + 3 * 6
    assert cell.count_params() == parameters + heads + learned
    shapes = [tuple(state.shape) for state in cell.get_initial_state(7)]
    assert shapes == [(7, size) for size in cell.state_size]


def test_rows_do_not_stay_equal_under_content_addressing():
    cell = small(addressing="content")
    cell.build((None, 5))
    assert cell.state_size == [3, 3, 2 * 4, 6 * 4]
    *_, (_, weights) = trace(cell, np.ones((1, 3, 5), "float32"))
    assert weights["memory"][0].std(axis=0).min() > 1e-3


def test_the_first_state_needs_the_learned_weights():
    with pytest.raises(ValueError, match=r"call `build\(\(None, size\)\)`"):
        small().get_initial_state(2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"memory_slots": 0}, "`memory_slots` must be at least 1"),
        ({"memory_width": 1.5}, "`memory_width` must be an integer"),
        ({"units": 0}, "`units` must be at least 1"),
        ({"read_heads": 7}, "must be at most `memory_slots`, 6. Received"),
        ({"write_heads": 0}, "`write_heads` must be at least 1"),
        ({"shift_range": 0}, "`shift_range` must be at least 1"),
        ({"addressing": "location"}, "`addressing` must be one of"),
        ({"controller": None}, "`controller` must be one of"),
    ],
)
def test_bad_arguments_are_named(change, message):
    sizes = {"units": 3, "memory_slots": 6, "memory_width": 4, "read_heads": 2}
    with pytest.raises(ValueError, match=message):
        keras_meta.layers.NTMCell(**{**sizes, **change})
