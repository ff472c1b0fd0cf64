"""Peer of `MetaNetwork`: the function transforms of `torch.func`.

`grad` and `vmap` over the support examples make the gradients that fast
weights are made of; `vmap` over the queries gives each its own fast weights.
Networks are functions of lists of kernels.
"""

import functools
import math

from benchmarks.hyperparameters import (
    COSINE_EPSILON,
    GRADIENT_EPSILON,
    META_CLIP,
    SMALL_GRADIENT,
)
from benchmarks.peers.torch_layers import torch_layout
from benchmarks.peers.torch_training_step import torch_training_step


def torch_outputs(images, slow, fast=None):
    """An augmented network: convolutions with max-pools, then dense layers.

    Args:
        images: `(n, 1, 28, 28)`.
        slow: List of kernels.
        fast: Optional list of as many; without it there are slow ones only.

    Returns:
        Tensor `(n, units)`; the last layer has no activation.
    """
    from torch.nn import functional

    def layer(x, kernel, last):
        if kernel.ndim == 4:
            return functional.conv2d(x, kernel, padding=1).relu()
        x = functional.linear(x, kernel)
        return x if last else x.relu()

    x = images
    for number, kernel in enumerate(slow):
        last = number == len(slow) - 1
        if kernel.ndim == 2:
            x = x.flatten(1)
        outputs = layer(x, kernel, last)
        if fast is not None:
            outputs = outputs + layer(x, fast[number], last)
        x = outputs
        if kernel.ndim == 4:
            x = functional.max_pool2d(x, 2, ceil_mode=True)
    return x


def torch_features(gradients):
    """What a generator sees of gradients `(...)`: `(..., 2)`."""
    import torch

    logs = (gradients.abs() + GRADIENT_EPSILON).log() / SMALL_GRADIENT
    signs = gradients * math.exp(SMALL_GRADIENT)
    return torch.stack([logs.clamp(min=-1), signs.clamp(-1, 1)], dim=-1)


def torch_task_generator(weights, gradients):
    """An LSTM over steps, each coordinate alone.

    Args:
        weights: Dict of tensors.
        gradients: `(steps, coordinates)`.

    Returns:
        Tensor `(coordinates,)`.
    """
    import torch
    from torch.nn import functional

    # In about half the time of `nn.LSTM` on a CPU.
    recurrent = weights["recurrent_kernel"].T
    h = c = None
    for x in torch_features(gradients).unbind():
        gates = functional.linear(x, weights["kernel"], weights["bias"])
        if h is not None:
            gates = torch.addmm(gates, h, recurrent)
        i, f, g, o = gates.chunk(4, dim=1)
        written = i.sigmoid() * g.tanh()
        c = written if c is None else f.sigmoid() * c + written
        h = o.sigmoid() * c.tanh()
    made = functional.linear(
        h, weights["output_kernel"], weights["output_bias"]
    )
    return made[:, 0]


def torch_example_generator(weights, gradients):
    """A network of two hidden layers over single coordinates.

    Args:
        weights: Dict of tensors.
        gradients: `(support, coordinates)`.

    Returns:
        Tensor of that shape.
    """
    from torch.nn import functional

    x = torch_features(gradients)
    for number in range(3):
        kernel, bias = weights[f"kernel_{number}"], weights[f"bias_{number}"]
        x = functional.linear(x, kernel, bias)
        x = x if number == 2 else x.relu()
    return x[..., 0]


def torch_fast_weights(generator, weights, level, gradients):
    """Fast kernels, with a generator for each kind of layer.

    Args:
        generator: One of the two functions above.
        weights: Dict of all weights, as `case.named` gives it.
        level: `"task"` or `"example"`.
        gradients: For each layer `(support, *kernel.shape)`.

    Returns:
        For each layer a fast kernel, `(support, *kernel.shape)` if the
        generator makes one for each support example.
    """
    import torch

    made = []
    for kind, dimensions in (("convolution", 5), ("dense", 3)):
        group = [part for part in gradients if part.ndim == dimensions]
        flat = torch.cat([part.flatten(1) for part in group], dim=1)
        fast = generator(weights[f"{level}_{kind}"], flat)
        parts = fast.split([part[0].numel() for part in group], dim=-1)
        made += [
            part.unflatten(-1, kernel.shape[1:])
            for part, kernel in zip(parts, group, strict=True)
        ]
    return made


def torch_task_loss(weights, support, queries):
    """The sum of the losses of the queries of one task.

    Args:
        weights: Dict of tensors, as `case.named` gives it.
        support: `(way, 1, 28, 28)`, one example of each class.
        queries: `(way * queries, 1, 28, 28)`, class by class.
    """
    import torch
    from torch.func import grad, vmap
    from torch.nn import functional

    theta, phi = weights["encoder"], weights["base_learner"]
    labels = torch.arange(len(support))

    def embedding_loss(kernels, image, label):
        embedding = torch_outputs(image[None], kernels).relu()
        logits = functional.linear(embedding, weights["classifier"])
        return functional.cross_entropy(logits, label[None])

    def example_loss(kernels, image, label):
        logits = torch_outputs(image[None], kernels)
        return functional.cross_entropy(logits, label[None])

    def gradients(loss, kernels):
        # Data to the generators: no second derivatives.
        kernels = [kernel.detach() for kernel in kernels]
        return vmap(grad(loss), (None, 0, 0))(kernels, support, labels)

    task_fast = torch_fast_weights(
        torch_task_generator, weights, "task", gradients(embedding_loss, theta)
    )
    example_fast = torch_fast_weights(
        torch_example_generator,
        weights,
        "example",
        gradients(example_loss, phi),
    )
    keys, embeddings = (
        functional.normalize(
            torch_outputs(images, theta, task_fast), eps=COSINE_EPSILON
        )
        for images in (support, queries)
    )
    attention = (embeddings @ keys.T).softmax(-1)

    def query_logits(image, attention):
        fast = [
            torch.tensordot(attention, kernels, dims=1)
            for kernels in example_fast
        ]
        return torch_outputs(image[None], phi, fast)[0]

    logits = vmap(query_logits)(queries, attention)
    labels = labels.repeat_interleave(len(queries) // len(support))
    return functional.cross_entropy(logits, labels, reduction="sum")


def torch_backward(weights, support, queries):
    """Leaves the gradient of the mean of the tasks' losses in the weights.

    Args:
        weights: Dict of tensors, as `case.named` gives it.
        support, queries: Those of `torch_task_loss` with a tasks axis.

    Returns:
        The mean loss.
    """
    total = 0
    for episode in zip(support, queries, strict=True):
        loss = torch_task_loss(weights, *episode) / len(support)
        loss.backward()
        total += loss.detach()
    return total


def torch_weights(weights):
    """The initial weights, in PyTorch's layout; all but the last train."""
    import torch

    *learned, classifier = (
        torch.from_numpy(torch_layout(weight).copy()) for weight in weights
    )
    return [*(weight.requires_grad_() for weight in learned), classifier]


def torch_step(case, weights):
    """A training step.

    Args:
        case: `benchmarks.meta_network_cases.Case`.
        weights: The initial weights, as ours has them.
    """
    weights = torch_weights(weights)
    return torch_training_step(
        weights[:-1],
        functools.partial(torch_backward, case.named(weights)),
        case.setting,
        clip_norm=META_CLIP,
    )
