"""Tasks of a meta-batch that turned non-finite."""

from typing import Any

import keras
import tensorflow as tf

from keras_meta.models.replicated_fit import with_arguments
from keras_meta.typing import Tensor


class NamesFailedTasks(keras.Model):
    """A model whose `fit` stops at a task that turned non-finite.

    A training step of it updates `failed_tasks`.
    """

    # What turned non-finite, what became of the weights, and what to look
    # for: sentences of the error.
    failure = ""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.failed_tasks = FailedTasks()

    @property
    def metrics(self) -> list[keras.Metric]:
        # What the callback reads is not for the logs.
        return [m for m in super().metrics if m is not self.failed_tasks]

    @with_arguments(keras.Model.fit)
    def fit(self, arguments: dict[str, Any]) -> keras.callbacks.History:
        """As `EpisodicModel.fit`; it stops at a task that is not finite.

        Raises:
            FloatingPointError: If a task turns NaN or infinite.
            ValueError: As for `EpisodicModel.fit`.
        """
        callbacks = keras.tree.flatten(arguments.pop("callbacks", None) or [])
        # A `CallbackList` is a callback as well.
        callbacks = [StopAtFailedTask(), *callbacks]
        return super().fit(**arguments, callbacks=callbacks)


class FailedTasks(keras.metrics.Metric):
    """Counts tasks that turned non-finite; not a metric of the logs.

    Its result is a dict: `count`, the failed tasks since the last reset, and
    `position`, the sum of their positions in the meta-batch (the position of
    the task, where one failed).
    """

    def __init__(self) -> None:
        super().__init__(name="failed_tasks", dtype="float32")
        self.count = self.add_variable((), "zeros", name="count")
        self.position = self.add_variable((), "zeros", name="position")

    def update_state(self, failed: Tensor) -> None:
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

    def save_own_variables(self, store):
        """Saves nothing: they tell of one step."""

    def load_own_variables(self, store):
        """Loads nothing, also not what an older version saved."""

    def result(self) -> Tensor:
        # A variable of several replicas is their sum once it is a tensor.
        return {
            "count": tf.convert_to_tensor(self.count.value),
            "position": tf.convert_to_tensor(self.position.value),
        }


class StopAtFailedTask(keras.callbacks.Callback):
    """Stops `fit` with a FloatingPointError once a task turned non-finite."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.model.failed_tasks.reset_state()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
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
            f"{which} turned non-finite in step {batch} of the epoch "
            f"{self.model.failure}"
        )
