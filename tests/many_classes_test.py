"""Comparisons with many classes: the same results in bounded memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta import distances, layers
from keras_meta import ops as km_ops
from keras_meta.ops import class_log_sums, class_maxima

RNG = np.random.default_rng(0)
# Unequal classes, one without examples, and padding.
CODES = np.array([[0, 1, 2, 1, 0, 2, 2, 9], [2, 9, 1, 1, 9, 0, 0, 0]])
LABELS = (CODES[..., None] == np.arange(4)).astype("float64")


def by_class(values, reduce):
    """The slow version: one class of one query at a time."""
    tasks, queries, _ = values.shape
    found = np.full((tasks, queries, 4), -1e9)
    for task in range(tasks):
        for query in range(queries):
            for k in range(4):
                own = values[task, query, CODES[task] == k]
                if len(own):
                    found[task, query, k] = reduce(own)
    return found


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("compiled", [False, True])
def test_maxima_and_log_sums_of_classes(scale, compiled):
    values = RNG.normal(0, scale, (2, 3, 8))

    def log_sum(own):
        return own.max() + np.log(np.exp(own - own.max()).sum())

    for function, reduce in ((class_maxima, np.max), (class_log_sums, log_sum)):
        run = tf.function(function, jit_compile=True) if compiled else function
        found = run(tf.constant(values), tf.constant(LABELS))
        np.testing.assert_allclose(found, by_class(values, reduce), rtol=1e-12)


@pytest.mark.parametrize("function", [class_maxima, class_log_sums])
def test_their_gradients_are_those_of_finite_differences(function):
    values = RNG.normal(0, 2, (2, 3, 8))
    weights = RNG.normal(size=(2, 3, 4)) * (LABELS.sum(1)[:, None] > 0)

    def loss(values):
        return tf.reduce_sum(weights * function(values, tf.constant(LABELS)))

    start = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = loss(start)
    gradient = tape.gradient(value, start).numpy()
    direction = RNG.normal(size=values.shape)
    step = 1e-6 * direction
    slope = float(loss(values + step) - loss(values - step)) / 2e-6
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)
    # Padding has none.
    padding = np.broadcast_to(CODES[:, None] == 9, gradient.shape)
    assert not gradient[padding].any()


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_chunks_give_what_all_pairs_at_once_give(rows, monkeypatch):
    x, y = RNG.normal(size=(2, 7, 5)), RNG.normal(size=(2, 4, 5))
    layer = layers.WeightedL1(dtype="float64")
    expected = distances.manhattan(x, y), layer(x, y)
    monkeypatch.setattr(km_ops, "CHUNK_NUMBERS", rows * 4 * 5)
    found = distances.manhattan(x, y), layer(x, y)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    "build",
    [
        lambda encoder: km.models.SiameseNetwork(encoder),
        lambda encoder: km.models.SiameseNetwork(encoder, reduction="mean"),
        lambda encoder: km.models.MatchingNetwork(encoder),
        lambda encoder: km.models.MatchingNetwork(
            encoder, aggregation="class_logit"
        ),
    ],
    ids=["siamese", "siamese mean", "matching", "class logit"],
)
def test_no_tensor_holds_a_number_for_each_query_support_and_class(build):
    way, shot, queries, dim = 50, 5, 40, 4
    model = build(keras.Sequential([keras.layers.Dense(dim)]))
    support_x = RNG.normal(size=(1, way * shot, 3)).astype("float32")
    support_y = np.eye(way, dtype="float32")[np.arange(way * shot) % way][None]
    query_x = RNG.normal(size=(1, queries, 3)).astype("float32")
    task = model.adapt(support_x, support_y)
    traced = tf.function(model.infer).get_concrete_function(task, query_x)
    sizes = [
        output.shape.num_elements() or 0
        for operation in traced.graph.get_operations()
        for output in operation.outputs
        if output.shape.rank is not None
    ]
    assert queries * way * shot <= max(sizes) < queries * way * shot * way / 5


def test_a_thousand_classes():
    way, shot = 1000, 5
    support_x = RNG.normal(size=(1, way, 8))
    support_x = np.repeat(support_x, shot, axis=1).astype("float32")
    support_y = np.repeat(np.eye(way, dtype="float32"), shot, axis=0)[None]
    query_x = support_x[:, ::shot][:, :512]
    for model in (
        km.models.SiameseNetwork(keras.layers.Identity(), "euclidean"),
        km.models.MatchingNetwork(keras.layers.Identity(), scale=100.0),
    ):
        task = model.adapt(support_x, support_y)
        found = np.argmax(model.infer(task, query_x), axis=-1)
        np.testing.assert_array_equal(found, [np.arange(512)])
