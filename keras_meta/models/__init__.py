"""The methods, each a Keras model with the verbs `adapt` and `infer`."""

from keras_meta.models.anil import ANIL
from keras_meta.models.baseline_plus_plus import BaselinePlusPlus
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.gradient_based_model import GradientBasedModel
from keras_meta.models.maml import MAML
from keras_meta.models.maml_plus_plus import MAMLPlusPlus
from keras_meta.models.matching_network import MatchingNetwork
from keras_meta.models.memory_augmented_network import MemoryAugmentedNetwork
from keras_meta.models.meta_lstm import MetaLSTM
from keras_meta.models.meta_network import MetaNetwork
from keras_meta.models.meta_sgd import MetaSGD
from keras_meta.models.nearest_centroid import NearestCentroid
from keras_meta.models.proto_maml import ProtoMAML
from keras_meta.models.prototypical_network import PrototypicalNetwork
from keras_meta.models.relation_network import RelationNetwork
from keras_meta.models.reptile import Reptile
from keras_meta.models.ridge_regression_learner import (
    RidgeRegressionLearner,
)
from keras_meta.models.siamese_network import SiameseNetwork
from keras_meta.models.zero_shot_prototypical_network import (
    ZeroShotPrototypicalNetwork,
)
