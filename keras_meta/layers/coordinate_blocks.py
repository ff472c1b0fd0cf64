"""A small network over very many coordinates, a block of them at a time.

Each coordinate is a column, and a network does the same to all of them. What
it computes in between for one block stays in the cache of a core, and for a
gradient it is computed again instead of kept, so memory does not grow with
the number of coordinates.
"""

import tensorflow as tf

from keras_meta.threads import available_cores

# Coordinates in a block, for a network of 20 units.
BLOCK = 2048


def into_blocks(columns):
    """Divides the columns of `(rows, columns)`; the last block is padded.

    Args:
        columns: `(rows, columns)`, with `columns` known.

    Returns:
        Tensor `(blocks, rows, block)`.
    """
    count = columns.shape[1]
    block = min(BLOCK, count)
    blocks = -(-count // block)
    columns = tf.pad(columns, [[0, 0], [0, blocks * block - count]])
    rows = tf.shape(columns)[0]
    parts = tf.reshape(columns, (rows, blocks, block))
    return tf.transpose(parts, (1, 0, 2))


def from_blocks(parts, count):
    """The inverse of `into_blocks`, for `count` columns."""
    columns = tf.transpose(parts, (1, 0, 2))
    rows = tf.shape(columns)[0]
    return tf.reshape(columns, (rows, -1))[:, :count]


def map_blocks(function, arrays, weights):
    """`function` of each block.

    Args:
        function: Function `(list of (rows, block), weights) -> (outputs,
            block)`; a column depends on the same column.
        arrays: List of tensors `(blocks, rows, block)`, `blocks` known.
        weights: List of tensors.

    Returns:
        Tensor `(blocks, outputs, block)`.
    """

    def body(number, outputs):
        found = function([array[number] for array in arrays], weights)
        return (outputs.write(number, found),)

    blocks = arrays[0].shape[0]
    start = tf.TensorArray(arrays[0].dtype, blocks)
    return _loop(body, blocks, [start])[0].stack()


def gradients_of_blocks(function, arrays, weights, upstream, watched=0):
    """Gradients of `map_blocks`, which it computes anew.

    Args:
        function, arrays, weights: As for `map_blocks`.
        upstream: Gradients of its result, `(blocks, outputs, block)`.
        watched: Of how many of `arrays`, the first ones, there are gradients.

    Returns:
        `(of arrays, of weights)`, lists of tensors of their shapes.
    """
    blocks = arrays[0].shape[0]

    def body(number, found, sums):
        parts = [array[number] for array in arrays]
        sources = [*parts[:watched], *weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            outputs = function(parts, weights)
        gradients = tape.gradient(
            outputs,
            sources,
            output_gradients=upstream[number],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        found = [
            array.write(number, gradient)
            for array, gradient in zip(found, gradients, strict=False)
        ]
        sums = [a + b for a, b in zip(sums, gradients[watched:], strict=True)]
        return found, sums

    start = [tf.TensorArray(array.dtype, blocks) for array in arrays[:watched]]
    sums = [tf.zeros_like(weight) for weight in weights]
    found, sums = _loop(body, blocks, [start, sums])
    return [array.stack() for array in found], sums


def _loop(body, blocks, start):
    """`body(number, *values)` for each block, beginning with `start`."""
    return tf.while_loop(
        lambda number, *_: number < blocks,
        lambda number, *values: (number + 1, *body(number, *values)),
        (tf.constant(0), *start),
        parallel_iterations=available_cores(),
        maximum_iterations=blocks,
    )[1:]


# AutoGraph, which there is no use for, fails at custom gradients.
@tf.autograph.experimental.do_not_convert
def in_blocks(function, coordinates, weights):
    """`function(coordinates, weights)`, some columns at a time.

    The gradient is that of the weights; `coordinates` are data.

    Args:
        function: Function of `(rows, block)` and `weights` that returns
            `(outputs, block)`; a column depends on the same column.
        coordinates: `(rows, columns)`, with `columns` known.
        weights: List of variables or tensors.

    Returns:
        Tensor `(outputs, columns)`.
    """
    count = coordinates.shape[1]
    arrays = [into_blocks(tf.stop_gradient(coordinates))]

    def of_block(parts, weights):
        return function(*parts, weights)

    @tf.custom_gradient
    def run(*weights):
        def backward(upstream):
            _, gradients = gradients_of_blocks(
                of_block, arrays, weights, into_blocks(upstream)
            )
            return gradients

        outputs = map_blocks(of_block, arrays, weights)
        return from_blocks(outputs, count), backward

    return run(*[tf.convert_to_tensor(weight) for weight in weights])
