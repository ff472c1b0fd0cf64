"""Peer of `MetaLSTM` in PyTorch: the usual loop, all weights of a step at once.

The network is a function of a list of tensors, and `autograd` goes back through
the cell of all steps; losses and gradients of the steps are detached.
"""

import functools
import math

from benchmarks.hyperparameters import (
    META_LSTM_CLIP,
    META_LSTM_SMALL,
    NORM_EPSILON,
)
from benchmarks.peers.torch_layers import torch_layout
from benchmarks.peers.torch_training_step import torch_training_step

# The weights of the cell, in the order that ours has them.
CELL = (
    "kernel",
    "recurrent_kernel",
    "bias",
    "forget_kernel",
    "forget_bias",
    "input_kernel",
    "input_bias",
)


def torch_outputs(images, weights):
    """Conv-4 in the order of `keras_meta.encoders`, and a dense layer."""
    from torch.nn import functional

    *blocks, kernel, bias = weights
    x = images
    for number in range(0, len(blocks), 3):
        convolution, gamma, beta = blocks[number : number + 3]
        x = functional.conv2d(x, convolution, padding=1)
        x = functional.batch_norm(
            x, None, None, gamma, beta, training=True, eps=NORM_EPSILON
        )
        x = functional.max_pool2d(x, 2).relu()
    return functional.linear(x.flatten(1), kernel, bias)


def torch_magnitude_and_sign(values):
    """What the cell sees of a number: two of moderate size."""
    import torch

    size = values.abs()
    large = size >= math.exp(-META_LSTM_SMALL)
    logs = torch.where(large, size, 1.0).log() / META_LSTM_SMALL
    return torch.stack(
        [
            torch.where(large, logs, -1.0),
            torch.where(
                large, values.sign(), values * math.exp(META_LSTM_SMALL)
            ),
        ],
        dim=-1,
    )


def torch_cell(cell, loss, gradients, state):
    """One step of the cell.

    Args:
        cell: Dict of tensors.
        loss: Scalar.
        gradients: `(P,)`.
        state: `(weights, forget, input, hidden, memory)`, three of `(P,)` and
            two of `(P, units)`.
    """
    import torch

    weights, forget, taken, hidden, memory = state
    seen_loss = torch_magnitude_and_sign(loss)
    bias = cell["bias"] + seen_loss @ cell["kernel"][:2]
    gates = torch.addmm(
        bias, torch_magnitude_and_sign(gradients), cell["kernel"][2:]
    )
    gates = torch.addmm(gates, hidden, cell["recurrent_kernel"])
    i, f, g, o = gates.chunk(4, dim=1)
    memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * memory.tanh()

    def gate(name, before):
        kernel = cell[f"{name}_kernel"][:, 0]
        logits = hidden @ kernel[:-2] + cell[f"{name}_bias"]
        return (logits + weights * kernel[-2] + before * kernel[-1]).sigmoid()

    forget, taken = gate("forget", forget), gate("input", taken)
    weights = forget * weights - taken * gradients
    return weights, forget, taken, hidden, memory


def torch_task_loss(case, learned, support, queries):
    """The mean loss of the queries of one task.

    Args:
        case: `benchmarks.meta_lstm.Case`.
        learned: List of tensors: those of the network, then of the cell.
        support: `(way * shot, 1, 28, 28)`, class by class.
        queries: `(way * queries, 1, 28, 28)`, class by class.
    """
    import torch
    from torch.nn import functional

    network = learned[: -len(CELL)]
    cell = dict(zip(CELL, learned[-len(CELL) :], strict=True))
    sizes = [weight.numel() for weight in network]

    def divide(vector):
        return [
            part.view(weight.shape)
            for part, weight in zip(vector.split(sizes), network, strict=True)
        ]

    def labels(images):
        way = case.setting.way
        return torch.arange(way).repeat_interleave(len(images) // way)

    start = torch.cat([weight.flatten() for weight in network])
    zeros, wide = (
        start.new_zeros(shape)
        for shape in (len(start), (len(start), case.units))
    )
    state = (start, zeros, zeros, wide, wide)
    for _ in range(case.inner_steps):
        now = state[0].detach().requires_grad_()
        loss = functional.cross_entropy(
            torch_outputs(support, divide(now)), labels(support)
        )
        (gradients,) = torch.autograd.grad(loss, now)
        state = torch_cell(cell, loss.detach(), gradients, state)
    return functional.cross_entropy(
        torch_outputs(queries, divide(state[0])), labels(queries)
    )


def torch_backward(case, learned, support, queries):
    """Leaves the gradient of the mean of the tasks' losses in the weights.

    Args:
        case, learned: See `torch_task_loss`.
        support, queries: Those of `torch_task_loss` with a tasks axis.

    Returns:
        The mean loss.
    """
    total = 0
    for episode in zip(support, queries, strict=True):
        loss = torch_task_loss(case, learned, *episode) / len(support)
        loss.backward()
        total += loss.detach()
    return total


def torch_weights(weights):
    """The initial weights; those of the network in PyTorch's layout."""
    import torch

    network, cell = weights[: -len(CELL)], weights[-len(CELL) :]
    return [
        torch.from_numpy(weight.copy()).requires_grad_()
        for weight in (*map(torch_layout, network), *cell)
    ]


def torch_step(case, weights):
    """A training step.

    Args:
        case: `benchmarks.meta_lstm.Case`.
        weights: The initial weights, as ours has them.
    """
    learned = torch_weights(weights)
    return torch_training_step(
        learned,
        functools.partial(torch_backward, case, learned),
        case.setting,
        clip_norm=META_LSTM_CLIP,
    )
