"""Presets leave open how many examples a network takes at once."""

import copy
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
import zoo
from keras_meta import presets
from keras_meta.open_shapes import open_sizes

# The weights of this one come from a package.
PRESETS = [
    name
    for name in zoo.list_presets()
    if not (zoo.PRESETS / name / presets.SOURCE).is_file()
]


def old_model(name):
    """A preset as its files say, with the sizes of training."""
    folder = zoo.PRESETS / name
    config = json.loads((folder / presets.CONFIG).read_text("utf-8"))
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    model.load_weights(folder / presets.WEIGHTS)
    return model


def networks(model):
    names = ("encoder", "metadata_encoder", "support_encoder", "network")
    found = [getattr(model, name, None) for name in names]
    return [part for part in found if isinstance(part, keras.Sequential)]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_open_and_its_weights_and_outputs_are_those_stored(name):
    model, old = zoo.load(name), old_model(name)
    pairs = zip(model.get_weights(), old.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    for network, before in zip(networks(model), networks(old), strict=True):
        assert network.input_shape == (None, *before.input_shape[1:])
        shape = (3, *network.input_shape[1:])
        x = np.random.default_rng(0).random(shape, "float32")
        np.testing.assert_array_equal(network(x), before(x))


def model():
    encoder = keras.Sequential(
        [
            keras.Sequential([keras.layers.Conv2D(2, 3)]),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    return km.models.PrototypicalNetwork(encoder)


def built():
    made = model()
    made(
        {
            "support_x": np.zeros((2, 4, 8, 8, 1), "float32"),
            "support_y": np.stack([np.eye(4, dtype="float32")] * 2),
            "query_x": np.zeros((2, 3, 8, 8, 1), "float32"),
        }
    )
    return made


def test_an_encoder_built_by_episodes_exports_any_batch(tmp_path):
    made = built()
    assert made.encoder.input_shape == (None, 8, 8, 1)
    made.encoder.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    for batch in (1, 5):
        x = np.random.default_rng(0).random((batch, 8, 8, 1), "float32")
        np.testing.assert_allclose(
            served.serve(x), made.encoder(x), rtol=1e-5, atol=1e-6
        )


def test_a_network_that_a_batch_built_is_saved_open(tmp_path):
    made = model()
    # By a call of its own, which keeps the size.
    made.encoder(np.zeros((60, 8, 8, 1), "float32"))
    made.build(
        {
            "support_x": (1, 60, 8, 8, 1),
            "support_y": (1, 60, 60),
            "query_x": (1, 300, 8, 8, 1),
        }
    )
    assert made.encoder.input_shape[0] == 60
    made.save_to_preset(tmp_path)
    config = json.loads((tmp_path / presets.CONFIG).read_text("utf-8"))
    assert config["build_config"]["input_shape"] == {
        "support_x": [None, None, 8, 8, 1],
        "support_y": [None, None, 60],
        "query_x": [None, None, 8, 8, 1],
    }
    assert "60,\n" not in json.dumps(config["config"]["encoder"], indent=1)
    loaded = presets.load(tmp_path)
    assert loaded.encoder.input_shape == (None, 8, 8, 1)
    for one, other in zip(
        loaded.get_weights(), made.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_an_author_stated_stays():
    inputs = keras.Input((8,), batch_size=4)
    functional = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    config = keras.saving.serialize_keras_object(functional)
    before = copy.deepcopy(config)
    opened = open_sizes(config)
    assert opened == config == before
