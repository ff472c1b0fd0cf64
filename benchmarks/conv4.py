"""Conv4 of both orders of layers: its encoder, weights and operations."""

import numpy as np

from benchmarks.hyperparameters import FILTERS, NORM_EPSILON, SIZE, USUAL

BLOCKS = 4
# The order of layers of `keras_meta.encoders.conv4`.
CONV4 = "conv4"


def convolution_flop():
    """Floating point operations of each convolution's forward pass.

    A convolution of `p` positions, 3 x 3 and `i` to `o` channels takes
    `2 * 9 * p * i * o` for an image. The other layers take below 1% of all
    operations and are left out.

    Returns:
        List of `BLOCKS` integers, for one image.
    """
    flop = []
    size, channels = SIZE, 1
    for _ in range(BLOCKS):
        flop.append(2 * 9 * size * size * channels * FILTERS)
        size, channels = size // 2, FILTERS
    return flop


def initial_weights(layers, filters=FILTERS, seed=1):
    """The weights that all sides start from, in the order of the layers.

    Args:
        layers: `USUAL` or `CONV4`.
        filters: Channels of the convolutions.
        seed: Integer.

    Returns:
        List of float32 arrays: of each block the kernel `(3, 3, in, out)`,
        with the usual layers the bias, then scale and shift of batch norm.
    """
    rng = np.random.default_rng(seed)
    weights, channels = [], 1
    for _ in range(BLOCKS):
        scale = np.sqrt(2 / (9 * (channels + filters)))
        weights.append(scale * rng.normal(size=(3, 3, channels, filters)))
        if layers == USUAL:
            weights.append(np.zeros(filters))
        # Only kernels come from `rng`, so that both orders get the same ones.
        weights.append(np.linspace(0.8, 1.2, filters))
        weights.append(np.linspace(-0.2, 0.2, filters))
        channels = filters
    return [weight.astype("float32") for weight in weights]


def keras_encoder(layers, filters):
    """Our encoder, not built.

    Args:
        layers: `USUAL` or `CONV4`.
        filters: Channels of the convolutions.
    """
    import keras

    from keras_meta.encoders import conv4
    from keras_meta.layers import EpisodicBatchNormalization

    if layers == CONV4:
        return conv4(filters)
    blocks = []
    for _ in range(BLOCKS):
        blocks += [
            keras.layers.Conv2D(filters, 3, padding="same"),
            EpisodicBatchNormalization(epsilon=NORM_EPSILON),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    return keras.Sequential([*blocks, keras.layers.Flatten()])
