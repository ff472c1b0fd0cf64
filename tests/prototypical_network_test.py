"""Prototypical Networks against their equations."""

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization


def linear_encoder():
    return keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False)]
    )


def test_logits_are_the_negative_distances_to_the_class_means(float64):
    rng = np.random.default_rng(0)
    support_x, query_x = rng.random((2, 7, 5)), rng.random((2, 3, 5))
    # Unsorted labels, unequal shots.
    labels = np.array([2, 0, 1, 0, 0, 2, 1])
    support_y = np.stack([np.eye(3)[labels]] * 2)
    model = km.models.PrototypicalNetwork(linear_encoder())
    episode = dict(support_x=support_x, support_y=support_y, query_x=query_x)
    found = np.array(model(episode))
    kernel = np.array(model.encoder.layers[-1].kernel)
    for task in range(2):
        prototypes = np.stack(
            [(support_x[task] @ kernel)[labels == k].mean(0) for k in range(3)]
        )
        queries = query_x[task] @ kernel
        expected = -((queries[:, None] - prototypes) ** 2).sum(-1)
        np.testing.assert_allclose(found[task], expected, atol=1e-12)


def test_training_encodes_support_and_queries_as_one_batch():
    rng = np.random.default_rng(0)
    model = km.models.PrototypicalNetwork(
        keras.Sequential(
            [keras.layers.Flatten(), EpisodicBatchNormalization(epsilon=1e-6)]
        )
    )
    episode = dict(
        support_x=rng.random((1, 2, 3)).astype("float32"),
        support_y=np.eye(2, dtype="float32")[None],
        query_x=rng.random((1, 5, 3)).astype("float32"),
    )
    found = np.array(model(episode, training=True))[0]
    joint = np.concatenate([episode["support_x"], episode["query_x"]], 1)[0]
    joint = (joint - joint.mean(0)) / np.sqrt(joint.var(0) + 1e-6)
    expected = -((joint[2:, None] - joint[None, :2]) ** 2).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(km.distances.DISTANCES))
def test_every_distance_trains_and_comes_back(name, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((40, 6)).astype("float32")
    labels = np.repeat(np.arange(10), 4)
    episodes = km.data.episode_dataset(images, labels, 3, 1, 2, seed=0)
    model = km.models.PrototypicalNetwork(km.encoders.mlp((8,)), distance=name)
    model.compile("adam", keras.losses.CategoricalCrossentropy(True))
    history = model.fit(episodes.batch(2), steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.distance is model.distance


def test_any_keras_model_is_an_encoder():
    network = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3),
        include_top=False,
        weights=None,
        pooling="avg",
        minimalistic=True,
    )
    model = km.models.PrototypicalNetwork(network)
    images = np.random.default_rng(0).random((1, 2, 32, 32, 3))
    episode = dict(
        support_x=images.astype("float32"),
        support_y=np.eye(2, dtype="float32")[None],
        query_x=images.astype("float32"),
    )
    assert tuple(model(episode).shape) == (1, 2, 2)


def test_an_encoder_that_returns_maps_is_an_error():
    model = km.models.PrototypicalNetwork(keras.layers.Conv2D(4, 3))
    images = np.zeros((1, 2, 8, 8, 1), "float32")
    episode = dict(
        support_x=images,
        support_y=np.eye(2, dtype="float32")[None],
        query_x=images,
    )
    with pytest.raises(ValueError, match="`encoder` must return a vector"):
        model(episode)


def test_an_unregistered_distance_is_an_error():
    with pytest.raises(ValueError, match="must be registered"):
        km.models.PrototypicalNetwork(linear_encoder(), distance=lambda x, y: x)
