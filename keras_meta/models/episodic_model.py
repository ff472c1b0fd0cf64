"""The contract of every method: adapt to a support set, infer queries."""

import functools
import os
import pathlib
import tempfile

import keras
import tensorflow as tf
from keras import ops

from keras_meta.serialization import deserialize_nested
from keras_meta.statistics import STATISTICS, StatisticsScope, current_scope

EPISODE_KEYS = ("support_x", "support_y", "query_x")
# Where a task carries the moments of its support pass.
MEAN, VARIANCE = "support_mean_", "support_variance_"


class EpisodicModel(keras.Model):
    """A model that learns a task from its support set and predicts queries.

    A method is two functions, which a subclass overrides:

    - `adapt(support_x, support_y, training=False) -> task`
    - `infer(task, query_x, training=False) -> predictions`

    `call` composes them, so `compile`, `fit`, `evaluate`, `predict` and
    saving are Keras' own. A task is a tensor, or a flat dict of tensors,
    with a leading `tasks` axis; it is returned and never kept on the model.

    An episode is a dict of float tensors (`keras_meta.data.episode_dataset`
    makes them): `support_x (tasks, support, ...)`, one-hot `support_y
    (tasks, support, way)` whose zero rows are padding, `query_x (tasks,
    query, ...)`. Way and shot are shapes: one model serves all of them.

    Args:
        statistics: `"running"`, `"batch"` or `"support"`: which batch-norm
            statistics `adapt` and `infer` use; see `keras_meta.statistics`.
            It can be changed later.
        preprocessing: Optional `keras_meta.Preprocessing`: what the images
            were put through. Saved with the model and applied by
            `FewShotClassifier`, not by `call`.
        **kwargs: `name`, `dtype` and so on, for `keras.Model`.

    Raises:
        ValueError: For an unknown choice of statistics.
    """

    # What a subclass accepts as its `statistics`.
    statistics_choices = STATISTICS
    # The number of classes, for a model that cannot serve any other.
    fixed_way = None

    def __init__(self, statistics="running", preprocessing=None, **kwargs):
        super().__init__(**kwargs)
        self.statistics = statistics
        self.preprocessing = preprocessing

    def __init_subclass__(cls, **kwargs):
        # Batch-norm statistics are opened around the two verbs here, once,
        # so that the methods themselves read like their papers.
        super().__init_subclass__(**kwargs)
        if "adapt" in vars(cls):
            cls.adapt = _support_pass(cls.adapt)
        if "infer" in vars(cls):
            cls.infer = _query_pass(cls.infer)

    @property
    def statistics(self):
        """Which batch-norm statistics a pass uses, by name."""
        return self._statistics

    @statistics.setter
    def statistics(self, value):
        if value not in self.statistics_choices:
            raise ValueError(
                f"`statistics` must be one of {self.statistics_choices}. "
                f"Received: statistics={value!r}"
            )
        self._statistics = value
        self.forget_traces()

    def forget_traces(self):
        """Drops compiled functions, which do not notice changed attributes."""
        self.train_function = None
        self.test_function = None
        self.predict_function = None

    def adapt(self, support_x, support_y, training=False):
        """Learns each task from its support set.

        Args:
            support_x: `(tasks, support, ...)`, floats.
            support_y: One-hot `(tasks, support, way)`; zero rows are
                padding.
            training: Python bool.

        Returns:
            The task: a tensor or a flat dict of tensors, each with a
            leading `tasks` axis.
        """
        raise NotImplementedError

    def infer(self, task, query_x, training=False):
        """Predicts the queries of each task.

        Args:
            task: What `adapt` returned.
            query_x: `(tasks, query, ...)`, floats.
            training: Python bool.

        Returns:
            Predictions `(tasks, query, way)`, float32 at least: logits, or
            what else the method's `probabilities` takes.
        """
        raise NotImplementedError

    def probabilities(self, predictions):
        """Turns what `infer` and `predict` return into probabilities.

        Args:
            predictions: `(tasks, query, way)`.

        Returns:
            Tensor of that shape whose rows sum to 1.
        """
        return ops.softmax(predictions, axis=-1)

    def build(self, input_shape):
        """Makes the weights.

        Args:
            input_shape: Dict of the shapes of an episode, with None where a
                size is open.
        """
        episodes = {
            key: keras.KerasTensor(input_shape[key], dtype=self.compute_dtype)
            for key in EPISODE_KEYS
            if key in input_shape
        }
        self.compute_output_spec(episodes)
        self.example_shapes = {
            key: tuple(input_shape[key][2:]) for key in ("support_x", "query_x")
        }

    def call(self, episodes, training=False):
        """Adapts to the support set of each episode and infers its queries.

        Args:
            episodes: Dict of `support_x`, `support_y` and `query_x`.
            training: Python bool.

        Returns:
            Predictions `(tasks, query, way)`.

        Raises:
            ValueError: If keys, ranks, types or shapes do not fit.
        """
        self.check_episodes(episodes)
        task = self.adapt(
            episodes["support_x"], episodes["support_y"], training=training
        )
        return self.infer(task, episodes["query_x"], training=training)

    def check_episodes(self, episodes):
        """Raises a ValueError that shows the fix if episodes do not fit.

        Args:
            episodes: Dict of `support_x`, `support_y` and `query_x`.
        """
        missing = not isinstance(episodes, dict) or [
            key for key in EPISODE_KEYS if key not in episodes
        ]
        if missing:
            keys = list(episodes) if isinstance(episodes, dict) else "no dict"
            raise ValueError(
                f"`episodes` must be a dict with the keys {EPISODE_KEYS}, as "
                "`keras_meta.data.episode_dataset(...).batch(tasks)` yields. "
                f"Received: {keys}"
            )
        shapes = {key: tuple(episodes[key].shape) for key in EPISODE_KEYS}
        support_x, support_y, query_x = shapes.values()
        if len(support_y) == 2:
            raise ValueError(
                "`support_y` must be one-hot, (tasks, support, way); for "
                "integer labels use `keras.ops.one_hot(support_y, way)`. "
                f"Received: support_y of shape {support_y}"
            )
        if len(support_x) < 3 or len(support_y) != 3 or len(query_x) < 3:
            raise ValueError(
                "`episodes` must hold support_x (tasks, support, ...), "
                "support_y (tasks, support, way) and query_x (tasks, query, "
                "...); one episode becomes a batch with `.batch(1)`. "
                f"Received: shapes {shapes}"
            )
        for key in ("support_x", "query_x"):
            dtype = keras.backend.standardize_dtype(episodes[key].dtype)
            if "float" not in dtype:
                raise ValueError(
                    f"`{key}` must be floats; turn uint8 pixels into [0, 1] "
                    f"by `/ 255`. Received: {key} of dtype {dtype}"
                )
        if _differ(support_x[:2], support_y[:2]):
            raise ValueError(
                "`support_x` and `support_y` must agree in tasks and support "
                f"examples. Received: shapes {support_x} and {support_y}"
            )
        self.check_query_shape(support_x, query_x)

    def check_query_shape(self, support_x, query_x):
        """Raises a ValueError unless support and queries are alike.

        Args:
            support_x: Shape of the support examples.
            query_x: Shape of the queries.
        """
        if len(support_x) != len(query_x) or _differ(
            support_x[2:], query_x[2:]
        ):
            raise ValueError(
                "`support_x` and `query_x` must hold examples of one shape. "
                f"Received: shapes {support_x} and {query_x}"
            )

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit`, for data sets of episodes.

        Args:
            x: A `tf.data.Dataset` of `(episode, query_y)`, batched; under a
                `tf.distribute` strategy with `drop_remainder=True`.
            y: Targets, if `x` is a dict of arrays.
            *args, **kwargs: As for `keras.Model.fit`.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError: If tasks do not divide among the replicas.
        """
        if isinstance(x, tf.data.Dataset):
            self._check_replicas(x)
            self._build_for_workers(x)
            # Keras warns that it cannot shuffle a data set.
            kwargs.setdefault("shuffle", False)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate`, for data sets of episodes."""
        if isinstance(x, tf.data.Dataset):
            self._build_for_workers(x)
        return super().evaluate(x, y, *args, **kwargs)

    def train_step(self, data):
        return self._reducible(super().train_step(data))

    def test_step(self, data):
        return self._reducible(super().test_step(data))

    def _works_with_others(self):
        return isinstance(
            self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy
        )

    def _build_for_workers(self, dataset):
        """Builds all state from the shapes of a data set's elements."""
        if not self._works_with_others():
            return
        batch = tf.nest.map_structure(
            lambda spec: keras.KerasTensor((None, *spec.shape[1:]), spec.dtype),
            dataset.element_spec,
        )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=batch)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # With several workers Keras would take the shapes from a batch that
        # is spread over replicas, and fail; `_build_for_workers` has done it.
        if not self._works_with_others():
            super()._maybe_symbolic_build(iterator, data_batch)

    def _reducible(self, logs):
        """Logs as Keras can reduce them: with several workers, along axis 0."""
        if not self._works_with_others():
            return logs
        return tf.nest.map_structure(lambda value: value[None], logs)

    def _check_replicas(self, dataset):
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas == 1:
            return
        tasks = tf.nest.flatten(dataset.element_spec)[0].shape[0]
        if tasks is None or tasks % replicas:
            raise ValueError(
                f"With {replicas} replicas the tasks of a batch must be a "
                f"multiple of {replicas}, known in advance: use "
                f"`.batch(n, drop_remainder=True)`. Received: tasks={tasks}"
            )

    def export(self, filepath):
        """Writes a SavedModel that learns new classes inside its graph.

        Signatures, with tasks, support, queries and way all open; they need
        TensorFlow only, not this package:

        - `serving_default(support_x, support_y, query_x)` returns
          `probabilities (tasks, query, way)`;
        - `adapt(support_x, support_y)` returns the parts of the task;
        - `infer(query_x, and the parts of the task)` returns
          `probabilities`.

        Args:
            filepath: Folder to write; it must not exist.

        Raises:
            ValueError: If the folder exists, or the model is not built.
        """
        path = pathlib.Path(filepath)
        if path.exists():
            raise ValueError(
                "`filepath` must be a new folder; nothing is overwritten. "
                f"Received: filepath={str(filepath)!r}, which exists"
            )
        if not self.built:
            raise ValueError(
                "The model must be built before it is exported: fit it, load "
                "its weights or call it on a batch of episodes."
            )
        archive = keras.export.ExportArchive()
        archive.track(self)
        support = {
            "support_x": self._spec("support_x"),
            "support_y": tf.TensorSpec((None, None, None), name="support_y"),
        }
        query = {"query_x": self._spec("query_x")}

        def serve(support_x, support_y, query_x):
            task = self.adapt(support_x, support_y)
            return self._served(self.infer(task, query_x))

        def adapt(support_x, support_y):
            return _named_parts(self.adapt(support_x, support_y))

        def infer(query_x, **parts):
            return self._served(self.infer(_unnamed_parts(parts), query_x))

        def add(name, function, specs):
            traced = tf.function(function)
            concrete = traced.get_concrete_function(**specs)
            archive.add_endpoint(name, traced)
            return concrete.structured_outputs

        task = add("adapt", adapt, support)
        parts = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in task.items()
        }
        add("infer", infer, {**query, **parts})
        add("serving_default", serve, {**support, **query})
        # Written beside its place and moved at the end: all of it or nothing.
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = pathlib.Path(folder) / path.name
            archive.write_out(str(part), verbose=False)
            os.rename(part, path)

    def _spec(self, key):
        shape = (None, None, *self.example_shapes[key])
        return tf.TensorSpec(shape, name=key)

    def _served(self, predictions):
        return {"probabilities": self.probabilities(predictions)}

    def get_config(self):
        return {
            **super().get_config(),
            "statistics": self.statistics,
            "preprocessing": keras.saving.serialize_keras_object(
                self.preprocessing
            ),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize_nested(config))


