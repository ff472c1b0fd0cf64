"""Relation Networks against the reference vector and their equations."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_meta as km
from keras_meta.layers.relation_head import RelationHead

STORED = json.loads(
    (pathlib.Path(__file__).parent / "vectors/relation.json").read_text("utf-8")
)
INPUTS = {key: np.array(value) for key, value in STORED["inputs"].items()}
EXPECTED = {key: np.array(value) for key, value in STORED["expected"].items()}


def pair_maps(class_maps, query_maps):
    """Concatenates the maps of each class with those of each query.

    Args:
        class_maps: `(tasks, way, height, width, channels)`.
        query_maps: `(tasks, query, height, width, channels)`.

    Returns:
        Tensor `(tasks, query, way, height, width, 2 * channels)`, the class
        before the query, as in the paper's code.
    """
    way, query = ops.shape(class_maps)[1], ops.shape(query_maps)[1]
    return ops.concatenate(
        [
            ops.repeat(class_maps[:, None], query, axis=1),
            ops.repeat(query_maps[:, :, None], way, axis=2),
        ],
        axis=-1,
    )


@km.register
class ToyHead(keras.layers.Layer):
    """The dense head of the vector, on flattened pairs."""

    def call(self, class_maps, query_maps, training=False):
        pairs = pair_maps(class_maps, query_maps)
        flat = ops.reshape(pairs, (*pairs.shape[:3], -1))
        hidden = ops.relu(ops.matmul(flat, INPUTS["W1"]) + INPUTS["b1"])
        return (ops.matmul(hidden, INPUTS["W2"]) + INPUTS["b2"])[..., 0]


def episode():
    return dict(
        support_x=INPUTS["support_maps"][None],
        support_y=np.eye(3)[INPUTS["support_labels"]][None],
        query_x=INPUTS["query_maps"][None],
    )


def vector_model(**options):
    return km.models.RelationNetwork(
        keras.layers.Identity(), ToyHead(), **options
    )


@pytest.mark.parametrize(
    "aggregation, scores",
    [("sum", "scores"), ("mean", "scores_with_mean_aggregation")],
)
def test_scores_are_those_of_the_vector(float64, aggregation, scores):
    model = vector_model(aggregation=aggregation)
    data = episode()
    task = model.adapt(data["support_x"], data["support_y"])
    np.testing.assert_allclose(
        task["class_maps"][0], EXPECTED[f"class_maps_{aggregation}"], atol=1e-10
    )
    found = model.infer(task, data["query_x"])[0]
    np.testing.assert_allclose(found, EXPECTED[scores], atol=1e-10)


def test_pairs_hold_the_class_before_the_query(float64):
    pairs = pair_maps(
        ops.convert_to_tensor(EXPECTED["class_maps_sum"][None]),
        ops.convert_to_tensor(INPUTS["query_maps"][None]),
    )
    np.testing.assert_array_equal(pairs[0], EXPECTED["pairs"])


def test_the_loss_is_the_mean_squared_error_of_the_vector(float64):
    scores = tf.constant(np.array(vector_model()(episode())))
    target = np.eye(3)[INPUTS["query_labels"]][None]
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = ops.mean(keras.losses.mean_squared_error(target, scores))
    assert float(loss) == pytest.approx(EXPECTED["mse_mean"], abs=1e-10)
    np.testing.assert_allclose(
        tape.gradient(loss, scores)[0],
        EXPECTED["grad_scores_of_mse_mean"],
        atol=1e-10,
    )


@pytest.mark.parametrize("padding, size", [("same", 5), ("valid", 19)])
def test_the_head_is_a_network_on_pairs_that_it_never_makes(
    float64, padding, size
):
    rng = np.random.default_rng(0)
    head = RelationHead(filters=6, padding=padding)
    class_maps = rng.normal(size=(2, 3, size, size, 4))
    query_maps = rng.normal(size=(2, 2, size, size, 4))
    found = np.array(head(class_maps, query_maps))
    pairs = pair_maps(
        ops.convert_to_tensor(class_maps), ops.convert_to_tensor(query_maps)
    )
    merged = ops.reshape(pairs, (-1, size, size, 8))
    # The convolution of the pairs, as a layer of Keras' own does it.
    expected = np.array(head.rest(head.first(merged))).reshape(2, 2, 3)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    # Its authors' start: all scores near sigmoid(1).
    np.testing.assert_allclose(found, 1, atol=0.2)


def test_support_statistics_come_from_the_support_compared_with_itself():
    keras.utils.set_random_seed(0)
    model = km.models.RelationNetwork(
        km.encoders.relation_encoder(4), statistics="support"
    )
    rng = np.random.default_rng(0)
    support_x = rng.random((1, 4, 28, 28, 1)).astype("float32")
    support_y = np.eye(4, dtype="float32")[None]
    task = model.adapt(support_x, support_y)
    # Four layers of the encoder and two of the head.
    assert sum(key.startswith("support_mean_") for key in task) == 6
    # The support as queries: the moments of the pass are their own.
    again = model.infer(task, support_x)
    model.statistics = "batch"
    expected = model.infer(model.adapt(support_x, support_y), support_x)
    np.testing.assert_allclose(again, expected, atol=1e-4)


def test_softmax_scores_are_logits(float64):
    model = vector_model(scores="softmax")
    logits = np.array(model(episode()))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logits[0])), EXPECTED["scores"], atol=1e-10
    )
    np.testing.assert_allclose(
        np.sum(model.probabilities(logits), -1), 1, atol=1e-12
    )


def test_an_encoder_without_feature_maps_is_an_error():
    images = np.zeros((1, 2, 28, 28, 1), "float32")
    labels = np.eye(2, dtype="float32")[None]
    data = dict(support_x=images, support_y=labels, query_x=images)
    with pytest.raises(ValueError, match="`encoder` must return feature maps"):
        km.models.RelationNetwork(km.encoders.conv4(8))(data)
    with pytest.raises(ValueError, match="at least 4 x 4.*3 x 3"):
        small = keras.Sequential([keras.layers.Conv2D(4, 3, strides=9)])
        km.models.RelationNetwork(small)(data)
    with pytest.raises(ValueError, match="at least 10 x 10"):
        km.models.RelationNetwork(
            km.encoders.relation_encoder(8), RelationHead(padding="valid")
        )(data)


@pytest.mark.parametrize("name", ["aggregation", "scores"])
def test_an_unknown_choice_is_an_error(name):
    with pytest.raises(ValueError, match=f"`{name}` must be one of"):
        vector_model(**{name: "other"})
