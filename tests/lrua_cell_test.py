"""Tests of the least recently used access of Santoro et al."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_meta
from tests import memory_cells, reference
from tests.memory_cells import randomized, trace

VECTORS = pathlib.Path(__file__).parent / "vectors"
VECTOR = json.loads((VECTORS / "mann_lrua.json").read_text("utf-8"))
# The options of each case of the vector.
CASES = {
    "steps": {},
    "variant_per_head_assignment": {"least_used": "per_head"},
    "variant_zero_all_n_rows": {"zeroed_rows": "all"},
    "variant_address_previous_memory": {"address_memory": "previous"},
    "variant_dynamic_alpha": {"gate": "controller"},
    "variant_separate_add_vector": {"written_content": "separate_add"},
    "fresh_state_steps": {},
}
OPTIONS = [
    {},
    {"least_used": "per_head", "zeroed_rows": "all"},
    {"least_used": "threshold", "zeroed_rows": "all", "usage_decay": 0.99},
    {"address_memory": "previous", "written_content": "separate_add"},
    {"gate": "controller", "controller": "dense"},
    {"controller_input": "inputs"},
]


def small(slots=6, width=4, heads=2, units=3, **options):
    return keras_meta.layers.LRUACell(units, slots, width, heads, **options)


def random_inputs(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def named(cell, states):
    """States of one sample, by name."""
    return {
        name: np.reshape(state[0], shape)
        for (name, shape), state in zip(
            cell.state_shapes.items(), states, strict=True
        )
    }


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_vector_is_reproduced(case, jit_compile, double):
    cell = small(**CASES[case])
    given = {k: np.array(v) for k, v in VECTOR["inputs"].items()}
    start = given["fresh_state"].item() if "fresh" in case else given
    state = {
        "memory": np.array(start["memory0"])[None],
        "read_weights": np.array(start["w_read0"])[None],
        "usage_weights": np.array(start["w_usage0"])[None],
    }
    if "fresh" in case:
        first = named(cell, cell.get_initial_state(1))
        for name, value in state.items():
            np.testing.assert_array_equal(first[name], value[0])
    access = tf.function(cell.access, jit_compile=jit_compile)
    for t, expected in enumerate(VECTOR["expected"][case]):
        keys = content = given["keys"][t]
        alpha = given["alpha"]
        if cell.written_content == "separate_add":
            content = given["add_vectors"][t]
        if cell.gate == "controller":
            alpha = given["alpha_dynamic"][t]
        gates = reference.sigmoid(alpha)[:, None]
        state, weights = access(keys[None], content[None], gates, state)
        for name, found in (
            ("w_write", weights["write_weights"]),
            ("memory", weights["memory"]),
            ("w_read", weights["read_weights"]),
            ("w_usage", weights["usage_weights"]),
            ("read", state["reads"]),
        ):
            np.testing.assert_allclose(
                found[0], expected[name], rtol=0, atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("options", OPTIONS)
def test_steps_equal_those_of_numpy(options, double):
    cell = randomized(small(**options), 5)
    inputs = random_inputs(2, 4, 5)
    for sample in range(2):
        state = named(cell, cell.get_initial_state(1))
        for t, (outputs, weights) in enumerate(trace(cell, inputs)):
            h, state = numpy_step(cell, inputs[sample, t], state)
            expected = np.concatenate([h, state["reads"].ravel()])
            np.testing.assert_allclose(outputs[sample], expected, atol=1e-10)
            for name, found in weights.items():
                np.testing.assert_allclose(
                    found[sample], state[name], atol=1e-10, err_msg=name
                )


def numpy_step(cell, x, state):
    """`h` and all states after one step of one sample."""
    h, carried = memory_cells.numpy_control(
        cell, x, state, cell.controller_input == "inputs_and_reads"
    )

    def head(layer):
        kernel, bias = (weight.numpy() for weight in layer.weights)
        return h @ kernel + bias

    shape = (cell.read_heads, cell.memory_width)
    keys = content = np.tanh(head(cell.key_layer)).reshape(shape)
    if cell.written_content == "separate_add":
        content = np.tanh(head(cell.add_layer)).reshape(shape)
    dynamic = cell.gate == "controller"
    alpha = head(cell.gate_layer) if dynamic else cell.alpha.numpy()
    accessed = reference.lrua_access(
        state["memory"],
        state["read_weights"],
        state["usage_weights"],
        keys,
        content,
        reference.sigmoid(alpha),
        cell.least_used,
        cell.zeroed_rows,
        cell.address_memory,
        cell.usage_decay,
    )
    return h, {**carried, **accessed}


def least_used_rows(cell, usage, jit_compile):
    """The rows written by a closed gate from no memory, for each head."""
    slots, heads = cell.memory_slots, cell.read_heads
    state = {
        "memory": tf.zeros((1, slots, cell.memory_width)),
        "read_weights": tf.zeros((1, heads, slots)),
        "usage_weights": tf.constant([usage], "float32"),
    }
    keys = tf.ones((1, heads, cell.memory_width))
    access = tf.function(cell.access, jit_compile=jit_compile)
    return access(keys, keys, tf.zeros((heads, 1)), state)[1]["write_weights"][
        0
    ].numpy()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_lowest_of_equally_used_rows_comes_first(jit_compile):
    cell = small(slots=40, heads=3, least_used="per_head")
    for usage in (
        [1.0] * 40,
        [0.0] * 40,
        [1.0] + [0.0] * 39,
        [3, 2, 1, 1] * 10,
    ):
        found = least_used_rows(cell, usage, jit_compile)
        rows = np.argsort(usage, kind="stable")[:3]
        np.testing.assert_array_equal(found, np.eye(40)[rows])


def test_the_literal_rule_marks_all_fresh_rows():
    cell = small(least_used="threshold")
    expected = VECTOR["expected"]["fresh_state_literal_threshold_mask"]
    found = least_used_rows(cell, [1.0, 0, 0, 0, 0, 0], False)
    np.testing.assert_array_equal(found, [expected] * 2)


def test_read_weights_sum_to_one_and_usage_decays():
    cell = randomized(small(slots=8), 5)
    usage = cell.get_initial_state(2)[4].numpy()
    for _, weights in trace(cell, random_inputs(2, 20, 5)):
        read, write = weights["read_weights"], weights["write_weights"]
        np.testing.assert_allclose(read.sum(axis=-1), 1, rtol=1e-6)
        # A read weight sums to 1 and `w_lu` to the number of heads.
        gates = reference.sigmoid(cell.alpha.numpy())
        total = gates + cell.read_heads * (1 - gates)
        np.testing.assert_allclose(write.sum(axis=-1), [total] * 2, rtol=1e-5)
        expected = 0.95 * usage + read.sum(axis=1) + write.sum(axis=1)
        usage = weights["usage_weights"]
        np.testing.assert_allclose(usage, expected, rtol=1e-5)


def test_what_was_written_once_is_found_by_its_key():
    # It finds a row before the write of the same step.
    cell = small(slots=5, width=4, heads=1, address_memory="previous")
    state = dict(zip(cell.state_shapes, cell.get_initial_state(1), strict=True))
    state = {
        name: ops.reshape(state[name], (1, *cell.state_shapes[name]))
        for name in ("memory", "read_weights", "usage_weights")
    }
    keys = np.eye(4, dtype="float32")[None, :, None]
    # A closed gate writes to the row least used alone.
    for t in range(4):
        state, weights = cell.access(keys[:, t], keys[:, t], 0.0, state)
        state.pop("reads")
    memory = weights["memory"][0].numpy()
    np.testing.assert_allclose(memory[1:], np.eye(4), atol=1e-6)
    for t in range(4):
        _, weights = cell.access(keys[:, t], keys[:, t], 0.0, state)
        row = np.argmax(weights["read_weights"][0, 0])
        np.testing.assert_allclose(memory[row], keys[0, t, 0], atol=1e-6)


def test_the_content_of_one_write_is_read():
    cell = small(heads=1)
    state = named(cell, cell.get_initial_state(1))
    state = {name: value[None] for name, value in state.items()}
    key = np.array([[[0.5, -1, 0.2, 0.9]]], "float32")
    accessed, weights = cell.access(key, key, 0.0, state)
    # Row 0 was used at the start; the first of the others is written.
    row = weights["read_weights"][0, 0].numpy()
    assert np.argmax(row) == 1
    # What else is read holds 1e-6.
    np.testing.assert_allclose(accessed["reads"], row[1] * key, atol=2e-6)


@pytest.mark.parametrize("options", OPTIONS[:3])
def test_no_gradient_goes_through_the_choice_of_rows(options):
    cell = small(**options)
    state = {
        "memory": tf.random.normal((1, 6, 4)),
        "read_weights": tf.nn.softmax(tf.random.normal((1, 2, 6))),
        "usage_weights": tf.random.uniform((1, 6)),
    }
    keys = tf.random.normal((1, 2, 4))
    with tf.GradientTape() as tape:
        tape.watch(state)
        accessed, _ = cell.access(keys, keys, 0.4, state)
        loss = tf.reduce_sum(accessed["reads"] ** 2)
    slopes = tape.gradient(loss, state)
    assert slopes["usage_weights"] is None
    assert np.any(slopes["read_weights"])
    # The row least used is zeroed whatever it held.
    zeroed = np.argmin(state["usage_weights"][0])
    assert not np.any(slopes["memory"][0, zeroed])


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_equal_finite_differences(options, double):
    cell = randomized(small(**options), 5)
    memory_cells.check_finite_differences(cell, random_inputs(2, 4, 5))


@pytest.mark.parametrize("options", [OPTIONS[0], {**OPTIONS[1], **OPTIONS[3]}])
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


def test_fit_trains_it_under_xla():
    layer = keras.layers.RNN(small(), return_sequences=True)
    model = keras.Sequential([layer, keras.layers.Dense(2)])
    model.compile("adam", "mse", jit_compile=True)
    x, y = random_inputs(4, 6, 5), random_inputs(4, 6, 2)
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "controller, states, parameters",
    [("lstm", [3, 3], 4 * 3 * (5 + 8 + 3 + 1)), ("dense", [], 3 * (5 + 8 + 1))],
)
def test_sizes(controller, states, parameters):
    cell = small(controller=controller)
    cell.build((None, 5))
    assert cell.state_size == [*states, 2 * 4, 2 * 6, 6, 6 * 4]
    assert cell.output_size == 3 + 2 * 4
    # Keys with their bias, and one gate for each head.
    assert cell.count_params() == parameters + (3 + 1) * 8 + 2
    shapes = [tuple(state.shape) for state in cell.get_initial_state(7)]
    assert shapes == [(7, size) for size in cell.state_size]


def test_the_defaults_are_those_of_the_paper():
    cell = keras_meta.layers.LRUACell()
    assert cell.state_size == [200, 200, 4 * 40, 4 * 128, 128, 128 * 40]
    assert (cell.least_used, cell.usage_decay) == ("shared", 0.95)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"memory_slots": 0}, "`memory_slots` must be at least 1"),
        ({"memory_width": -1}, "`memory_width` must be at least 1"),
        ({"units": 2.5}, "`units` must be an integer"),
        ({"read_heads": 0}, "`read_heads` must be at least 1"),
        ({"read_heads": 7}, "must be at most `memory_slots`, 6. Received"),
        ({"controller": "gru"}, "`controller` must be one of"),
        ({"controller_input": "x"}, "`controller_input` must be one of"),
        ({"least_used": "top"}, "`least_used` must be one of"),
        ({"zeroed_rows": "two"}, "`zeroed_rows` must be one of"),
        ({"address_memory": "next"}, "`address_memory` must be one of"),
        ({"gate": True}, "`gate` must be one of"),
        ({"written_content": "x"}, "`written_content` must be one of"),
        ({"usage_decay": 1.5}, r"`usage_decay` must be in \[0, 1\]"),
        ({"usage_decay": "0.9"}, "`usage_decay` must be a finite number"),
    ],
)
def test_bad_arguments_are_named(change, message):
    sizes = {"units": 3, "memory_slots": 6, "memory_width": 4, "read_heads": 2}
    with pytest.raises(ValueError, match=message):
        keras_meta.layers.LRUACell(**{**sizes, **change})
