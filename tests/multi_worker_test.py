"""Two processes that train together give the result of one."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np

LOST_WORKERS = pathlib.Path(__file__).with_name("lost_workers.py")
WORKER = """
import json, sys
import keras
import numpy as np
import tensorflow as tf
import keras_meta as km

strategy = (
    tf.distribute.MultiWorkerMirroredStrategy()
    if sys.argv[1] == "worker"
    else tf.distribute.get_strategy()
)
rng = np.random.default_rng(0)
images = rng.random((60, 6, 6, 1)).astype("float32")
labels = np.repeat(np.arange(12), 5)
episodes = km.data.episode_dataset(images, labels, 3, 1, 2, seed=0)
sequences = km.data.sequence_dataset(images, labels, 3, 6, seed=0)


def network():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])


def mann():
    cell = km.layers.LRUACell(units=8, memory_slots=6, memory_width=4)
    return km.models.MemoryAugmentedNetwork(cell, labels=3)


models = {
    "ProtoNet": lambda: km.models.PrototypicalNetwork(km.encoders.mlp((6,))),
    "MAML": lambda: km.models.MAML(network()),
    "Reptile": lambda: km.models.Reptile(network(), inner_steps=2),
    "MANN": mann,
}
cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
)


def trained(build, batches, measured, metric):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build()
        model.compile(
            keras.optimizers.SGD(0.1), cross_entropy, metrics=[metric()]
        )
    history = model.fit(batches, steps_per_epoch=3, epochs=2, verbose=0)
    logs = model.evaluate(measured, return_dict=True, verbose=0)
    return {
        "history": history.history,
        "logs": {key: float(value) for key, value in logs.items()},
        "weights": np.concatenate(
            [np.ravel(weight) for weight in model.get_weights()]).tolist(),
    }


found = {}
for name, build in models.items():
    stream, metric = episodes, km.metrics.AccuracyInterval
    if name == "MANN":
        stream, metric = sequences, lambda: km.metrics.InstanceAccuracy(2)
    found[name] = trained(
        build,
        km.data.worker_batches(stream, 4, strategy),
        # The last one is left out, which no whole batch has.
        km.data.worker_batches(stream.take(9), 4, strategy),
        metric,
    )
# The data set of all tasks, of which TensorFlow gives each worker a part.
whole = episodes.batch(4, drop_remainder=True).with_options(options)
found["ProtoNet, split by TensorFlow"] = trained(
    models["ProtoNet"], whole, whole.take(2), km.metrics.AccuracyInterval
)
print(json.dumps(found))
"""


def start(role, port=None, index=None):
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
    }
    if port:
        environment["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": [f"localhost:{p}" for p in port]},
                "task": {"type": "worker", "index": index},
            }
        )
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, role],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def result(process):
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def assert_alike(found, expected):
    np.testing.assert_allclose(found["weights"], expected["weights"], atol=1e-5)
    for part in ("history", "logs"):
        assert found[part].keys() == expected[part].keys()
        for key, value in expected[part].items():
            np.testing.assert_allclose(
                found[part][key], value, rtol=1e-3, err_msg=key
            )


def test_two_workers_train_like_one_process():
    ports = free_ports(2)
    workers = [start("worker", ports, index) for index in range(2)]
    alone = start("alone")
    first, second = map(result, workers)
    expected = result(alone)
    assert len(expected) == 5
    for name in expected:
        assert_alike(first[name], expected[name])
        # Bit by bit: they have made the same steps.
        assert first[name]["weights"] == second[name]["weights"]
        assert_alike(second[name], expected[name])
    one, other = expected["ProtoNet"], expected["ProtoNet, split by TensorFlow"]
    assert one == other


def test_a_lost_worker_is_named_and_the_run_goes_on(tmp_path):
    """Ten kills: `python tests/lost_workers.py --kills 10`."""
    result = subprocess.run(
        [sys.executable, LOST_WORKERS, "--kills", "2", "--epochs", "20"],
        capture_output=True,
        text=True,
        timeout=1200,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    assert "left alone: True" in result.stdout
