"""One rule for the numbers and names that a caller passes.

A NumPy number counts as the Python number it holds, and comes back as one,
so that it can be saved in a config. True and False are not numbers.
"""

import math
import numbers
from collections.abc import Collection
from typing import Any

import keras


def check_integer(name: str, value: Any, least: int | None = None) -> int:
    """Returns an integer as an int, or raises a ValueError.

    Args:
        name: The argument's name, for the message.
        value: What was passed.
        least: Smallest value allowed; None for any.

    Returns:
        Python int.

    Raises:
        ValueError: If `value` is no integer, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(
            f"`{name}` must be an integer. Received: {name}={value!r}"
        )
    if least is not None and value < least:
        raise ValueError(
            f"`{name}` must be at least {least}. Received: {name}={value}"
        )
    return int(value)


def check_number(name: str, value: Any) -> float:
    """Returns a finite number as an int or a float, or raises a ValueError.

    Args:
        name: The argument's name, for the message.
        value: What was passed.

    Returns:
        Python int or float.

    Raises:
        ValueError: If `value` is no real number, NaN or infinite.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not math.isfinite(value)
    ):
        raise ValueError(
            f"`{name}` must be a finite number. Received: {name}={value!r}"
        )
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def check_positive(name: str, value: Any) -> float:
    """Returns a positive, finite number, or raises a ValueError.

    Args:
        name: The argument's name, for the message.
        value: What was passed.

    Returns:
        Python int or float.

    Raises:
        ValueError: If `value` is no real number, or not in `(0, inf)`.
    """
    try:
        number = check_number(name, value)
    except ValueError:
        number = 0
    if number <= 0:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )
    return number


def check_network(name: str, value: Any) -> Any:
    """Returns a Keras model or layer, or raises a ValueError.

    Args:
        name: The argument's name, for the message.
        value: What was passed.

    Returns:
        `value`.

    Raises:
        ValueError: If `value` is no `keras.layers.Layer`.
    """
    if isinstance(value, keras.layers.Layer):
        return value
    hint = "such as `keras_meta.encoders.conv4()`"
    called = getattr(value, "__name__", value)
    if callable(value) and isinstance(called, str):
        hint = f"such as what `{called}()` returns"
    raise ValueError(
        f"`{name}` must be a Keras model or layer, {hint}. "
        f"Received: {name}={value!r}"
    )


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Returns one of several values, or raises a ValueError that lists them.

    Args:
        name: The argument's name, for the message.
        value: What was passed.
        choices: Collection of the values allowed, such as a tuple of str.

    Returns:
        `value`.

    Raises:
        ValueError: If `value` is not among them.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )
    return value
