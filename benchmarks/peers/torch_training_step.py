"""Episodes and training steps in PyTorch, for the peers of meta-learning."""

import itertools

from benchmarks.hyperparameters import ADAM_DECAYS, ADAM_EPSILON, LEARNING_RATE
from benchmarks.peers.torch_layers import torch_images
from benchmarks.training_steps import make_episodes
from benchmarks.workers import Step


def torch_episodes(setting):
    """The episodes of `make_episodes`.

    Returns:
        List of pairs of tensors: support `(tasks, way * shot, 1, 28, 28)` and
        queries `(tasks, way * queries, 1, 28, 28)`, class by class.
    """
    support, queries = (
        torch_images(images).flatten(2, 3) for images in make_episodes(setting)
    )
    return list(zip(support, queries, strict=True))


def torch_training_step(
    parameters, backward, setting, optimizer=None, clip_norm=None
):
    """A training step.

    Args:
        parameters: List of tensors that are trained.
        backward: Function `(support, queries)` of one of `torch_episodes` that
            leaves in `grad` of the parameters what the optimizer descends, and
            returns the loss.
        setting: `benchmarks.training_steps.Setting`.
        optimizer: Adam by default.
        clip_norm: Optional largest norm of the gradients of all parameters.

    Returns:
        `Step`.
    """
    import torch

    optimizer = optimizer or torch.optim.Adam(
        parameters, LEARNING_RATE, ADAM_DECAYS, ADAM_EPSILON
    )
    batches = itertools.cycle(torch_episodes(setting))

    def run():
        optimizer.zero_grad()
        loss = backward(*next(batches))
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimizer.step()
        return loss

    return Step(run, lambda: float(run()))
