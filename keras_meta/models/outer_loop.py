"""The outer loop: one step of what a meta-batch of tasks teaches."""

from typing import Any

import keras
import tensorflow as tf

from keras_meta.batch_statistics import StatisticsScope
from keras_meta.checks import check_integer
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.failed_tasks import NamesFailedTasks
from keras_meta.models.functional import value_of
from keras_meta.models.task_loop import sum_over_tasks
from keras_meta.ops import wide
from keras_meta.threads import available_cores
from keras_meta.typing import Config, Tensor


class OuterLoop(NamesFailedTasks, EpisodicModel):
    """A `train_step` that sums what the outer loop learns over the tasks.

    It runs the tasks in a `tf.while_loop` whose body computes the whole
    gradient of one task, so memory grows with `tasks_at_once` and not with
    the meta-batch; the mean over the tasks goes to the optimizer. On a CPU
    the tasks run side by side once `keras_meta.threads.set_threads` gave each
    operation one thread. Optimizers, clipping, metrics, callbacks, strategies
    and precision policies work as in any Keras model; the loss of `compile`
    is computed task by task and averaged.

    Every task of a meta-batch starts from the same `state_variables` (moving
    averages, for one), and their mean over the tasks is kept. Seeds of
    dropout run on from task to task.

    A meta-batch with a task whose loss or gradient is not finite has the
    gradient zero, and `fit` stops with a FloatingPointError that names the
    task.

    Args:
        tasks_at_once: How many tasks may run side by side, at least 1; as
            many as there are CPU cores by default.
        **kwargs: See `EpisodicModel`.

    Raises:
        ValueError: As for `EpisodicModel`, or if `tasks_at_once` is no
            positive integer.
    """

    failure = (
        "(its loss or gradient is NaN or infinite). The gradient of that step "
        "was left out. Look for NaN in the data, take a smaller "
        "`inner_learning_rate`, or clip gradients, as by the optimizer's "
        "`global_clipnorm`."
    )

    def __init__(self, tasks_at_once: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if tasks_at_once is not None:
            tasks_at_once = check_integer("tasks_at_once", tasks_at_once, 1)
        self.tasks_at_once = tasks_at_once

    @property
    def learned_variables(self) -> list[keras.Variable]:
        """What the outer loop learns."""
        raise NotImplementedError

    @property
    def state_variables(self) -> list[keras.Variable]:
        """What a task changes beside: its mean over the tasks is kept."""
        raise NotImplementedError

    @property
    def predictions_dtype(self) -> str:
        """Type of predictions and losses: float32 at least."""
        return wide(self.compute_dtype)

    def task_gradient(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        """What the outer loop learns from one task.

        Args:
            learned: Tensors, one for each of `learned_variables`.
            state: Tensors, one for each of `state_variables`.
            episode: `(x, y, sample_weight)` as `fit` gets them, without the
                tasks axis.

        Returns:
            `(gradients, loss, predictions, state)`: for each of
            `learned_variables` what the optimizer descends, divided by the
            number of replicas; loss and predictions `(query, outputs)` of
            the queries; the state after the task.
        """
        raise NotImplementedError

    def train_step(self, data: Any) -> dict[str, Tensor]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_episodes(x)
        self._build_for(x["support_x"], x["support_y"])
        sums = self._run_tasks((x, y, sample_weight))
        tasks = tf.shape(sums.losses)[0]
        usable = tf.logical_not(tf.reduce_any(sums.failed))
        self.failed_tasks.update_state(sums.failed)
        self._apply(
            [g / tf.cast(tasks, g.dtype) for g in sums.gradients], usable
        )
        self._store_state(sums.state, tasks, usable)
        loss = tf.reduce_mean(sums.losses) * self._replicas
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tasks)
        return self.reducible(
            self.compute_metrics(x, y, sums.predictions, sample_weight)
        )

    def _run_tasks(self, data):
        """`TaskSums` of a meta-batch `(x, y, sample_weight)`."""
        learned, state = self._values()

        def task_gradient(start, episode):
            with StatisticsScope("batch", owner=self):
                return self.task_gradient(learned, start, episode)

        return sum_over_tasks(
            task_gradient,
            learned,
            state,
            data,
            self.predictions_dtype,
            self._at_once,
        )

    def _apply(self, gradients, usable):
        """One step of the optimizer; none of it if a task failed."""
        gradients = [
            # Where Keras scales losses, its optimizer divides again.
            self.optimizer.scale_loss(tf.where(usable, g, tf.zeros_like(g)))
            for g in gradients
        ]
        if not self.optimizer.built:
            # In the order in which Keras builds it for a model that it
            # loads; otherwise slots of equal shape would change places.
            self.optimizer.build(self.trainable_variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.learned_variables, strict=True)
        )

    def _store_state(self, carried, tasks, usable):
        """Stores the mean of floats, and integers as they are."""
        for variable, value in zip(self.state_variables, carried, strict=True):
            if value.dtype.is_floating:
                value = value / tf.cast(tasks, value.dtype)
            old = tf.convert_to_tensor(variable.value)
            variable.assign(tf.where(usable, value, old))

    def _build_for(self, support_x, support_y):
        """Builds the model as for queries like the support examples."""
        if self.built:
            return
        examples = tuple(support_x.shape)
        shapes = {"support_x": examples, "query_x": examples}
        # The pass that builds is no support pass: it has no moments.
        with StatisticsScope("batch", owner=self):
            self.build({**shapes, "support_y": tuple(support_y.shape)})

    def _values(self):
        """What is learned and the state, as tensors."""
        return [
            [value_of(variable) for variable in variables]
            for variables in (self.learned_variables, self.state_variables)
        ]

    @property
    def _at_once(self):
        return self.tasks_at_once or available_cores()

    @property
    def _replicas(self):
        return tf.distribute.get_strategy().num_replicas_in_sync

    def get_config(self) -> Config:
        return {**super().get_config(), "tasks_at_once": self.tasks_at_once}
