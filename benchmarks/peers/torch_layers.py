"""Layers and weights that the peers in PyTorch share."""

import numpy as np

from benchmarks.hyperparameters import NORM_EPSILON, USUAL


def torch_images(images):
    """`(..., height, width, 1)` as a tensor `(..., 1, height, width)`."""
    import torch

    return torch.from_numpy(np.moveaxis(images, -1, -3).copy())


def torch_block(channels, filters, layers, norm=True, padding=1, pool=True):
    """The modules of one block of 3 x 3 convolution.

    Args:
        channels, filters: Input and output channels.
        layers: `USUAL`, or another order.
        norm: Whether there is batch norm.
        padding: Of the convolution.
        pool: Whether there is a max-pool.
    """
    from torch import nn

    bias = layers == USUAL or not norm
    block = [nn.Conv2d(channels, filters, 3, padding=padding, bias=bias)]
    if norm:
        block.append(nn.BatchNorm2d(filters, eps=NORM_EPSILON))
    last = [nn.ReLU(), nn.MaxPool2d(2)] if pool else [nn.ReLU()]
    return [*block, *(last if layers == USUAL else last[::-1])]


def torch_conv4(filters, layers):
    """`keras_meta.encoders.conv4` in PyTorch."""
    from torch import nn

    first = torch_block(1, filters, layers)
    rest = [torch_block(filters, filters, layers) for _ in range(3)]
    return nn.Sequential(*first, *sum(rest, []), nn.Flatten())


def torch_layout(weight):
    """A weight of Keras in PyTorch's layout.

    Kernels of convolutions and of dense layers are transposed; vectors stay.
    """
    return weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T


def copy_to_torch(weights, network):
    """Copies weights in Keras' layout and PyTorch's order to a network."""
    import torch

    with torch.no_grad():
        for parameter, weight in zip(
            network.parameters(), weights, strict=True
        ):
            copied = torch.from_numpy(np.array(torch_layout(weight)))
            parameter.copy_(copied.view(parameter.shape))
