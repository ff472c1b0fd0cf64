"""Passes through convolutions that batch norm follows.

A network runs faster here than layer by layer. Its function and gradients
stay the same, up to rounding, by three identities:

- Batch norm with the moments of the batch cancels a bias before it, whose
  gradient is zero. The convolution runs without it, and the moving averages
  are told of it. Such biases take a sixth of a step of a Prototypical Network
  otherwise.
- Max-pool and ReLU can change places. With the pool first, the ReLU has a
  quarter to do.
- A convolution is linear: with `m` and `C` the mean and the covariance of
  its patches, an output with the kernel `w` has the mean `w . m` and the
  variance `w . C w`. Where a patch `p` is small, 9 pixels for the first layer
  on drawings, these are far cheaper than moments of 64 channels of output,
  and `s w . (p - m) + beta` is what batch norm returns, if `s` is `gamma`
  divided by the standard deviation. `beta` is added after the pool.
"""

import itertools
from collections.abc import Callable, Iterator

import keras
from keras import ops

from keras_meta.batch_statistics import current_tasks
from keras_meta.typing import Tensor

# The moments of outputs are derived from those of patches up to this size:
# 3 x 3 pixels of three colours have 27 numbers.
LARGEST_PATCH = 32
PRECISIONS = ("float32", "float64")


def run_network(
    network: Callable[..., Tensor], inputs: Tensor, training: bool
) -> Tensor:
    """`network(inputs, training=training)`, in the fastest way.

    Args:
        network: Callable `(batch, training=...) -> (batch, ...)`. The blocks
            of a `keras.Sequential` are found, also in one inside of it.
        inputs: Tensor `(batch, ...)`.
        training: Python bool.

    Returns:
        Tensor `(batch, ...)`.
    """
    # Moments of several tasks are not those of the batch.
    one_task = isinstance(current_tasks(), int) and current_tasks() == 1
    layers = []
    if one_task and type(network) is keras.Sequential:
        layers = list(_flat(network))
    # Without training, few batch norms take the moments of the batch.
    if not any(
        _is_normalized(*pair, training) for pair in itertools.pairwise(layers)
    ):
        return network(inputs, training=training)
    while layers:
        block = layers[: _block_length(layers, training)]
        if block and _fits(block[0], inputs):
            inputs = _run_block(*block, inputs=inputs, training=training)
        else:
            block = layers[:1]
            inputs = block[0](inputs, training=training)
        layers = layers[len(block) :]
    return inputs


def _flat(network: keras.Sequential) -> Iterator[keras.Layer]:
    """The layers of a network in order, with those of networks inside."""
    for layer in network.layers:
        if type(layer) is keras.Sequential:
            yield from _flat(layer)
        else:
            yield layer


def _block_length(layers, training):
    """How many of the first layers are a block; 0 if there is none.

    A block is a convolution, its batch norm, and a max-pool and a ReLU if
    they follow, in any order.
    """
    if len(layers) < 2 or not _is_normalized(*layers[:2], training):
        return 0
    pools, relus = (
        [kind(layer) for layer in layers[2:4]] for kind in (_is_pool, _is_relu)
    )
    if any(pools) and any(relus):
        return 4
    return 3 if any(pools[:1] + relus[:1]) else 2


def _is_normalized(layer, norm, training):
    """Whether a layer is a convolution whose outputs `norm` normalizes."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and layer.activation is keras.activations.linear
        and layer.activity_regularizer is None
        # Batch norm of tasks, and no class that only inherits from it, by the
        # moments of the batch.
        and "normalize_batch" in vars(type(norm))
        and norm.mode(training) == "batch"
        and layer.compute_dtype == norm.compute_dtype
        and layer.compute_dtype in PRECISIONS
    )


def _is_pool(layer):
    return (
        type(layer) is keras.layers.MaxPooling2D
        and layer.data_format == "channels_last"
    )


def _is_relu(layer):
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.relu
    return type(layer) is keras.layers.ReLU and (
        not layer.negative_slope
        and not layer.threshold
        and layer.max_value is None
    )


def _fits(convolution, inputs):
    """Whether a convolution, not one of groups, takes the inputs."""
    channels = convolution.kernel.shape[2]
    return len(inputs.shape) == 4 and inputs.shape[-1] == channels


def _run_block(convolution, norm, *after, inputs, training):
    """What the layers of a block return.

    Training moves the moving averages as well.
    """
    inputs = ops.cast(inputs, convolution.compute_dtype)
    bias, beta = 0, norm.beta
    if convolution.use_bias:
        bias = convolution.bias
        # A zero, whose gradient is zero, so that the bias has one.
        beta = beta + (bias - bias)
    small = _patch_size(convolution) <= LARGEST_PATCH
    if small:
        maps, mean, variance = _normalize_patches(convolution, inputs, norm)
    else:
        maps, mean, variance = norm.normalize_batch(
            convolution.convolution_op(inputs, convolution.kernel),
            norm.gamma,
            beta,
        )
    if training:
        norm.learn(mean + bias, variance)
    for layer in filter(_is_pool, after):
        maps = layer(maps)
    if small:
        maps = ops.add(maps, beta)
    for layer in filter(_is_relu, after):
        maps = layer(maps)
    return maps


def _patch_size(convolution):
    """How many numbers an output of a convolution is made of."""
    height, width, channels, _ = convolution.kernel.shape
    return height * width * channels


def _normalize_patches(convolution, inputs, norm):
    """A convolution and its batch norm by the moments of patches.

    Args:
        convolution: Of small patches; its bias is left out.
        inputs: `(batch, height, width, channels)`.
        norm: The batch norm; its `beta` is left out.

    Returns:
        Maps `(batch, height, width, filters)`, and mean and variance `(1,
        filters)` of what the convolution returns.
    """
    shape, size = convolution.kernel.shape, _patch_size(convolution)
    kernel = ops.reshape(convolution.kernel, (size, -1))
    # A convolution with the identity gives the patches themselves.
    identity = ops.eye(size, dtype=kernel.dtype)
    patches = convolution.convolution_op(
        inputs, ops.reshape(identity, (*shape[:3], size))
    )
    centre = ops.mean(patches, axis=(0, 1, 2))
    # `ops.add` of a vector is faster than `-`.
    patches = ops.add(patches, -centre)
    rows = ops.reshape(patches, (-1, size))
    covariance = ops.matmul(ops.transpose(rows), rows) / ops.cast(
        ops.shape(rows)[0], rows.dtype
    )
    variance = ops.sum(
        kernel * ops.matmul(covariance, kernel), axis=0, keepdims=True
    )
    # Rounding must not make it negative.
    variance = ops.maximum(variance, 0)
    scale = norm.gamma * ops.rsqrt(variance + norm.epsilon)
    # As a convolution, since oneDNN's is faster than its product of matrices.
    maps = ops.conv(patches, ops.reshape(kernel * scale, (1, 1, size, -1)))
    return maps, ops.matmul(centre[None], kernel), variance
