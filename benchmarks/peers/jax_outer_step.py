"""An outer step in JAX, one compiled function; peers differ in their task.

A peer is a function `case -> task`. The function
`task(weights, support_x, query_x)` takes the images `(n, 28, 28, 1)` of one
task and returns the loss of the queries and a list of what the outer
optimizer descends.
"""

import itertools

from benchmarks.gradient_cases import REPTILE
from benchmarks.hyperparameters import (
    ADAM_DECAYS,
    ADAM_EPSILON,
    LEARNING_RATE,
    SIZE,
)
from benchmarks.training_steps import make_episodes
from benchmarks.workers import Step

JAX_ADVICE = (
    "JAX is left out, as it is not installed. Install the extra `bench`: pip "
    "install 'keras-meta[bench]', or in a checkout pip install -e '.[bench]'"
)


def jax_meta_gradient(case, method):
    """Function of weights and of the images of all tasks.

    Args:
        case: The setting.
        method: The peer, a function as above.

    Returns:
        Function `(weights, support, query) -> (loss, gradients)`, means over
        the tasks; images `(tasks, n, 28, 28, 1)`.
    """
    import jax

    task = method(case)

    def meta_gradient(weights, support, query):
        losses, gradients = jax.lax.map(
            lambda images: task(weights, *images), (support, query)
        )
        return losses.mean(), [gradient.mean(0) for gradient in gradients]

    return meta_gradient


def jax_adam(weights, gradients, moments, step):
    """One step of the outer Adam.

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


def jax_step(case, weights, method):
    """An outer step.

    Args:
        case: The setting.
        weights: The initial weights.
        method: The peer, a function as above.
    """
    import jax
    from jax import numpy as jnp

    meta_gradient = jax_meta_gradient(case, method)

    @jax.jit
    def update(weights, moments, step, support, query):
        loss, gradients = meta_gradient(weights, support, query)
        if case.method == REPTILE:
            weights = [w - g for w, g in zip(weights, gradients, strict=True)]
        else:
            weights, moments = jax_adam(weights, gradients, moments, step)
        return weights, moments, loss

    support, query = (
        jnp.asarray(images.reshape(*images.shape[:2], -1, SIZE, SIZE, 1))
        for images in make_episodes(case.setting)
    )
    batches = itertools.cycle(list(zip(support, query, strict=True)))
    weights = [jnp.asarray(weight) for weight in weights]
    moments = [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]
    steps = itertools.count(1)

    def run():
        nonlocal weights, moments
        # A float, since `jax_adam` takes powers by it.
        weights, moments, loss = jax.block_until_ready(
            update(weights, moments, float(next(steps)), *next(batches))
        )
        return loss

    return Step(run, lambda: float(run()))
