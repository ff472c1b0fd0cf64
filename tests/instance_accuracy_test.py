"""Tests of the accuracy at the k-th presentation of a class."""

import json
import math
import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

import keras_meta as km
from keras_meta.metrics import InstanceAccuracy, instance_index

VECTORS = pathlib.Path(__file__).parent / "vectors"
ENDS = ("", "_interval")


def result(metric):
    """`(instances, 2)`: means and half widths."""
    values = metric.result()
    assert len(values) == 2 * metric.instances
    return np.array(
        [
            [float(values[f"{metric.name}_{k}{end}"]) for end in ENDS]
            for k in range(1, metric.instances + 1)
        ]
    )


def measured(target, predictions, instances=10, encoding="one_hot"):
    metric = InstanceAccuracy(instances, encoding)
    metric.update_state(target, predictions)
    return result(metric)


def slow_index(target):
    """Step by step: how often the row has occurred; 0 for a zero row."""
    index = np.zeros(target.shape[:2], int)
    for i, rows in enumerate(target):
        for t, row in enumerate(rows):
            if row.any():
                index[i, t] = sum(np.array_equal(row, r) for r in rows[: t + 1])
    return index


def slow_correct(row, prediction, encoding):
    """Of one step, with its share of a tie."""
    if encoding == "one_hot":
        return reference.task_accuracy(row[None], prediction[None])
    return math.prod(
        reference.task_accuracy(letter[None], p[None])
        for letter, p in zip(
            row.reshape(5, 5), prediction.reshape(5, 5), strict=True
        )
    )


def slow_measured(target, predictions, instances, encoding):
    index = slow_index(target)
    values = []
    for k in range(1, instances + 1):
        of_sequences = [
            [
                slow_correct(target[i, t], predictions[i, t], encoding)
                for t in np.flatnonzero(index[i] == k)
            ]
            for i in range(len(target))
        ]
        steps = np.concatenate(of_sequences)
        mean = steps.mean() if len(steps) else np.nan
        squares = sum((np.sum(s) - len(s) * mean) ** 2 for s in of_sequences)
        half = 1.96 * np.sqrt(squares) / max(len(steps), 1)
        values.append([mean, half if len(steps) else np.nan])
    return np.array(values)


def balanced(sequences, way, each, encoding="one_hot", noise=1.0, seed=0):
    """Targets with `each` steps of a class; about half the guesses right."""
    generator = np.random.default_rng(seed)
    order = np.tile(np.arange(way * each) % way, (sequences, 1))
    labels = generator.permuted(order, axis=1)
    if encoding == "one_hot":
        target = np.eye(way)[labels]
    else:
        strings = generator.choice(3125, way, replace=False)
        letters = strings[:, None] // 5 ** np.arange(5) % 5
        target = np.eye(5)[letters].reshape(way, 25)[labels]
    noise = noise * generator.normal(size=target.shape)
    return target.astype("float32"), (target + noise).astype("float32")


def vector():
    content = json.loads((VECTORS / "mann_episode.json").read_text())
    inputs, expected = content["inputs"], content["expected"]
    labels = np.array(inputs["labels"])
    strings = np.array(expected["string_vectors"])
    return inputs, expected, np.eye(3)[labels], strings[labels], strings


class TestVector:
    def test_the_index(self):
        _, expected, one_hot, strings, _ = vector()
        for target in (one_hot, strings):
            index = instance_index(target)
            assert keras.backend.standardize_dtype(index.dtype) == "int32"
            np.testing.assert_array_equal(index, expected["instance_index"])

    @pytest.mark.parametrize("encoding", ["one_hot", "letters"])
    def test_the_accuracy(self, encoding):
        inputs, expected, one_hot, strings, rows = vector()
        predicted = np.array(inputs["predictions"])
        target, predictions = (
            (one_hot, np.eye(3)[predicted])
            if encoding == "one_hot"
            else (strings, rows[predicted])
        )
        accuracy = expected["instance_accuracy"]
        np.testing.assert_allclose(
            measured(target, predictions, len(accuracy), encoding)[:, 0],
            [accuracy[str(k + 1)] for k in range(len(accuracy))],
            rtol=0,
            atol=1e-10,
        )

    def test_a_string_is_right_if_all_its_letters_are(self):
        inputs, expected, _, strings, _ = vector()
        logits = np.array(inputs["string_logits"])
        right = np.array(expected["string_correct"])
        index = np.array(expected["instance_index"])
        np.testing.assert_array_equal(
            measured(strings, logits, 3, "letters")[:, 0],
            [right[index == k].mean() for k in (1, 2, 3)],
        )


