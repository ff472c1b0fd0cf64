"""How a Keras network runs with given weights, and gradients at them.

The inner loop of a gradient-based method treats the weights of its network as
tensors: a gradient step returns new ones and the variables stay as they are.
"""

import keras
import tensorflow as tf

from keras_meta.checks import check_network
from keras_meta.convolution_blocks import run_network
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.ops import uncast_inputs

# Layers of Keras whose moments stop a gradient (`tf.nn.moments`).
STOPPED_MOMENTS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)


def check_adapted_network(name, network):
    """Returns a network whose gradients an inner loop takes, or raises.

    In float16, gradients below 6e-8 are zero. Keras' `LossScaleOptimizer`
    scales the loss of `compile`; it cannot reach the losses of inner loops,
    which are differentiated before there is a loss to scale. bfloat16 has the
    range of float32 and needs no scaling.

    Args:
        name: The argument that holds the network, for messages.
        network: Keras model or layer.

    Raises:
        ValueError: If it is no network, or one of its layers computes in
            float16.
    """
    check_network(name, network)
    layers = getattr(network, "_flatten_layers", lambda: [network])()
    for layer in layers:
        if getattr(layer, "compute_dtype", None) == "float16":
            raise ValueError(
                f"`{name}` must not compute in float16, in which small "
                "gradients of the inner loop become zero: the loss scaling of "
                'Keras does not reach them. Use the policy "mixed_bfloat16" '
                'or "float32" (`keras.config.set_dtype_policy`). Received: '
                f"{name}={network.name!r}, whose layer {layer.name!r} has "
                f"the policy {layer.dtype_policy.name!r}"
            )
    return network


def run(network, weights, state, x, training, then=None):
    """Runs a network with given weights instead of its own.

    Args:
        network: A built Keras model or layer.
        weights: Tensors, one for each of `network.trainable_variables`.
        state: Tensors, one for each of `network.non_trainable_variables`.
        x: Its input, `(examples, ...)`.
        training: Python bool.
        then: Optional function of the outputs that also sees those weights
            in the network's variables.

    Returns:
        `(outputs, state)`: outputs `(examples, outputs)` or what `then` made
        of them, and the state after the pass.
    """
    mapping = [
        *zip(network.trainable_variables, weights, strict=True),
        *zip(network.non_trainable_variables, state, strict=True),
    ]
    with keras.StatelessScope(mapping, collect_losses=True) as scope:
        with uncast_inputs(network, x.shape):
            outputs = run_network(network, x, training)
        if then is not None:
            outputs = then(outputs)
    after = [
        scope.get_current_value(variable)
        for variable in network.non_trainable_variables
    ]
    return outputs, after


def value_of(variable):
    """A variable as a tensor of its own precision.

    Under a mixed policy Keras reads variables in half precision inside
    `call`, which is too coarse for weights that are adapted.

    Args:
        variable: `keras.Variable`.
    """
    autocast = variable._autocast
    variable._autocast = False
    try:
        return tf.convert_to_tensor(variable.value)
    finally:
        variable._autocast = autocast


def read_once(layer):
    """A scope in which a layer's weights are read before a loop of calls.

    What a loop reads in its body counts as a result of each step: for the
    gradient, XLA would keep a copy of every kernel for every step.

    Args:
        layer: A built Keras layer without state that its calls change.

    Returns:
        Context manager.
    """
    return keras.StatelessScope(
        [(weight, value_of(weight)) for weight in layer.trainable_variables]
    )


def loss_gradients(
    forward, loss, weights, state, x, y, training, positions=None
):
    """Gradients of a loss with respect to given weights.

    Args:
        forward: Function `(weights, state, x, training) -> (outputs, state)`,
            as `run` is of a network.
        weights, state, x, training: What it takes.
        loss: Function `(targets, predictions) -> loss`.
        y: Targets `(examples, outputs)`.
        positions: Which of `weights` a gradient is computed for; all by
            default.

    Returns:
        `(gradients, state)`, one gradient for each of `positions`; a weight
        that the loss does not depend on has the gradient zero.
    """
    _, gradients, state = loss_and_gradients(
        forward, loss, weights, state, x, y, training, positions
    )
    return gradients, state


def loss_and_gradients(
    forward, loss, weights, state, x, y, training, positions=None
):
    """A loss at given weights, and its gradients with respect to them.

    Args:
        forward, loss, weights, state, x, y, training, positions: As for
            `loss_gradients`.

    Returns:
        `(loss, gradients, state)`, the loss a scalar, the rest as from
        `loss_gradients`.
    """
    if positions is not None:
        sources = [weights[position] for position in positions]
    else:
        sources = weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        outputs, state = forward(weights, state, x, training)
        value = tf.reduce_mean(loss(y, outputs))
    gradients = tape.gradient(
        value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return value, gradients, state


def repeat(body, steps, values, unrolled):
    """`values = body(step, values)` for each step.

    Args:
        body: Function `(step, values) -> values`.
        steps: Python integer.
        values: Nested structure of tensors.
        unrolled: Whether each step is in the graph, so that it can be
            differentiated cheaply; otherwise the graph holds one.

    Returns:
        The values after the last step.
    """
    if unrolled or steps <= 1:
        for step in range(steps):
            values = body(step, values)
        return values
    return tf.while_loop(
        lambda step, _: step < steps,
        lambda step, now: (step + 1, body(step, now)),
        (tf.constant(0), values),
        maximum_iterations=steps,
    )[1]


def spec_of(tensor):
    """The `tf.TensorSpec` of a tensor."""
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def numbered(name, positions, tensors):
    """A dict `name_position -> tensor`."""
    return {
        f"{name}_{position}": tensor
        for position, tensor in zip(positions, tensors, strict=True)
    }


def normalization_variables(network):
    """Ids of the variables of a network's normalization layers."""
    kinds = (*STOPPED_MOMENTS, EpisodicBatchNormalization)
    return {
        id(variable)
        for layer in network._flatten_layers()
        if isinstance(layer, kinds)
        for variable in layer.variables
    }


def variables_of_last_layer(network):
    """Ids of the variables of the layer that owns the last trainable one."""
    last = network.trainable_variables[-1]
    (owner,) = (
        layer
        for layer in network._flatten_layers()
        if any(variable is last for variable in layer._trainable_variables)
    )
    return {id(variable) for variable in owner.variables}
