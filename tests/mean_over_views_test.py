"""An encoder's mean over distorted views of an image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta.data import augmentation
from keras_meta.layers.mean_over_views import bilinear_sampling

KINDS = ("translation", "rotation", "scale", "shear")


def images(number=3, height=10, width=8):
    rng = np.random.default_rng(0)
    return rng.random((number, height, width, 2)).astype("float32")


def sampled(picture, matrix):
    """A picture `(height, width)` through `bilinear_sampling`."""
    pixels, weights = bilinear_sampling(np.array(matrix), *picture.shape)
    values = (weights * picture.ravel()[pixels]).sum(0)
    return values.reshape(picture.shape)


def test_a_view_is_the_affine_map_of_the_augmentation():
    pictures = images(1)
    for numbers in (
        [30.0, 0, 0, 1, 1, 0, 0],
        [0.0, 0.4, 0, 1, 1, 0, 0],
        [0.0, 0, 0, 1.3, 0.8, 0, 0],
        [0.0, 0, 0, 1, 1, 1.5, -2.25],
        [-12.0, 0.2, 0.1, 0.9, 1.2, 0.5, 1],
    ):
        columns = [tf.constant([number], tf.float32) for number in numbers]
        forth = augmentation.affine_matrices(*columns)
        expected = augmentation.warp(tf.constant(pictures), forth)
        back = np.linalg.inv(forth[0])[:2]
        for channel in range(2):
            np.testing.assert_allclose(
                sampled(pictures[0, ..., channel], back),
                expected[0, ..., channel],
                atol=1e-5,
            )


def test_a_shift_by_whole_pixels_moves_them_and_fills_with_zeros():
    picture = np.arange(1.0, 13).reshape(3, 4)
    moved = sampled(picture, [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(moved[:, :3], picture[:, 1:])
    assert not moved[:, 3].any()


def test_the_embedding_is_the_mean_of_those_of_the_views():
    seen = []

    class Recorder(keras.layers.Layer):
        def call(self, inputs):
            seen.append(np.asarray(inputs))
            return keras.ops.mean(inputs**2, axis=(1, 2))

    layer = km.layers.MeanOverViews(Recorder())
    pictures = images()
    found = layer(pictures)
    assert len(seen) == 11
    # All views differ, and the last is the image itself.
    assert len({view.tobytes() for view in seen}) == 11
    np.testing.assert_array_equal(seen[-1], pictures)
    expected = np.mean([(view**2).mean((1, 2)) for view in seen], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_distortion_has_views_in_both_directions(kind):
    options = {**dict.fromkeys(KINDS, 0), kind: 0.125}
    layer = km.layers.MeanOverViews(keras.layers.Flatten(), **options)
    layer.build((None, 8, 8, 1))
    # A shift goes along either axis.
    matrices = np.array(list(layer._matrices(8, 8)))
    assert len(matrices) == (4 if kind == "translation" else 2)
    half = len(matrices) // 2
    for forth, back in zip(matrices[:half], matrices[half:], strict=True):
        square = [np.vstack([matrix, [0, 0, 1]]) for matrix in (forth, back)]
        np.testing.assert_allclose(square[0] @ square[1], np.eye(3), atol=1e-9)
    expected = {
        "translation": [[1, 0, 1], [0, 1, 0]],
        "rotation": [
            [np.cos(np.pi / 1440), -np.sin(np.pi / 1440), 0],
            [np.sin(np.pi / 1440), np.cos(np.pi / 1440), 0],
        ],
        "scale": np.exp(0.125) * np.eye(2, 3),
        "shear": [[1, 0.125, 0], [0, 1, 0]],
    }
    np.testing.assert_allclose(matrices[0], expected[kind])


def test_training_is_that_of_the_encoder_alone():
    def trained(wrap):
        keras.utils.set_random_seed(0)
        encoder = km.encoders.conv4(filters=4)
        model = km.models.PrototypicalNetwork(wrap(encoder))
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
        episodes = km.data.episode_dataset(
            *km.data.load_glyphs("train"), way=3, shot=1, queries=2, seed=0
        )
        model.fit(episodes.batch(2).take(2), verbose=0)
        return encoder.get_weights()

    plain = trained(lambda encoder: encoder)
    wrapped = trained(km.layers.MeanOverViews)
    assert len(plain) == len(wrapped) > 0
    for a, b in zip(plain, wrapped, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
def test_a_model_with_it_is_saved_and_exported(statistics, tmp_path):
    # Fewer views, since each is traced several times.
    layer = km.layers.MeanOverViews(
        km.encoders.conv4(filters=4), scale=0.2, translation=0, shear=0
    )
    model = km.models.PrototypicalNetwork(layer, statistics=statistics)
    support_x, support_y = images(6, 28, 28), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    episode = {
        "support_x": support_x[None, ..., :1],
        "support_y": support_y[None].astype("float32"),
        "query_x": support_x[None, ::-1, :, :, :1] * 0.9,
    }
    expected = model(episode)
    assert np.isfinite(expected).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.encoder.scale == 0.2 and loaded.encoder.shear == 0
    np.testing.assert_allclose(loaded(episode), expected, rtol=1e-4)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    found = served.signatures["serving_default"](
        **{key: tf.constant(value) for key, value in episode.items()}
    )
    np.testing.assert_allclose(
        found["probabilities"], model.probabilities(expected), atol=1e-5
    )


def test_a_task_has_the_moments_of_the_undistorted_support():
    encoder = km.encoders.conv4(filters=4)
    support = images(3, 28, 28)[None], np.eye(3, dtype="float32")[None]
    found, expected = (
        km.models.PrototypicalNetwork(each, statistics="support").adapt(
            *support
        )
        for each in (km.layers.MeanOverViews(encoder), encoder)
    )
    moments = [key for key in expected if key.startswith("support_")]
    assert len(moments) == 8 and found.keys() == expected.keys()
    for key in moments:
        np.testing.assert_allclose(found[key], expected[key], atol=1e-6)
    assert np.abs(found["prototypes"] - expected["prototypes"]).max() > 1e-3


def test_it_runs_under_xla():
    layer = km.layers.MeanOverViews(km.encoders.conv4(filters=4))
    pictures = images(2, 28, 28)
    expected = layer(pictures)
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(pictures), expected, atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`encoder` must be a Keras model"):
        km.layers.MeanOverViews(km.encoders.conv4)
    for kind in KINDS:
        with pytest.raises(ValueError, match=f"`{kind}` must be at least 0"):
            km.layers.MeanOverViews(km.encoders.conv4(), **{kind: -1})
    layer = km.layers.MeanOverViews(km.encoders.conv4())
    with pytest.raises(ValueError, match="of one size. Received: input_shape="):
        layer.build((None, None, 28, 1))
