"""The devices and machines that a training runs on, from its flags.

What the flags say is checked without TensorFlow.
"""

import json
import os
import sys

VARIABLE = "TF_CONFIG"


def check(options):
    """Checks the flags of several devices and machines.

    Args:
        options: The parsed flags of `train`.

    Raises:
        ValueError: If they do not fit together, or with `TF_CONFIG`.
    """
    if options.index is not None and options.workers is None:
        raise ValueError(
            "`index` (`--index`) needs `--workers host:port,host:port`. "
            f"Received: index={options.index}"
        )
    if options.workers is None:
        return
    addresses = options.workers.split(",")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(
                "`workers` (`--workers`) must be host:port of each worker, "
                f"with commas between them. Received: {address!r}"
            )
    if len({*addresses}) < len(addresses):
        raise ValueError(
            "`workers` (`--workers`) must name each worker once. "
            f"Received: workers={options.workers}"
        )
    if options.index is None or not 0 <= options.index < len(addresses):
        raise ValueError(
            "`index` (`--index`) must be the place of this machine in "
            f"`--workers`, 0 to {len(addresses) - 1}. "
            f"Received: index={options.index}"
        )
    if options.strategy is not None:
        raise ValueError(
            "`--workers` uses all GPUs of each machine; leave out "
            f"`--strategy`. Received: strategy={options.strategy}"
        )
    if os.environ.get(VARIABLE):
        raise ValueError(
            f"`--workers` and the environment variable {VARIABLE} both name "
            "workers; leave one of them out."
        )


def worker(options):
    """Which worker this process is.

    Args:
        options: The parsed flags of `train`, which `check` has checked.

    Returns:
        `(index, count)`; `(0, 1)` for a training of one process.

    Raises:
        ValueError: If `TF_CONFIG` names no worker.
    """
    if options.workers is not None:
        return options.index, len(options.workers.split(","))
    if not os.environ.get(VARIABLE):
        return 0, 1
    try:
        config = json.loads(os.environ[VARIABLE])
        jobs, task = config.get("cluster", {}), config.get("task", {})
        chiefs = len(jobs.get("chief", ()))
        count = chiefs + len(jobs.get("worker", ()))
        if count < 2:
            return 0, 1
        kind, index = task["type"], int(task["index"])
        if kind not in ("chief", "worker") or index >= len(jobs[kind]):
            raise ValueError(f"there is no {kind} {index}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{VARIABLE} must name the workers and which one this is: "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}. Received: {os.environ[VARIABLE]!r} '
            f"({type(error).__name__}: {error})"
        ) from error
    return index + (chiefs if kind == "worker" else 0), count


def strategy(options):
    """The strategy of a training; called before TensorFlow's first operation.

    Args:
        options: The parsed flags of `train`, which `check` has checked.

    Returns:
        A `tf.distribute.Strategy`: TensorFlow's default one for one device.
    """
    import tensorflow as tf

    index, count = worker(options)
    if count > 1:
        print(
            f"keras-meta: worker {index} of {count}; the training begins when "
            "all of them are there",
            file=sys.stderr,
            flush=True,
        )
        if options.workers is not None:
            os.environ[VARIABLE] = json.dumps(
                {
                    "cluster": {"worker": options.workers.split(",")},
                    "task": {"type": "worker", "index": options.index},
                }
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if options.strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU")
        devices = devices or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    return tf.distribute.get_strategy()


def wait_for_all(strategy):
    """Lets no worker end before the others.

    TensorFlow would report it there as lost.

    Args:
        strategy: What `strategy` returned.
    """
    from keras_meta import workers

    with workers.lost_ones_named(strategy):
        workers.summed(strategy, 0)
