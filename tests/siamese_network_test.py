"""Siamese networks against the reference vector and their equations."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_meta as km
from keras_meta.layers import WeightedL1

STORED = json.loads(
    (pathlib.Path(__file__).parent / "vectors/siamese.json").read_text("utf-8")
)
INPUTS = {key: np.array(value) for key, value in STORED["inputs"].items()}
EXPECTED = {key: np.array(value) for key, value in STORED["expected"].items()}


def vector_model(**options):
    """A network on embeddings, with the output unit of the vector."""
    model = km.models.SiameseNetwork(keras.layers.Identity(), **options)
    shape = (None, None, 6)
    model.output_unit.build(shape, shape)
    model.output_unit.set_weights([INPUTS["alpha"][:, None], INPUTS["bias"]])
    return model


def pairs():
    """The pairs of the vector as 1-way episodes."""
    return dict(
        support_x=INPUTS["embedding_b"][:, None],
        support_y=np.ones((4, 1, 1)),
        query_x=INPUTS["embedding_a"][:, None],
    )


def test_pairs_have_the_scores_of_the_vector(float64):
    scores = np.array(vector_model()(pairs()))
    assert scores.shape == (4, 1, 1)
    np.testing.assert_allclose(scores.ravel(), EXPECTED["probs"], atol=1e-10)


def test_loss_and_gradients_are_those_of_the_vector(float64):
    model = vector_model()
    x = {key: tf.constant(value) for key, value in pairs().items()}
    target = INPUTS["same_class"].astype(float)[:, None, None]
    with tf.GradientTape() as tape:
        tape.watch([x["support_x"], x["query_x"]])
        scores = model(x)
        loss = ops.mean(ops.binary_crossentropy(target, scores))
    assert float(loss) == pytest.approx(EXPECTED["loss_mean"], abs=1e-7)
    unit = model.output_unit
    wanted = ("grad_alpha", "grad_bias", "grad_embedding_a", "grad_embedding_b")
    sources = [unit.kernel, unit.bias, x["query_x"], x["support_x"]]
    for name, found in zip(wanted, tape.gradient(loss, sources), strict=True):
        expected = EXPECTED[name]
        np.testing.assert_allclose(
            np.reshape(found, expected.shape), expected, atol=1e-8
        )


def one_shot(support_x):
    return dict(
        support_x=support_x[None],
        support_y=np.eye(5)[INPUTS["support_labels"]][None],
        query_x=INPUTS["query_embeddings"][None],
    )


def test_one_shot_classification_is_that_of_the_vector(float64):
    scores = np.array(vector_model()(one_shot(INPUTS["support_embeddings"])))[0]
    np.testing.assert_allclose(
        scores[:, INPUTS["support_labels"]],
        EXPECTED["one_shot_probs"],
        atol=1e-10,
    )
    np.testing.assert_array_equal(
        scores.argmax(-1), EXPECTED["one_shot_predicted_label"]
    )


def test_a_collapsed_network_gets_no_credit_for_its_ties():
    scores = INPUTS["collapsed_scores"][None]
    metric = km.metrics.AccuracyInterval()
    # The true class is the first, where an argmax would find it.
    metric.update_state(np.eye(5)[[0, 0, 0]][None], scores)
    credit = float(metric.result()["task_accuracy"])
    assert credit == pytest.approx(float(EXPECTED["tie_credit_collapsed"]))


@pytest.mark.parametrize("reduction", ["max", "mean", "logit_mean"])
def test_shots_are_reduced_as_named(float64, reduction):
    rng = np.random.default_rng(0)
    support, labels = rng.random((6, 6)), np.array([1, 0, 2, 1, 0, 1])
    queries = rng.random((4, 6))
    model = vector_model(reduction=reduction)
    found = model(
        dict(
            support_x=support[None],
            support_y=np.eye(4)[labels][None],
            query_x=queries[None],
        )
    )
    differences = np.abs(queries[:, None] - support)
    logits = differences @ INPUTS["alpha"] + INPUTS["bias"]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    reduce = {
        "max": lambda x: sigmoid(x).max(-1),
        "mean": lambda x: sigmoid(x).mean(-1),
        "logit_mean": lambda x: sigmoid(x.mean(-1)),
    }[reduction]
    expected = [reduce(logits[:, labels == k]) for k in range(3)]
    # Nothing belongs to the fourth class.
    expected = np.stack([*expected, np.zeros(4)], axis=-1)
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


def test_without_a_bias_equal_examples_are_even(float64):
    unit = WeightedL1(use_bias=False)
    x = np.random.default_rng(0).random((1, 1, 5))
    assert float(unit(x, x)[0, 0, 0]) == 0
    assert len(unit.weights) == 1


@pytest.mark.parametrize("name", sorted(km.distances.DISTANCES))
def test_any_distance_serves_instead_of_the_weighted_l1(name, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((40, 6)).astype("float32")
    labels = np.repeat(np.arange(10), 4)
    model = km.models.SiameseNetwork(km.encoders.mlp((8,)), distance=name)
    model.compile("adam", "binary_crossentropy")
    data = km.data.pair_dataset(images, labels, seed=0).batch(8)
    history = model.fit(data, steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.distance is model.distance


@km.register
def minkowski_3(x, y):
    difference = ops.abs(x[..., :, None, :] - y[..., None, :, :])
    return ops.sum(difference**3, axis=-1)


@km.register
def transposed(x, y):
    return ops.swapaxes(km.distances.manhattan(x, y), -1, -2)


@pytest.mark.parametrize(
    "build",
    [
        km.models.SiameseNetwork,
        km.models.MatchingNetwork,
        km.models.PrototypicalNetwork,
    ],
)
def test_your_own_distance_works_and_one_of_wrong_shape_is_named(build):
    rng = np.random.default_rng(0)
    data = dict(
        support_x=rng.random((1, 3, 4)).astype("float32"),
        support_y=np.eye(3, dtype="float32")[None],
        query_x=rng.random((1, 2, 4)).astype("float32"),
    )
    model = build(keras.layers.Dense(5), distance=minkowski_3)
    assert np.isfinite(model(data)).all()
    again = build.from_config(model.get_config())
    assert again.distance is minkowski_3
    with pytest.raises(ValueError, match=r"distance=transposed.*\(1, 3, 2\)"):
        build(keras.layers.Dense(5), distance=transposed)(data)


def test_an_unknown_reduction_is_an_error():
    with pytest.raises(ValueError, match="`reduction` must be one of"):
        vector_model(reduction="median")


def test_an_encoder_that_returns_maps_is_an_error():
    model = km.models.SiameseNetwork(keras.layers.Conv2D(4, 3))
    images = np.zeros((1, 2, 8, 8, 1), "float32")
    labels = np.eye(2, dtype="float32")[None]
    with pytest.raises(ValueError, match="`encoder` must return a vector"):
        model(dict(support_x=images, support_y=labels, query_x=images))
