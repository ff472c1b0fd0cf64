"""Steps per second on one and two replicas and workers; the rest on paper.

    python -m benchmarks.replicas
    python -m benchmarks.replicas --paper

Two replicas are two logical CPUs of one process, two workers two processes
over localhost. They share the cores of one machine, so that what is measured
is what sharing costs, and not what more devices gain.
"""

import argparse
import json
import math
import multiprocessing
import os
import socket
import threading

from benchmarks import workers

SIDES = ("one replica", "two replicas", "two workers")
CASES = ("prototypical_network", "maml")
# A step: this many tasks, 5-way 1-shot with 5 queries of each class.
TASKS, WAY, SHOT, QUERIES = 8, 5, 1, 5

# The assumptions of the model on paper; the manual gives reasons.
# Bytes per second that a host sends to the next one.
HOST_BANDWIDTH = 12.5e9
# Bytes per second that a GPU sends to the next one of its host.
GPU_BANDWIDTH = 200e9
# Seconds of a message from one GPU to the next.
LATENCY = 10e-6
# Seconds that a GPU computes in a step, without sharing.
STEP_SECONDS = 0.05
BYTES = 4


def ring(weights, gpus, bandwidth=HOST_BANDWIDTH, latency=LATENCY):
    """A ring all-reduce of the gradient of each weight.

    Each GPU sends its share of `1 / gpus` of all bytes to the next one, `gpus -
    1` times to sum and as often to spread the sums.

    Args:
        weights: How many numbers are summed.
        gpus: How many GPUs sum them.
        bandwidth: Bytes per second of the slowest link of the ring.
        latency: Seconds of a message.

    Returns:
        `(sent, seconds)`: the bytes that each GPU sends, and how long it
        takes.
    """
    messages = 2 * (gpus - 1)
    sent = messages * weights * BYTES / gpus
    return sent, sent / bandwidth + messages * latency


def on_paper(weights, hosts, gpus=8, step_seconds=STEP_SECONDS):
    """What many GPUs gain if each computes as many tasks as one did.

    The gradients are summed after they are computed, at worst.

    Args:
        weights: How many weights are trained.
        hosts: How many hosts.
        gpus: How many GPUs each of them has.
        step_seconds: Seconds that each computes.

    Returns:
        Dict of `sent` bytes of each GPU, `seconds` of the sum, `efficiency`
        and `gain` in tasks per second over one GPU.
    """
    bandwidth = HOST_BANDWIDTH if hosts > 1 else GPU_BANDWIDTH
    sent, seconds = ring(weights, hosts * gpus, bandwidth)
    efficiency = step_seconds / (step_seconds + seconds)
    return {
        "sent": sent,
        "seconds": seconds,
        "efficiency": efficiency,
        "gain": hosts * gpus * efficiency,
    }


def build(case, side, filters, cluster=None):
    """The step of a row, for a process of its own.

    Args:
        case: One of `CASES`.
        side: One of `SIDES`.
        filters: Of the convolutions.
        cluster: `TF_CONFIG` of this worker, if there are several.

    Returns:
        `workers.Step`.
    """
    if side == "two workers" and cluster is None:
        first, second = _clusters()
        # It ends with this process.
        multiprocessing.get_context("spawn").Process(
            target=_step_for_ever,
            args=(case, side, filters, second),
            daemon=True,
        ).start()
        cluster = first
    if cluster:
        os.environ["TF_CONFIG"] = cluster
    import numpy as np
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if side == "two replicas":
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    elif cluster:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    model, batches = _model_and_batches(case, filters, strategy)
    model.fit(batches, steps_per_epoch=1, verbose=0)
    if isinstance(batches, tf.data.Dataset):
        batches = strategy.experimental_distribute_dataset(batches)
    iterator = iter(batches)

    def run():
        logs = model.train_function(iterator)
        np.asarray(logs["loss"])

    return workers.Step(run)


def _clusters():
    """`TF_CONFIG` of each of two workers on this machine."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
    for server in sockets:
        server.close()
    return [
        json.dumps(
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(2)
    ]


def _step_for_ever(*arguments):
    """The second worker: it makes a step whenever the first makes one."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    step = build(*arguments)
    while True:
        step.run()


def _end_with_parent():
    """Ends this process with the first worker, even if that is killed."""
    multiprocessing.parent_process().join()
    os._exit(0)


def _model_and_batches(case, filters, strategy):
    """A compiled model and the batches of its steps."""
    import keras
    import numpy as np

    import keras_meta as km

    images = np.random.default_rng(0).random((400, 28, 28, 1), "float32")
    tasks = km.data.episode_dataset(
        images, np.repeat(np.arange(40), 10), WAY, SHOT, QUERIES, seed=0
    )
    with strategy.scope():
        if case == "maml":
            network = [
                km.encoders.conv4_strided(filters),
                keras.layers.Dense(WAY),
            ]
            model = km.models.MAML(keras.Sequential(network))
        else:
            model = km.models.PrototypicalNetwork(km.encoders.conv4(filters))
        model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
    return model, km.data.worker_batches(tasks, TASKS, strategy)


def measure(case, rounds, seconds, filters):
    """Times all sides of a case in turn.

    Returns:
        Dict of the `workers.Timing` of each side.
    """
    rows = []
    try:
        for side in SIDES:
            rows.append(workers.Worker(side, build, (case, side, filters)))
        return workers.interleave(rows, rounds, seconds)
    finally:
        for row in rows:
            row.close()


def print_measured(case, timings):
    """Prints the table of a case."""
    print(f"\n{case}: {TASKS} tasks in a step")
    alone = timings[SIDES[0]].seconds
    workers.print_table(
        ["", "ms", "steps/s", "spread", "more than alone"],
        [
            [
                side,
                f"{1000 * timing.seconds:.1f}",
                f"{1 / timing.seconds:.1f}",
                f"{100 * timing.spread:.0f}%",
                f"{1000 * (timing.seconds - alone):+.1f} ms",
            ]
            for side, timing in timings.items()
        ],
    )


def print_paper():
    """Prints the model on paper, for encoders of the library."""
    import keras_meta as km

    rows = []
    for name, encoder, size in (
        ("conv4", km.encoders.conv4(64), (None, 28, 28, 1)),
        ("resnet12", km.encoders.resnet12(), (None, 84, 84, 3)),
    ):
        if not encoder.built:
            encoder.build(size)
        weights = sum(math.prod(w.shape) for w in encoder.trainable_weights)
        for hosts in (1, 2, 4, 8):
            found = on_paper(weights, hosts)
            rows.append(
                [
                    name,
                    f"{weights:,}",
                    f"{hosts} x 8",
                    f"{found['sent'] / 1e6:.2f} MB",
                    f"{1000 * found['seconds']:.2f} ms",
                    f"{100 * found['efficiency']:.0f}%",
                    f"{found['gain']:.1f}",
                ]
            )
    workers.print_table(
        [
            "encoder",
            "weights",
            "hosts x GPUs",
            "sent by a GPU",
            "sum",
            "efficiency",
            "gain",
        ],
        rows,
    )


def main(arguments=None):
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    if options.paper:
        print_paper()
        return
    filters = 64
    if options.quick:
        options.rounds, options.seconds, filters = 1, 0.01, 4
    facts = workers.machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    results = {"machine": facts}
    for case in options.only:
        timings = measure(case, options.rounds, options.seconds, filters)
        print_measured(case, timings)
        results[case] = {
            side: {"seconds": t.seconds, "spread": t.spread}
            for side, t in timings.items()
        }
    workers.write_json(options.json, results)


if __name__ == "__main__":
    main()
