"""Tests of the accuracy over tasks."""

import json
import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from keras_meta.metrics import AccuracyInterval

VECTORS = pathlib.Path(__file__).parent / "vectors"


def result(metric):
    """`(mean, half width)`."""
    values = metric.result()
    return (
        float(values[metric.name]),
        float(values[metric.name + "_interval"]),
    )


def measured(query_y, predictions, **options):
    metric = AccuracyInterval()
    metric.update_state(query_y, predictions, **options)
    return result(metric)


def random_tasks(tasks, queries, way, seed=0):
    """Targets, and predictions that are right about half the time."""
    generator = np.random.default_rng(seed)
    query_y = np.eye(way)[generator.integers(0, way, (tasks, queries))]
    noise = generator.normal(size=query_y.shape)
    return query_y.astype("float32"), (query_y + noise).astype("float32")


def test_interval_vector():
    vector = json.loads((VECTORS / "protocol.json").read_text())
    accuracies = np.array(vector["inputs"]["episode_accuracies"])
    # They have four decimals: so many of 10,000 queries are right.
    queries = 10_000
    correct = np.round(accuracies * queries).astype(int)
    np.testing.assert_allclose(correct / queries, accuracies, atol=1e-12)
    metric = AccuracyInterval()
    for right in np.split(correct, 6):
        chosen = (np.arange(queries) >= right[:, None]).astype(int)
        query_y = np.eye(2, dtype="float32")[np.zeros_like(chosen)]
        metric.update_state(query_y, np.eye(2, dtype="float32")[chosen])
    expected = vector["expected"]
    np.testing.assert_allclose(
        result(metric),
        (expected["mean"], expected["ci95_ddof0"]),
        rtol=0,
        atol=1e-10,
    )
    np.testing.assert_allclose(
        reference.accuracy_interval(accuracies),
        (expected["mean"], expected["ci95_ddof0"]),
        rtol=0,
        atol=1e-10,
    )


def test_it_equals_the_reference():
    query_y, predictions = random_tasks(50, 7, 4)
    # Ties too.
    predictions = np.round(predictions)
    accuracies = [
        reference.task_accuracy(*task)
        for task in zip(query_y, predictions, strict=True)
    ]
    np.testing.assert_allclose(
        measured(query_y, predictions),
        reference.accuracy_interval(accuracies),
        atol=1e-6,
    )


@pytest.mark.parametrize("tied", [1, 2, 3, 4])
def test_a_tie_counts_as_one_over_the_classes_tied(tied):
    query_y = np.eye(4)[None, :1]
    predictions = np.where(np.arange(4) < tied, 2.0, 1.0)[None, None]
    assert measured(query_y, predictions)[0] == pytest.approx(1 / tied)
    # The true class is not among them.
    assert measured(query_y, 3 - predictions)[0] == (tied == 4) / 4


def test_constant_predictions_have_the_accuracy_of_chance():
    query_y, _ = random_tasks(6, 10, 5)
    mean, half_width = measured(query_y, np.zeros_like(query_y))
    assert mean == pytest.approx(1 / 5)
    assert half_width == pytest.approx(0, abs=1e-6)


def test_logits_and_their_probabilities_measure_alike():
    query_y, logits = random_tasks(20, 5, 3)
    assert measured(query_y, logits) == measured(
        query_y, reference.softmax(logits)
    )


def test_padding_rows_are_ignored():
    query_y, predictions = random_tasks(8, 6, 3)
    padded_y = np.concatenate([query_y, np.zeros((8, 4, 3))], axis=1)
    padded = np.concatenate([predictions, np.ones((8, 4, 3))], axis=1)
    assert measured(padded_y, padded) == measured(query_y, predictions)
    weight = np.repeat([[1.0] * 6 + [0.0] * 4], 8, axis=0)
    assert measured(padded_y, padded, sample_weight=weight) == measured(
        query_y, predictions
    )


def test_tasks_of_nothing_but_padding_are_ignored():
    query_y, predictions = random_tasks(8, 6, 3)
    more_y = np.concatenate([query_y, np.zeros((5, 6, 3))])
    more = np.concatenate([predictions, np.ones((5, 6, 3))])
    assert measured(more_y, more) == measured(query_y, predictions)
    assert measured(more_y[8:], more[8:]) == (0, 0)


