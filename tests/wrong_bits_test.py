"""Tests of the wrong bits of a sequence."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from keras_meta.metrics import WrongBits


def result(metric):
    """`(mean, half width)`."""
    values = metric.result()
    return (
        float(values[metric.name]),
        float(values[metric.name + "_interval"]),
    )


def measured(target, predicted, weight=None):
    metric = WrongBits()
    metric.update_state(target, predicted, weight)
    return result(metric)


def random_sequences(sequences, steps, bits, seed=0):
    """Targets, predictions that are mostly right, and weights."""
    generator = np.random.default_rng(seed)
    target = generator.integers(0, 2, (sequences, steps, bits))
    noise = generator.uniform(-0.7, 0.7, target.shape)
    weight = generator.integers(0, 2, (sequences, steps))
    arrays = (target, np.abs(target - np.abs(noise)), weight)
    return tuple(array.astype("float32") for array in arrays)


def slow_count(target, predicted, weight):
    """The wrong bits of each sequence, one by one."""
    counts = []
    for rows, made, weights in zip(target, predicted, weight, strict=True):
        wrong = 0
        for t in range(len(rows)):
            for true, probability in zip(rows[t], made[t], strict=True):
                right = probability > 0.5 if true else probability < 0.5
                wrong += 0 if right else weights[t]
        counts.append(wrong)
    return np.array(counts, "float64")


@pytest.mark.parametrize("weighted", [True, False])
def test_it_equals_the_reference(weighted):
    target, predicted, weight = random_sequences(40, 6, 5)
    counts = slow_count(
        target, predicted, weight if weighted else np.ones_like(weight)
    )
    assert 0 < counts.std() < counts.mean()
    np.testing.assert_allclose(
        measured(target, predicted, weight if weighted else None),
        # Its mean and interval are those of any number of a task.
        reference.accuracy_interval(counts),
        atol=1e-9,
    )


def test_steps_of_weight_zero_do_not_count():
    target, predicted, weight = random_sequences(8, 6, 3)
    other = np.where(weight[:, :, None] == 1, predicted, 1 - predicted)
    assert measured(target, other, weight) == measured(
        target, predicted, weight
    )
    assert measured(target, 1 - target, 0 * weight) == (0, 0)


@pytest.mark.parametrize("probability", [0.5, np.nan])
def test_a_prediction_that_decides_nothing_is_wrong(probability):
    target = np.array([[[0.0, 1.0, 1.0]]])
    assert measured(target, np.full((1, 1, 3), probability)) == (3, 0)


def test_several_updates_equal_one():
    arrays = random_sequences(30, 5, 4)
    metric = WrongBits()
    for part in (slice(0, 1), slice(1, 11), slice(11, 30)):
        metric.update_state(*(array[part] for array in arrays))
    np.testing.assert_allclose(result(metric), measured(*arrays), rtol=1e-12)


def test_no_state_gives_zero_and_reset_empties():
    metric = WrongBits()
    assert result(metric) == (0, 0)
    metric.update_state(*random_sequences(3, 4, 2))
    metric.reset_state()
    assert result(metric) == (0, 0)


def test_it_runs_in_a_graph_of_unknown_sizes():
    metric = WrongBits()
    update = tf.function(
        metric.update_state,
        input_signature=[
            tf.TensorSpec((None, None, None)),
            tf.TensorSpec((None, None, None)),
            tf.TensorSpec((None, None)),
        ],
    )
    for sizes in [(3, 4, 2), (2, 5, 3)]:
        update(*random_sequences(*sizes))
    assert float(metric.sequences) == 5


def test_keras_gives_it_the_sample_weights():
    target, predicted, weight = random_sequences(12, 6, 3)
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.Identity()])
    model.compile(loss="mse", weighted_metrics=[WrongBits(name="bits")])
    logs = model.evaluate(
        predicted, target, sample_weight=weight, return_dict=True, verbose=0
    )
    assert (logs["bits"], logs["bits_interval"]) == pytest.approx(
        measured(target, predicted, weight)
    )


def test_config_round_trip():
    config = keras.saving.serialize_keras_object(WrongBits(name="bits"))
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, WrongBits)
    assert (copy.name, copy.dtype) == ("bits", "float64")


@pytest.mark.parametrize(
    "true, predicted",
    [((2, 3), (2, 3)), ((4, 2, 3), (2, 3)), ((1, 4, 2, 3), (4, 2, 3))],
)
def test_a_wrong_rank_is_an_error_that_says_the_shape(true, predicted):
    with pytest.raises(
        ValueError, match=r"\(tasks, steps, bits\). Received: y_true of shape"
    ):
        WrongBits().update_state(np.zeros(true), np.zeros(predicted))


def test_weights_of_another_rank_are_an_error():
    arrays = random_sequences(2, 3, 4)[:2]
    with pytest.raises(ValueError, match=r"\(tasks, steps\). Received: sample"):
        WrongBits().update_state(*arrays, np.ones(2))
