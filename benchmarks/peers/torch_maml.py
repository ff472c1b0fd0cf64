"""Peer of `MAML`: the usual loop over tasks in PyTorch.

`torch.autograd.grad` and functions of plain tensors.
"""

from benchmarks.hyperparameters import INNER_LEARNING_RATE, NORM_EPSILON
from benchmarks.peers.torch_outer_step import torch_labels


def torch_outputs(weights, images):
    """The network as a function of its weights, in their order."""
    from torch.nn import functional

    *encoder, kernel, bias = weights
    for block in range(0, len(encoder), 4):
        convolution, shift, gamma, beta = encoder[block : block + 4]
        images = functional.conv2d(images, convolution, shift, padding=1)
        images = functional.batch_norm(
            images, None, None, gamma, beta, training=True, eps=NORM_EPSILON
        )
        images = functional.max_pool2d(functional.relu(images), 2)
    return functional.linear(images.flatten(1), kernel, bias)


def torch_loop(case, network):
    """The meta-gradient, task by task."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = list(network.parameters())
    support_y, query_y = torch_labels(case)

    def meta_gradient(support, query):
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            weights = parameters
            for _ in range(case.inner_steps):
                loss = cross_entropy(
                    torch_outputs(weights, support_x), support_y
                )
                gradients = torch.autograd.grad(
                    loss, weights, create_graph=not case.first_order
                )
                weights = [
                    weight - INNER_LEARNING_RATE * gradient
                    for weight, gradient in zip(weights, gradients, strict=True)
                ]
            loss = cross_entropy(torch_outputs(weights, query_x), query_y)
            (loss / len(support)).backward()
            total = total + loss.detach()
        return total / len(support)

    return meta_gradient
