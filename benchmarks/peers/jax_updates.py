"""Updates of weights in JAX."""

import itertools

from benchmarks.hyperparameters import (
    ADAM_DECAYS,
    ADAM_EPSILON,
    LEARNING_RATE,
)
from benchmarks.workers import Step

JAX_ADVICE = (
    "JAX is left out, as it is not installed. Install the extra `bench`: pip "
    "install 'keras-meta[bench]', or in a checkout pip install -e '.[bench]'"
)


def jax_adam(weights, gradients, moments, step):
    """One step of Adam.

    Args:
        weights, gradients: Lists of arrays.
        moments: List of pairs: the two moments of each weight.
        step: Number of the step, from 1.

    Returns:
        `(weights, moments)` after the step.
    """
    from jax import numpy as jnp

    first_decay, second_decay = ADAM_DECAYS
    rate = LEARNING_RATE * jnp.sqrt(1 - second_decay**step)
    rate = rate / (1 - first_decay**step)
    pairs = [
        (
            first_decay * first + (1 - first_decay) * gradient,
            second_decay * second + (1 - second_decay) * gradient**2,
        )
        for gradient, (first, second) in zip(gradients, moments, strict=True)
    ]
    weights = [
        weight - rate * first / (jnp.sqrt(second) + ADAM_EPSILON)
        for weight, (first, second) in zip(weights, pairs, strict=True)
    ]
    return weights, pairs


def jax_compiled_step(gradient, weights, batches, update=jax_adam):
    """One compiled function: loss, gradients and update.

    Args:
        gradient: Function `(weights, *batch) -> (loss, gradients)`.
        weights: List of NumPy arrays.
        batches: List of tuples of NumPy arrays, taken in turn.
        update: Function like `jax_adam`.

    Returns:
        `Step`.
    """
    import jax
    from jax import numpy as jnp

    @jax.jit
    def compiled(weights, moments, step, batch):
        loss, gradients = gradient(weights, *batch)
        return *update(weights, gradients, moments, step), loss

    weights = [jnp.asarray(weight) for weight in weights]
    moments = [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]
    batches = itertools.cycle(jax.tree.map(jnp.asarray, batches))
    steps = itertools.count(1)

    def run():
        nonlocal weights, moments
        # A float, since `jax_adam` takes powers by it.
        weights, moments, loss = jax.block_until_ready(
            compiled(weights, moments, float(next(steps)), next(batches))
        )
        return loss

    return Step(run, lambda: float(run()))
