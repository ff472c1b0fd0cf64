"""A small network over very many coordinates, a block of them at a time."""

import tensorflow as tf

from keras_meta.threads import available_cores

# Coordinates in a block: what a network of 20 units makes of them stays in
# the cache of a core.
BLOCK = 2048


# AutoGraph, which there is no use for, fails at custom gradients.
@tf.autograph.experimental.do_not_convert
def in_blocks(function, coordinates, weights):
    """`function(coordinates, weights)`, some columns at a time.

    What the function computes in between is made again for the gradient and
    not kept, so memory does not grow with the number of coordinates. The
    gradient is that of the weights; `coordinates` are data.

    Args:
        function: Function of `(rows, block)` and `weights` that returns
            `(outputs, block)`; a column depends on the same column.
        coordinates: `(rows, columns)`, with `columns` known.
        weights: List of variables or tensors.

    Returns:
        Tensor `(outputs, columns)`.
    """
    columns = coordinates.shape[1]
    block = min(BLOCK, columns)
    blocks = -(-columns // block)
    padding = [[0, 0], [0, blocks * block - columns]]
    coordinates = tf.pad(tf.stop_gradient(coordinates), padding)

    def part(values, number):
        return values[:, number * block : (number + 1) * block]

    def loop(body, start):
        return tf.while_loop(
            lambda number, *_: number < blocks,
            lambda number, *values: (number + 1, *body(number, *values)),
            (tf.constant(0), *start),
            parallel_iterations=available_cores(),
            maximum_iterations=blocks,
        )[1:]

    @tf.custom_gradient
    def run(*weights):
        def evaluate(number, outputs):
            found = function(part(coordinates, number), weights)
            # Columns first, to be stacked without a copy.
            return (outputs.write(number, tf.transpose(found)),)

        def backward(upstream):
            upstream = tf.pad(upstream, padding)

            def accumulate(number, *sums):
                with tf.GradientTape() as tape:
                    tape.watch(weights)
                    found = function(part(coordinates, number), weights)
                gradients = tape.gradient(
                    found, weights, output_gradients=part(upstream, number)
                )
                return [a + b for a, b in zip(sums, gradients, strict=True)]

            return loop(accumulate, [tf.zeros_like(w) for w in weights])

        (outputs,) = loop(evaluate, [tf.TensorArray(coordinates.dtype, blocks)])
        return tf.transpose(outputs.concat()[:columns]), backward

    return run(*[tf.convert_to_tensor(weight) for weight in weights])