@pytest.mark.parametrize("encoding", ["one_hot", "letters"])
class TestReference:
    def test_classes_shown_equally_often(self, encoding):
        target, predictions = balanced(30, 4, 3, encoding, 0.4)
        np.testing.assert_allclose(
            measured(target, predictions, 3, encoding),
            slow_measured(target, predictions, 3, encoding),
            atol=1e-6,
        )

    def test_the_interval_is_that_of_the_accuracies_of_sequences(
        self, encoding
    ):
        target, predictions = balanced(40, 5, 4, encoding, 0.4)
        index = slow_index(target)
        for k, values in enumerate(
            measured(target, predictions, 4, encoding), start=1
        ):
            accuracies = [
                np.mean(
                    [
                        slow_correct(target[i, t], predictions[i, t], encoding)
                        for t in np.flatnonzero(index[i] == k)
                    ]
                )
                for i in range(len(target))
            ]
            np.testing.assert_allclose(
                values, reference.accuracy_interval(accuracies), atol=1e-6
            )

    def test_unequal_counts_ties_and_padding(self, encoding):
        target, predictions = balanced(30, 4, 4, encoding, 0.4)
        generator = np.random.default_rng(1)
        # Sequences of other lengths, some of them with nothing.
        target[np.arange(16) >= generator.integers(0, 17, (30, 1))] = 0
        # Ties too.
        predictions = np.round(predictions)
        np.testing.assert_allclose(
            measured(target, predictions, 5, encoding),
            slow_measured(target, predictions, 5, encoding),
            atol=1e-6,
        )


class TestIndex:
    @pytest.mark.parametrize("encoding", ["one_hot", "letters"])
    def test_it_equals_the_slow_one(self, encoding):
        target, _ = balanced(20, 5, 4, encoding)
        target[:, 13:15] = 0
        np.testing.assert_array_equal(
            instance_index(target), slow_index(target)
        )

    def test_strings_that_share_letters_are_different_classes(self):
        # They differ in one letter of five.
        letters = np.zeros((1, 4, 5), int)
        letters[0, [1, 3], 4] = 1
        target = np.eye(5)[letters].reshape(1, 4, 25)
        np.testing.assert_array_equal(instance_index(target), [[1, 1, 2, 2]])

    def test_bfloat16_counts_exactly(self):
        target = tf.ones((1, 301, 1), "bfloat16")
        assert int(instance_index(target)[0, -1]) == 301


class TestMetric:
    def test_a_perfect_and_a_wrong_model(self):
        target, _ = balanced(10, 3, 4)
        np.testing.assert_array_equal(measured(target, target, 4), [[1, 0]] * 4)
        np.testing.assert_array_equal(
            measured(target, -target, 4), [[0, 0]] * 4
        )

    def test_constant_logits_have_the_accuracy_of_chance(self):
        target, _ = balanced(10, 5, 2)
        values = measured(target, 0 * target, 2)
        np.testing.assert_allclose(values[:, 0], 1 / 5, rtol=1e-6)
        np.testing.assert_allclose(values[:, 1], 0, atol=1e-6)

    def test_predictions_that_are_nan_are_wrong(self):
        for encoding in ("one_hot", "letters"):
            target, _ = balanced(10, 3, 2, encoding)
            values = measured(target, np.nan * target, 2, encoding)
            np.testing.assert_array_equal(values, [[0, 0]] * 2)

    def test_an_instance_that_no_sequence_reaches_is_nan(self):
        target, predictions = balanced(10, 3, 2)
        values = measured(target, predictions, 4)
        assert np.isfinite(values[:2]).all()
        assert np.isnan(values[2:]).all()

    def test_several_updates_equal_one_and_reset_empties(self):
        target, predictions = balanced(30, 4, 3)
        metric = InstanceAccuracy(3)
        for part in (slice(0, 1), slice(1, 11), slice(11, 30)):
            metric.update_state(target[part], predictions[part])
        np.testing.assert_allclose(
            result(metric), measured(target, predictions, 3), rtol=1e-12
        )
        metric.reset_state()
        assert np.isnan(result(metric)).all()

    def test_the_interval_of_a_small_spread_keeps_its_digits(self):
        # 1000 sequences, all perfect but one.
        target = np.eye(20)[None].repeat(1000, axis=0)
        predictions = target.copy()
        predictions[0, 0] = np.eye(20)[1]
        accuracies = np.where(np.arange(1000) == 0, 0.95, 1.0)
        np.testing.assert_allclose(
            measured(target, predictions, 1)[0],
            reference.accuracy_interval(accuracies),
            rtol=1e-9,
        )

    def test_it_runs_in_a_graph_of_unknown_sizes(self):
        metric = InstanceAccuracy(3)
        spec = tf.TensorSpec((None, None, None))
        update = tf.function(metric.update_state, input_signature=[spec, spec])
        for sequences, way, each in [(3, 4, 2), (2, 5, 3)]:
            update(*balanced(sequences, way, each))
        np.testing.assert_array_equal(metric.shown, [22, 22, 10])

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_the_sums_have_the_type_of_the_metric(self, dtype):
        metric = InstanceAccuracy(2, dtype=dtype)
        metric.update_state(*balanced(3, 4, 2))
        assert {v.dtype for v in metric.variables} == {dtype}
        assert all(v.dtype == dtype for v in metric.result().values())

    def test_config_round_trip(self):
        metric = InstanceAccuracy(3, "letters", name="seen", dtype="float32")
        config = keras.saving.serialize_keras_object(metric)
        copy = keras.saving.deserialize_keras_object(config)
        assert isinstance(copy, InstanceAccuracy)
        assert copy.get_config() == metric.get_config()
        assert (copy.instances, copy.encoding) == (3, "letters")
        assert set(copy.result()) == {
            f"seen_{k}{end}" for k in (1, 2, 3) for end in ENDS
        }

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"instances": 0}, "`instances` must be at least 1"),
            ({"instances": 1.5}, "`instances` must be an integer"),
            ({"encoding": "text"}, "`encoding` must be one of"),
        ],
    )
    def test_a_wrong_argument_is_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            InstanceAccuracy(**options)

    def test_a_wrong_shape_is_an_error_that_says_it(self):
        with pytest.raises(ValueError, match=r"\(tasks, steps, labels\). Rec"):
            measured(np.zeros((2, 3)), np.zeros((2, 3)))
        with pytest.raises(ValueError, match="`y_true` must have 25 columns"):
            measured(np.zeros((2, 3, 5)), np.zeros((2, 3, 5)), 1, "letters")


