"""Tasks of a meta-batch whose loss or gradient is not finite."""

import keras
import tensorflow as tf


class FailedTasks(keras.metrics.Metric):
    """Counts tasks that turned non-finite; not a metric of the logs.

    Its result is a dict: `count`, the failed tasks since the last reset, and
    `position`, the sum of their positions in the meta-batch (the position of
    the task, where one failed).
    """

    def __init__(self):
        super().__init__(name="failed_tasks", dtype="float32")
        self.count = self.add_variable((), "zeros", name="count")
        self.position = self.add_variable((), "zeros", name="position")

    def update_state(self, failed):
        """Adds one meta-batch, `(tasks,)` booleans on each replica."""
        tasks = tf.shape(failed)[0]
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        position = tf.range(tasks) + tasks * replica
        failed = tf.cast(failed, "float32")
        self.count.assign_add(tf.reduce_sum(failed))
        self.position.assign_add(
            tf.reduce_sum(failed * tf.cast(position, "float32"))
        )

    def result(self):
        # A variable of several replicas is their sum once it is a tensor.
        return {
            "count": tf.convert_to_tensor(self.count.value),
            "position": tf.convert_to_tensor(self.position.value),
        }


class StopAtFailedTask(keras.callbacks.Callback):
    """Stops `fit` with a FloatingPointError once a task turned non-finite."""

    def on_train_begin(self, logs=None):
        self.model.failed_tasks.reset_state()

    def on_train_batch_end(self, batch, logs=None):
        found = self.model.failed_tasks.result()
        count = int(found["count"])
        if not count:
            return
        which = (
            f"Task {int(found['position'])} of the meta-batch"
            if count == 1
            else f"{count} tasks of the meta-batch"
        )
        raise FloatingPointError(
            f"{which} turned non-finite in step {batch} of the epoch (its loss "
            "or gradient is NaN or infinite). The weights are as before that "
            "step. Look for NaN in the data, take a smaller "
            "`inner_learning_rate`, or clip gradients, as by the optimizer's "
            "`global_clipnorm`."
        )
