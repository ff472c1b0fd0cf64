"""Data sets of labelled examples and the episodes drawn from them."""

from keras_meta.data.augmentation import Affine, Chain, QuarterTurns
from keras_meta.data.copies import copy_dataset
from keras_meta.data.cub import cub_attributes, load_cub, write_cub_features
from keras_meta.data.encoded_images import EncodedImages, read_picture
from keras_meta.data.episodes import episode_dataset, label_groups
from keras_meta.data.glyph_descriptions import describe_glyphs, glyph_words
from keras_meta.data.glyphs import load_glyphs
from keras_meta.data.image_folders import load_image_folder
from keras_meta.data.mini_imagenet import load_mini_imagenet
from keras_meta.data.omniglot import load_omniglot
from keras_meta.data.pairs import pair_dataset
from keras_meta.data.rotations import rotations_as_classes
from keras_meta.data.sequences import sequence_dataset
from keras_meta.data.sinusoids import sinusoid_dataset
from keras_meta.data.tfds_classes import load_tfds
from keras_meta.data.worker_batches import worker_batches
from keras_meta.data.zero_shot import zero_shot_dataset
