"""Tasks whose gradients are known in closed form, for the algorithm tests."""

import json
import pathlib

import keras
import numpy as np
from keras import ops

VECTORS = pathlib.Path(__file__).parent / "vectors"


def vector(name):
    """A file of reference vectors."""
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


class Point(keras.layers.Layer):
    """A network that ignores its input: its output is its one weight."""

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, _):
        self.theta = self.add_weight(shape=(self.dim,), name="theta")

    def call(self, inputs):
        return ops.tile(self.theta[None], (ops.shape(inputs)[0], 1))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], self.dim), self.dtype)


def quadratic(targets, outputs):
    """`(theta - m)' H (theta - m) / 2`; rows of the target: H, then m."""
    hessian, minimum = targets[:-1], targets[-1:]
    error = outputs[:1] - minimum
    return ops.sum(ops.matmul(error, hessian) * error) / 2


def linear(targets, outputs):
    """A loss whose gradient is the mean target, and whose Hessian is zero."""
    return ops.sum(ops.mean(targets, axis=0) * outputs[0])


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
