"""Embeddings have the sizes that the papers give."""

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization


@pytest.mark.parametrize(
    "build, size, channels, dim",
    [
        (km.encoders.conv4, 28, 1, 64),
        (km.encoders.conv4, 84, 3, 1600),
        (lambda: km.encoders.conv4(32), 84, 3, 800),
        (km.encoders.conv4_strided, 28, 1, 64),
        (lambda: km.encoders.conv4_strided(flatten=True), 28, 1, 256),
        (km.encoders.mlp, 28, 1, 64),
        (km.encoders.augmented_conv5, 28, 1, 64),
        (lambda: km.encoders.augmented_conv5(4, (288, 5)), 84, 3, 5),
        (lambda: km.encoders.resnet12((4, 6, 8, 10)), 84, 3, 10),
    ],
)
def test_the_embedding_has_the_size_of_the_paper(build, size, channels, dim):
    encoder = build()
    images = np.random.default_rng(0).random((2, size, size, channels))
    assert encoder(images.astype("float32")).shape == (2, dim)


def test_pool_before_relu_is_the_function_of_the_paper():
    """conv4 equals blocks of convolution, batch norm, ReLU, pool."""
    fast = km.encoders.conv4(filters=6)
    layers = []
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(6, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    paper = keras.Sequential([*layers, keras.layers.Flatten()])
    images = np.random.default_rng(0).random((5, 28, 28, 1)).astype("float32")
    fast(images), paper(images)
    paper.set_weights(fast.get_weights())
    for training in (True, False):
        np.testing.assert_allclose(
            fast(images, training=training),
            paper(images, training=training),
            atol=1e-5,
        )


def test_a_conv4_has_the_parameters_of_the_paper():
    encoder = km.encoders.conv4()
    encoder.build((None, 28, 28, 1))
    kernels = 9 * 64 + 3 * 9 * 64 * 64
    trainable = sum(int(np.prod(w.shape)) for w in encoder.trainable_weights)
    assert trainable == kernels + 4 * 2 * 64


def test_a_residual_block_comes_back(tmp_path):
    encoder = km.encoders.resnet12((4, 4, 4, 4))
    images = np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
    expected = encoder(images)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(loaded(images), expected, atol=1e-6)


def test_augmented_conv5_needs_a_dense_layer():
    with pytest.raises(ValueError, match="`units` must hold the width"):
        km.encoders.augmented_conv5(units=())
