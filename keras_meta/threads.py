"""How TensorFlow spreads its work over the cores of the CPU."""

import os

import tensorflow as tf

from keras_meta.checks import check_integer

# Variables TensorFlow reads when threads are unset.
VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def set_threads(*, side_by_side: bool, cores: int | None = None) -> None:
    """Sets TensorFlow's threads for many small tasks or for one big batch.

    Call it at the top of a program, before TensorFlow's first operation, that
    is before the first data set, model or random number:

        import keras_meta as km

        km.threads.set_threads(side_by_side=True)

    With `side_by_side=True` each operation runs on one thread, and as many
    operations run at once as there are cores (`intra_op = 1, inter_op =
    cores`). Use it for gradient-based models (`MAML`, `Reptile`), whose tasks
    are a loop of small operations: on two cores a training step is 1.3 to 2
    times as fast. With `side_by_side=False` each operation may use all cores
    (`intra_op = inter_op = cores`, as TensorFlow does by itself). Use it for
    models with one big batch, such as `PrototypicalNetwork`, whose step takes
    a third longer side by side. Results are the same up to rounding.

    Args:
        side_by_side: Whether many operations run at once, on a core each.
        cores: Number of cores, at least 1; by default the CPUs that this
            process may use.

    Raises:
        ValueError: If an argument is of another kind or out of range.
        RuntimeError: If TensorFlow has run an operation with other settings,
            as it cannot change them any more.
    """
    if not isinstance(side_by_side, bool):
        raise ValueError(
            "`side_by_side` must be True or False. "
            f"Received: side_by_side={side_by_side!r}"
        )
    if cores is None:
        cores = available_cores()
    cores = check_integer("cores", cores, 1)
    wanted = (1 if side_by_side else cores, cores)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted[0])
        tf.config.threading.set_inter_op_parallelism_threads(wanted[1])
    except RuntimeError as error:
        now = _threads_in_force()
        if now == wanted:
            return
        raise RuntimeError(
            "`set_threads` comes too late: TensorFlow has run its first "
            f"operation with intra_op = {now[0]} and inter_op = {now[1]} "
            f"threads, and intra_op = {wanted[0]} and inter_op = {wanted[1]} "
            "are wanted. Call it at the top of the program, before the first "
            "data set, model or random number; in a notebook, restart the "
            f"kernel. Received: side_by_side={side_by_side}, cores={cores}"
        ) from error


def available_cores() -> int:
    """How many CPUs this process may use.

    Returns:
        Integer, at least 1. Where the system can bind a process to some of
        its CPUs (Linux), only those count.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads_in_force():
    """`(intra_op, inter_op)`; where it is 0, TensorFlow's own choice."""
    settings = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    return tuple(
        setting or int(os.environ.get(variable) or 0) or available_cores()
        for setting, variable in zip(settings, VARIABLES, strict=True)
    )
