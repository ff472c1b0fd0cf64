"""The outer loop of the methods that learn a task by gradient steps."""

import keras
import tensorflow as tf

from keras_meta import losses
from keras_meta.batch_statistics import StatisticsScope, current_scope
from keras_meta.checks import check_integer
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.functional import run
from keras_meta.ops import at_least_float32, wide
from keras_meta.threads import available_cores


class GradientBasedModel(EpisodicModel):
    """A model that adapts a copy of its network's weights to each task.

    The task is a dict of the adapted weights, `weight_0 (tasks, ...)` and so
    on, in the order of `network.trainable_variables`. A method is two
    functions of one task, which a subclass overrides: `adapt_task`, the
    inner loop, and `task_gradient`, what the outer loop learns from.

    The outer step is a `train_step` of its own. It runs the tasks in a
    `tf.while_loop` whose body computes the whole gradient of one task, so
    memory grows with `tasks_at_once` and not with the meta-batch; the mean
    over the tasks goes to the optimizer. On a CPU the tasks run side by side
    once `keras_meta.threads.set_threads` gave each operation one thread.
    Optimizers, clipping, metrics, callbacks, strategies and precision
    policies work as in any Keras model; the loss of `compile` is computed
    task by task and averaged.

    Every task of a meta-batch starts from the same non-trainable weights
    (moving averages, for one), and their mean over the tasks is kept. Seeds
    of dropout run on from task to task.

    A task whose loss or gradient is not finite leaves the weights as they
    were, and `fit` stops with an error that names it.

    Args:
        network: Keras model, examples `(batch, ...)` to outputs `(batch,
            outputs)`, one for each class or value; functional or subclassed.
            Frozen layers stay as they are.
        inner_loss: What the inner loop minimises: `"cross_entropy"` (the
            outputs are logits), `"mean_squared_error"` (they are values), or
            your own registered function `(targets, outputs) -> loss` of one
            task, with which `probabilities` are the outputs as they are.
        evaluation_inner_steps: Steps of `adapt` when it is not training; 0
            leaves the weights as they are. It can be changed later.
        tasks_at_once: How many tasks may run side by side; as many as there
            are CPU cores by default.
        statistics: As for `EpisodicModel`; `"batch"` by default.
        **kwargs: `preprocessing`, `name`: see `EpisodicModel`.

    Raises:
        ValueError: If a number is out of range or the loss is unknown; when
            it is built, if the network has no trainable weights or not one
            output for each class.
    """

    def __init__(
        self,
        network,
        inner_loss="cross_entropy",
        evaluation_inner_steps=1,
        tasks_at_once=None,
        statistics="batch",
        **kwargs,
    ):
        # Weights are adapted in their own precision, so they must not be
        # cast where they are read; the network casts for itself.
        super().__init__(statistics=statistics, autocast=False, **kwargs)
        self.network = network
        self.inner_loss = losses.get(inner_loss)
        self.evaluation_inner_steps = evaluation_inner_steps
        if tasks_at_once is not None:
            tasks_at_once = check_integer("tasks_at_once", tasks_at_once, 1)
        self.tasks_at_once = tasks_at_once
        self.failed_tasks = FailedTasks()

    @property
    def evaluation_inner_steps(self):
        """Steps of the inner loop when the model is not training."""
        return self._evaluation_inner_steps

    @evaluation_inner_steps.setter
    def evaluation_inner_steps(self, value):
        self._evaluation_inner_steps = check_integer(
            "evaluation_inner_steps", value, 0
        )
        self.forget_traces()

    def adapt_task(self, weights, state, support_x, support_y, training):
        """The inner loop of one task.

        Args:
            weights: Tensors to start from, one for each of
                `network.trainable_variables`.
            state: Tensors, one for each of `state_variables`.
            support_x: `(support, ...)`.
            support_y: `(support, outputs)`.
            training: Python bool; if it is set, a gradient can be taken
                through the steps.

        Returns:
            `(weights, state)`, adapted.
        """
        raise NotImplementedError

    def task_gradient(self, weights, state, episode):
        """What the outer loop learns from one task.

        Args:
            weights, state: As for `adapt_task`.
            episode: `(x, y, sample_weight)` as `fit` gets them, without the
                tasks axis.

        Returns:
            `(gradients, loss, predictions, state)`: for each weight what the
            optimizer descends, divided by the number of replicas; loss and
            predictions `(query, outputs)` of the queries.
        """
        raise NotImplementedError

    @property
    def metrics(self):
        # What the callback reads is not for the logs.
        return [m for m in super().metrics if m is not self.failed_tasks]

    @property
    def state_variables(self):
        """What a task changes beside the weights: the network's first."""
        return self.network.non_trainable_variables

    def compute_output_spec(self, episodes, training=False):
        self.check_episodes(episodes)
        query_x = episodes["query_x"]
        outputs = self.network(
            keras.KerasTensor((None, *query_x.shape[2:]), self.compute_dtype)
        )
        if not self.network.trainable_variables:
            raise ValueError(
                "`network` must have trainable weights, which the inner loop "
                f"adapts. Received: network={self.network.name!r}, which has "
                "none"
            )
        if len(outputs.shape) != 2:
            raise ValueError(
                "`network` must return a vector for each example, (batch, "
                "outputs); end it with Flatten and Dense layers. Received: "
                f"an output of shape {tuple(outputs.shape)}"
            )
        self.fixed_way = outputs.shape[1]
        self.check_outputs(episodes["support_y"].shape)
        shape = (*query_x.shape[:2], self.fixed_way)
        return keras.KerasTensor(shape, self._outputs_dtype)

    def check_outputs(self, support_y):
        """Raises a ValueError unless the network has an output per class.

        Args:
            support_y: Shape of the targets, `(tasks, support, outputs)`.
        """
        if support_y[-1] not in (None, self.fixed_way):
            raise ValueError(
                "`network` must have one output for each class (or value) of "
                f"a task: {support_y[-1]} for support_y of shape "
                f"{tuple(support_y)}, the units of its last Dense layer. "
                f"Received: a network with {self.fixed_way} outputs"
            )

    def adapt(self, support_x, support_y, training=False):
        self._build_for(support_x, support_y)
        self.check_outputs(support_y.shape)
        weights, state = self._values()
        scope = current_scope()
        collects = scope is not None and scope.mode == "collect"
        shapes = (
            self._moment_specs(weights, state, support_x) if collects else []
        )

        def adapt_one(example):
            x, y = example
            if not collects:
                return self.adapt_task(weights, state, x, y, training)[0], []
            with StatisticsScope("batch"):
                phi, after = self.adapt_task(weights, state, x, y, training)
            moments = self._support_moments(phi, after, x, training)
            return phi, [(mean[0], variance[0]) for mean, variance in moments]

        specs = [
            tf.TensorSpec(weight.shape, weight.dtype) for weight in weights
        ]
        phi, moments = self._map(
            adapt_one, (support_x, support_y), (specs, shapes)
        )
        if collects:
            scope.moments = moments
        return {f"weight_{number}": part for number, part in enumerate(phi)}

    def infer(self, task, query_x, training=False):
        scope = current_scope()
        reused = scope is not None and scope.mode == "reuse"

        def infer_one(phi, x, moments):
            if not reused:
                return self._predict(phi, x, training)
            pairs = [(mean[None], variance[None]) for mean, variance in moments]
            with StatisticsScope("reuse", pairs):
                return self._predict(phi, x, training)

        return self._map(
            lambda example: infer_one(*example),
            (
                self._adapted(task),
                query_x,
                scope.moments if reused else [],
            ),
            tf.TensorSpec(
                (query_x.shape[1], self.fixed_way), self._outputs_dtype
            ),
        )

    def probabilities(self, predictions):
        if self.inner_loss is losses.cross_entropy:
            return super().probabilities(predictions)
        return predictions

    def fit(self, x=None, y=None, *args, **kwargs):
        callbacks = kwargs.get("callbacks") or []
        if isinstance(callbacks, keras.callbacks.Callback):
            callbacks = [callbacks]
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(StopAtFailedTask())
        else:
            kwargs["callbacks"] = [StopAtFailedTask(), *callbacks]
        return super().fit(x, y, *args, **kwargs)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_episodes(x)
        self._build_for(x["support_x"], x["support_y"])
        self.check_outputs(x["support_y"].shape)
        total, carried, losses, predictions, failed = self._run_tasks(
            (x, y, sample_weight)
        )
        tasks = tf.shape(losses)[0]
        usable = tf.logical_not(tf.reduce_any(failed))
        self.failed_tasks.update_state(failed)
        self._apply([g / tf.cast(tasks, g.dtype) for g in total], usable)
        self._keep_state(carried, tasks, usable)
        loss = tf.reduce_mean(losses) * self._replicas
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tasks)
        return self.reducible(
            self.compute_metrics(x, y, predictions, sample_weight)
        )

    def query_pass(self, weights, state, episode):
        """Predicts the queries of one task with adapted weights.

        Args:
            weights, state: As `adapt_task` returned them.
            episode: As for `task_gradient`.

        Returns:
            `(loss, predictions, state)`; the loss is that of `compile` and
            of the network's regularizers, divided by the number of replicas.
        """
        x, y, sample_weight = _map_tensors(lambda t: t[None], episode)

        def loss_and_predictions(outputs):
            predictions = at_least_float32(outputs)
            loss = self.compute_loss(
                x, y, predictions[None], sample_weight, training=True
            )
            return loss, predictions

        scope = StatisticsScope("batch")
        if self.statistics == "support":
            support_x = episode[0]["support_x"]
            moments = self._support_moments(weights, state, support_x, True)
            scope = StatisticsScope("reuse", moments)
        own, rest = self._divided(state)
        with scope:
            (loss, predictions), own = run(
                self.network,
                weights,
                own,
                episode[0]["query_x"],
                training=True,
                then=loss_and_predictions,
            )
        return loss, predictions, [*own, *rest]

    def _run_tasks(self, data):
        """Sums over the tasks of a meta-batch.

        Args:
            data: `(x, y, sample_weight)` with a leading tasks axis.

        Returns:
            `(gradients, state, losses, predictions, failed)`: sums of the
            gradients and of the floats of the state, its integers after the
            last task; the others with a tasks axis.
        """
        weights, state = self._values()
        floats = [value.dtype.is_floating for value in state]
        tasks = tf.shape(data[0]["query_x"])[0]

        def array(dtype):
            return tf.TensorArray(dtype, size=tasks)

        def body(task, total, carried, losses, predictions, failed):
            episode = _map_tensors(lambda tensor: tensor[task], data)
            start = _choose(floats, state, carried)
            with StatisticsScope("batch"):
                gradients, loss, predicted, after = self.task_gradient(
                    weights, start, episode
                )
            size = tf.add_n([tf.reduce_sum(g) for g in gradients])
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
                losses.write(task, tf.cast(loss, self._outputs_dtype)),
                predictions.write(task, predicted),
                failed.write(task, tf.logical_not(finite)),
            )

        _, total, carried, *arrays = tf.while_loop(
            lambda task, *_: task < tasks,
            body,
            (
                tf.constant(0),
                [tf.zeros_like(weight) for weight in weights],
                _choose(floats, [tf.zeros_like(s) for s in state], state),
                array(self._outputs_dtype),
                array(self._outputs_dtype),
                array(tf.bool),
            ),
            parallel_iterations=self.tasks_at_once or available_cores(),
        )
        return total, carried, *(a.stack() for a in arrays)

    def _apply(self, gradients, usable):
        """One step of the optimizer; none of it if a task failed."""
        variables = self.network.trainable_variables
        gradients = [
            # Where Keras scales losses, its optimizer divides again.
            self.optimizer.scale_loss(tf.where(usable, g, tf.zeros_like(g)))
            for g in gradients
        ]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _keep_state(self, carried, tasks, usable):
        """Stores the mean of floats, and integers as they are."""
        for variable, value in zip(self.state_variables, carried, strict=True):
            if value.dtype.is_floating:
                value = value / tf.cast(tasks, value.dtype)
            old = tf.convert_to_tensor(variable.value)
            variable.assign(tf.where(usable, value, old))

    def _build_for(self, support_x, support_y):
        if self.built:
            return
        examples = tuple(support_x.shape)
        shapes = {"support_x": examples, "query_x": examples}
        self.build({**shapes, "support_y": tuple(support_y.shape)})

    def _values(self):
        """The weights and the state as tensors."""
        return [
            [tf.convert_to_tensor(variable.value) for variable in variables]
            for variables in (
                self.network.trainable_variables,
                self.state_variables,
            )
        ]

    def _divided(self, state):
        """The network's part of the state, and the rest."""
        own = len(self.network.non_trainable_variables)
        return state[:own], state[own:]

    def _adapted(self, task):
        weights = self.network.trainable_variables
        return [task[f"weight_{number}"] for number in range(len(weights))]

    def _predict(self, weights, x, training):
        """Outputs of examples `(n, ...)` with the weights of one task."""
        own, _ = self._divided(self._values()[1])
        outputs, _ = run(self.network, weights, own, x, training)
        return at_least_float32(outputs)

    def _support_moments(self, weights, state, support_x, training):
        """Pairs of moments `(1, channels)` of a pass over the support."""
        own, _ = self._divided(state)
        with StatisticsScope("collect") as scope:
            run(self.network, weights, own, support_x, training)
        return scope.moments

    def _moment_specs(self, weights, state, support_x):
        """Pairs of specs of the moments of one task, without its axis.

        A loop must know what its body returns, so the pass is traced once
        for their number and shapes.
        """
        found = []

        def trace(x):
            found.extend(self._support_moments(weights, state, x, False))

        spec = tf.TensorSpec((None, *support_x.shape[2:]), support_x.dtype)
        tf.function(trace, autograph=False).get_concrete_function(spec)
        return [
            tuple(tf.TensorSpec(part.shape[1:], part.dtype) for part in pair)
            for pair in found
        ]

    def _map(self, function, elements, signature):
        """`tf.map_fn` over the tasks axis."""
        at_once = self.tasks_at_once or available_cores()
        return tf.map_fn(
            function,
            elements,
            fn_output_signature=signature,
            # TensorFlow logs a warning of any other number.
            parallel_iterations=1 if tf.executing_eagerly() else at_once,
        )

    @property
    def _outputs_dtype(self):
        return wide(self.network.compute_dtype)

    @property
    def _replicas(self):
        return tf.distribute.get_strategy().num_replicas_in_sync

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "inner_loss": losses.serialize(self.inner_loss),
            "evaluation_inner_steps": self.evaluation_inner_steps,
            "tasks_at_once": self.tasks_at_once,
        }


class FailedTasks(keras.metrics.Metric):
    """Counts tasks that turned non-finite; no metric of the logs."""

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
    """Stops `fit` with an error once a task turned non-finite."""

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


def _map_tensors(function, values):
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
