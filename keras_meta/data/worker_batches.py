"""Meta-batches of which each worker draws its own tasks."""

import tensorflow as tf

from keras_meta.checks import check_integer
from keras_meta.workers import this_worker

# How many batches are drawn ahead.
AHEAD = 8


def worker_batches(
    elements: tf.data.Dataset,
    tasks: int,
    strategy: tf.distribute.Strategy | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Batches tasks so that each worker draws its own ones alone.

    Task `i` of the stream is that of worker `i mod workers`. A step sees the
    tasks that a step of one process sees, so the result is that of one
    process. Of a stream as the functions of this package return it, a worker
    draws no other tasks; one that was changed since, as by `take`, is drawn
    by all workers, of which each keeps its own tasks.

    Args:
        elements: A `tf.data.Dataset` of tasks, not batched: what
            `episode_dataset` and its like return. Of one that ends, whole
            meta-batches are used.
        tasks: Integer, at least 1: the tasks of a step over all workers, a
            multiple of the number of replicas.
        strategy: A `tf.distribute.Strategy`; the one in whose scope this is
            called by default.

    Returns:
        What `fit` and `evaluate` take: a `tf.distribute.DistributedDataset`
        of this worker's part for a `MultiWorkerMirroredStrategy`, otherwise a
        `tf.data.Dataset`.

    Raises:
        ValueError: If `tasks` is out of range or does not divide among the
            replicas.

    >>> tasks = keras_meta.data.sinusoid_dataset(seed=0)
    >>> episode, query_y = next(iter(worker_batches(tasks, 4)))
    >>> episode["support_x"].shape[0]
    4
    """
    strategy = strategy or tf.distribute.get_strategy()
    tasks = check_integer("tasks", tasks, 1)
    replicas = strategy.num_replicas_in_sync
    if tasks % replicas:
        raise ValueError(
            f"`tasks` must be a multiple of the {replicas} replicas, which "
            f"share the tasks of a step. Received: tasks={tasks}"
        )
    if this_worker(strategy).count == 1:
        return elements.batch(tasks, drop_remainder=True).prefetch(AHEAD)
    # Without the rest, of which workers would have unequal parts.
    length = int(elements.cardinality())
    if length >= 0:
        elements = elements.take(length - length % tasks)

    def part(context):
        """The batches of the replicas of this worker, one after another."""
        workers, index = context.num_input_pipelines, context.input_pipeline_id
        if hasattr(elements, "part_of_worker"):
            own = elements.part_of_worker(index, workers)
        else:
            own = elements.shard(workers, index)
        each = context.get_per_replica_batch_size(tasks)
        return own.batch(each, drop_remainder=True).prefetch(AHEAD)

    return strategy.distribute_datasets_from_function(part)
