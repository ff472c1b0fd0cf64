"""A classifier for one task of your own, with scikit-learn's verbs."""

import json
import pathlib

import numpy as np
from keras import ops

from keras_meta import presets
from keras_meta.preprocessing import to_unit_range

SUPPORT = "support.npz"
LABELS = "labels.json"
# Queries predicted at once, to bound memory.
CHUNK = 512


class FewShotClassifier:
    """Learns your classes from a few images each and keeps your labels.

    Args:
        model: An `EpisodicModel` with weights, from `zoo.load` say. Its
            `Preprocessing` is applied to your images, so they may be of any
            size, grey or colour, uint8 or float; a model without one takes
            images of exactly the shape it was trained on.

    Raises:
        ValueError: For a zero-shot model, which takes no examples.

    Attributes:
        classes_: Array `(way,)` of the labels, sorted; the order of the
            columns of `predict_proba`.

    Example:

    >>> model = keras_meta.models.PrototypicalNetwork(
    ...     keras_meta.encoders.conv4(filters=8),
    ...     preprocessing=keras_meta.Preprocessing(size=28))
    >>> dark, bright = np.zeros((2, 40, 30)), np.ones((2, 40, 30))
    >>> classifier = FewShotClassifier(model).fit(
    ...     np.concatenate([dark, bright]), ["night"] * 2 + ["day"] * 2)
    >>> classifier.predict(bright)
    array(['day', 'day'], dtype=object)
    """

    def __init__(self, model):
        if len(set(model.example_shapes.values())) > 1:
            raise ValueError(
                "`model` must learn from examples; one that learns from "
                "descriptions is used by its own `adapt` and `infer`. "
                f"Received: model={model.name!r}"
            )
        self.model = model

    def fit(self, images, labels):
        """Learns the classes from scratch.

        Args:
            images: Array `(n, height, width[, channels])`, or a list of
                images of different sizes. Integers are 0 to 255, floats 0
                to 1.
            labels: `n` labels: str, int or any other sortable kind. The
                classes may have different numbers of images.

        Returns:
            The classifier itself.

        Raises:
            ValueError: For fewer than two classes, unequal lengths, or
                images that are empty, not finite or out of range.
        """
        images = self._prepare(images)
        labels = _label_array(labels)
        if labels.shape != (len(images),):
            raise ValueError(
                "`labels` must hold one label for each image. Received: "
                f"{len(images)} images and labels of shape {labels.shape}"
            )
        self._learn(images, labels)
        return self

    def predict(self, images):
        """The most probable label of each image, as an array `(n,)`."""
        probabilities = self.predict_proba(images)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def predict_proba(self, images):
        """The probability of each class.

        Args:
            images: As for `fit`.

        Returns:
            Array `(n, way)` whose columns are in the order of `classes_`.
        """
        self._check_fitted()
        images = self._prepare(images)
        step = len(images) if self.model.transductive else CHUNK
        parts = [np.zeros((0, len(self.classes_)), "float32")]
        for start in range(0, len(images), max(step, 1)):
            chunk = images[None, start : start + step]
            predictions = self.model.infer(self._task, chunk)
            predictions = predictions[..., : len(self.classes_)]
            probabilities = self.model.probabilities(predictions)
            parts.append(ops.convert_to_numpy(probabilities)[0])
        return np.concatenate(parts)

    def score(self, images, labels):
        """The share of images whose predicted label is the given one."""
        predicted = self.predict(images)
        labels = _label_array(labels)
        if labels.shape != predicted.shape:
            raise ValueError(
                "`labels` must hold one label for each image. Received: "
                f"{len(predicted)} images and labels of shape {labels.shape}"
            )
        return float(np.mean(predicted == labels))

    def add_class(self, images, label):
        """Learns one more class, or more images of a class.

        Args:
            images: As for `fit`.
            label: The label of all of them.

        Returns:
            The classifier itself.
        """
        self._check_fitted()
        images = self._prepare(images)
        if not len(images):
            raise ValueError("`images` must hold at least one image.")
        added = _label_array([label] * len(images))
        self._learn(
            np.concatenate([self._images, images]),
            _label_array([*self._labels.tolist(), *added.tolist()]),
        )
        return self

    def remove_class(self, label):
        """Forgets a class.

        Args:
            label: A label of `classes_`; two classes must remain.

        Returns:
            The classifier itself.
        """
        self._check_fitted()
        keep = self._labels != label
        if keep.all():
            raise ValueError(
                f"`label` must be one of {self.classes_.tolist()}. "
                f"Received: label={label!r}"
            )
        self._learn(self._images[keep], self._labels[keep])
        return self

    def save(self, directory):
        """Writes the model and the support images to a folder.

        Args:
            directory: Folder to write; an older classifier in it is
                replaced.

        Raises:
            ValueError: If a label is not a str, int, float or bool.
        """
        self._check_fitted()
        labels = self._labels.tolist()
        odd = [x for x in labels if not isinstance(x, str | int | float)]
        if odd:
            raise ValueError(
                "Only labels of type str, int, float or bool can be saved. "
                f"Received: {odd[0]!r}"
            )
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        # Without sums an interrupted save cannot pass for a whole one.
        (directory / presets.SUMS).unlink(missing_ok=True)
        np.savez_compressed(directory / SUPPORT, images=self._images)
        presets.write_json(directory / LABELS, labels)
        presets.save(self.model, directory)

    @classmethod
    def load(cls, directory):
        """Reads what `save` wrote.

        Args:
            directory: Folder of the classifier.

        Returns:
            The fitted classifier.

        Raises:
            ValueError: If a file is missing or damaged.
        """
        directory = pathlib.Path(directory)
        for name in (SUPPORT, LABELS, presets.SUMS):
            if not (directory / name).is_file():
                raise ValueError(
                    "`directory` must hold a classifier that was saved whole. "
                    f"Received: directory={str(directory)!r} without {name}"
                )
        classifier = cls(presets.load(directory))
        labels = json.loads((directory / LABELS).read_text(encoding="utf-8"))
        with np.load(directory / SUPPORT) as stored:
            classifier._learn(stored["images"], _label_array(labels))
        return classifier

    def _prepare(self, images):
        if self.model.preprocessing is not None:
            return self.model.preprocessing(images)
        images = np.asarray(images)
        if images.size == 0:
            return images.astype("float32")
        return to_unit_range(images, "images")

    def _learn(self, images, labels):
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                "A classifier needs at least two classes. Received: "
                f"{len(classes)} class(es): {classes.tolist()}"
            )
        if not self.model.built:
            examples = (None, None, *images.shape[1:])
            self.model.build(
                {
                    "support_x": examples,
                    "support_y": (None, None, None),
                    "query_x": examples,
                }
            )
        # A model of one way learns fewer classes too, and leaves some out.
        way = self.model.fixed_way or len(classes)
        if len(classes) > way:
            raise ValueError(
                f"The model knows {way} classes at most. Received: "
                f"{len(classes)} classes: {classes.tolist()}"
            )
        targets = np.eye(way, dtype="float32")[codes]
        # Assigned last, so that a failure leaves the old classes in force.
        self._task = self.model.adapt(images[None], targets[None])
        self._images, self._labels, self.classes_ = images, labels, classes

    def _check_fitted(self):
        if not hasattr(self, "classes_"):
            raise ValueError(
                "The classifier knows no classes yet: call "
                "`fit(images, labels)` first."
            )


def _label_array(labels):
    """Labels as an array; str as objects, so that they keep their length."""
    given, labels = labels, np.asarray(labels)
    if labels.dtype.kind == "U" and not all(isinstance(x, str) for x in given):
        raise ValueError(
            "`labels` must be of one kind, all str or all numbers. "
            f"Received: kinds {sorted({type(x).__name__ for x in given})}"
        )
    if labels.ndim > 1:
        raise ValueError(
            "`labels` must be one-dimensional; turn one-hot rows into labels "
            "with np.argmax(labels, axis=1). "
            f"Received: labels of shape {labels.shape}"
        )
    return labels.astype(object) if labels.dtype.kind in "US" else labels
