"""Whether a network fits the images that a preprocessing gives it."""

import keras
import numpy as np

from keras_meta.preprocessing import Preprocessing

# A network's first layers bring pixels to a range of about one. What comes out
# of them narrower or wider was made for other pixels, by a factor of 255.
NARROW, WIDE = 0.1, 100


def check_network_input(preprocessing, network, name):
    """Raises a ValueError unless a network takes what a preprocessing gives.

    A network that is not built yet takes any channels, and one that does not
    begin with `keras.layers.Rescaling` or `Normalization` any values.

    Args:
        preprocessing: The model's; others than a
            `keras_meta.preprocessing.Preprocessing` are not checked.
        network: The Keras model or layer that sees the images.
        name: Its name in the model, for the message.

    Raises:
        ValueError: For other channels, and for values that the network's
            first layers bring to a range far from one.
    """
    if not isinstance(preprocessing, Preprocessing) or (
        not isinstance(network, keras.Model)
    ):
        return
    # A network without fixed inputs has no such attribute yet.
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        channels = preprocessing.channels
        if shape[-1] not in (None, channels):
            raise ValueError(
                f"`preprocessing` must give the channels that `{name}` takes: "
                f"use Preprocessing(..., channels={shape[-1]}). Received: "
                f"channels={channels} for an input of shape {shape}"
            )
    low, high = preprocessing.value_range
    span = _span(network, high - low)
    if span is not None and not NARROW < span < WIDE:
        fitting = (0, 255) if span <= NARROW else (0, 1)
        raise ValueError(
            f"`preprocessing` must give the values that `{name}` was made "
            "for. Its first layers rescale them to a range of "
            f"{span:.2g}: use Preprocessing(..., value_range={fitting}), or "
            f"leave these layers out. Received: value_range={(low, high)}"
        )


def _span(network, span):
    """How wide values are behind the first layers, if these rescale them."""
    rescaled = False
    for layer in _flat_layers(network):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, keras.layers.Rescaling):
            factors = np.asarray(layer.scale)
        elif isinstance(layer, keras.layers.Normalization) and (
            getattr(layer, "variance", None) is not None
        ):
            factors = 1 / np.sqrt(np.maximum(layer.variance, 1e-12))
        else:
            break
        span = span * float(np.max(np.abs(factors)))
        rescaled = True
    return span if rescaled else None


def _flat_layers(network):
    """Layers in their order, as far as it is known."""
    if isinstance(network, keras.Sequential) or getattr(
        network, "inputs", None
    ):
        for layer in network.layers:
            if isinstance(layer, keras.Model):
                yield from _flat_layers(layer)
            else:
                yield layer
    else:
        # A class of its own may call its layers in any order.
        yield network
