"""How the objects of this package are named in configs and files."""

import copy
from collections.abc import Callable
from typing import TypeVar

import keras

from keras_meta.typing import Config

PACKAGE = "keras_meta"

# What `register` gets it gives back, with its type.
T = TypeVar("T")
F = TypeVar("F", bound=Callable)


def register(thing: T) -> T:
    """Makes a class or function known to Keras' saving, as `keras_meta>name`.

    Args:
        thing: A class with `get_config`, or a function of module level.

    Returns:
        `thing` itself, so that this serves as a decorator.
    """
    return keras.saving.register_keras_serializable(package=PACKAGE)(thing)


def check_registered(name: str, function: F) -> F:
    """Returns a function that can be saved by its name.

    Args:
        name: The argument that holds it, for the message.
        function: What was passed.

    Returns:
        `function`.

    Raises:
        ValueError: If it is not registered (a lambda, say): a model with it
            could be saved but not loaded.
    """
    # A layer, a partial or a number has no name to be registered under.
    if not hasattr(function, "__name__") or function is not (
        keras.saving.get_registered_object(
            keras.saving.get_registered_name(function)
        )
    ):
        raise ValueError(
            f"`{name}` must be registered, or the model could be saved but "
            "not loaded: put the decorator `@keras_meta.register` on a "
            f"function of module level. Received: {name}={function!r}"
        )
    return function


def deserialize_nested(config: Config) -> Config:
    """Rebuilds every serialized Keras object among the values of a config.

    Keras hands `from_config` the nested layers, functions and models of a
    class as dictionaries; without this step they would stay dictionaries.

    Args:
        config: A dict as `get_config` returns it after serialization. It
            stays as it is.

    Returns:
        A new dict whose serialized values are live objects.
    """
    return {
        # A copy: functional models pop the keys of their config.
        key: keras.saving.deserialize_keras_object(copy.deepcopy(value))
        if isinstance(value, dict) and "class_name" in value
        else value
        for key, value in config.items()
    }
