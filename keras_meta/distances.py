"""Distances between two sets of vectors: lower is closer.

Each is a function `(x, y) -> distance` with `x: (..., n, dim)`, `y: (..., m,
dim)` and a result `(..., n, m)`, computed in float32 at least. Your own
function of this form can be used as well, once it is registered:

>>> from keras import ops
>>> @keras_meta.register
... def chebyshev(x, y):
...     return ops.max(ops.abs(x[..., :, None, :] - y[..., None, :, :]), -1)
>>> model = keras_meta.models.PrototypicalNetwork(
...     keras_meta.encoders.mlp((8,)), distance=chebyshev)
"""

import difflib

import keras
from keras import ops

from keras_meta.ops import at_least_float32, in_chunks, unit_vectors
from keras_meta.serialization import check_registered, register
from keras_meta.typing import Config, Distance, Tensor, TensorLike


@register
def squared_euclidean(x: TensorLike, y: TensorLike) -> Tensor:
    """`sum_d (x_d - y_d)^2`, expanded to one matrix product and clamped."""
    x, y = at_least_float32(x), at_least_float32(y)
    # Subtracting the mean of y from both leaves the distance unchanged, and
    # keeps the expanded form from losing digits to cancellation.
    centre = ops.mean(y, axis=-2, keepdims=True)
    x, y = x - centre, y - centre
    products = ops.matmul(x, ops.swapaxes(y, -1, -2))
    squares = ops.expand_dims(ops.sum(x * x, -1), -1) + ops.expand_dims(
        ops.sum(y * y, -1), -2
    )
    return ops.maximum(squares - 2 * products, 0)


@register
def euclidean(x: TensorLike, y: TensorLike) -> Tensor:
    """`sqrt(sum_d (x_d - y_d)^2)`, with a finite gradient at zero."""
    squared = squared_euclidean(x, y)
    positive = squared > 0
    return ops.where(
        positive, ops.sqrt(ops.where(positive, squared, 1)), 0 * squared
    )


@register
def manhattan(x: TensorLike, y: TensorLike) -> Tensor:
    """`sum_d |x_d - y_d|`."""
    x, y = at_least_float32(x), at_least_float32(y)
    return in_chunks(_manhattan, x, y)


def _manhattan(x, y):
    differences = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
    return ops.sum(ops.abs(differences), -1)


@register
def negative_dot(x: TensorLike, y: TensorLike) -> Tensor:
    """`-x . y`: the dot product of attention, as a distance."""
    x, y = at_least_float32(x), at_least_float32(y)
    return -ops.matmul(x, ops.swapaxes(y, -1, -2))


@register
def cosine(x: TensorLike, y: TensorLike) -> Tensor:
    """`1 - x . y / (|x| |y|)`, in `[0, 2]`; 1 for a zero vector."""
    return 1 + negative_dot(unit_vectors(x), unit_vectors(y))


@register
def semi_cosine(x: TensorLike, y: TensorLike) -> Tensor:
    """`-x . y / |y|`: only `y` is normalised."""
    return negative_dot(x, unit_vectors(y))


DISTANCES = {
    function.__name__: function
    for function in (
        squared_euclidean,
        euclidean,
        manhattan,
        negative_dot,
        cosine,
        semi_cosine,
    )
}


def get(distance: str | Distance) -> Distance:
    """Finds a distance by its name, or checks that a function can be saved.

    Args:
        distance: Name of a distance of this module, or a registered
            function `(x, y) -> distance`.

    Returns:
        The function.

    Raises:
        ValueError: For an unknown name or a function that is not
            registered (a lambda, say), which could be saved but not loaded.
    """
    if isinstance(distance, str):
        if distance in DISTANCES:
            return DISTANCES[distance]
        near = difflib.get_close_matches(distance, DISTANCES, 1, 0)
        raise ValueError(
            f"`distance` must be one of {sorted(DISTANCES)} (did you mean "
            f"{near[0]!r}?) or a registered function. "
            f"Received: distance={distance!r}"
        )
    check_registered("distance", distance)
    return distance


def pairwise(distance: Distance, x: TensorLike, y: TensorLike) -> Tensor:
    """Computes a distance and checks the shape of the result.

    Args:
        distance: Function `(x, y) -> distance`.
        x: `(tasks, n, dim)`.
        y: `(tasks, m, dim)`.

    Returns:
        Tensor `(tasks, n, m)`, float32 at least.

    Raises:
        ValueError: If the function returns another shape.
    """
    found = distance(x, y)
    expected = (*x.shape[:-1], y.shape[-2])
    shape = tuple(found.shape)
    if len(shape) != len(expected) or any(
        a is not None and b is not None and a != b
        for a, b in zip(shape, expected, strict=True)
    ):
        raise ValueError(
            "`distance` must return (..., n, m) for x of (..., n, dim) and y "
            f"of (..., m, dim), here {expected}. Received: "
            f"distance={distance.__name__}, which returned {shape}"
        )
    return at_least_float32(found)


def serialize(distance: Distance) -> str | Config:
    """The name that `get` finds, or a config that Keras deserializes."""
    name = getattr(distance, "__name__", "")
    if DISTANCES.get(name) is distance:
        return name
    return keras.saving.serialize_keras_object(distance)