def _named_parts(task):
    return task if isinstance(task, dict) else {"task": task}


def _unnamed_parts(parts):
    return parts["task"] if set(parts) == {"task"} else parts


def _mode(statistics, training, support):
    """What batch norm does in a pass; `support` is for those statistics."""
    if statistics == "running":
        return "batch" if training else "running"
    return support if statistics == "support" else "batch"


def _support_pass(adapt):
    """Opens the model's batch-norm statistics around `adapt`."""

    @functools.wraps(adapt)
    def wrapped(self, support_x, support_y, training=False):
        if current_scope() is not None:
            return adapt(self, support_x, support_y, training=training)
        mode = _mode(self.statistics, training, support="collect")
        with StatisticsScope(mode) as scope:
            task = adapt(self, support_x, support_y, training=training)
        if not scope.moments:
            return task
        task = dict(_named_parts(task))
        for number, (mean, variance) in enumerate(scope.moments):
            task[f"{MEAN}{number}"] = mean
            task[f"{VARIANCE}{number}"] = variance
        return task

    return wrapped


def _query_pass(infer):
    """Opens the model's batch-norm statistics around `infer`."""

    @functools.wraps(infer)
    def wrapped(self, task, query_x, training=False):
        if current_scope() is not None:
            return infer(self, task, query_x, training=training)
        mode = _mode(self.statistics, training, support="reuse")
        moments = []
        if self.statistics == "support" and isinstance(task, dict):
            parts = dict(task)
            while f"{MEAN}{len(moments)}" in parts:
                number = len(moments)
                mean = parts.pop(f"{MEAN}{number}")
                moments.append((mean, parts.pop(f"{VARIANCE}{number}")))
            task = _unnamed_parts(parts)
        with StatisticsScope(mode, moments):
            return infer(self, task, query_x, training=training)

    return wrapped


def _differ(shape, other):
    """Whether two shapes differ where both are known."""
    return any(
        a is not None and b is not None and a != b
        for a, b in zip(shape, other, strict=True)
    )
