"""`fit` on data sets of tasks, on one device, several replicas or workers."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import keras
import tensorflow as tf

from keras_meta.typing import Tensor
from keras_meta.workers import lost_ones_named

# What `fit` takes as a stream of batches.
STREAMS = (tf.data.Dataset, tf.distribute.DistributedDataset)


P = ParamSpec("P")
R = TypeVar("R")


def with_arguments(
    verb: Callable[P, R],
) -> Callable[[Callable[[Any, dict[str, Any]], R]], Callable[P, R]]:
    """A method with the signature of a verb of Keras.

    The method gets a dict of the arguments that were passed, by their names.
    """
    signature = inspect.signature(verb)

    def decorate(method):
        @functools.wraps(method)
        def wrapped(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs).arguments
            bound.pop("self")
            further = bound.pop("kwargs", {})
            return method(self, {**bound, **further})

        wrapped.__signature__ = signature
        return wrapped

    return decorate


class ReplicatedFit(keras.Model):
    """A Keras model whose batches are tasks that replicas share.

    Under a `tf.distribute` strategy the tasks of a batch are split over its
    replicas, and the result is that of one replica. With several workers
    (`MultiWorkerMirroredStrategy`) Keras 3 fails twice, which is mended here:
    it builds the state from a batch that is spread over replicas, and it
    reduces scalar logs along an axis that they do not have.
    """

    @with_arguments(keras.Model.fit)
    def fit(self, arguments: dict[str, Any]) -> keras.callbacks.History:
        """`keras.Model.fit`, for data sets of episodes.

        Args:
            x: A `tf.data.Dataset` of `(episode, query_y)`, batched; under a
                `tf.distribute` strategy with `drop_remainder=True`, or what
                `keras_meta.data.worker_batches` returns. One without end
                needs `steps_per_epoch`.
            y: Targets, if `x` is a dict of arrays.
            *args, **kwargs: As for `keras.Model.fit`.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ConnectionError: If another worker is lost; it is named.
            ValueError: If a data set does not end and its steps are not
                given, if tasks do not divide among the replicas, or if
                episodes have no queries.
        """
        dataset = arguments.get("x")
        if isinstance(dataset, STREAMS):
            self._check_dataset("x", dataset, arguments, "steps_per_epoch")
            if self._works_with_others():
                self._check_steps_per_execution()
            if self._works_with_others() or _restores(arguments):
                self._build_from(dataset)
            # Keras warns that it cannot shuffle a data set.
            arguments.setdefault("shuffle", False)
        validation = arguments.get("validation_data")
        if isinstance(validation, STREAMS):
            self._check_dataset(
                "validation_data", validation, arguments, "validation_steps"
            )
        with lost_ones_named(self.distribute_strategy):
            return super().fit(**arguments)

    @with_arguments(keras.Model.evaluate)
    def evaluate(self, arguments: dict[str, Any]) -> Any:
        """`keras.Model.evaluate`, for data sets of episodes.

        Args:
            *args, **kwargs: As for `keras.Model.evaluate`; a data set
                without end needs `steps`.

        Raises:
            ConnectionError, ValueError: As for `fit`.
        """
        dataset = arguments.get("x")
        if isinstance(dataset, STREAMS):
            self._check_dataset("x", dataset, arguments, "steps")
            if self._works_with_others():
                self._build_from(dataset)
        with lost_ones_named(self.distribute_strategy):
            return super().evaluate(**arguments)

    @with_arguments(keras.Model.predict)
    def predict(self, arguments: dict[str, Any]) -> Any:
        """`keras.Model.predict`, for data sets of episodes.

        Args:
            *args, **kwargs: As for `keras.Model.predict`; a data set without
                end needs `steps`.

        Raises:
            ValueError: If a data set does not end and `steps` is not given.
        """
        if isinstance(arguments["x"], tf.data.Dataset):
            _check_end("x", arguments["x"], arguments, "steps")
        return super().predict(**arguments)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        return self.reducible(super().train_step(data))

    def test_step(self, data: Any) -> dict[str, Tensor]:
        return self.reducible(super().test_step(data))

    def reducible(self, logs: dict[str, Any]) -> dict[str, Tensor]:
        """Logs as Keras can reduce them: with several workers, along axis 0.

        Args:
            logs: Dict of scalars, as `compute_metrics` returns it.

        Returns:
            Dict of scalars, or of tensors `(1,)` with several workers.
        """
        if not self._works_with_others():
            return logs
        return tf.nest.map_structure(lambda value: value[None], logs)

    def _works_with_others(self):
        return isinstance(
            self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy
        )

    def _check_steps_per_execution(self):
        """Raises a ValueError for what Keras' loop over steps cannot do."""
        if self.steps_per_execution > 1:
            raise ValueError(
                "`steps_per_execution` of `compile` must be 1 with several "
                f"workers. Received: {self.steps_per_execution}"
            )

    def _build_from(self, dataset):
        """Builds all state from the shapes of a data set's elements."""
        batch = tf.nest.map_structure(
            lambda spec: keras.KerasTensor((None, *spec.shape[1:]), spec.dtype),
            _element_spec(dataset),
        )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=batch)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # With several workers Keras would take the shapes from a batch that
        # is spread over replicas, and fail; `_build_from` has done it.
        if not self._works_with_others():
            super()._maybe_symbolic_build(iterator, data_batch)

    def _check_dataset(self, name, dataset, arguments, steps):
        """Raises a ValueError for a data set that cannot be worked through.

        Args:
            name: The argument that holds the data set.
            dataset: One of `STREAMS`.
            arguments: The arguments that were passed, by name.
            steps: The argument that bounds the data set.
        """
        _check_end(name, dataset, arguments, steps)
        episode = _element_spec(dataset)
        while isinstance(episode, tuple):
            episode = episode[0]
        query_x = ()
        if isinstance(episode, dict) and "query_x" in episode:
            query_x = episode["query_x"].shape
        if len(query_x) > 1 and query_x[1] == 0:
            raise ValueError(
                f"`{name}` must hold episodes with queries: the loss and the "
                "metrics are of queries; draw at least one of each class. "
                f"Received: query_x of shape {tuple(query_x)}"
            )
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas == 1 or not isinstance(dataset, tf.data.Dataset):
            return
        tasks = tf.nest.flatten(dataset.element_spec)[0].shape[0]
        if tasks is None or tasks % replicas:
            raise ValueError(
                f"With {replicas} replicas the tasks of a batch must be a "
                f"multiple of {replicas}, known in advance: use "
                f"`.batch(n, drop_remainder=True)`. Received: {name} with "
                f"tasks={tasks}"
            )


def _check_end(name, dataset, arguments, steps):
    """Raises a ValueError for a data set without end or number of steps."""
    cardinality = dataset.cardinality
    # A number where workers share the data set.
    cardinality = cardinality() if callable(cardinality) else cardinality
    endless = cardinality == tf.data.INFINITE_CARDINALITY
    if endless and arguments.get(steps) is None:
        raise ValueError(
            f"`{steps}` must be given for a data set without end, or the data "
            f"set must be cut with `.take(n)`. Received: {name} of infinite "
            f"cardinality and {steps}=None"
        )


def _element_spec(dataset):
    """The shapes of a batch: of one replica, where several share it."""
    return tf.nest.map_structure(
        # It has no public name.
        lambda spec: getattr(spec, "_value_specs", (spec,))[0],
        dataset.element_spec,
    )


def _restores(arguments):
    """Whether a callback needs the weights before the first step."""
    callbacks = keras.tree.flatten(arguments.get("callbacks") or [])
    return any(
        isinstance(callback, keras.callbacks.BackupAndRestore)
        or getattr(callback, "restores_weights", False)
        for callback in callbacks
    )
