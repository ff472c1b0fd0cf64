"""Peers of the metric family: the usual eager loops of PyTorch.

The functions of a model are fields of `benchmarks.metric_family.Case`, which
says what they take and return.
"""

import itertools

import numpy as np

from benchmarks.hyperparameters import (
    ADAM_EPSILON,
    LEARNING_RATE,
    READ_STEPS,
    RELATION_UNITS,
    SCALE,
    TWIN_UNITS,
    USUAL,
)
from benchmarks.peers.torch_layers import (
    copy_to_torch,
    torch_block,
    torch_conv4,
    torch_images,
)
from benchmarks.workers import Step


def torch_matching_network(filters, layers):
    """The encoder of a Matching Network."""
    from torch import nn

    return nn.ModuleDict({"encoder": torch_conv4(filters, layers)})


def torch_context_network(filters, layers):
    """A Matching Network with the two LSTMs of full context."""
    from torch import nn

    network = torch_matching_network(filters, layers)
    network["support_context"] = nn.LSTM(
        filters, filters, batch_first=True, bidirectional=True
    )
    # Its input is the query beside what the attention read.
    network["query_context"] = nn.LSTMCell(2 * filters, filters)
    # An LSTM of Keras has one bias: the second one stays zero.
    for name, parameter in network.named_parameters():
        if "bias_hh" in name:
            parameter.requires_grad_(False)
    return network


def torch_context_weights(weights):
    """Our weights in PyTorch's order, with its second biases of LSTMs."""
    *encoder, kernel, recurrent, bias = weights
    encoder, support = encoder[:-6], encoder[-6:]
    dim = len(kernel)
    # What was read is an input of PyTorch's cell. Ours has its rows below
    # those of the state, in the recurrent kernel.
    query = [
        np.concatenate([kernel, recurrent[dim:]]),
        recurrent[:dim],
        bias,
    ]
    lstms = []
    for start, *rest, bias in (support[:3], support[3:], query):
        lstms += [start, *rest, bias, np.zeros_like(bias)]
    return [*encoder, *lstms]


def torch_matching_loss(network, support, query):
    """Cross-entropy of the attention over the support set."""
    import torch
    from torch.nn import functional

    tasks, way, shot = support.shape[:3]
    embeddings = torch.stack(
        [
            network["encoder"](torch.cat([s.flatten(0, 1), q.flatten(0, 1)]))
            for s, q in zip(support, query, strict=True)
        ]
    )
    supports = embeddings[:, : way * shot]
    queries = embeddings[:, way * shot :]
    if "support_context" in network:
        supports, queries = torch_contexts(network, supports, queries)
    similarities = (
        functional.normalize(queries, dim=-1)
        @ functional.normalize(supports, dim=-1).mT
    )
    attention = (SCALE * similarities).softmax(-1)
    classes = torch.eye(way, dtype=attention.dtype)
    probabilities = attention @ classes.repeat_interleave(shot, 0)
    labels = torch.arange(way).repeat_interleave(query.shape[2]).repeat(tasks)
    return functional.nll_loss(probabilities.log().flatten(0, 1), labels)


def torch_contexts(network, supports, queries):
    """Full context embeddings.

    Args:
        network: What `torch_context_network` returned.
        supports: `(tasks, support, dim)`.
        queries: `(tasks, query, dim)`.

    Returns:
        `(supports, queries)` of the same shapes.
    """
    import torch

    states, _ = network["support_context"](supports)
    forward, backward = states.chunk(2, dim=-1)
    supports = supports + forward + backward
    hidden = cell = torch.zeros_like(queries)
    for _ in range(READ_STEPS):
        attention = (hidden @ supports.mT).softmax(-1)
        seen = torch.cat([queries, attention @ supports], dim=-1)
        hidden, cell = (
            state.view_as(queries)
            for state in network["query_context"](
                seen.flatten(0, 1),
                (hidden.flatten(0, 1), cell.flatten(0, 1)),
            )
        )
        hidden = hidden + queries
    return supports, hidden


def torch_relation_network(filters, layers):
    """Embedding and relation module."""
    from torch import nn

    encoder = [
        *torch_block(1, filters, layers, padding=0),
        *torch_block(filters, filters, layers, padding=0),
        *torch_block(filters, filters, layers, pool=False),
        *torch_block(filters, filters, layers, pool=False),
    ]
    relation = [
        *torch_block(2 * filters, filters, layers),
        *torch_block(filters, filters, layers),
        nn.Flatten(),
        nn.Linear(filters, RELATION_UNITS),
        nn.ReLU(),
        nn.Linear(RELATION_UNITS, 1),
    ]
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(*encoder),
            "relation": nn.Sequential(*relation),
        }
    )


