"""Gradients and fast weights of the augmented layers of a network."""

import math

import tensorflow as tf
from keras import ops

from keras_meta.layers.fast_weights import (
    AugmentedConv2D,
    AugmentedDense,
    WatchedLayers,
)

# The kinds of augmented layers, each of which has generators of its own.
KINDS = {"convolution": AugmentedConv2D, "dense": AugmentedDense}


def augmented_layers(name, network):
    """The layers of a network that take fast weights, in their order.

    Args:
        name: The argument that holds the network, for the message.
        network: Keras model or layer.

    Raises:
        ValueError: If there are none.
    """
    layers = network._flatten_layers()
    found = [layer for layer in layers if kind_of(layer) is not None]
    if not found:
        kinds = sorted({type(layer).__name__ for layer in layers})
        raise ValueError(
            f"`{name}` must have layers that take fast weights: use "
            "`keras_meta.layers.AugmentedConv2D` and `AugmentedDense` instead "
            f"of Keras' Conv2D and Dense. Received: {name}={network.name!r} "
            f"of {kinds}"
        )
    return found


def kind_of(layer):
    """The kind of an augmented layer; None for any other."""
    for kind, layer_class in KINDS.items():
        if isinstance(layer, layer_class):
            return kind
    return None


def size_of(layer):
    """How many weights the kernel of an augmented layer has."""
    return math.prod(layer.kernel.shape)


def check_order(name, network):
    """Raises a ValueError unless all layers after an augmented one can be so.

    Args:
        name: The argument that holds the network, for the message.
        network: A built Keras model or layer.
    """
    after = False
    for layer in network._flatten_layers():
        if kind_of(layer) is not None:
            after = True
        elif after and layer._trainable_variables:
            raise ValueError(
                f"`{name}` must have no weights without fast weights after "
                "its first augmented layer: there use `keras_meta.layers."
                "AugmentedConv2D` and `AugmentedDense`, and no batch norm. "
                f"Received: {name}={network.name!r} with the layer "
                f"{layer.name!r} ({type(layer).__name__})"
            )


def check_classes(support_y, way):
    """Raises a ValueError unless a base learner has an output for each class.

    Args:
        support_y: Shape of the labels, `(tasks, support, classes)`.
        way: How many outputs there are.
    """
    if support_y[-1] == 1 or way == 1:
        raise ValueError(
            "A Meta Network needs at least two classes: one alone has no "
            "gradient to learn from. Received: support_y of shape "
            f"{tuple(support_y)} and a base_learner with {way} outputs"
        )
    if support_y[-1] not in (None, way):
        raise ValueError(
            "`base_learner` must have one output for each class: "
            f"{support_y[-1]} for support_y of shape {tuple(support_y)}, "
            "the units of its last layer. Received: a base_learner with "
            f"{way} outputs"
        )


def example_gradients(network, layers, x, loss, training):
    """Gradients of each example's loss with respect to slow kernels.

    One pass over all examples: the gradient of a layer's outputs tells that
    of its kernel, example by example. No derivative goes through the result.

    Args:
        network: Keras model or layer, examples `(n, ...)` to outputs.
        layers: Its augmented layers.
        x: `(n, ...)`.
        loss: Function of the outputs `(n, outputs)` that returns the sum of
            the losses of the examples.
        training: Python bool.

    Returns:
        `(gradients, outputs)`: for each layer `(n, size of its kernel)`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        with WatchedLayers(tape.watch) as watched:
            outputs = network(x, training=training)
        value = loss(outputs)
    found = tape.gradient(
        value,
        watched.connected,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    gradients = [
        tf.stop_gradient(tf.reshape(gradient, (-1, size_of(layer))))
        for layer, gradient in zip(
            layers, watched.kernel_gradients(layers, found), strict=True
        )
    ]
    return gradients, outputs


def generate(generators, layers, gradients, *arguments):
    """Makes fast kernels from gradients.

    Args:
        generators: Dict of a generator for each kind of layer.
        layers: Augmented layers.
        gradients: For each of them `(rows, size of its kernel)`.
        *arguments: Further arguments of the generators.

    Returns:
        For each layer `(rows that a generator makes, *kernel.shape)`.
    """
    kernels = {}
    for kind, generator in generators.items():
        own = [n for n, layer in enumerate(layers) if kind_of(layer) == kind]
        # One call for all layers of a kind.
        joined = ops.concatenate([gradients[n] for n in own], axis=1)
        made = generator(joined, *arguments)
        start = 0
        for n in own:
            # Slices, as XLA compiles no split by sizes inside a loop.
            part = made[:, start : start + size_of(layers[n])]
            start += size_of(layers[n])
            shape = (ops.shape(part)[0], *layers[n].kernel.shape)
            kernels[n] = ops.reshape(part, shape)
    return [kernels[n] for n in range(len(layers))]
