"""`fit` on data sets of tasks, on one device, several replicas or workers."""

import keras
import tensorflow as tf


class ReplicatedFit(keras.Model):
    """A Keras model whose batches are tasks that replicas share.

    Under a `tf.distribute` strategy the tasks of a batch are split over its
    replicas, and the result is that of one replica. With several workers
    (`MultiWorkerMirroredStrategy`) Keras 3 fails twice, which is mended here:
    it builds the state from a batch that is spread over replicas, and it
    reduces scalar logs along an axis that they do not have.
    """

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
        return self.reducible(super().train_step(data))

    def test_step(self, data):
        return self.reducible(super().test_step(data))

    def reducible(self, logs):
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
