"""What the tests of all memory cells share."""

import keras
import numpy as np
import tensorflow as tf

from tests import reference


def randomized(cell, size, scale=0.7):
    """The cell, built for inputs of `size` numbers, with random weights."""
    random = np.random.default_rng(1)
    cell.build((None, size))
    for weight in cell.weights:
        weight.assign(scale * random.standard_normal(weight.shape))
    return cell


def trace(cell, inputs):
    """Outputs and inner weights of each step, as NumPy arrays.

    `inputs (batch, steps, size)`.
    """
    states = cell.get_initial_state(len(inputs))
    for t in range(inputs.shape[1]):
        outputs, states, weights = cell.step(inputs[:, t], states)
        yield keras.tree.map_structure(
            keras.ops.convert_to_numpy, (outputs, weights)
        )


def weighted_mean(outputs):
    """A loss to which each output and step counts differently."""
    factors = np.sin(np.arange(np.prod(outputs.shape)))
    factors = tf.constant(factors.reshape(outputs.shape), outputs.dtype)
    return tf.reduce_mean(outputs * factors)


def numpy_control(cell, x, state, feeds_reads=True):
    """The controller's `h` and states after one step of one sample."""
    reads = state["reads"].ravel() if feeds_reads else []
    kernel, bias = (w.numpy() for w in cell.input_layer.weights)
    recurrent_kernel = cell.recurrent_layer.kernel.numpy()
    if cell.controller == "dense":
        return np.tanh(x @ kernel + bias + reads @ recurrent_kernel), {}
    before = np.concatenate([state["h"], reads])
    h, c = reference.lstm_step(
        x, before, state["c"], kernel, bias, recurrent_kernel
    )
    return h, {"h": h, "c": c}


def gradients(layer, inputs, jit_compile=False):
    """A loss of the sequences and its gradient for each weight."""

    @tf.function(jit_compile=jit_compile)
    def both():
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            loss = weighted_mean(layer(inputs))
        return loss, tape.gradient(loss, weights)

    return both()


def check_finite_differences(cell, inputs):
    """The gradient along a random direction is a central difference."""
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer(inputs)
    random = np.random.default_rng(2)
    _, slopes = gradients(layer, inputs)
    loss = tf.function(lambda: weighted_mean(layer(inputs)))
    for weight, slope in zip(cell.trainable_weights, slopes, strict=True):
        before = weight.numpy()
        direction = random.standard_normal(before.shape)
        losses = []
        for step in (1e-6, -1e-6):
            weight.assign(before + step * direction)
            losses.append(float(loss()))
        weight.assign(before)
        expected = (losses[0] - losses[1]) / 2e-6
        np.testing.assert_allclose(
            np.sum(slope * direction), expected, rtol=1e-5, atol=1e-9
        )


def check_jit_compile(cell, inputs):
    """XLA gives the losses and gradients of the plain graph."""
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer(inputs)
    plain, compiled = (gradients(layer, inputs, jit) for jit in (False, True))
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        plain,
        compiled,
    )


def check_long_sequences(cell, size):
    """From the first state, 200 steps and their gradients are finite."""
    inputs = np.random.default_rng(3).standard_normal((2, 200, size))
    layer = keras.layers.RNN(cell, return_sequences=True)
    # A call would run 200 steps of it one by one.
    layer.build(inputs.shape)
    loss, slopes = gradients(layer, inputs)
    assert np.isfinite(loss)
    for weight, slope in zip(cell.trainable_weights, slopes, strict=True):
        assert np.all(np.isfinite(slope)), weight.path
        assert np.any(slope != 0), weight.path


def check_mask(cell, size):
    """Masked steps leave the states as they were."""
    inputs = np.random.default_rng(4).standard_normal((2, 6, size))
    inputs = inputs.astype("float32")
    layer = keras.layers.RNN(cell, return_state=True)
    mask = np.array([[1, 1, 0, 1, 0, 0]] * 2, bool)
    masked = layer(inputs, mask=tf.constant(mask))
    short = layer(inputs[:, [0, 1, 3]])
    for a, b in zip(masked, short, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def check_saving(cell, size, path):
    """A model with the cell reloads, whatever its batch and length."""
    inputs = keras.Input((None, size))
    outputs = keras.layers.RNN(cell, return_sequences=True)(inputs)
    assert outputs.shape == (None, None, cell.output_size)
    model = keras.Model(inputs, outputs)
    model.save(path)
    loaded = keras.models.load_model(path)
    for shape in ((2, 5, size), (3, 4, size)):
        x = np.random.default_rng(5).standard_normal(shape)
        np.testing.assert_array_equal(
            model.predict(x, verbose=0), loaded.predict(x, verbose=0)
        )
    again = loaded.layers[-1].cell
    assert again.get_config() == cell.get_config()


def check_policy(cell, size):
    """Sequences and their gradients are finite, states in its precision."""
    layer = keras.layers.RNN(cell, return_sequences=True)
    inputs = np.ones((2, 4, size))
    layer(inputs)
    _, slopes = gradients(layer, inputs)
    assert all(keras.ops.all(keras.ops.isfinite(slope)) for slope in slopes)
    for state in cell.get_initial_state(2):
        assert keras.backend.standardize_dtype(state.dtype) == (
            cell.compute_dtype
        )
