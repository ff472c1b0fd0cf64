"""The bias that is added after a max-pool."""

import keras
import numpy as np
import tensorflow as tf

import keras_meta as km


def test_it_is_the_bias_of_the_convolution_before_a_max_pool():
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, 6, 6, 3)), "float32")
    kernel = rng.normal(size=(3, 3, 3, 5)).astype("float32")
    bias = rng.normal(size=5).astype("float32")
    usual = keras.Sequential(
        [
            keras.layers.Conv2D(5, 3, padding="same"),
            keras.layers.MaxPooling2D(),
            keras.layers.ReLU(),
        ]
    )
    later = keras.Sequential(
        [
            keras.layers.Conv2D(5, 3, padding="same", use_bias=False),
            keras.layers.MaxPooling2D(),
            km.layers.Bias(),
            keras.layers.ReLU(),
        ]
    )
    found = []
    for model in (usual, later):
        model.build(x.shape)
        model.set_weights([kernel, bias])
        with tf.GradientTape() as tape:
            outputs = model(x)
            loss = tf.reduce_sum(outputs**2)
        gradients = tape.gradient(loss, model.trainable_variables)
        found.append([outputs, *gradients])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_small_twin_adds_biases_after_pooling():
    twin = km.encoders.koch_small(4, 6)
    kinds = [type(layer).__name__ for layer in twin.layers]
    block = ["Conv2D", "MaxPooling2D", "Bias", "ReLU"]
    last = ["Conv2D", "Bias", "ReLU", "Flatten", "Dense"]
    assert kinds == 3 * block + last
    clone = keras.Sequential.from_config(twin.get_config())
    twin.build((None, 28, 28, 1))
    clone.build((None, 28, 28, 1))
    assert clone.count_params() == twin.count_params() == 40 + 3 * 148 + 222
