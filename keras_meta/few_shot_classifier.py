"""A classifier for one task of your own, with scikit-learn's verbs."""

import pathlib

import numpy as np
from keras import ops

from keras_meta import presets
from keras_meta.arrays import is_source, source_array
from keras_meta.data.examples import unit_examples
from keras_meta.data.labels import class_codes, label_array, label_kind
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.preprocessing import Preprocessing, to_unit_range
from keras_meta.presets import LABELS, SUMS, SUPPORT

# Queries predicted at once, and queries times support examples, which some
# models compare one by one: to bound memory.
CHUNK = 512
PAIRS = 2**16
# What JSON keeps as it is.
LABEL_TYPES = (str, int, float, bool)


class FewShotClassifier:
    """Learns your classes from a few images each and keeps your labels.

    Args:
        model: An `EpisodicModel` with weights, from `zoo.load` say. Its
            `Preprocessing` is applied to your images, so they may be of any
            size, grey or colour, uint8 or float. A model without one takes
            examples of exactly the shape it was trained on: images, or
            stored features, token ids, tables and so on.

    Raises:
        ValueError: For a model that does not learn classes, and for a
            zero-shot model, which takes no examples.

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
        self.model = model

    def fit(self, images, labels):
        """Learns the classes from scratch.

        Args:
            images: Pictures, of a model with a `Preprocessing`: an array or
                tensor `(n, height, width[, channels])`, a list of arrays or
                PIL pictures of different sizes, an image source such as
                `EncodedImages`, or one PIL picture. Integers are 0 to 255,
                floats 0 to 1. Without a `Preprocessing`, examples by the
                rule of `keras_meta.data.episode_dataset`: an array, tensor,
                DataFrame or list `(n, ...)`, or an image source; rank 4 is
                images, uint8 is divided by 255, and other values need only
                be finite.
            labels: `n` labels of one kind: str, int, members of an enum or
                any other kind that can be sorted, as a list, array, tensor
                or pandas Series. The classes may have different numbers of
                images.

        Returns:
            The classifier itself.

        Raises:
            ValueError: For fewer than two classes, unequal lengths, labels
                that are missing (None, NaN) or of several kinds, one colour
                picture that is not in a list, or images that are empty, not
                finite or out of range.
        """
        images = self._prepare(images)
        labels = label_array(labels)
        _check_lengths(images, labels)
        self._learn(images, labels)
        return self

    def predict(self, images):
        """The most probable label of each image, as an array `(n,)`.

        Args:
            images: As for `fit`.
        """
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
        step = max(1, min(CHUNK, PAIRS // len(self._images)))
        if self.model.transductive:
            step = max(1, len(images))
        parts = [np.zeros((0, len(self.classes_)), "float32")]
        for start in range(0, len(images), step):
            chunk = images[None, start : start + step]
            predictions = self.model.infer(self._task, chunk)
            predictions = predictions[..., : len(self.classes_)]
            probabilities = self.model.probabilities(predictions)
            parts.append(ops.convert_to_numpy(probabilities)[0])
        return np.concatenate(parts)

    def score(self, images, labels):
        """The share of images whose predicted label is the given one.

        Args:
            images: As for `fit`; at least one.
            labels: Their labels, of the kind of `classes_`.
        """
        labels = label_array(labels)
        predicted = self.predict(images)
        _check_lengths(predicted, labels)
        if not len(labels):
            raise ValueError("`images` must hold at least one image.")
        self._check_kind(labels, "labels")
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
        added = np.repeat(self._label(label), len(images))
        self._learn(
            np.concatenate([self._images, images]),
            np.concatenate([self._labels, added]),
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
        keep = self._labels != self._label(label)
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
        labels = self._labels
        # NumPy's numbers become Python's; its dates would become numbers.
        labels = labels.tolist() if labels.dtype.kind in "biuf" else [*labels]
        odd = [x for x in labels if type(x) not in LABEL_TYPES]
        if odd:
            raise ValueError(
                "Only labels of type str, int, float or bool can be saved. "
                f"Received: {odd[0]!r}"
            )
        with presets.replaced_files(directory) as part:
            np.savez_compressed(part / SUPPORT, images=self._images)
            presets.write_json(part / LABELS, labels)
            presets.write_model(self.model, part)

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
        for name in (SUPPORT, LABELS, SUMS):
            if not (directory / name).is_file():
                raise ValueError(
                    "`directory` must hold a classifier that was saved whole. "
                    f"Received: directory={str(directory)!r} without {name}"
                )
        presets.check_sums(directory)
        images = _read_support(directory / SUPPORT)
        labels = _read_labels(directory / LABELS, len(images))
        classifier = cls(presets.load(directory))
        try:
            classifier._check_shape(images)
            preprocessing = classifier.model.preprocessing
            if isinstance(preprocessing, Preprocessing):
                to_unit_range(preprocessing.unscaled(images), "images")
            classifier._learn(images, labels)
        # What a model raises for examples of other values depends on it.
        except Exception as error:
            raise ValueError(
                f"The classifier in {str(directory)!r} cannot be loaded: "
                f"{SUPPORT} and {LABELS} must fit the model. "
                f"Received: {error}"
            ) from error
        return classifier

    def _prepare(self, images):
        """float32 examples `(n, ...)` of the model's form."""
        if self.model.preprocessing is not None:
            return self.model.preprocessing(images)
        if is_source(images):
            images = source_array(images, np.arange(images.shape[0]))
        images = unit_examples(images, "images")
        if len(images):
            self._check_shape(images)
        return images

    def _check_shape(self, images):
        """Raises a ValueError unless examples have the model's shape."""
        found = images.shape[1:]
        # An unbuilt model takes any shape.
        expected = self.model.example_shapes.get("support_x", found)
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

    def _label(self, label):
        """The label of a class as an array `(1,)`."""
        array = label_array([label], "label")
        self._check_kind(array, "label")
        return array

    def _check_kind(self, labels, name):
        """Raises a ValueError unless labels can be compared with ours."""
        kinds = [label_kind(array[0]) for array in (self._labels, labels)]
        if kinds[0] is not kinds[1]:
            raise ValueError(
                f"`{name}` must be of one kind with the labels that were "
                f"fitted, such as {self._labels[0]!r}. "
                f"Received: {labels[0]!r}"
            )

    def _learn(self, images, labels):
        classes, codes = class_codes(labels)
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


def _check_lengths(images, labels):
    if labels.shape != (len(images),):
        raise ValueError(
            "`labels` must hold one label for each image. Received: "
            f"{len(images)} images and labels of shape {labels.shape}"
        )


def _read_support(path):
    """The support images of a saved classifier."""
    try:
        # Given the path, NumPy would leave a damaged file open.
        with open(path, "rb") as file:
            images = np.load(file, allow_pickle=False)["images"]
        if images.dtype != np.float32 or not images.ndim:
            raise ValueError(f"dtype {images.dtype}, shape {images.shape}")
        if not np.isfinite(images).all():
            raise ValueError("values that are NaN or infinite")
    # What a damaged file raises depends on where it broke.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold finite float32 images. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return images


def _read_labels(path, count):
    """The labels of a saved classifier."""
    labels = presets.read_json(path)
    try:
        if not isinstance(labels, list):
            raise ValueError(f"an object of type {type(labels).__name__}")
        odd = [x for x in labels if type(x) not in LABEL_TYPES]
        if odd or len(labels) != count:
            raise ValueError(f"{len(labels)} values, such as {odd[:1]}")
        return label_array(labels)
    except ValueError as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold a label of type str, "
            f"int, float or bool for each of {count} images. "
            f"Received: {error}"
        ) from error
