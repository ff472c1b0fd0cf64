"""An outer step in PyTorch; the peers differ in its meta-gradient.

A peer is a function `(case, network) -> meta_gradient`. The function
`meta_gradient(support, query)` takes images `(tasks, support, 1, 28, 28)` and
`(tasks, query, 1, 28, 28)`, leaves what the outer optimizer descends in the
`grad` of the network's parameters, and returns the mean loss of the queries.
"""

from benchmarks.gradient_cases import REPTILE, labels
from benchmarks.hyperparameters import USUAL
from benchmarks.peers.torch_layers import copy_to_torch, torch_conv4
from benchmarks.peers.torch_training_step import torch_training_step


def torch_network(case, weights, channels_last=False):
    """The network with the given weights, without moving averages."""
    import torch

    encoder = torch_conv4(case.filters, USUAL)
    head = torch.nn.Linear(case.filters, case.setting.way)
    network = torch.nn.Sequential(encoder, head)
    torch.func.replace_all_batch_norm_modules_(network)
    copy_to_torch(weights, network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_labels(case):
    """Labels of the support images and of the queries, as tensors."""
    import torch

    return [torch.from_numpy(array) for array in labels(case)]


def torch_step(case, weights, method, channels_last):
    """An outer step.

    Args:
        case: The setting.
        weights: The initial weights.
        method: The peer, a function as above.
        channels_last: Whether the network is in that memory layout.
    """
    import torch

    network = torch_network(case, weights, channels_last)
    optimizer = None
    if case.method == REPTILE:
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    return torch_training_step(
        list(network.parameters()),
        method(case, network),
        case.setting,
        optimizer,
    )
