"""The workers of a training: which one this process is, and which are lost."""

import contextlib
import dataclasses
import re
import socket
import threading

import tensorflow as tf

# Seconds between two looks at the other workers, and of a try to reach one.
# A worker is lost after so many failed tries in a row.
INTERVAL, TIMEOUT, TRIES = 5.0, 5.0, 3


@dataclasses.dataclass(frozen=True)
class Worker:
    """A process that trains together with others.

    Attributes:
        index: Its number, from 0; worker 0 is the chief, who writes.
        addresses: Tuple of `host:port`, one for each worker in their order;
            empty for a process that trains alone.
        names: Tuple of what TensorFlow calls them.
    """

    index: int = 0
    addresses: tuple = ()
    names: tuple = ()

    @property
    def count(self):
        """How many workers there are."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self):
        """Whether it is the one that writes."""
        return self.index == 0

    @property
    def others(self):
        """Dict of the addresses of all others by their numbers."""
        return {
            index: address
            for index, address in enumerate(self.addresses)
            if index != self.index
        }


def this_worker(strategy=None):
    """The worker that this process is.

    Args:
        strategy: A `tf.distribute.Strategy`; the one in whose scope this is
            called by default.

    Returns:
        `Worker`.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Worker()
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    found = {
        f"/job:{job}/replica:0/task:{task}": address
        for job in ("chief", "worker")
        for task, address in enumerate(jobs.get(job, ()))
    }
    if len(found) < 2:
        return Worker()
    own = f"/job:{resolver.task_type}/replica:0/task:{resolver.task_id}"
    return Worker(list(found).index(own), (*found.values(),), (*found,))


def summed(strategy, value):
    """The sum of a number over all workers, which call this at once.

    Args:
        strategy: The `tf.distribute.Strategy` of the training.
        value: A number of this worker.

    Returns:
        float.
    """
    if this_worker(strategy).count == 1:
        return float(value)
    # A worker's replicas have the same number.
    replicas = strategy.num_replicas_in_sync // this_worker(strategy).count

    @tf.function
    def total(each):
        found = strategy.run(lambda: each / replicas)
        return strategy.reduce("SUM", found, axis=None)

    return float(total(tf.constant(value, "float64")))


@contextlib.contextmanager
def lost_ones_named(strategy):
    """Ends the block with an error that names a worker that was lost.

    Without it TensorFlow's error names a connection at best, and none comes
    while a machine does not answer at all.

    Args:
        strategy: The `tf.distribute.Strategy` of the training.

    Raises:
        ConnectionError: If the block fails, or hangs, since another worker
            has ended or cannot be reached.
    """
    worker = this_worker(strategy)
    if worker.count == 1:
        yield
        return
    watch = _Watch(worker)
    watch.start()
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        lost = watch.lost or unreachable(worker) or _named(worker, error)
        if not lost:
            raise
        raise ConnectionError(_message(worker, lost)) from error
    finally:
        watch.done.set()


def unreachable(worker, timeout=TIMEOUT):
    """The workers that do not answer.

    Args:
        worker: `Worker`, this process.
        timeout: Seconds to wait for each.

    Returns:
        Dict of their addresses by their numbers.
    """
    found = {}
    for index, address in worker.others.items():
        host, _, port = address.rpartition(":")
        try:
            where = (host.strip("[]"), int(port))
            socket.create_connection(where, timeout).close()
        except OSError:
            found[index] = address
    return found


def _named(worker, error):
    """The worker that an error of TensorFlow names, if another one answers.

    So it is where a cluster has started a lost worker again at once.
    """
    if not isinstance(error, tf.errors.UnavailableError):
        return {}
    found = re.findall(r"/job:\w+/replica:0/task:\d+", str(error))
    return {
        index: address
        for index, address in worker.others.items()
        if worker.names[index] in found
    }


class _Watch(threading.Thread):
    """Looks at the other workers until `done` is set, or one is lost.

    A step in which a lost worker would take part is then ended.
    """

    def __init__(self, worker):
        super().__init__(name="watch of workers", daemon=True)
        self.worker = worker
        self.done = threading.Event()
        self.lost = {}

    def run(self):
        failed = 0
        while not self.done.wait(INTERVAL):
            lost = unreachable(self.worker)
            failed = failed + 1 if lost else 0
            if failed == TRIES and not self.done.is_set():
                self.lost = lost
                _end_steps(_message(self.worker, lost))
                return


def _end_steps(message):
    """Ends what waits for other workers, with an error."""
    # TensorFlow's own check of workers does the same; it has no public name.
    from tensorflow.python.eager import context

    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, message)


def _message(worker, lost):
    """Says who was lost."""
    names = ", ".join(
        f"worker {index} ({address})" for index, address in lost.items()
    )
    return (
        f"Worker {worker.index} lost {names} of {worker.count}: it has ended "
        "or cannot be reached. Start all workers again to go on from the last "
        "save."
    )
