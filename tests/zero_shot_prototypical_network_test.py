"""Zero-shot Prototypical Networks against the reference vector."""

import json
import pathlib

import keras
import numpy as np
import pytest

import keras_meta as km

STORED = json.loads(
    (pathlib.Path(__file__).parent / "vectors/prototypes.json").read_text(
        "utf-8"
    )
)
INPUTS, EXPECTED = (
    {key: np.array(value) for key, value in STORED[part]["zero_shot"].items()}
    for part in ("inputs", "expected")
)


def vector_model(**options):
    model = km.models.ZeroShotPrototypicalNetwork(
        keras.layers.Dense(4), keras.layers.Dense(4), **options
    )
    model.encoder.build((None, 6))
    model.encoder.set_weights([INPUTS["W_f"], INPUTS["b_f"]])
    model.metadata_encoder.build((None, 5))
    model.metadata_encoder.set_weights([INPUTS["W_g"], INPUTS["b_g"]])
    return model


def test_prototypes_and_probabilities_are_those_of_the_vector(float64):
    model = vector_model()
    task = model.adapt(INPUTS["class_metadata"][None], np.eye(3)[None])
    np.testing.assert_allclose(
        task["prototypes"][0], EXPECTED["prototypes"], atol=1e-10
    )
    logits = np.array(model.infer(task, INPUTS["query_features"][None]))[0]
    np.testing.assert_allclose(-logits, EXPECTED["sq_distances"], atol=1e-10)
    log_p = np.array(keras.ops.log_softmax(logits))
    np.testing.assert_allclose(log_p, EXPECTED["log_probs"], atol=1e-10)


def test_metadata_and_queries_may_be_of_different_shapes(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((12, 8, 8, 1)).astype("float32")
    labels = np.repeat(["ant", "bee", "cow"], 4)
    descriptions = dict(zip(["ant", "bee", "cow"], np.eye(3), strict=True))
    data = km.data.zero_shot_dataset(
        images, labels, descriptions, way=3, queries=2, seed=0
    )
    model = km.models.ZeroShotPrototypicalNetwork(
        km.encoders.mlp((8,)), keras.layers.Dense(8)
    )
    model.compile("adam", keras.losses.CategoricalCrossentropy(True))
    model.fit(data.batch(2), steps_per_epoch=2, verbose=0)
    episode, _ = next(iter(data.batch(2)))
    expected = model.predict(episode, verbose=0)
    km.presets.save(model, tmp_path / "preset")
    again = km.presets.load(tmp_path / "preset").predict(episode, verbose=0)
    np.testing.assert_allclose(again, expected, atol=1e-6)


def test_a_description_of_zeros_gives_a_prototype_at_the_origin():
    model = km.models.ZeroShotPrototypicalNetwork(
        keras.layers.Dense(4), keras.layers.Dense(4, use_bias=False)
    )
    support_x = np.zeros((1, 2, 3), "float32")
    task = model.adapt(support_x, np.eye(2, dtype="float32")[None])
    assert np.isfinite(task["prototypes"]).all()


def test_support_statistics_are_an_error():
    with pytest.raises(ValueError, match='must be "running" or "batch"'):
        vector_model(statistics="support").adapt(
            INPUTS["class_metadata"][None], np.eye(3)[None]
        )
