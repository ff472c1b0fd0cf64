"""Accuracy over tasks, with the interval that papers report."""

import keras
from keras import ops

from keras_meta.serialization import register


@register
class AccuracyInterval(keras.metrics.Metric):
    """Mean accuracy over tasks and its 95% interval.

    The accuracy of a task is the share of its queries whose largest
    prediction is the true class; a tie counts as one over the number of
    classes tied. The interval's half width is `1.96 * std / sqrt(tasks)`
    with the population standard deviation (ddof 0), as in the code of MAML.
    Queries whose target is a zero row are padding and do not count; nor does
    a task without queries.

    Under the name `task_accuracy` the logs get the keys `task_accuracy` and
    `task_accuracy_interval`, both in `[0, 1]`.

    Args:
        name: Name of the metric.
        dtype: Type of the sums.

    >>> metric = AccuracyInterval()
    >>> query_y = [[[1., 0.], [0., 1.]], [[1., 0.], [0., 1.]]]
    >>> logits = [[[2., 1.], [0., 3.]], [[2., 1.], [3., 0.]]]
    >>> metric.update_state(query_y, logits)
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'task_accuracy': 0.75, 'task_accuracy_interval': 0.346}
    """

    def __init__(self, name="task_accuracy", dtype="float64"):
        super().__init__(name=name, dtype=dtype)
        # Which way is better, for callbacks that monitor it.
        self._direction = "up"
        # Sums of errors, not of accuracies: near zero, their squares keep the
        # digits that the variance needs.
        for total in ("tasks", "errors", "squared_errors"):
            # Without `dtype` it would be float32, whatever the metric's type.
            variable = self.add_variable(
                (), "zeros", dtype=self.dtype, name=total
            )
            setattr(self, total, variable)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds tasks.

        Args:
            y_true: One-hot `(tasks, query, way)`.
            y_pred: Logits or scores `(tasks, query, way)`.
            sample_weight: Not used: padded queries are zero rows already.
        """
        y_true, y_pred = (
            ops.cast(ops.convert_to_tensor(y), "float32")
            for y in (y_true, y_pred)
        )
        if len(y_true.shape) != 3 or len(y_pred.shape) != 3:
            raise ValueError(
                "`y_true` and `y_pred` must have the shape (tasks, query, "
                f"way). Received: y_true of shape {tuple(y_true.shape)}, "
                f"y_pred of shape {tuple(y_pred.shape)}"
            )
        largest = ops.max(y_pred, axis=-1, keepdims=True)
        tied = ops.cast(y_pred >= largest, "float32")
        # A prediction that is NaN ties with nothing and is wrong.
        ties = ops.maximum(ops.sum(tied, axis=-1), 1)
        credit = ops.sum(tied * y_true, axis=-1) / ties
        present = ops.cast(ops.sum(y_true, axis=-1) > 0, "float32")
        queries = ops.cast(ops.sum(present, axis=-1), self.dtype)
        correct = ops.cast(ops.sum(credit * present, axis=-1), self.dtype)
        counted = ops.cast(queries > 0, self.dtype)
        error = counted - correct / ops.maximum(queries, 1)
        self.tasks.assign_add(ops.sum(counted))
        self.errors.assign_add(ops.sum(error))
        self.squared_errors.assign_add(ops.sum(error * error))

    def result(self):
        tasks = ops.maximum(self.tasks, 1)
        mean = self.errors / tasks
        variance = ops.maximum(self.squared_errors / tasks - mean * mean, 0)
        accuracy = ops.where(self.tasks > 0, 1 - mean, 0)
        return {
            self.name: accuracy,
            self.name + "_interval": 1.96 * ops.sqrt(variance / tasks),
        }
