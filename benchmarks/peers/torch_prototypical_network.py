"""Peer of `PrototypicalNetwork`: the usual eager loop of PyTorch."""

import itertools

from benchmarks import conv4
from benchmarks.hyperparameters import ADAM_EPSILON, LEARNING_RATE
from benchmarks.peers.torch_layers import (
    copy_to_torch,
    torch_conv4,
    torch_images,
)
from benchmarks.training_steps import make_episodes
from benchmarks.workers import Step


def torch_network(layers, weights, channels_last=False):
    """The encoder with the given weights."""
    import torch

    network = torch_conv4(weights[0].shape[-1], layers)
    copy_to_torch(weights, network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_loss(network, support, query):
    """The loss of one episode.

    Args:
        network: Maps images `(batch, 1, height, width)` to `(batch, dim)`.
        support: `(way, shot, 1, height, width)`.
        query: `(way, queries, 1, height, width)`.
    """
    import torch

    way, shot = support.shape[:2]
    images = torch.cat([support.flatten(0, 1), query.flatten(0, 1)])
    embeddings = network(images)
    prototypes = embeddings[: way * shot].view(way, shot, -1).mean(1)
    queries = embeddings[way * shot :]
    distances = (queries[:, None] - prototypes).square().sum(-1)
    labels = torch.arange(way).repeat_interleave(query.shape[1])
    return torch.nn.functional.cross_entropy(-distances, labels)


def torch_step(setting, layers, channels_last, compiled=False):
    """A training step.

    Args:
        setting: The episodes of one step.
        layers: The order of the layers.
        channels_last: Whether the network is in that memory layout.
        compiled: Whether the loss goes through `torch.compile`.
    """
    import torch

    network = torch_network(
        layers, conv4.initial_weights(layers), channels_last
    )
    optimizer = torch.optim.Adam(
        network.parameters(), LEARNING_RATE, eps=ADAM_EPSILON
    )
    episode_loss = torch.compile(torch_loss) if compiled else torch_loss
    support, query = map(torch_images, make_episodes(setting))
    batches = itertools.cycle(list(zip(support, query, strict=True)))

    def run():
        optimizer.zero_grad()
        total = 0
        for episode in zip(*next(batches), strict=True):
            loss = episode_loss(network, *episode) / setting.tasks
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return Step(run, lambda: float(run()))
