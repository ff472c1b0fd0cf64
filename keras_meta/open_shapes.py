"""Configs of models whose shapes leave open how many examples there are.

A network that is built by its first batch keeps the size of that batch, and
Keras writes it into configs: an encoder trained on 60-way episodes would have
the input shape `(60, 28, 28, 1)` ever after, and export files of that size.
"""

from typing import Any

from keras_meta.typing import Config

# Networks that are built by what they are given; the inputs of others are
# those that their author stated.
BUILT_BY_BATCH = ("Sequential",)


def open_sizes(config: Config) -> Any:
    """A config without the sizes of the batch that built a model.

    These are the first axis of what a network in it was built by, and both
    tasks and examples of the episodes that built the model itself.

    Args:
        config: What `keras.saving.serialize_keras_object` returned.

    Returns:
        Dict of the same form; `config` itself is not changed.
    """
    config = _opened_networks(config, inside=False)
    built = config.get("build_config", {}).get("input_shape")
    if isinstance(built, dict):
        shapes = {key: _opened(shape, 2) for key, shape in built.items()}
        config["build_config"] = {"input_shape": shapes}
    return config


def _opened_networks(value, inside):
    """`value` with open networks; `inside` one, shapes of layers are opened."""
    if isinstance(value, list):
        return [_opened_networks(part, inside) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in BUILT_BY_BATCH:
        inside = True
    elif value.get("class_name") == "Functional":
        return value
    opened = {
        key: _opened_networks(part, inside) for key, part in value.items()
    }
    if inside:
        for key in ("batch_shape", "build_input_shape", "input_shape"):
            if key in opened:
                opened[key] = _opened(opened[key], 1)
    return opened


def _opened(shape, axes):
    """A shape whose first axes are open, if it is one."""
    if not isinstance(shape, list | tuple) or len(shape) <= axes:
        return shape
    return [None] * axes + list(shape[axes:])
