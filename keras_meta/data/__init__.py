"""Data sets of labelled examples and the episodes drawn from them."""

from keras_meta.data.augmentation import Affine, Chain, QuarterTurns
from keras_meta.data.encoded_images import EncodedImages, read_picture
from keras_meta.data.episodes import episode_dataset, label_groups
from keras_meta.data.glyphs import load_glyphs
from keras_meta.data.image_folders import load_image_folder
from keras_meta.data.omniglot import load_omniglot
from keras_meta.data.rotations import rotations_as_classes
from keras_meta.data.tfds_classes import load_tfds
