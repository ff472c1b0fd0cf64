"""A convolution whose kernel differs from example to example."""

import tensorflow as tf

from keras_meta.threads import available_cores

STEP = dict(strides=[1, 1, 1, 1], padding="SAME")


# AutoGraph, which there is no use for, fails at custom gradients.
@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def convolve_each(inputs, kernels):
    """Convolves each example with its own kernel.

    Examples are a loop, as a grouped convolution has no gradient on a CPU
    and unrolled patches take several times as long. The gradient is a loop of
    its own, which keeps nothing of this one; it has no second derivative.

    Args:
        inputs: `(batch, height, width, channels)`.
        kernels: `(batch, height, width, channels, filters)`.

    Returns:
        Tensor `(batch, height, width, filters)`.
    """
    size, filters = inputs.shape[1:], kernels.shape[1:]

    def convolve(n):
        return (tf.nn.conv2d(inputs[n][None], kernels[n], **STEP)[0],)

    def backward(upstream):
        def gradients(n):
            gradient = upstream[n][None]
            return (
                tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=[1, *size],
                    filter=kernels[n],
                    out_backprop=gradient,
                    **STEP,
                )[0],
                tf.raw_ops.Conv2DBackpropFilter(
                    input=inputs[n][None],
                    filter_sizes=filters,
                    out_backprop=gradient,
                    **STEP,
                ),
            )

        return _stack(gradients, inputs, (size, filters))

    outputs = _stack(convolve, inputs, ((*size[:2], filters[-1]),))
    return outputs[0], backward


def _stack(function, inputs, shapes):
    """What `function` returns for each number of an example, stacked."""
    count = tf.shape(inputs)[0]
    arrays = [
        tf.TensorArray(inputs.dtype, count, element_shape=shape)
        for shape in shapes
    ]

    def body(n, *arrays):
        written = [
            array.write(n, value)
            for array, value in zip(arrays, function(n), strict=True)
        ]
        return n + 1, *written

    _, *arrays = tf.while_loop(
        lambda n, *_: n < count,
        body,
        (tf.constant(0), *arrays),
        parallel_iterations=available_cores(),
    )
    stacked = [array.stack() for array in arrays]
    for tensor, shape in zip(stacked, shapes, strict=True):
        tensor.set_shape((inputs.shape[0], *shape))
    return stacked
