"""Callbacks of `fit`."""

from keras_meta.callbacks.resumable_training import ResumableTraining
