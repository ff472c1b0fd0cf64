"""The speed of the machine: the fastest float32 matrix product."""

import contextlib

from benchmarks.workers import Step, Worker, interleave

MATRIX = 2048


def keras_product():
    """TensorFlow's float32 matrix product."""
    import tensorflow as tf

    a = tf.random.normal((MATRIX, MATRIX))
    return Step(tf.function(lambda: tf.matmul(a, a)))


def torch_product():
    """PyTorch's float32 matrix product."""
    import torch

    a = torch.randn(MATRIX, MATRIX)
    return Step(lambda: a @ a)


def measure_peak(rounds, seconds):
    """Floating point operations per second of the faster matrix product."""
    products = {"TensorFlow": keras_product, "PyTorch": torch_product}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(name, build))
            for name, build in products.items()
        ]
        timings = interleave(workers, rounds, seconds)
    return 2 * MATRIX**3 / min(t.seconds for t in timings.values())
