"""A LiteRT file learns new classes in LiteRT's own operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km


def encoder(*last):
    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.MaxPooling2D(),
            keras.layers.ReLU(),
            *last,
        ]
    )


def episode(way, shot, queries, tasks=1):
    rng = np.random.default_rng(way)
    x = rng.random((tasks, way * shot + queries, 8, 8, 1), "float32")
    y = np.tile(np.eye(way, dtype="float32"), (tasks, shot, 1))
    return {
        "support_x": x[:, : way * shot],
        "support_y": y,
        "query_x": x[:, way * shot :],
    }


METRIC = {
    "prototypical": lambda: km.models.PrototypicalNetwork(
        encoder(keras.layers.Flatten())
    ),
    "matching": lambda: km.models.MatchingNetwork(
        encoder(keras.layers.Flatten())
    ),
    "siamese": lambda: km.models.SiameseNetwork(
        encoder(keras.layers.Flatten())
    ),
    "relation": lambda: km.models.RelationNetwork(
        encoder(),
        km.layers.RelationHead(filters=4),
        statistics="running",
    ),
}


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("name", METRIC)
def test_a_file_learns_any_classes_as_the_model_does(name, tmp_path):
    model = METRIC[name]()
    model(episode(4, 1, 1))
    path = tmp_path / "phone" / "model.tflite"
    model.export(path, format="litert")
    assert [*path.parent.iterdir()] == [path]
    phone = tf.lite.Interpreter(str(path))
    for way, shot, queries in ((5, 1, 2), (3, 2, 4)):
        given = episode(way, shot, queries)
        query_x = given.pop("query_x")
        task = phone.get_signature_runner("adapt")(**given)
        found = phone.get_signature_runner("infer")(query_x=query_x, **task)
        expected = model.infer(model.adapt(**given), query_x)
        expected = model.probabilities(expected)
        np.testing.assert_allclose(
            found["probabilities"], expected, rtol=0, atol=1e-5
        )
    with pytest.raises(ValueError, match="must be a new folder or file"):
        model.export(path, format="litert")


def test_what_litert_has_no_operations_for_is_an_error(tmp_path):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    model = km.models.MAML(network, inner_steps=1)
    model(episode(3, 1, 1))
    with pytest.raises(ValueError, match="such as loops over a support"):
        model.export(tmp_path / "model.tflite", format="litert")
    assert [*tmp_path.iterdir()] == []


def test_the_input_is_not_the_users_to_choose(tmp_path):
    model = METRIC["prototypical"]()
    model(episode(3, 1, 1))
    with pytest.raises(ValueError, match="None for 'litert'"):
        model.export(tmp_path / "a", format="litert", input_signature=[])
