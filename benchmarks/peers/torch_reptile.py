"""Peer of `Reptile`: a loop over tasks with `torch.optim.Adam`."""

from benchmarks.gradient_cases import mini_batches
from benchmarks.hyperparameters import (
    REPTILE_DECAY,
    REPTILE_EPSILON,
    REPTILE_LEARNING_RATE,
)
from benchmarks.peers.torch_outer_step import torch_labels


def torch_reptile(case, network):
    """The mean way that tasks moved the weights, reversed.

    Each task has an Adam of its own.
    """
    import torch
    from torch.nn.functional import cross_entropy

    parameters = list(network.parameters())
    support_y, query_y = torch_labels(case)
    batches = torch.from_numpy(mini_batches(case))

    def meta_gradient(support, query):
        start = [parameter.detach().clone() for parameter in parameters]
        moved = [torch.zeros_like(parameter) for parameter in parameters]
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            optimizer = torch.optim.Adam(
                parameters,
                REPTILE_LEARNING_RATE,
                betas=(0.0, REPTILE_DECAY),
                eps=REPTILE_EPSILON,
            )
            for rows in batches:
                optimizer.zero_grad()
                outputs = network(support_x[rows])
                cross_entropy(outputs, support_y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                total += cross_entropy(network(query_x), query_y)
                for parameter, begin, move in zip(
                    parameters, start, moved, strict=True
                ):
                    move += (begin - parameter) / len(support)
                    parameter.copy_(begin)
        for parameter, move in zip(parameters, moved, strict=True):
            parameter.grad = move
        return total / len(support)

    return meta_gradient
