"""Tests of the copy task."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_meta.data.copies import BLOCK, copy_dataset
from keras_meta.metrics import WrongBits


def take(dataset, count):
    return next(dataset.batch(count).as_numpy_iterator())


def assert_equal(left, right):
    """Two batches, to the last bit."""
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def vectors_of(sequence, bits):
    """The vectors shown in one sequence, `(length, bits)`, and nothing else.

    Read step by step, as a model sees them.
    """
    shown, inside = [], False
    for row in sequence:
        if row[bits]:
            inside = True
        elif row[bits + 1]:
            inside = False
        elif inside:
            shown.append(row[:bits])
        else:
            assert not row.any()
            continue
        assert inside or row.sum() == 1
        assert not row[bits:].any() or not row[:bits].any()
    return np.array(shown)


class TestSequences:
    @pytest.mark.parametrize("longest, bits", [(1, 1), (3, 8), (20, 5)])
    def test_shapes_are_static_and_floats(self, longest, bits):
        steps = 2 * longest + 2
        expected = (
            tf.TensorSpec((steps, bits + 2)),
            tf.TensorSpec((steps, bits)),
            tf.TensorSpec((steps,)),
        )
        dataset = copy_dataset(bits, longest=longest)
        assert dataset.element_spec == expected
        for array, spec in zip(take(dataset, 7), expected, strict=True):
            assert array.shape == (7, *spec.shape)

    def test_the_target_is_what_was_shown_at_the_steps_that_count(self):
        bits, lengths = 3, []
        batch = take(copy_dataset(bits, shortest=2, longest=6, seed=5), 200)
        for inputs, target, weight in zip(*batch, strict=True):
            vectors = vectors_of(inputs, bits)
            length = len(vectors)
            lengths.append(length)
            assert inputs[0, bits] == inputs[length + 1, bits + 1] == 1
            counted = np.zeros(14)
            counted[length + 2 : 2 * length + 2] = 1
            np.testing.assert_array_equal(weight, counted)
            np.testing.assert_array_equal(target[weight == 1], vectors)
            # The model sees nothing while it recalls.
            assert not inputs[length + 2 :].any()
            assert not target[weight == 0].any()
        assert set(lengths) == {2, 3, 4, 5, 6}

    def test_lengths_and_bits_are_uniform(self):
        bits, longest, count = 4, 5, 4000
        inputs, _, weight = take(copy_dataset(bits, longest=longest), count)
        lengths = weight.sum(axis=1).astype(int)
        share = np.bincount(lengths, minlength=6)[1:] / count
        sigma = math.sqrt(0.2 * 0.8 / count)
        np.testing.assert_allclose(share, 0.2, atol=6 * sigma)
        # Whatever the length, and at every step and channel.
        for length in range(1, longest + 1):
            shown = inputs[lengths == length, 1 : length + 1, :bits]
            sigma = math.sqrt(0.25 / len(shown))
            np.testing.assert_allclose(shown.mean(0), 0.5, atol=6 * sigma)
        flat = inputs[lengths == longest, 1 : longest + 1, :bits]
        flat = flat.reshape(-1, longest * bits)
        np.testing.assert_allclose(
            np.corrcoef(flat.T),
            np.eye(longest * bits),
            atol=6 / math.sqrt(len(flat)),
        )

    def test_equal_bounds_fix_the_length(self):
        weight = take(copy_dataset(shortest=4, longest=4), 50)[2]
        np.testing.assert_array_equal(weight, [[0] * 6 + [1] * 4] * 50)


class TestStream:
    def test_the_same_seed_gives_the_same_sequences(self):
        one, same, other = (
            take(copy_dataset(seed=seed), 2 * BLOCK + 3) for seed in (1, 1, 2)
        )
        assert_equal(one, same)
        assert not (one[0] == other[0]).all(axis=(1, 2)).any()

    # Starts within a block of sequences, at its ends, and far out.
    @pytest.mark.parametrize("start", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
    def test_a_stream_continues_exactly(self, start):
        assert_equal(
            take(copy_dataset(seed=3, start=start), BLOCK + 2),
            take(copy_dataset(seed=3).skip(start), BLOCK + 2),
        )

    def test_shards_are_the_stream(self):
        whole = take(copy_dataset(), 20)
        for place in (0, 1):
            shard = take(copy_dataset().shard(2, place), 10)
            assert_equal(shard, [array[place::2] for array in whole])

    def test_sequences_far_out_are_still_different(self):
        far, near = (
            take(copy_dataset(start=start), 2)[0] for start in (2**40, 0)
        )
        assert not (far == near).all(axis=(1, 2)).any()


def test_fit_counts_the_steps_of_the_recall_alone():
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            keras.layers.SimpleRNN(8, return_sequences=True),
            keras.layers.Dense(2, "sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight"),
        weighted_metrics=[WrongBits()],
    )
    logs = model.fit(
        copy_dataset(bits=2, longest=3).batch(16),
        steps_per_epoch=15,
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    assert logs["loss"][1] < logs["loss"][0] < 1
    test = copy_dataset(bits=2, longest=3, seed=1).batch(32).take(1)
    inputs, target, weight = next(test.as_numpy_iterator())
    predicted = model.predict(inputs, verbose=0)
    found = model.evaluate(test, return_dict=True, verbose=0)
    counted = weight == 1
    right, made = target[counted], predicted[counted]
    cost = -np.log(np.where(right == 1, made, 1 - made)).mean()
    assert found["loss"] == pytest.approx(cost, rel=1e-5)
    wrong = ((predicted > 0.5) != target).sum(axis=-1) * weight
    assert found["wrong_bits"] == pytest.approx(wrong.sum(axis=1).mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "`bits` must be at least 1. Received: bits=0"),
        ({"shortest": 0}, "`shortest` must be at least 1.*shortest=0"),
        ({"longest": 2.5}, "`longest` must be an integer.*longest=2.5"),
        (
            {"shortest": 4, "longest": 3},
            "`longest` must be at least `shortest`.*longest=3, shortest=4",
        ),
        ({"seed": 0.5}, "`seed` must be an integer.*seed=0.5"),
        ({"start": -1}, "`start` must be at least 0.*start=-1"),
    ],
)
def test_errors_say_what_was_expected(options, message):
    with pytest.raises(ValueError, match=message):
        copy_dataset(**options)
