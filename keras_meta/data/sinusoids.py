"""Sinusoid regression: each task is a sine wave of its own."""

import math

import numpy as np
import tensorflow as tf

from keras_meta.checks import check_integer, check_number
from keras_meta.data.class_table import PARALLEL_CALLS

# Tasks drawn in a call: a call for each would cost more than its work. With
# another number, a seed gives other tasks.
BLOCK = 64


def sinusoid_dataset(
    shot: int = 10,
    queries: int = 10,
    seed: int = 0,
    start: int = 0,
    amplitude_range: tuple[float, float] = (0.1, 5.0),
    phase_range: tuple[float, float] = (0.0, math.pi),
    x_range: tuple[float, float] = (-5.0, 5.0),
) -> tf.data.Dataset:
    """Draws an endless stream of regression tasks, each a sine wave.

    A task is the function `y = amplitude * sin(x - phase)`; amplitude and
    phase are drawn for each task, `x` for each example, all uniformly. The
    defaults are those of Finn et al. 2017, "Model-Agnostic Meta-Learning for
    Fast Adaptation of Deep Networks", section 5.1, and as many queries as
    support examples, as in their code. Element `i` depends on `(seed, i)`
    alone, so the stream is the same on every machine, `shard` splits it, and
    `start` resumes it.

    Args:
        shot: Support examples of a task, at least 1.
        queries: Query examples of a task, at least 1.
        seed: Integer: which stream.
        start: Integer, at least 0: the first task.
        amplitude_range: Pair `(least, most)`; equal ones fix the amplitude.
        phase_range: Pair `(least, most)`, in radians.
        x_range: Pair `(least, most)` for the inputs, in radians.

    Returns:
        A `tf.data.Dataset` without end of `(episode, query_y)`. The episode
        is a dict: `support_x (shot, 1)`, `support_y (shot, 1)`, `query_x
        (queries, 1)`; the target is `query_y (queries, 1)`; all float32.
        `.batch(n)` makes meta-batches of `n` tasks.

    Raises:
        ValueError: If a number is out of range, or a range is no pair of
            finite ordered numbers.

    Example:

    >>> tasks = sinusoid_dataset(shot=5, queries=15)
    >>> episode, query_y = next(iter(tasks.batch(25)))
    >>> episode["support_x"].shape.as_list(), query_y.shape.as_list()
    ([25, 5, 1], [25, 15, 1])
    """
    shot = check_integer("shot", shot, 1)
    # Not 0: `unbatch` of TensorFlow 2.21 would crash the process.
    queries = check_integer("queries", queries, 1)
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    amplitude_range = _range("amplitude_range", amplitude_range)
    phase_range = _range("phase_range", phase_range)
    x_range = _range("x_range", x_range)

    def draw(block):
        uniform = tf.random.stateless_uniform(
            (BLOCK, 2 + shot + queries, 1), (seed, block)
        )
        amplitude = _scale(uniform[:, :1], amplitude_range)
        phase = _scale(uniform[:, 1:2], phase_range)
        x = _scale(uniform[:, 2:], x_range)
        y = amplitude * tf.sin(x - phase)
        episode = {
            "support_x": x[:, :shot],
            "support_y": y[:, :shot],
            "query_x": x[:, shot:],
        }
        return episode, y[:, shot:]

    blocks = tf.data.Dataset.counter(start // BLOCK)
    tasks = blocks.map(draw, num_parallel_calls=PARALLEL_CALLS).unbatch()
    return tasks.skip(start % BLOCK)


def _scale(uniform, bounds):
    """Numbers between the bounds, from a uniform draw in [0, 1)."""
    low, high = bounds
    return low + (high - low) * uniform


def _range(name, value):
    """The pair of floats, or a ValueError."""
    is_pair = isinstance(value, tuple | list) or np.ndim(value) == 1
    pair = tuple(value) if is_pair else ()
    try:
        low, high = (float(check_number(name, number)) for number in pair)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a pair of finite numbers (least, most). "
            f"Received: {name}={value!r}"
        ) from error
    if low > high:
        raise ValueError(
            f"`{name}` must be ordered (least, most). "
            f"Received: {name}={value!r}"
        )
    return low, high
