"""Small tasks of pictures and a smooth network, for finite differences."""

import keras
import numpy as np
from quadratic_tasks import close

from keras_meta.layers import EpisodicBatchNormalization


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def set_values(variables, values):
    """Sets variables from one vector, in their order."""
    position = 0
    for variable in variables:
        size = int(np.prod(variable.shape))
        part = values[position : position + size]
        variable.assign(np.reshape(part, variable.shape))
        position += size
    assert position == len(values)


def set_flat(network, theta):
    """Sets the trainable weights from one vector, in their order."""
    set_values(network.trainable_variables, theta)


def check_slope(loss, start, gradient, direction):
    """The gradient agrees with a central difference along a direction."""
    direction = direction / np.linalg.norm(direction)
    step = 1e-5 * direction
    slope = (loss(start + step) - loss(start - step)) / 2e-5
    close(gradient @ direction, slope, 1e-7)


def smooth_network():
    """Convolutions without kinks, with our batch norm; 6 x 6 images."""
    return keras.Sequential(
        [
            keras.layers.Conv2D(3, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.Activation("softplus"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(3, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def picture_episode(tasks=2, way=3, queries=2, size=6, seed=0):
    """Noise as a meta-batch of 1-shot episodes, and its targets."""
    rng = np.random.default_rng(seed)
    one_hot = np.eye(way, dtype="float32")
    episode = {
        "support_x": rng.random((tasks, way, size, size, 1)),
        "support_y": np.tile(one_hot, (tasks, 1, 1)),
        "query_x": rng.random((tasks, way * queries, size, size, 1)),
    }
    episode = {k: v.astype(keras.config.floatx()) for k, v in episode.items()}
    return episode, np.tile(one_hot, (tasks, queries, 1))


def logits_loss(**kwargs):
    return keras.losses.CategoricalCrossentropy(from_logits=True, **kwargs)