def torch_relation_loss(network, support, query):
    """Mean squared error of the scores of one episode."""
    import torch
    from torch.nn import functional

    (support,), (query,) = support, query
    way, shot = support.shape[:2]
    support_maps = network["encoder"](support.flatten(0, 1))
    class_maps = support_maps.unflatten(0, (way, shot)).sum(1)
    query_maps = network["encoder"](query.flatten(0, 1))
    pairs = torch_pairs(class_maps, query_maps)
    scores = network["relation"](pairs).sigmoid().view(-1, way)
    same = torch.eye(way, dtype=scores.dtype)
    return functional.mse_loss(
        scores, same.repeat_interleave(query.shape[1], 0)
    )


def torch_pairs(class_maps, query_maps):
    """Each query's maps behind those of each class.

    Args:
        class_maps: `(way, channels, height, width)`.
        query_maps: `(query, channels, height, width)`.

    Returns:
        Tensor `(query * way, 2 * channels, height, width)`. It is in
        `channels_last` if the maps are, so that no convolution has to copy
        the pairs.
    """
    import torch

    axis = 1
    if query_maps.is_contiguous(memory_format=torch.channels_last):
        axis = -1
        class_maps = class_maps.movedim(1, -1)
        query_maps = query_maps.movedim(1, -1)
    way, query = len(class_maps), len(query_maps)
    pairs = torch.cat(
        [
            class_maps[None].expand(query, -1, -1, -1, -1),
            query_maps[:, None].expand(-1, way, -1, -1, -1),
        ],
        dim=2 if axis == 1 else -1,
    )
    return pairs.flatten(0, 1).movedim(axis, 1)


def torch_siamese_network(filters, layers):
    """Twin and output unit."""
    from torch import nn

    blocks = [
        *torch_block(1, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False, pool=False),
    ]
    # Three max-pools leave 3 x 3 positions of 28 x 28.
    dense = nn.Linear(9 * filters, TWIN_UNITS)
    twin = nn.Sequential(*blocks, nn.Flatten(), dense, nn.ReLU())
    output = nn.Linear(TWIN_UNITS, 1)
    return nn.ModuleDict({"twin": twin, "output": output})


def torch_siamese_weights(weights):
    """Our weights, with the dense layer's rows in PyTorch's order.

    What it flattens is channels first in PyTorch, channels last in ours.
    """
    *convolutions, kernel, bias, output, output_bias = weights
    units = kernel.shape[-1]
    maps = kernel.reshape(3, 3, -1, units)
    kernel = maps.transpose(2, 0, 1, 3).reshape(-1, units)
    return [*convolutions, kernel, bias, output, output_bias]


def torch_siamese_loss(network, support, query):
    """Binary cross-entropy of pairs; those of even index are same."""
    import torch
    from torch.nn import functional

    one = network["twin"](support.flatten(0, 2))
    other = network["twin"](query.flatten(0, 2))
    logits = network["output"]((one - other).abs()).squeeze(1)
    same = (torch.arange(len(logits)) % 2 == 0).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, same)


def weights_for_torch(case, weights, layers):
    """The arrays for the network that correspond to ours.

    Args:
        case: `benchmarks.metric_family.Case`.
        weights: List of our weights or of our gradients, in our order.
        layers: The order of the network's layers. The usual one has biases
            before batch norm, which are zero here.

    Returns:
        List of arrays, in PyTorch's order and Keras' layout.
    """
    found = []
    for weight in case.torch_weights(weights):
        found.append(weight)
        # Without batch norm, ours has the bias too.
        if layers == USUAL and weight.ndim == 4 and case.norm:
            found.append(np.zeros_like(weight, shape=weight.shape[-1]))
    return found


def filled_network(case, weights, layers, channels_last):
    """The network with the given weights of ours."""
    import torch

    network = case.torch_network(case.filters, layers)
    copy_to_torch(weights_for_torch(case, weights, layers), network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_step(case, weights, layers, channels_last):
    """A training step.

    Args:
        case: `benchmarks.metric_family.Case`.
        weights: The initial weights, as ours has them.
        layers: The order of the layers.
        channels_last: Whether the network is in that memory layout.
    """
    import torch

    network = filled_network(case, weights, layers, channels_last)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE, eps=ADAM_EPSILON)
    support, query = map(torch_images, case.draw(case.setting))
    batches = itertools.cycle(list(zip(support, query, strict=True)))

    def run():
        optimizer.zero_grad()
        loss = case.torch_loss(network, *next(batches))
        loss.backward()
        if case.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(trained, case.clip_norm)
        optimizer.step()
        return loss.detach()

    return Step(run, lambda: float(run()))
