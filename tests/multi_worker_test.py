"""Two processes that train together give the result of one."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np

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
images = rng.random((60, 8, 8, 1)).astype("float32")
episodes = km.data.episode_dataset(
    images, np.repeat(np.arange(12), 5), 3, 1, 2, seed=0
).batch(4, drop_remainder=True)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
)
episodes = episodes.with_options(options)
keras.utils.set_random_seed(0)
with strategy.scope():
    model = km.models.PrototypicalNetwork(km.encoders.mlp((6,)))
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[km.metrics.AccuracyInterval()],
    )
history = model.fit(episodes, steps_per_epoch=3, epochs=2, verbose=0).history
logs = model.evaluate(episodes.take(2), return_dict=True, verbose=0)
print(json.dumps({
    "history": history,
    "logs": {key: float(value) for key, value in logs.items()},
    "weights": np.concatenate(
        [np.ravel(weight) for weight in model.get_weights()]).tolist(),
}))
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
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def test_two_workers_train_like_one_process():
    ports = free_ports(2)
    workers = [start("worker", ports, index) for index in range(2)]
    alone = start("alone")
    first, second = map(result, workers)
    expected = result(alone)
    for found in (first, second):
        np.testing.assert_allclose(
            found["weights"], expected["weights"], atol=1e-5
        )
        for part in ("history", "logs"):
            assert found[part].keys() == expected[part].keys()
            for key, value in expected[part].items():
                np.testing.assert_allclose(
                    found[part][key], value, rtol=1e-3, err_msg=key
                )
