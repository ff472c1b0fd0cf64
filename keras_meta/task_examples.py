"""What a few-shot classifier may be given: its model, its examples."""

import numbers

import numpy as np

from keras_meta.arrays import is_source, source_array
from keras_meta.data.examples import unit_examples
from keras_meta.data.labels import label_kind
from keras_meta.models.episodic_model import EpisodicModel


def check_model(model):
    """Raises a ValueError unless a model learns classes from examples."""
    if not isinstance(model, EpisodicModel):
        raise ValueError(
            "`model` must be a `keras_meta.models.EpisodicModel`, which "
            "learns classes from examples. Received: model of type "
            f"{type(model).__name__}"
        )
    if len(set(model.example_shapes.values())) > 1:
        raise ValueError(
            "`model` must learn from examples; one that learns from "
            "descriptions is used by its own `adapt` and `infer`. "
            f"Received: model={model.name!r}"
        )


def prepare(model, images, shape=None):
    """Puts examples into the form that a model takes.

    Args:
        model: An `EpisodicModel`.
        images: As for `FewShotClassifier.fit`.
        shape: As for `check_shape`.

    Returns:
        float32 array `(n, ...)`.

    Raises:
        ValueError: For anything else.
    """
    if model.preprocessing is not None:
        return model.preprocessing(images)
    if is_source(images):
        images = source_array(images, np.arange(images.shape[0]))
    images = unit_examples(images, "images")
    if len(images):
        check_shape(model, images, shape)
    return images


def check_shape(model, images, shape=None):
    """Raises a ValueError unless examples have the model's shape.

    Args:
        model: An `EpisodicModel`.
        images: Array `(n, ...)`.
        shape: The shape of an example, for a model that takes any: one that
            is not built yet, or has no weights. None for any shape.
    """
    found = images.shape[1:]
    expected = model.example_shapes.get("support_x", shape)
    if expected is None:
        expected = found
    if len(found) != len(expected) or any(
        size not in (None, other)
        for size, other in zip(expected, found, strict=True)
    ):
        shape = ", ".join(str(size) for size in ("n", *expected))
        raise ValueError(
            f"`images` must have the shape ({shape}) that the model was "
            "trained on; put one picture in a list. Received: an array of "
            f"shape {images.shape}"
        )
    if not found:
        raise ValueError(
            "`images` must hold an array or row of each example, (n, "
            f"...). Received: an array of shape {images.shape}"
        )


def build(model, shape):
    """Makes the weights of a model that has none yet.

    Args:
        model: An `EpisodicModel`.
        shape: The shape of an example.
    """
    if not model.built:
        examples = (None, None, *shape)
        model.build(
            {
                "support_x": examples,
                "support_y": (None, None, None),
                "query_x": examples,
            }
        )


def check_lengths(images, labels):
    """Raises a ValueError unless there is a label for each image."""
    if labels.shape != (len(images),):
        raise ValueError(
            "`labels` must hold one label for each image. Received: "
            f"{len(images)} images and labels of shape {labels.shape}"
        )


def check_kind(labels, known, name):
    """Raises a ValueError unless labels can be compared with those known.

    Args:
        labels: Array of one label or more.
        known: Array of the labels that were fitted.
        name: Name of the argument, for the error.
    """
    if label_kind(labels[0]) is not label_kind(known[0]):
        raise ValueError(
            f"`{name}` must be of one kind with the labels that were "
            f"fitted, such as {known[0]!r}. Received: {labels[0]!r}"
        )


def check_unknown(unknown, unknown_label, classes):
    """Raises a ValueError unless a share may be refused under a label.

    Args:
        unknown: A share in `(0, 1)`.
        unknown_label: What stands for a refused image.
        classes: List of the labels of the classes.
    """
    number = isinstance(unknown, numbers.Real) and not isinstance(unknown, bool)
    if not number or not 0 < unknown < 1:
        raise ValueError(
            "`unknown` must be a share in (0, 1), such as 0.05. "
            f"Received: unknown={unknown!r}"
        )
    if unknown_label in classes:
        raise ValueError(
            "`unknown_label` must not be a class. "
            f"Received: unknown_label={unknown_label!r}"
        )
