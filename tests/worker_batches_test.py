"""Workers draw their own tasks: together those of one process."""

import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta import workers

IMAGES = np.random.default_rng(0).random((40, 8, 8, 1)).astype("float32")
LABELS = np.repeat(np.arange(8), 5)
STREAMS = {
    "episodes": lambda: km.data.episode_dataset(
        IMAGES, LABELS, 3, 1, 2, seed=0, start=5
    ),
    "zero-shot": lambda: km.data.zero_shot_dataset(
        IMAGES, LABELS, np.eye(8), way=3, queries=2, seed=0, start=5
    ),
    "sequences": lambda: km.data.sequence_dataset(
        IMAGES, LABELS, way=2, length=6, seed=0, start=5
    ),
}


def arrays(dataset, count):
    return [
        np.concatenate([np.ravel(part) for part in tf.nest.flatten(task)])
        for task in dataset.take(count)
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_the_part_of_a_worker_is_its_shard(name):
    stream = STREAMS[name]()
    for index in range(3):
        part = stream.part_of_worker(index, 3)
        assert part.cardinality() == tf.data.INFINITE_CARDINALITY
        expected = arrays(stream.shard(3, index), 2)
        for found, task in zip(arrays(part, 2), expected, strict=True):
            np.testing.assert_array_equal(found, task)


def test_a_worker_draws_no_tasks_of_others():
    drawn = []

    def augment(images, classes, seed):
        tf.py_function(lambda: drawn.append(1), [], [])
        return images

    stream = km.data.episode_dataset(
        IMAGES, LABELS, 3, 1, 2, seed=0, augmentation=augment
    )
    # What is drawn ahead depends on the part alone.
    list(stream.part_of_worker(0, 50).take(2))
    assert 2 <= len(drawn) < 50


def test_a_process_alone_gets_whole_batches():
    stream = STREAMS["episodes"]()
    batches = km.data.worker_batches(stream, 4)
    assert batches.element_spec[1].shape[0] == 4
    for (_, found), (_, expected) in zip(
        batches.take(2), stream.batch(4).take(2), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert len(list(km.data.worker_batches(stream.take(11), 4))) == 2


def test_tasks_divide_among_the_replicas(strategy):
    stream = STREAMS["episodes"]()
    with pytest.raises(ValueError, match="multiple of the 2 replicas"):
        km.data.worker_batches(stream, 3, strategy)
    with strategy.scope():
        batches = km.data.worker_batches(stream, 4)
    assert batches.element_spec[1].shape[0] == 4
    with pytest.raises(ValueError, match="`tasks` must be at least 1"):
        km.data.worker_batches(stream, 0)


class Resolver:
    """A cluster as TensorFlow tells of it."""

    def __init__(self, kind, index, **jobs):
        self.task_type, self.task_id, self.jobs = kind, index, jobs

    def cluster_spec(self):
        return tf.train.ClusterSpec(self.jobs)


@pytest.mark.parametrize(
    "resolver, expected",
    [
        (Resolver("worker", 1, worker=["a:1", "b:1"]), (1, ("a:1", "b:1"))),
        (
            Resolver("worker", 0, chief=["c:1"], worker=["a:1"]),
            (1, ("c:1", "a:1")),
        ),
        (
            Resolver("chief", 0, chief=["c:1"], worker=["a:1"]),
            (0, ("c:1", "a:1")),
        ),
    ],
)
def test_a_worker_knows_its_number(monkeypatch, resolver, expected):
    class Several:
        cluster_resolver = resolver

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", Several)
    worker = workers.this_worker(Several())
    assert (worker.index, worker.addresses) == expected
    assert worker.is_chief == (worker.index == 0) and worker.count == 2
    assert list(worker.others) == [1 - worker.index]


def test_a_process_alone_is_the_chief(strategy):
    for one in (None, strategy):
        worker = workers.this_worker(one)
        assert worker.is_chief and worker.count == 1 and not worker.others
    assert workers.summed(strategy, 3) == 3


def test_who_does_not_answer_is_lost(monkeypatch):
    import socket

    with socket.create_server(("localhost", 0)) as server:
        here = f"localhost:{server.getsockname()[1]}"
        with socket.create_server(("localhost", 0)) as other:
            gone = f"localhost:{other.getsockname()[1]}"
        worker = workers.Worker(0, ("localhost:1", here, gone))
        assert workers.unreachable(worker) == {2: gone}
        monkeypatch.setattr(workers, "this_worker", lambda _: worker)
        message = rf"Worker 0 lost worker 2 \({gone}\) of 3"
        with pytest.raises(ConnectionError, match=message):
            with workers.lost_ones_named(None):
                raise tf.errors.UnavailableError(None, None, "a peer")
        # A cluster may have started it again before anybody looked.
        names = tuple(f"/job:worker/replica:0/task:{i}" for i in range(2))
        again = workers.Worker(0, ("localhost:1", here), names)
        monkeypatch.setattr(workers, "this_worker", lambda _: again)
        with pytest.raises(ConnectionError, match=f"lost worker 1 .{here}"):
            with workers.lost_ones_named(None):
                raise tf.errors.UnavailableError(
                    None, None, f"from {names[1]} while calling RecvBuf"
                )
        # An error of another kind stays what it is.
        with pytest.raises(ValueError, match="mine"):
            with workers.lost_ones_named(None):
                raise ValueError("mine")
        with pytest.raises(tf.errors.UnavailableError):
            with workers.lost_ones_named(None):
                raise tf.errors.UnavailableError(None, None, "a peer")


def test_a_step_is_ended_once_a_worker_does_not_answer(monkeypatch):
    """A machine without power sends nothing, so that no step would fail."""
    ended = []
    monkeypatch.setattr(workers, "INTERVAL", 0.01)
    monkeypatch.setattr(workers, "_end_steps", ended.append)
    answers = [{1: "b:1"}, {}, {1: "b:1"}, {1: "b:1"}, {1: "b:1"}]
    monkeypatch.setattr(workers, "unreachable", lambda _: answers.pop(0))
    watch = workers._Watch(workers.Worker(0, ("a:1", "b:1")))
    watch.start()
    watch.join(30)
    assert not watch.is_alive() and watch.lost == {1: "b:1"} and not answers
    (message,) = ended
    assert message.startswith("Worker 0 lost worker 1 (b:1) of 2")
