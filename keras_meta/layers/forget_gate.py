"""The start of an LSTM's forget gate."""

from keras import ops


def open_forget_gate(shape, dtype=None):
    """An initializer of the biases of four gates, in Keras' order.

    Ones for the forget gate, the second of four, and zeros elsewhere: the
    cell keeps its content until it has learned what to forget.

    Args:
        shape: `(4 * units,)`.
        dtype: Type of the biases.

    Returns:
        Tensor of that shape.
    """
    zeros = ops.zeros((shape[0] // 4,), dtype)
    return ops.concatenate([zeros, zeros + 1, zeros, zeros])
