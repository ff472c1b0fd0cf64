"""Streams of tasks of which each is a function of its number."""

import tensorflow as tf

from keras_meta.data.class_table import PARALLEL_CALLS


def numbered_tasks(draw, start):
    """The endless stream of `draw(start)`, `draw(start + 1)` and so on.

    Args:
        draw: Function from a number, an int64 tensor, to a task.
        start: Integer: the first number.

    Returns:
        A `tf.data.Dataset`. Its `part_of_worker(index, count)` is the data
        set of `shard(count, index)`, without drawing the tasks of others.
    """

    def part(index, count):
        numbers = tf.data.Dataset.counter(start + index, count)
        return numbers.map(draw, num_parallel_calls=PARALLEL_CALLS)

    tasks = part(0, 1)
    tasks.part_of_worker = part
    return tasks
