"""A classifier for one task of your own, with scikit-learn's verbs."""

from typing import Self

import numpy as np
from keras import ops
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from keras_meta import classifier_files, novelty, presets
from keras_meta.calibration import fit_temperature, tempered
from keras_meta.classifier_litert import LiteRTExport
from keras_meta.data.labels import class_codes, label_array
from keras_meta.left_out import left_out
from keras_meta.models import EpisodicModel
from keras_meta.preprocessing import Preprocessing, to_unit_range
from keras_meta.task_examples import (
    build,
    check_kind,
    check_lengths,
    check_model,
    check_shape,
    check_unknown,
    prepare,
)
from keras_meta.typing import Images, Label, Labels, Path

# Queries predicted at once, and queries times support examples, which some
# models compare one by one: to bound memory.
CHUNK = 512
PAIRS = 2**16


class FewShotClassifier(LiteRTExport, ClassifierMixin, BaseEstimator):
    """Learns your classes from a few images each and keeps your labels.

    It is an estimator of scikit-learn: it works in a `Pipeline`, in
    `cross_val_score` and in a grid search, and `sklearn.base.clone` makes an
    unfitted one with the same model. The model itself is shared, since it
    holds nothing of a task. `tests/scikit_learn_test.py` lists the rules of
    scikit-learn that it does not follow, and why.

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
        temperature_: What `fit(..., calibrate=True)` found, a positive
            float; None without.
        n_features_in_: The number of columns, if examples are the rows of a
            table `(n, columns)`; there is none for pictures.

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

    def __init__(self, model: EpisodicModel) -> None:
        check_model(model)
        self.model = model

    def __repr__(self):
        known = "knows no classes yet"
        if self.__sklearn_is_fitted__():
            known = (
                f"{len(self.classes_)} classes, {len(self._labels)} examples"
            )
        name = f"{type(self.model).__name__} {self.model.name!r}"
        return f"<{type(self).__name__} of {name}: {known}>"

    def fit(
        self, images: Images, labels: Labels, calibrate: bool = False
    ) -> Self:
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
            calibrate: Whether `predict_proba` should be as sure as it is
                right: one temperature is fitted to support examples that
                are left out and predicted, and fitted again by `add_class`
                and `remove_class`. It changes no label that is predicted.
                A model's own probabilities follow the scale of its
                distances, and may be near 1 or near 1 / way always. It needs
                a class with two examples; classes with one are not left out.

        Returns:
            The classifier itself.

        Raises:
            ValueError: For fewer than two classes, unequal lengths, labels
                that are missing (None, NaN) or of several kinds, one colour
                picture that is not in a list, images that are empty, not
                finite or out of range, or if `calibrate` finds one example
                of each class.
        """
        # It may have been set by `set_params`.
        check_model(self.model)
        images = prepare(self.model, images)
        labels = label_array(labels)
        check_lengths(images, labels)
        self._learn(images, labels, calibrate)
        return self

    def predict(
        self,
        images: Images,
        unknown: float | None = None,
        unknown_label: object | None = None,
    ) -> np.ndarray:
        """The most probable label of each image, as an array `(n,)`.

        With `unknown` an image may be none of the classes: it is refused if
        its `novelty` is above that of all but a share `unknown` of the
        support images, each left out. That share of images of the classes is
        about what it costs, and no promise: a few support images tell it
        roughly, and how many strangers are refused depends on how unlike
        they are. `benchmarks/README.md` gives what was measured.

        Args:
            images: As for `fit`.
            unknown: Share of images of the classes that may be refused, in
                `(0, 1)`, such as 0.05; None refuses nothing.
            unknown_label: What is returned for a refused image; no label of
                `classes_`.

        Returns:
            Array of the type of `classes_`, with `unknown` one of objects.

        Raises:
            ValueError: For a share out of range, an `unknown_label` that is
                a class, and as for `novelty`.
        """
        images = self._prepare(images)
        if unknown is not None:
            check_unknown(unknown, unknown_label, self.classes_.tolist())
            threshold = self._measure().threshold(unknown)
            refused = self._novelty(images) > threshold
        found = np.argmax(self._probabilities(images), axis=1)
        labels = self.classes_[found]
        if unknown is not None:
            labels = labels.astype(object)
            labels[refused] = unknown_label
        return labels

    def novelty(self, images: Images) -> np.ndarray:
        """How unlike all classes each image is.

        It is the Euclidean distance of its embedding to the nearest class
        mean, divided by how far support images are from the mean of the
        others of their class (root mean square): about 1 for an image of a
        class. Embeddings are those of the model's `embed` or `feature_maps`,
        with moving averages in batch norm; where the model compares
        directions (cosine, feature maps) they are divided by their norm.

        Args:
            images: As for `fit`.

        Returns:
            float64 array `(n,)`, from 0.

        Raises:
            ValueError: If the model embeds nothing, as gradient-based models
                and those with a memory, or if no class has two images.
        """
        return self._novelty(self._prepare(images))

    def predict_proba(self, images: Images) -> np.ndarray:
        """The probability of each class.

        Args:
            images: As for `fit`.

        Returns:
            float32 array `(n, way)` whose columns are in the order of
            `classes_` and whose rows sum to 1: after
            `fit(..., calibrate=True)` those of `softmax(log p / T)` with the
            fitted `temperature_`, otherwise the model's own.
        """
        return self._probabilities(self._prepare(images))

    def score(self, images: Images, labels: Labels) -> float:
        """The share of images whose predicted label is the given one.

        Args:
            images: As for `fit`; at least one.
            labels: Their labels, of the kind of `classes_`.
        """
        labels = label_array(labels)
        predicted = self.predict(images)
        check_lengths(predicted, labels)
        if not len(labels):
            raise ValueError("`images` must hold at least one image.")
        check_kind(labels, self._labels, "labels")
        return float(np.mean(predicted == labels))

    def add_class(self, images: Images, label: Label) -> Self:
        """Learns one more class, or more images of a class.

        Args:
            images: As for `fit`.
            label: The label of all of them.

        Returns:
            The classifier itself.
        """
        images = self._prepare(images)
        if not len(images):
            raise ValueError("`images` must hold at least one image.")
        added = np.repeat(self._label(label), len(images))
        self._learn(
            np.concatenate([self._images, images]),
            np.concatenate([self._labels, added]),
            self.temperature_ is not None,
        )
        return self

    def remove_class(self, label: Label) -> Self:
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
        calibrate = self.temperature_ is not None
        self._learn(self._images[keep], self._labels[keep], calibrate)
        return self

    def save(self, directory: Path) -> None:
        """Writes the model and the support images to a folder.

        Args:
            directory: Folder to write; an older classifier in it is
                replaced.

        Raises:
            ValueError: If a label is not a str, int, float or bool.
        """
        self._check_fitted()
        classifier_files.write(
            directory, self.model, self._images, self._labels, self.temperature_
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what `save` wrote.

        Args:
            directory: Folder of the classifier.

        Returns:
            The fitted classifier.

        Raises:
            ValueError: If a file is missing or damaged.
        """
        model, images, labels, temperature = classifier_files.read(directory)
        classifier = cls(model)
        try:
            check_shape(model, images)
            if isinstance(model.preprocessing, Preprocessing):
                to_unit_range(model.preprocessing.unscaled(images), "images")
            classifier._learn(images, labels, calibrate=False)
        # What a model raises for examples of other values depends on it.
        except Exception as error:
            raise ValueError(
                f"The classifier in {str(directory)!r} cannot be loaded: "
                f"{presets.SUPPORT} and {presets.LABELS} must fit the model. "
                f"Received: {error}"
            ) from error
        classifier.temperature_ = temperature
        return classifier

    def _prepare(self, images):
        """float32 examples `(n, ...)` of the form of those fitted."""
        self._check_fitted()
        return prepare(self.model, images, self._images.shape[1:])

    def _label(self, label):
        """The label of a class as an array `(1,)`."""
        array = label_array([label], "label")
        check_kind(array, self._labels, "label")
        return array

    def _probabilities(self, images):
        """Probabilities `(n, way)` of examples of the model's form."""
        step = max(1, min(CHUNK, PAIRS // len(self._images)))
        if self.model.transductive:
            step = max(1, len(images))
        parts = [np.zeros((0, len(self.classes_)), "float32")]
        for start in range(0, len(images), step):
            chunk = images[None, start : start + step]
            predictions = self.model.infer(self._task, chunk)
            predictions = predictions[..., : len(self.classes_)]
            if self.temperature_ is None:
                found = self.model.probabilities(predictions)
                parts.append(ops.convert_to_numpy(found)[0])
            else:
                logs = self.model.log_probabilities(predictions)
                logs = ops.convert_to_numpy(logs)[0]
                found = tempered(logs, self.temperature_)
                parts.append(found.astype("float32"))
        return np.concatenate(parts)

    def _learn(self, images, labels, calibrate):
        classes, codes = class_codes(labels)
        if len(classes) < 2:
            raise ValueError(
                "A classifier needs at least two classes. Received: "
                f"{len(classes)} class(es): {classes.tolist()}"
            )
        build(self.model, images.shape[1:])
        # A model of one way learns fewer classes too, and leaves some out.
        way = self.model.fixed_way or len(classes)
        if len(classes) > way:
            raise ValueError(
                f"The model knows {way} classes at most. Received: "
                f"{len(classes)} classes: {classes.tolist()}"
            )
        targets = np.eye(way, dtype="float32")[codes]
        task = self.model.adapt(images[None], targets[None])
        temperature = None
        if calibrate:
            temperature = self._fit_temperature(images, codes, way)
        # Assigned last, so that a failure leaves the old classes in force.
        self._task, self.temperature_ = task, temperature
        self._images, self._labels, self.classes_ = images, labels, classes
        self._learner, self._measured = self.model, None

    def _novelty(self, images):
        measure = self._measure()
        if not len(images):
            return np.zeros(0)
        return measure.score(novelty.embed(self.model, images))

    def _measure(self):
        """The `Novelty` of the support, made when it is first asked for."""
        if self._measured is None:
            _, codes = class_codes(self._labels)
            embeddings = novelty.embed(self.model, self._images)
            self._measured = novelty.Novelty.fit(embeddings, codes)
        return self._measured

    def _fit_temperature(self, images, codes, way):
        logs, codes = left_out(self.model, images, codes, way)
        if not len(codes):
            raise ValueError(
                "`calibrate` must be False unless a class has two examples or "
                "more, of which one is left out. Received: calibrate=True "
                f"with one example of each of {len(images)} classes"
            )
        return fit_temperature(logs, codes)

    @property
    def n_features_in_(self) -> int:
        # scikit-learn asks for it by `hasattr`.
        if not self.__sklearn_is_fitted__() or self._images.ndim != 2:
            raise AttributeError("Only rows of a table have `n_features_in_`.")
        return self._images.shape[1]

    def __sklearn_is_fitted__(self):
        # A task is of no use to the model that `set_params` puts in.
        return getattr(self, "_learner", None) is self.model

    def _check_fitted(self):
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "The classifier knows no classes yet: call "
                "`fit(images, labels)` first."
            )
