"""The methods, each a Keras model with the verbs `adapt` and `infer`."""

from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.prototypical_network import PrototypicalNetwork
