"""Meta-learning for Keras: models that learn classes from a few examples."""

import types

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
    callbacks,
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
    zoo_package,
)
from keras_meta.few_shot_classifier import FewShotClassifier
from keras_meta.gradient_terms import gradient_terms
from keras_meta.preprocessing import Preprocessing
from keras_meta.serialization import register
from keras_meta.version import __version__


def __getattr__(name: str) -> types.ModuleType:
    """`keras_meta.zoo` is the package `zoo`, which stands on this one.

    It is imported when it is first asked for. There is no module of that name:
    `import keras_meta.zoo` fails, and `import zoo` does not. Another package
    called `zoo` that hides it is an ImportError.
    """
    if name == "zoo":
        return zoo_package.find()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
