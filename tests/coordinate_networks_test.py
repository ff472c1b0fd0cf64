"""Tests of the networks that make fast weights, coordinate by coordinate."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from quadratic_tasks import close, vector

from keras_meta.layers import CoordinateLSTM, CoordinateMLP, coordinate_blocks
from keras_meta.layers.coordinate_networks import log_and_sign

RNG = np.random.default_rng(0)


def gradients_like(*shape):
    """Numbers of all magnitudes, and a zero."""
    values = RNG.normal(size=shape) * 10.0 ** RNG.integers(-9, 2, shape)
    values[0, 0] = 0
    return values


def randomize(layer):
    """Draws all weights of a layer."""
    for variable in layer.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape))


def build(layer, units=4):
    layer = layer(units)
    layer.build((None, None))
    randomize(layer)
    return layer


def run(layer, gradients):
    if isinstance(layer, CoordinateLSTM):
        return layer(gradients, tf.constant(len(gradients)))
    return layer(gradients)


def test_the_two_numbers_of_the_vector(float64):
    data = vector("metanet")
    found = log_and_sign(np.array(data["inputs"]["preprocess_values"]))
    close(np.stack(found, axis=-1), data["expected"]["preprocess"])


def test_the_lstm_is_that_of_keras(float64):
    ours = build(CoordinateLSTM)
    theirs = keras.layers.LSTM(4, use_cudnn=False)
    theirs.build((None, 3, 2))
    theirs.set_weights([np.array(w) for w in ours.trainable_variables[:3]])
    gradients = gradients_like(3, 11)
    features = np.stack(log_and_sign(gradients), axis=-1)
    h = np.array(theirs(features.transpose(1, 0, 2)))
    *_, kernel, bias = (np.array(w) for w in ours.trainable_variables)
    close(run(ours, gradients), (h @ kernel + bias).T)


def test_the_mlp_is_dense_layers(float64):
    ours = build(CoordinateMLP)
    gradients = gradients_like(3, 11)
    h = np.stack(log_and_sign(gradients), axis=-1)
    weights = [np.array(w) for w in ours.trainable_variables]
    for number in range(3):
        h = h @ weights[2 * number] + weights[2 * number + 1]
        h = h if number == 2 else np.maximum(h, 0)
    close(run(ours, gradients), h[..., 0])


def test_the_lstm_reads_as_many_steps_as_it_is_told(float64):
    layer = build(CoordinateLSTM)
    gradients = gradients_like(4, 6)
    for steps in range(1, 5):
        close(
            layer(gradients, tf.constant(steps)), run(layer, gradients[:steps])
        )


@pytest.mark.parametrize("layer", [CoordinateLSTM, CoordinateMLP])
@pytest.mark.parametrize("block", [1, 4, 11])
def test_blocks_change_neither_values_nor_gradients(
    layer, block, float64, monkeypatch
):
    layer = build(layer)
    gradients = tf.constant(gradients_like(3, 11))

    def values():
        with tf.GradientTape() as tape:
            tape.watch(gradients)
            made = run(layer, gradients)
            value = tf.reduce_sum(tf.sin(made))
        variables = [v.value for v in layer.trainable_variables]
        *found, through = tape.gradient(value, [*variables, gradients])
        assert through is None
        return [made, *found]

    expected = values()
    monkeypatch.setattr(coordinate_blocks, "BLOCK", block)
    for a, b in zip(tf.function(values)(), expected, strict=True):
        close(a, b)


@pytest.mark.parametrize("layer", [CoordinateLSTM, CoordinateMLP])
def test_gradients_of_weights_are_finite_differences(layer, float64):
    layer = build(layer)
    gradients = gradients_like(3, 5)

    def value():
        return tf.reduce_sum(tf.sin(run(layer, gradients)))

    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        found = value()
    found = tape.gradient(found, variables)
    for variable, gradient in zip(variables, found, strict=True):
        start, direction = variable.numpy(), RNG.normal(size=variable.shape)
        ends = []
        for sign in (1, -1):
            variable.assign(start + sign * 1e-6 * direction)
            ends.append(value())
        variable.assign(start)
        slope = (ends[0] - ends[1]) / 2e-6
        close(np.sum(gradient * direction), slope, 1e-6)


def test_the_forget_gate_begins_open():
    layer = CoordinateLSTM(3)
    layer.build((None, None))
    close(layer.bias, [0] * 3 + [1] * 3 + [0] * 6)


@pytest.mark.parametrize("layer", [CoordinateLSTM, CoordinateMLP])
def test_it_is_saved_and_its_units_are_checked(layer):
    assert layer.from_config(layer(7).get_config()).units == 7
    with pytest.raises(ValueError, match="`units` must be"):
        layer(0)
