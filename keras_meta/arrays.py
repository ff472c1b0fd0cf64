"""NumPy arrays from what a caller passes as examples.

Nothing here imports pandas, SciPy, TensorFlow or PyTorch: a tensor, a table
or a sparse matrix is recognised by its methods.
"""

import collections.abc
import numbers

import numpy as np
from PIL import Image

from keras_meta.pictures import picture_pixels

EXPECTED = (
    "an array (n, ...), tensor or DataFrame of numbers, a list of examples of "
    "one shape, or an image source with `shape` and `take`"
)
# Channels of a picture: grey, RGB, RGBA.
CHANNELS = (1, 3, 4)


def is_source(examples):
    """Whether examples are an image source: `shape` and `take(indices)`.

    A DataFrame and some tensors have a `take` too, but are arrays.
    """
    return (
        hasattr(examples, "take")
        and hasattr(examples, "shape")
        and not hasattr(examples, "__array__")
    )


def source_array(source, rows):
    """Some examples of an image source.

    Args:
        source: Image source.
        rows: Integer array `(n,)`.

    Returns:
        NumPy array `(n, ...)`.
    """
    # `take` of `EncodedImages` raises errors of TensorFlow instead.
    read = source.numpy if hasattr(source, "numpy") else source.take
    return np.asarray(read(rows))


def number_array(values, name):
    """Checks that examples are numbers of one shape, as a NumPy array.

    Args:
        values: Array, tensor, DataFrame, or a sequence of any of these, of
            PIL pictures and of numbers. A PIL picture by itself is one
            example.
        name: Name of the argument, for the error.

    Returns:
        Array `(n, ...)` of bool, integers or floats. Masked and missing
        values of a table are NaN.

    Raises:
        ValueError: For anything else, such as a generator, a sparse matrix
            or text, for examples of unequal shapes, and for examples without
            any value, such as pictures of height 0.
    """
    if isinstance(values, Image.Image):
        values = [values]
    try:
        array = as_numbers(as_array(values))
        if array.ndim == 0:
            raise ValueError(f"a single value of type {type(values).__name__}")
    # What a tensor or a table raises depends on its library.
    except Exception as error:
        raise ValueError(
            f"`{name}` must be {EXPECTED}. Received: {error}"
        ) from error
    if len(array) and array.size == 0:
        raise ValueError(
            f"`{name}` must hold at least one value in each example. "
            f"Received: an array of shape {array.shape}"
        )
    return array


def as_array(values):
    """Converts one value, or a sequence of them, to a NumPy array.

    Args:
        values: Array, tensor, DataFrame, PIL picture, number, or a sequence
            of any of these.

    Returns:
        NumPy array of any rank and type; of a picture `(height, width,
        channels)`.

    Raises:
        ValueError: With what was received, if it is no array of one shape.
        Exception: What the value's own conversion raises.
    """
    if isinstance(values, Image.Image):
        return picture_pixels(values)
    if hasattr(values, "toarray") or hasattr(values, "dense_shape"):
        raise ValueError(
            f"a sparse {type(values).__name__}; make it dense first, by "
            "`.toarray()` or `tf.sparse.to_dense`"
        )
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            return values.astype("float64").filled(np.nan)
        return values.data
    if hasattr(values, "detach"):
        # A tensor of PyTorch may need gradients, or be on another device.
        values = values.detach().cpu()
    if hasattr(values, "to_numpy"):
        return _unpacked(values.to_numpy())
    if callable(getattr(values, "numpy", None)):
        return _unpacked(np.asarray(values.numpy()))
    if hasattr(values, "__array__"):
        return _unpacked(np.asarray(values))
    if isinstance(values, numbers.Number) or values is None:
        return np.asarray(values)
    if isinstance(values, str | bytes):
        raise ValueError(
            f"the text {values!r}; a picture file is read by "
            "`keras_meta.data.read_picture(path)`"
        )
    if not isinstance(values, collections.abc.Sequence):
        raise ValueError(f"an object of type {type(values).__name__}")
    if all(isinstance(value, numbers.Number) for value in values):
        return np.asarray(values)
    return _stacked([as_array(value) for value in values])