def test_predictions_that_are_nan_are_wrong():
    query_y = np.eye(3)[None]
    assert measured(query_y, np.full((1, 3, 3), np.nan)) == (0, 0)
    # One query of three is NaN, in one place only.
    predictions = np.eye(3)[None].copy()
    predictions[0, 1, 0] = np.nan
    assert measured(query_y, predictions)[0] == pytest.approx(2 / 3)


def test_several_updates_equal_one():
    query_y, predictions = random_tasks(30, 5, 4)
    metric = AccuracyInterval()
    for part in (slice(0, 1), slice(1, 11), slice(11, 30)):
        metric.update_state(query_y[part], predictions[part])
    np.testing.assert_allclose(
        result(metric), measured(query_y, predictions), rtol=1e-12
    )


def test_tasks_weigh_alike_whatever_their_number_of_queries():
    query_y = np.eye(2)[np.zeros((2, 4), int)]
    query_y[1, 1:] = 0
    predictions = np.eye(2)[np.array([[0, 1, 1, 1], [0, 0, 0, 0]])]
    assert measured(query_y, predictions)[0] == pytest.approx((1 / 4 + 1) / 2)


def test_no_state_gives_zero_and_reset_empties():
    metric = AccuracyInterval()
    assert result(metric) == (0, 0)
    metric.update_state(*random_tasks(3, 4, 2))
    metric.reset_state()
    assert result(metric) == (0, 0)


def test_the_interval_of_a_small_spread_keeps_its_digits():
    # 1000 tasks, all perfect but one: 1 - mean of squares would cancel.
    query_y = np.eye(2)[np.zeros((1000, 100), int)]
    predictions = query_y.copy()
    predictions[0, 0] = [0, 1]
    accuracies = np.where(np.arange(1000) == 0, 0.99, 1.0)
    np.testing.assert_allclose(
        measured(query_y, predictions),
        reference.accuracy_interval(accuracies),
        rtol=1e-9,
    )


def test_the_sums_have_the_type_of_the_metric():
    query_y, predictions = random_tasks(3, 4, 2)
    for options in ({}, {"dtype": "float32"}):
        metric = AccuracyInterval(**options)
        metric.update_state(query_y, predictions)
        dtype = options.get("dtype", "float64")
        assert {v.dtype for v in metric.variables} == {dtype}
        assert all(v.dtype == dtype for v in metric.result().values())


def test_the_keys_carry_the_name():
    metric = AccuracyInterval(name="five_way")
    assert set(metric.result()) == {"five_way", "five_way_interval"}


def test_it_runs_in_a_graph_of_unknown_sizes():
    metric = AccuracyInterval()
    spec = tf.TensorSpec((None, None, None))
    update = tf.function(metric.update_state, input_signature=[spec, spec])
    for tasks, queries, way in [(3, 4, 2), (2, 5, 3)]:
        update(*random_tasks(tasks, queries, way))
    assert float(metric.tasks) == 5


def test_bfloat16_predictions_are_counted_exactly():
    query_y = tf.ones((1, 301, 1), "bfloat16")
    query_y = tf.concat([query_y, tf.zeros_like(query_y)], axis=-1)
    predictions = tf.concat([query_y[:, :300], query_y[:, 300:, ::-1]], axis=1)
    assert measured(query_y, predictions)[0] == pytest.approx(300 / 301)


def test_config_round_trip():
    metric = AccuracyInterval(name="five_way")
    config = keras.saving.serialize_keras_object(metric)
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, AccuracyInterval)
    assert (copy.name, copy.dtype) == (metric.name, metric.dtype)


@pytest.mark.parametrize(
    "true, predicted",
    [((2, 3), (2, 3)), ((4, 2, 3), (2, 3)), ((1, 4, 2, 3), (4, 2, 3))],
)
def test_a_wrong_rank_is_an_error_that_says_the_shape(true, predicted):
    with pytest.raises(
        ValueError, match=r"\(tasks, query, way\). Received: y_true of shape"
    ):
        AccuracyInterval().update_state(np.zeros(true), np.zeros(predicted))
