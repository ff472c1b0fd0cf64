"""Keras layers of the methods."""

from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.layers.residual_block import ResidualBlock