def as_numbers(array):
    """Checks that an array holds real numbers.

    Args:
        array: NumPy array of any rank and type.

    Returns:
        Array of bool, integers or floats; an array of Python objects, such
        as of a table whose columns differ, becomes one of numbers.

    Raises:
        ValueError: If the values are no real numbers.
    """
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "O":
        cells = np.asarray(
            [np.nan if is_missing(cell) else cell for cell in array.flat]
        )
        # Decimals and the like.
        if cells.dtype.kind == "O":
            cells = cells.astype("float64")
        if cells.dtype.kind in "biuf":
            return cells.reshape(array.shape)
    # bfloat16 and the other small types that tensors have.
    if array.dtype.kind == "V" and array.dtype.names is None:
        return array.astype("float32")
    raise ValueError(f"values of dtype {array.dtype}, which are no numbers")


def is_missing(value):
    """Whether a value is None, NaN, or the missing value of a table."""
    # pandas' own missing value has no truth value, nor has `NA != NA`.
    if value is None or type(value).__name__ == "NAType":
        return True
    # NaN and "not a time" alone differ from themselves.
    return np.ndim(value) == 0 and bool(value != value)


def picture_arrays(images):
    """What a caller passes as pictures, checked as far as it is read.

    Args:
        images: As for `keras_meta.preprocessing.Preprocessing`, but no image
            source.

    Returns:
        One array of numbers, or a list for `one_picture`.

    Raises:
        ValueError: For what is neither.
    """
    if isinstance(images, Image.Image):
        return [images]
    if hasattr(images, "to_numpy"):
        images = images.to_numpy()
    if isinstance(images, np.ndarray) and images.dtype == object:
        images = list(images)
    if not isinstance(images, list | tuple):
        return _pixels(images)
    if images and all(isinstance(image, list | tuple) for image in images):
        # Nested lists of numbers: an array, written out, if sizes are equal.
        images = [_pixels(image) for image in images]
        if len({image.shape for image in images}) == 1:
            return np.stack(images)
    return images


def one_picture(picture, row):
    """Array `(height, width, channels)` of one picture of a list.

    Args:
        picture: Array, tensor, nested list or PIL picture.
        row: Its place in the list, for the error.

    Raises:
        ValueError: If it is no picture.
    """
    pixels = _pixels(picture)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in CHANNELS:
        raise ValueError(
            "`images` must hold pictures (height, width) or (height, width, "
            "channels) with 1, 3 or 4 channels. Received: an array of shape "
            f"{pixels.shape} as images[{row}]"
        )
    return pixels


def _pixels(picture):
    """NumPy array of one or more pictures."""
    # What a picture or a tensor raises depends on its file or library.
    try:
        array = as_array(picture)
    except Exception as error:
        raise ValueError(
            "`images` must be an array or tensor of pictures, a list of "
            "arrays or PIL pictures, or an image source. "
            f"Received: {error}"
        ) from error
    try:
        return as_numbers(array)
    except ValueError as error:
        raise ValueError(
            f"`images` must hold numbers. Received: {error}"
        ) from error


def _unpacked(array):
    """An array of rank 1 whose elements are arrays, as one array."""
    if array.dtype != object or array.ndim != 1 or not len(array):
        return array
    if isinstance(array[0], numbers.Number | str) or array[0] is None:
        return array
    return _stacked([as_array(value) for value in array])


def _stacked(parts):
    """Arrays of one shape as one array with an axis more."""
    shapes = [part.shape for part in parts]
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"a list of {len(parts)} with the shapes {shapes[0]} in row 0 "
                f"and {shape} in row {row}"
            )
    # uint8 means 0 to 255, floats mean 0 to 1: together neither is known.
    kinds = {part.dtype == np.uint8 for part in parts}
    if len(kinds) > 1:
        raise ValueError(
            "a list of uint8 and other arrays, "
            f"{sorted({str(part.dtype) for part in parts})}"
        )
    return np.stack(parts) if parts else np.zeros(0)
