"""The network of the peers in JAX, and its loss."""

import numpy as np

from benchmarks.hyperparameters import NORM_EPSILON


def jax_outputs(weights, images):
    """The network as a function of its weights; images `(n, 28, 28, 1)`."""
    import jax
    from jax import lax

    *encoder, kernel, bias = weights
    window = (1, 2, 2, 1)
    for block in range(0, len(encoder), 4):
        convolution, shift, gamma, beta = encoder[block : block + 4]
        images = lax.conv_general_dilated(
            images,
            convolution,
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        images = images + shift
        centred = images - images.mean((0, 1, 2))
        variance = (centred * centred).mean((0, 1, 2))
        scale = gamma * lax.rsqrt(variance + NORM_EPSILON)
        images = jax.nn.relu(centred * scale + beta)
        images = lax.reduce_window(
            images, -np.inf, lax.max, window, window, "VALID"
        )
    return images.reshape(len(images), -1) @ kernel + bias


def jax_loss(weights, images, targets):
    """Mean cross-entropy; targets are integer labels."""
    import jax

    log_probabilities = jax.nn.log_softmax(jax_outputs(weights, images))
    return -log_probabilities[np.arange(len(targets)), targets].mean()
