"""How the objects of this package are named in configs and files."""

import keras

PACKAGE = "keras_meta"


def register(thing):
    """Makes a class or function known to Keras' saving, as `keras_meta>name`.

    Args:
        thing: A class with `get_config`, or a function of module level.

    Returns:
        `thing` itself, so that this serves as a decorator.
    """
    return keras.saving.register_keras_serializable(package=PACKAGE)(thing)


def deserialize_nested(config):
    """Rebuilds every serialized Keras object among the values of a config.

    Keras hands `from_config` the nested layers, functions and models of a
    class as dictionaries; without this step they would stay dictionaries.

    Args:
        config: A dict as `get_config` returns it after serialization.

    Returns:
        A new dict whose serialized values are live objects.
    """
    return {
        key: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "class_name" in value
        else value
        for key, value in config.items()
    }