LOSSES = {
    "one_hot": keras.losses.CategoricalCrossentropy(from_logits=True),
    "letters": km.sequence_losses.StringCrossentropy(),
}


def drawn(encoding, length=15):
    """Batches of 8 sequences of 3 classes."""
    return km.data.sequence_dataset(
        np.zeros((30, 4), "float32"),
        np.repeat(np.arange(6), 5),
        way=3,
        length=length,
        seed=0,
        encoding=encoding,
    ).batch(8, drop_remainder=True)


def repeating(encoding):
    """A model that predicts the label before, and remains so in `fit`."""
    columns = {"one_hot": 3, "letters": 25}[encoding]
    inputs = {
        "sequence_x": keras.Input((None, 4), name="sequence_x"),
        "previous_y": keras.Input((None, columns), name="previous_y"),
    }
    repeat = keras.layers.Dense(columns, kernel_initializer="identity")
    model = keras.Model(inputs, repeat(inputs["previous_y"]))
    metric = InstanceAccuracy(5, encoding)
    model.compile(keras.optimizers.SGD(0.0), LOSSES[encoding], metrics=[metric])
    return model


@pytest.mark.parametrize("encoding", LOSSES)
def test_a_model_that_repeats_the_label_is_measured_in_fit_and_evaluate(
    encoding,
):
    data, model = drawn(encoding), repeating(encoding)
    logs = model.fit(data, steps_per_epoch=3, shuffle=False, verbose=0).history
    measured_logs = model.evaluate(data.take(3), return_dict=True, verbose=0)
    x, y = next(iter(data.unbatch().batch(24)))
    expected = slow_measured(y.numpy(), x["previous_y"].numpy(), 5, encoding)
    for k, (mean, half_width) in enumerate(expected, start=1):
        for values in (measured_logs, {k: v[0] for k, v in logs.items()}):
            assert values[f"instance_{k}"] == pytest.approx(mean, abs=1e-6)
            assert values[f"instance_{k}_interval"] == pytest.approx(
                half_width, abs=1e-6
            )
    # A class shown for the first time is not the label before.
    assert measured_logs["instance_1"] < measured_logs["instance_5"]


@pytest.mark.parametrize("encoding", LOSSES)
def test_two_replicas_measure_like_one(encoding, strategy):
    # Some classes are shown more often: sequences weigh differently.
    data = drawn(encoding, length=14)
    one = repeating(encoding)
    with strategy.scope():
        two = repeating(encoding)
    options = dict(steps_per_epoch=3, shuffle=False, verbose=0)
    fitted = [model.fit(data, **options).history for model in (one, two)]
    measured_logs = [
        model.evaluate(data.take(3), return_dict=True, verbose=0)
        for model in (one, two)
    ]
    for expected, found in (fitted, measured_logs):
        assert set(found) == set(expected)
        assert len(found) == 1 + 2 * 5
        for key, value in expected.items():
            # An interval of 0 is the root of what rounding leaves.
            np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-7)
