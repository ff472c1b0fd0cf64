"""Tests of the loss of strings."""

import json
import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from keras_meta.sequence_losses import StringCrossentropy

VECTORS = pathlib.Path(__file__).parent / "vectors"


def vector():
    """Targets and logits `(2, 6, 25)`, and what is expected."""
    content = json.loads((VECTORS / "mann_episode.json").read_text())
    labels = np.array(content["inputs"]["labels"])
    target = np.array(content["expected"]["string_vectors"])[labels]
    return (
        target,
        np.array(content["inputs"]["string_logits"]),
        content["expected"],
    )


def random_strings(*shape, seed=0):
    """Targets and logits `(*shape, 25)`."""
    generator = np.random.default_rng(seed)
    letters = np.eye(5)[generator.integers(0, 5, (*shape, 5))]
    logits = generator.normal(size=(*shape, 25))
    return letters.reshape(*shape, 25), logits


def test_it_equals_the_vector(double):
    target, logits, expected = vector()
    by_step = np.array(expected["string_ce_per_step"])
    np.testing.assert_allclose(
        StringCrossentropy(reduction=None)(target, logits),
        by_step,
        rtol=0,
        atol=1e-10,
    )
    mean = StringCrossentropy()(target, logits)
    assert float(mean) == pytest.approx(by_step.mean(), abs=1e-10)


def test_it_is_the_sum_over_letters(double):
    target, logits = random_strings(3, 4)
    letters = -np.log(reference.softmax(logits.reshape(3, 4, 5, 5)))
    expected = (letters * target.reshape(3, 4, 5, 5)).sum(axis=(2, 3))
    np.testing.assert_allclose(
        StringCrossentropy(reduction=None)(target, logits),
        expected,
        rtol=1e-12,
    )


def test_large_logits_stay_finite():
    target, logits = random_strings(2, 3)
    loss = StringCrossentropy()(target, 1e4 * logits)
    assert np.isfinite(float(loss))


def test_a_zero_row_has_loss_and_gradient_zero():
    target, logits = random_strings(2, 3)
    target[1, 2] = 0
    logits = tf.constant(logits, "float32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = StringCrossentropy(reduction=None)(target, logits)
    gradient = tape.gradient(losses, logits).numpy()
    assert float(losses[1, 2]) == 0
    assert not gradient[1, 2].any()
    assert gradient[:1].all()


def test_it_trains_and_is_saved_with_a_model(tmp_path):
    target, _ = random_strings(4, 6)
    model = keras.Sequential([keras.Input((6, 25)), keras.layers.Dense(25)])
    model.compile(keras.optimizers.Adam(0.1), StringCrossentropy())
    losses = model.fit(target, target, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, StringCrossentropy)
    np.testing.assert_allclose(
        loaded.evaluate(target, target, verbose=0),
        model.evaluate(target, target, verbose=0),
        rtol=1e-5,
    )


def test_it_runs_in_a_graph_of_unknown_sizes():
    spec = tf.TensorSpec((None, None, 25))
    loss = tf.function(StringCrossentropy(), input_signature=[spec, spec])
    for shape in ((2, 3), (4, 1)):
        target, logits = random_strings(*shape)
        np.testing.assert_allclose(
            loss(target.astype("float32"), logits.astype("float32")),
            StringCrossentropy()(target, logits),
            rtol=1e-6,
        )


@pytest.mark.parametrize("name, columns", [("y_true", 5), ("y_pred", 24)])
def test_another_number_of_columns_is_an_error(name, columns):
    arguments = {name: np.zeros((2, 25)) for name in ("y_true", "y_pred")}
    arguments[name] = np.zeros((2, columns))
    with pytest.raises(
        ValueError,
        match=rf"`{name}` must have 25 columns.*shape \(2, {columns}\)",
    ):
        StringCrossentropy()(**arguments)
