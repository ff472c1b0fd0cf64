"""Peer of `Reptile`: the inner steps of a task in JAX."""

from benchmarks.gradient_cases import labels, mini_batches
from benchmarks.hyperparameters import (
    REPTILE_DECAY,
    REPTILE_EPSILON,
    REPTILE_LEARNING_RATE,
)
from benchmarks.peers.jax_network import jax_loss


def jax_reptile_task(case):
    """Function `(weights, support_x, query_x) -> (loss, gradients)`.

    The gradient is the way that the weights moved, reversed.
    """
    import jax
    from jax import numpy as jnp

    support_y, query_y = labels(case)

    def descend(weight, gradient, moment, step):
        moment = REPTILE_DECAY * moment + (1 - REPTILE_DECAY) * gradient**2
        root = jnp.sqrt(moment / (1 - REPTILE_DECAY**step))
        change = gradient / (root + REPTILE_EPSILON)
        return weight - REPTILE_LEARNING_RATE * change, moment

    def task(weights, support_x, query_x):
        found = weights
        moments = [jnp.zeros_like(weight) for weight in weights]
        for step, rows in enumerate(mini_batches(case), start=1):
            gradients = jax.grad(jax_loss)(
                found, support_x[rows], support_y[rows]
            )
            pairs = [
                descend(*values, step)
                for values in zip(found, gradients, moments, strict=True)
            ]
            found, moments = map(list, zip(*pairs, strict=True))
        moved = [a - b for a, b in zip(weights, found, strict=True)]
        return jax_loss(found, query_x, query_y), moved

    return task
