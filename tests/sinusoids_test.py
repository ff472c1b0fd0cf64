"""Tests of the sinusoid tasks."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_meta.data.sinusoids import BLOCK, sinusoid_dataset


def take(dataset, count):
    return next(dataset.batch(count).as_numpy_iterator())


def assert_equal(left, right):
    """Two batches, to the last bit."""
    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


def examples(tasks):
    """All `x` and `y` of a batch of tasks, `(tasks, examples)` float64."""
    episode, query_y = tasks
    x = np.concatenate([episode["support_x"], episode["query_x"]], axis=1)
    y = np.concatenate([episode["support_y"], query_y], axis=1)
    return x[..., 0].astype("float64"), y[..., 0].astype("float64")


def waves(x, y):
    """Amplitude, phase and largest error of the sine through each task.

    `a sin(x - p) = (a cos p) sin x - (a sin p) cos x` is linear in two
    unknowns, which least squares finds.
    """
    fitted = []
    for one_x, one_y in zip(x, y, strict=True):
        columns = np.stack([np.sin(one_x), -np.cos(one_x)], axis=1)
        solution = np.linalg.lstsq(columns, one_y)[0]
        error = np.abs(columns @ solution - one_y).max()
        fitted.append((np.hypot(*solution), np.arctan2(*solution[::-1]), error))
    return np.array(fitted).T


def assert_uniform(numbers, low, high):
    """All within the bounds, and in each tenth a tenth, +- 6 sigma."""
    assert numbers.min() >= low and numbers.max() <= high
    share = np.histogram(numbers, 10, (low, high))[0] / numbers.size
    sigma = math.sqrt(0.1 * 0.9 / numbers.size)
    np.testing.assert_allclose(share, 0.1, atol=6 * sigma)


class TestTasks:
    @pytest.mark.parametrize(("shot", "queries"), [(1, 3), (10, 10), (5, 1)])
    def test_shapes_are_static_and_floats(self, shot, queries):
        dataset = sinusoid_dataset(shot, queries)
        shapes = {
            "support_x": (shot, 1),
            "support_y": (shot, 1),
            "query_x": (queries, 1),
        }
        episode, query_y = dataset.element_spec
        for key, shape in shapes.items():
            assert episode[key] == tf.TensorSpec(shape), key
        assert set(episode) == set(shapes)
        assert query_y == tf.TensorSpec((queries, 1))
        episode, query_y = take(dataset, 7)
        for key, shape in shapes.items():
            assert episode[key].shape == (7, *shape)
        assert query_y.shape == (7, queries, 1)

    def test_the_values_are_those_of_one_sine_wave(self):
        options = {"amplitude_range": (2, 2), "phase_range": (0.5, 0.5)}
        x, y = examples(take(sinusoid_dataset(**options), 100))
        np.testing.assert_allclose(y, 2 * np.sin(x - 0.5), atol=2e-6)

    def test_tasks_and_inputs_are_those_of_the_paper(self):
        x, y = examples(take(sinusoid_dataset(), 3000))
        amplitude, phase, error = waves(x, y)
        assert error.max() < 1e-5
        assert_uniform(x, -5, 5)
        # They are known to about a millionth.
        assert_uniform(amplitude.clip(0.1, 5), 0.1, 5)
        np.testing.assert_allclose(amplitude, amplitude.clip(0.1, 5), atol=1e-5)
        assert_uniform(phase.clip(0, np.pi), 0, np.pi)
        np.testing.assert_allclose(phase, phase.clip(0, np.pi), atol=1e-4)
        # Drawn one without regard to another.
        drawn = np.stack([amplitude, phase, x[:, 0], x[:, -1]])
        np.testing.assert_allclose(
            np.corrcoef(drawn), np.eye(4), atol=6 / math.sqrt(3000)
        )

    def test_ranges_are_those_given(self):
        dataset = sinusoid_dataset(
            amplitude_range=(3, 4), phase_range=[-1, 1], x_range=(2, 9)
        )
        x, y = examples(take(dataset, 1000))
        amplitude, phase, error = waves(x, y)
        assert error.max() < 1e-5
        assert_uniform(x, 2, 9)
        assert_uniform(amplitude, 3 - 1e-5, 4 + 1e-5)
        assert_uniform(phase, -1 - 1e-5, 1 + 1e-5)

    def test_all_tasks_and_examples_are_different(self):
        x, _ = examples(take(sinusoid_dataset(), 3 * BLOCK))
        assert len(np.unique(x)) > 0.99 * x.size


class TestStream:
    def test_the_same_seed_gives_the_same_tasks(self):
        assert_equal(
            take(sinusoid_dataset(seed=1), 2 * BLOCK + 3),
            take(sinusoid_dataset(seed=1), 2 * BLOCK + 3),
        )
        x, other = (
            examples(take(sinusoid_dataset(seed=seed), 10))[0]
            for seed in (1, 2)
        )
        assert not np.isin(x, other).any()

    # Starts within a block of tasks, at its ends, and far out.
    @pytest.mark.parametrize("start", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
    def test_a_stream_continues_exactly(self, start):
        assert_equal(
            take(sinusoid_dataset(seed=3, start=start), BLOCK + 2),
            take(sinusoid_dataset(seed=3).skip(start), BLOCK + 2),
        )

    def test_shards_are_the_stream(self):
        whole = take(sinusoid_dataset(), 20)
        for place in (0, 1):
            shard = take(sinusoid_dataset().shard(2, place), 10)
            expected = tf.nest.map_structure(
                lambda array, place=place: array[place::2], whole
            )
            assert_equal(shard, expected)

    def test_tasks_far_out_are_still_different(self):
        far = examples(take(sinusoid_dataset(start=2**40), 2))[0]
        near = examples(take(sinusoid_dataset(), 2))[0]
        assert not np.isin(far, near).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shot": 0}, "`shot` must be at least 1. Received: shot=0"),
        ({"shot": (1, 5)}, r"`shot` must be an integer.*shot=\(1, 5\)"),
        ({"queries": 0}, "`queries` must be at least 1.*queries=0"),
        ({"seed": 0.5}, "`seed` must be an integer.*seed=0.5"),
        ({"start": -1}, "`start` must be at least 0.*start=-1"),
        ({"amplitude_range": 3}, "`amplitude_range` must be a pair.*range=3"),
        (
            {"phase_range": (1, 0)},
            r"`phase_range` must be ordered.*phase_range=\(1, 0\)",
        ),
        (
            {"x_range": (0, math.inf)},
            r"`x_range` must be a pair of finite.*x_range=\(0, inf\)",
        ),
        ({"x_range": ("a", "b")}, "`x_range` must be a pair of finite"),
        ({"x_range": (1, 2, 3)}, "`x_range` must be a pair of finite"),
    ],
)
def test_errors_say_what_was_expected(options, message):
    with pytest.raises(ValueError, match=message):
        sinusoid_dataset(**options)
