"""Meta-learning for Keras: models that learn classes from a few examples."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_meta needs Keras' TensorFlow backend. Set the environment "
        'variable KERAS_BACKEND="tensorflow" before importing keras. '
        f"Received: backend {keras.backend.backend()!r}"
    )

from keras_meta import (
    allocator,
    calibration,
    data,
    distances,
    encoders,
    layers,
    losses,
    metrics,
    models,
    plots,
    presets,
    sequence_losses,
    threads,
)
from keras_meta.few_shot_classifier import FewShotClassifier
from keras_meta.gradient_terms import gradient_terms
from keras_meta.preprocessing import Preprocessing
from keras_meta.serialization import register
