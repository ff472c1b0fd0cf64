"""Examples as data sets hold them: image sources, bytes or float32."""

import numpy as np
import tensorflow as tf

from keras_meta.arrays import is_source, number_array
from keras_meta.preprocessing import to_unit_range


def read_examples(examples):
    """Checks what a caller passes as `examples`.

    Args:
        examples: Image source, or what `number_array` takes.

    Returns:
        The image source, or a NumPy array `(n, ...)`.

    Raises:
        ValueError: If they are neither.
    """
    if is_source(examples):
        return examples
    return number_array(examples, "examples")


def unit_examples(values, name):
    """Examples as float32, by the rule of `episode_dataset`.

    Args:
        values: What `number_array` takes. uint8 is divided by 255; images
            (rank 4) are integers 0 to 255, also divided, or floats 0 to 1;
            other values need only be finite.
        name: Name of the argument, for the error.

    Returns:
        float32 array `(n, ...)`.

    Raises:
        ValueError: If they are no numbers of one shape, not finite, or
            images out of range.
    """
    values = number_array(values, name)
    if values.dtype == np.uint8:
        return to_unit_range(values, name)
    if values.ndim == 4:
        try:
            return to_unit_range(values, name)
        except ValueError as error:
            raise ValueError(
                f"{error}. Arrays of rank 4 are taken for images; other "
                f"values are passed in another rank, such as `{name}.reshape("
                f"len({name}), -1)` for a network that begins with "
                "`keras.layers.Reshape`"
            ) from error
    # Too large for float32 is infinite, and an error below.
    with np.errstate(over="ignore"):
        values = values.astype("float32")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{int((~np.isfinite(values)).sum())} values that are NaN or "
            "infinite"
        )
    return values


def row_taker(examples):
    """The function that draws rows of examples as float32 tensors.

    Args:
        examples: What `read_examples` returned.

    Returns:
        Function from an integer tensor `(n,)` to a tensor `(n, ...)`.

    Raises:
        ValueError: If values are not finite, or images out of range.
    """
    if is_source(examples):
        return examples.take
    if examples.dtype == np.uint8:
        # A quarter of the memory of float32.
        stored = tf.constant(examples)
        unit = tf.constant(1 / 255, "float32")
        return lambda rows: tf.cast(tf.gather(stored, rows), "float32") * unit
    stored = tf.constant(unit_examples(examples, "examples"))
    return lambda rows: tf.gather(stored, rows)
