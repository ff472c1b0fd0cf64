"""A fingerprint of a model's architecture."""

import collections
import hashlib
import json
import re

import keras


def model_digest(model: keras.Model) -> str:
    """SHA-256 sum of a model's config, equal for models built alike.

    Keras numbers the layers of a process (`dense`, `dense_1` ...), so a
    second model of the same code has other names. In the sum the layers of a
    name are numbered within the model instead.

    Args:
        model: A Keras model, before it is compiled or built: both add to its
            config.

    Returns:
        str of 64 hexadecimal digits.
    """
    config = keras.saving.serialize_keras_object(model)
    seen, numbered = collections.Counter(), {}
    for name in dict.fromkeys(_names(config)):
        stem = re.sub(r"_\d+$", "", name)
        numbered[name] = f"{stem} {seen[stem]}"
        seen[stem] += 1
    text = json.dumps(_renamed(config, numbered), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _names(config):
    """The names in a nested config, in their order."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "name" and isinstance(value, str):
                yield value
            else:
                yield from _names(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _names(value)


def _renamed(config, names):
    """A nested config with other names wherever one stands."""
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
