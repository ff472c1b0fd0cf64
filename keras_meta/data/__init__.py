"""Data sets of labelled examples and the episodes drawn from them."""

from keras_meta.data.augmentation import Affine, Chain, QuarterTurns
from keras_meta.data.episodes import episode_dataset, label_groups
from keras_meta.data.omniglot import load_omniglot
