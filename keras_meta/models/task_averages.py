"""Batch norm's moving averages that begin anew with each task."""

import keras

from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)

KINDS = (EpisodicBatchNormalization, keras.layers.BatchNormalization)


def normalization_layers(network):
    """The layers of a network whose moving averages move."""
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, KINDS) and layer.trainable
    ]


def moving_averages(network):
    """The moving averages of a network that move, a list of variables."""
    return [
        variable
        for layer in normalization_layers(network)
        for variable in (layer.moving_mean, layer.moving_variance)
    ]


class TaskAverages:
    """Averages over the steps of one task, and of nothing before them.

    A moving average that begins with zero holds moments whose weights sum to
    `1 - momentum ** steps`; divided by that it is their weighted mean,
    whatever the momentum. Without steps the averages stay as they are.

    Args:
        network: Keras model, each layer of which runs once in a step.
        variables: The variables that a state holds the values of.
        steps: Python integer.
    """

    def __init__(self, network, variables, steps):
        momentum = {
            id(variable): layer.momentum
            for layer in normalization_layers(network)
            for variable in (layer.moving_mean, layer.moving_variance)
        }
        # What the average of each position is divided by.
        self._weights = {
            position: 1 - momentum[id(variable)] ** steps
            for position, variable in enumerate(variables)
            if steps and id(variable) in momentum
        }

    def cleared(self, state):
        """The state before the first step."""
        return [
            keras.ops.zeros_like(value) if position in self._weights else value
            for position, value in enumerate(state)
        ]

    def corrected(self, state):
        """The state after the last step."""
        return [
            value / self._weights[position]
            if position in self._weights
            else value
            for position, value in enumerate(state)
        ]
