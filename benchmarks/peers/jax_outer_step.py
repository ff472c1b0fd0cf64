"""An outer step in JAX, one compiled function; peers differ in their task.

A peer is a function `case -> task`. The function
`task(weights, support_x, query_x)` takes the images `(n, 28, 28, 1)` of one
task and returns the loss of the queries and a list of what the outer
optimizer descends.
"""

from benchmarks.gradient_cases import REPTILE
from benchmarks.hyperparameters import SIZE
from benchmarks.peers.jax_updates import jax_adam, jax_compiled_step
from benchmarks.training_steps import make_episodes


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


def jax_descend(weights, gradients, moments, step):
    """Reptile's outer step: SGD at the rate 1, in the place of `jax_adam`."""
    weights = [w - g for w, g in zip(weights, gradients, strict=True)]
    return weights, moments


def jax_step(case, weights, method):
    """An outer step.

    Args:
        case: The setting.
        weights: The initial weights.
        method: The peer, a function as above.
    """
    support, query = (
        images.reshape(*images.shape[:2], -1, SIZE, SIZE, 1)
        for images in make_episodes(case.setting)
    )
    return jax_compiled_step(
        jax_meta_gradient(case, method),
        weights,
        list(zip(support, query, strict=True)),
        jax_descend if case.method == REPTILE else jax_adam,
    )
