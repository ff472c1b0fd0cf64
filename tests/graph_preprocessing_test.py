"""The preprocessing in a graph makes the images that NumPy makes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta.graph import preprocessing as graph


def in_graph(preprocessing, pictures, shape=(None,) * 4):
    """The images of a graph whose sizes are open."""
    spec = tf.TensorSpec(shape, "uint8")
    prepare = tf.function(
        lambda pictures: graph.prepare(preprocessing, pictures),
        [spec],
        autograph=False,
    )
    return prepare(pictures).numpy()


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


@pytest.mark.parametrize("interpolation", ["area", "bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_and_colours(channels, interpolation):
    preprocessing = km.Preprocessing(
        (9, 12), channels, interpolation=interpolation, value_range=(-1, 1)
    )
    for given in (1, 3, 4):
        for size in ((9, 12), (5, 31), (40, 7)):
            batch = pictures(2, *size, given)
            expected = preprocessing(batch)
            for shape in ((None,) * 4, (None, *batch.shape[1:])):
                found = in_graph(preprocessing, batch, shape)
                assert found.dtype == np.float32
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_polarity_of_small_drawings():
    batch = pictures(6, 20, 30, 1)
    batch[:3] |= 128
    batch[3:] &= 127
    preprocessing = km.Preprocessing(28, ink=True)
    expected = preprocessing(batch)
    assert expected[:3].mean() < 0.5 and expected[3:].mean() < 0.5
    found = in_graph(preprocessing, batch)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_no_pictures_are_no_error():
    preprocessing = km.Preprocessing(8)
    assert in_graph(preprocessing, pictures(0, 5, 5, 3)).shape == (0, 8, 8, 1)


def model(preprocessing):
    encoder = keras.Sequential(
        [keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    built = km.models.PrototypicalNetwork(encoder, preprocessing=preprocessing)
    examples = (None, None, *(preprocessing or km.Preprocessing(8)).shape)
    built.build(
        {
            "support_x": examples,
            "support_y": (None, None, None),
            "query_x": examples,
        }
    )
    return built


class TestSavedModel:
    def test_it_learns_from_pictures_of_any_size(self, tmp_path):
        preprocessing = km.Preprocessing(8)
        exported = model(preprocessing)
        exported.export(tmp_path / "served", preprocessing=True)
        served = tf.saved_model.load(tmp_path / "served").signatures
        for way, support_size, query_size in (
            (3, (8, 9, 3), (30, 20, 1)),
            (2, (50, 11, 4), (8, 8, 3)),
        ):
            support = pictures(2, way, *support_size)
            queries = pictures(2, 5, *query_size)
            support_y = np.tile(np.eye(way, dtype="float32"), (2, 1, 1))
            task = exported.adapt(
                np.stack([preprocessing(part) for part in support]), support_y
            )
            expected = exported.probabilities(
                exported.infer(
                    task, np.stack([preprocessing(part) for part in queries])
                )
            )
            given = dict(
                support_x=tf.constant(support),
                support_y=tf.constant(support_y),
            )
            query_x = tf.constant(queries)
            found = served["serving_default"](query_x=query_x, **given)
            task = served["adapt"](**given)
            later = served["infer"](query_x=query_x, **task)
            for probabilities in (found, later):
                np.testing.assert_allclose(
                    probabilities["probabilities"], expected, atol=1e-5
                )

    def test_a_model_needs_a_preprocessing(self, tmp_path):
        with pytest.raises(ValueError, match="model.preprocessing=None"):
            model(None).export(tmp_path / "a", preprocessing=True)

    def test_litert_has_no_such_file(self, tmp_path):
        exported = model(km.Preprocessing(8))
        with pytest.raises(ValueError, match="must be False for 'litert'"):
            exported.export(tmp_path / "a", format="litert", preprocessing=True)
        assert [*tmp_path.iterdir()] == []

    def test_descriptions_are_no_pictures(self, tmp_path):
        encoder = keras.Sequential(
            [keras.layers.Flatten(), keras.layers.Dense(4)]
        )
        zero_shot = km.models.ZeroShotPrototypicalNetwork(
            encoder, keras.layers.Dense(4), preprocessing=km.Preprocessing(8)
        )
        zero_shot.build(
            {
                "support_x": (None, None, 7),
                "support_y": (None, None, None),
                "query_x": (None, None, 8, 8, 1),
            }
        )
        zero_shot.export(tmp_path / "served", preprocessing=True)
        served = tf.saved_model.load(tmp_path / "served").signatures
        found = served["serving_default"](
            support_x=tf.ones((1, 3, 7)),
            support_y=tf.eye(3)[None],
            query_x=tf.constant(pictures(1, 2, 15, 20, 3)),
        )
        assert found["probabilities"].shape == (1, 2, 3)
