"""Peer of `MAML`: the gradient of a task in JAX."""

from benchmarks.gradient_cases import labels
from benchmarks.hyperparameters import INNER_LEARNING_RATE
from benchmarks.peers.jax_network import jax_loss


def jax_maml_task(case):
    """Function `(weights, support_x, query_x) -> (loss, gradients)`."""
    import jax

    support_y, query_y = labels(case)

    def task_loss(weights, support_x, query_x):
        for _ in range(case.inner_steps):
            gradients = jax.grad(jax_loss)(weights, support_x, support_y)
            if case.first_order:
                gradients = jax.lax.stop_gradient(gradients)
            weights = [
                weight - INNER_LEARNING_RATE * gradient
                for weight, gradient in zip(weights, gradients, strict=True)
            ]
        return jax_loss(weights, query_x, query_y)

    return jax.value_and_grad(task_loss)
