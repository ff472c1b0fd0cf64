"""Keras layers of the methods."""

from keras_meta.layers.bias import Bias
from keras_meta.layers.context_embedding import QueryContext, SupportContext
from keras_meta.layers.coordinate_networks import (
    CoordinateLSTM,
    CoordinateMLP,
)
from keras_meta.layers.embedding_loss import EmbeddingLoss
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.layers.fast_weights import (
    AugmentedConv2D,
    AugmentedDense,
    FastWeights,
)
from keras_meta.layers.inverted_residual import InvertedResidual
from keras_meta.layers.learned_scale import LearnedScale
from keras_meta.layers.lrua_cell import LRUACell
from keras_meta.layers.mean_over_views import MeanOverViews
from keras_meta.layers.meta_lstm_cell import MetaLSTMCell
from keras_meta.layers.ntm_cell import NTMCell
from keras_meta.layers.relation_head import RelationHead
from keras_meta.layers.residual_block import ResidualBlock
from keras_meta.layers.weighted_l1 import WeightedL1
