"""Loops over the tasks of a meta-batch, whose memory the tasks do not set.

The body of a loop holds one task from its start to its gradient, so memory
grows with the number of tasks that may run side by side, and not with the
meta-batch.
"""

import collections

import keras
import tensorflow as tf

TaskSums = collections.namedtuple(
    "TaskSums", "gradients state losses predictions failed"
)


def map_tasks(function, elements, signature, at_once):
    """`function` of each task, stacked along a new tasks axis.

    Args:
        function: Function of one element: the nested structure of `elements`
            without the tasks axis.
        elements: Nested structure of tensors `(tasks, ...)`.
        signature: Nested `tf.TensorSpec` of what the function returns.
        at_once: How many tasks may run side by side.

    Returns:
        Nested structure of tensors `(tasks, ...)`.
    """
    return tf.map_fn(
        # As in `fit`, where Keras converts no Python code to graph code.
        tf.autograph.experimental.do_not_convert(function),
        elements,
        fn_output_signature=signature,
        # TensorFlow logs a warning of any other number.
        parallel_iterations=1 if tf.executing_eagerly() else at_once,
    )


def sum_over_tasks(task_gradient, learned, state, data, dtype, at_once):
    """Sums of the gradients of the tasks of a meta-batch.

    Every task starts from the same floats of `state`; integers, such as the
    seeds of dropout, run on from task to task.

    Args:
        task_gradient: Function `(state, episode) -> (gradients, loss,
            predictions, state)` of one task; see `GradientBasedModel`.
        learned: Tensors that have the shapes of the gradients.
        state: Tensors that a task starts from.
        data: `(x, y, sample_weight)` with a leading tasks axis.
        dtype: Type of losses and predictions.
        at_once: How many tasks may run side by side.

    Returns:
        `TaskSums`: `gradients` and the floats of `state` are sums over the
        tasks, integers of `state` those after the last task; `losses
        (tasks,)`, `predictions (tasks, query, outputs)`, and `failed
        (tasks,)`, whether loss or gradient is not finite.
    """
    floats = [value.dtype.is_floating for value in state]
    tasks = tf.shape(data[0]["query_x"])[0]

    def body(task, total, carried, losses, predictions, failed):
        episode = map_tensors(lambda tensor: tensor[task], data)
        start = _choose(floats, state, carried)
        gradients, loss, predicted, after = task_gradient(start, episode)
        # Not all gradients need be of one precision.
        size = tf.add_n([tf.cast(tf.reduce_sum(g), dtype) for g in gradients])
        finite = tf.math.is_finite(loss) & tf.math.is_finite(size)
        total = [a + b for a, b in zip(total, gradients, strict=True)]
        sums = [
            a + b if is_float else b
            for is_float, a, b in zip(floats, carried, after, strict=True)
        ]
        return (
            task + 1,
            total,
            sums,
            losses.write(task, tf.cast(loss, dtype)),
            predictions.write(task, predicted),
            failed.write(task, tf.logical_not(finite)),
        )

    _, total, carried, *arrays = tf.while_loop(
        lambda task, *_: task < tasks,
        body,
        (
            tf.constant(0),
            [tf.zeros_like(value) for value in learned],
            _choose(floats, [tf.zeros_like(s) for s in state], state),
            *(tf.TensorArray(kind, tasks) for kind in (dtype, dtype, tf.bool)),
        ),
        parallel_iterations=at_once,
    )
    return TaskSums(total, carried, *(array.stack() for array in arrays))


def map_tensors(function, values):
    """Maps nested tensors; None stays."""
    return keras.tree.map_structure(
        lambda value: None if value is None else function(value), values
    )


def _choose(conditions, yes, no):
    """Picks elements of two lists."""
    return [
        a if condition else b
        for condition, a, b in zip(conditions, yes, no, strict=True)
    ]
