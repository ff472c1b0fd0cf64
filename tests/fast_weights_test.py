"""Tests of the layers that add fast weights to their slow ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from quadratic_tasks import close, vector

from keras_meta.layers import AugmentedConv2D, AugmentedDense, FastWeights
from keras_meta.layers.fast_weights import WatchedLayers
from keras_meta.layers.kernel_loop import convolve_each

RNG = np.random.default_rng(0)
CASES = {
    "dense": (lambda **kw: AugmentedDense(3, **kw), (6, 5)),
    "convolution": (lambda **kw: AugmentedConv2D(3, 3, **kw), (6, 4, 5, 2)),
    "even kernel": (lambda **kw: AugmentedConv2D(3, 2, **kw), (6, 4, 5, 2)),
}
every_layer = pytest.mark.parametrize(
    "make, shape", CASES.values(), ids=CASES.keys()
)


def built(make, shape, **kwargs):
    """A layer with weights, examples, and fast kernels of four rows."""
    layer = make(**kwargs)
    layer.build((None, *shape[1:]))
    kernels = RNG.normal(size=(4, *layer.kernel.shape))
    return layer, RNG.normal(size=shape), kernels


def test_the_augmented_layer_of_the_vector(float64):
    data = vector("metanet")
    inputs, expected = (
        data[part]["augmented_layer"] for part in ("inputs", "expected")
    )
    x, fast = np.array(inputs["x"]), np.array(inputs["W_fast"])
    for activation, key in (("relu", "hidden"), (None, "logits_style")):
        layer = AugmentedDense(3, activation=activation)
        layer.build(x.shape)
        layer.kernel.assign(inputs["W_slow"])
        with FastWeights([layer], [fast]):
            close(layer(x), expected[key])
    wrong = np.array(expected["NOT_this_relu_of_summed_weights"])
    assert np.abs(wrong - expected["hidden"]).max() > 0.1


@every_layer
def test_without_fast_weights_it_is_the_layer_of_keras(make, shape, float64):
    layer, x, _ = built(make, shape)
    if isinstance(layer, AugmentedDense):
        plain = keras.layers.Dense(3, "relu", use_bias=False)
    else:
        size = layer.kernel_size
        plain = keras.layers.Conv2D(
            3, size, padding="same", activation="relu", use_bias=False
        )
    plain.build(x.shape)
    plain.kernel.assign(layer.kernel)
    close(layer(x), plain(x))
    other = AugmentedDense(3)
    with FastWeights([other], [np.zeros((5, 3))]):
        close(layer(x), plain(x))


@every_layer
def test_attention_mixes_kernels_for_each_example(make, shape, float64):
    layer, x, kernels = built(make, shape)
    attention = RNG.dirichlet(np.ones(4), size=6)
    with FastWeights([layer], [kernels], attention):
        together = layer(x)
    for n in range(6):
        mixed = np.einsum("r,r...->...", attention[n], kernels)
        with FastWeights([layer], [mixed]):
            close(together[n], layer(x[n : n + 1])[0])


@every_layer
def test_scopes_nest(make, shape, float64):
    layer, x, kernels = built(make, shape)
    plain = layer(x)
    with FastWeights([layer], [kernels[0]]):
        outer = layer(x)
        with pytest.raises(KeyError), FastWeights([layer], [kernels[1]]):
            assert np.abs(layer(x) - outer).max() > 0.1
            raise KeyError
        close(layer(x), outer)
    close(layer(x), plain)


@every_layer
def test_gradients_of_kernels_are_those_of_one_example(make, shape, float64):
    layer, x, _ = built(make, shape, activation="tanh")

    def loss(outputs):
        return tf.reduce_sum(outputs**2)

    with tf.GradientTape() as tape:
        with WatchedLayers(tape.watch) as watched:
            # A layer may be called twice.
            value = loss(layer(x)) + 2 * loss(layer(x / 2))
    found = watched.kernel_gradients(
        [layer], tape.gradient(value, watched.connected)
    )
    for n in range(6):
        one = x[n : n + 1]
        with tf.GradientTape() as tape:
            value = loss(layer(one)) + 2 * loss(layer(one / 2))
        close(found[0][n], tape.gradient(value, layer.kernel.value))


@pytest.mark.parametrize("function", [False, True], ids=["eager", "graph"])
def test_a_kernel_for_each_example_has_the_gradients_of_one(function):
    x = tf.constant(RNG.normal(size=(5, 6, 4, 2)))
    kernels = tf.constant(RNG.normal(size=(5, 3, 3, 2, 4)))

    def gradients(convolve):
        with tf.GradientTape() as tape:
            tape.watch([x, kernels])
            outputs = convolve(x, kernels)
            value = tf.reduce_sum(tf.sin(outputs))
        return outputs, *tape.gradient(value, [x, kernels])

    def one_by_one(x, kernels):
        return tf.concat(
            [tf.nn.conv2d(x[n][None], kernels[n], 1, "SAME") for n in range(5)],
            axis=0,
        )

    run = tf.function(gradients) if function else gradients
    for a, b in zip(run(convolve_each), gradients(one_by_one), strict=True):
        close(a, b)


@every_layer
def test_it_is_saved_with_its_arguments(make, shape):
    layer = make(
        activation=None,
        kernel_initializer=keras.initializers.Ones(),
        kernel_regularizer=keras.regularizers.L2(0.1),
    )
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.build((None, *shape[1:]))
    close(copy.kernel, np.ones(copy.kernel.shape))
    close(copy.losses, [0.1 * np.prod(copy.kernel.shape)], 1e-5)


@every_layer
def test_it_knows_its_output_shape(make, shape):
    layer, x, _ = built(make, shape)
    symbolic = layer(keras.KerasTensor((None, *shape[1:])))
    assert tuple(symbolic.shape) == (None, *layer(x).shape[1:])


def test_fast_weights_need_a_kernel_for_each_layer():
    with pytest.raises(ValueError, match="zip"):
        FastWeights([AugmentedDense(2)], [])


def test_half_precision_computes_with_fast_weights_of_float32():
    layer = AugmentedDense(2, dtype="bfloat16")
    x = ops.ones((3, 4), "bfloat16")
    layer.build((None, 4))
    with FastWeights([layer], [ops.ones((4, 2))]):
        assert layer(x).dtype == "bfloat16"


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: AugmentedDense(0), "units"),
        (lambda: AugmentedConv2D(2.5, 3), "filters"),
        (lambda: AugmentedConv2D(2, 0), "kernel_size"),
    ],
    ids=["units", "filters", "kernel_size"],
)
def test_sizes_are_checked(make, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        make()
