"""What the server of `keras-meta serve` knows, and what it answers.

No function here knows of HTTP. An example comes as it was sent: the bytes of
a picture file, or an array of numbers. Errors name the field of the request.
"""

import io
import threading

import numpy as np

import keras_meta as km
import zoo
from keras_meta import classifier_files
from keras_meta.data.encoded_images import decode_picture
from keras_meta.models.open_verbs import compile_verbs
from keras_meta.preprocessing import Preprocessing
from keras_meta.task_examples import check_shape
from zoo import predictions, preset_folder
from zoo.serving_limits import Limits


class FieldError(ValueError):
    """A field of a request that cannot be used.

    Args:
        field: Where it is: names and places, such as `"images", 3`.
        text: What is wrong.
    """

    def __init__(self, field, text):
        super().__init__(text)
        self.field = field


class StateError(ValueError):
    """A request that does not fit the classes that are known now."""


def opening(name, directory):
    """The model of a server, and the classes that it begins with.

    Args:
        name: What the user called it, for messages.
        directory: Path of a preset, or of a classifier of `keras-meta fit`.

    Returns:
        `(model, classes, calibrate)`: an `EpisodicModel`, dict from labels
        (str) to the examples of a class as the model takes them, and whether
        the classifier was calibrated.

    Raises:
        ValueError: If it is damaged, or does not learn classes from examples.
    """
    if not preset_folder.is_classifier(directory):
        model, classes, temperature = zoo.load(name), {}, None
    else:
        model, images, labels, temperature = classifier_files.read(directory)
        classes = {}
        for label in dict.fromkeys(labels.tolist()):
            own = [other == label for other in labels.tolist()]
            classes[str(label)] = images[own]
    predictions.check_learns_classes(name, model)
    return model, classes, temperature is not None


class ServedClassifier:
    """Classes that requests add to and remove, and predictions.

    It may be used by several threads: what a model computes it computes for
    one of them after the other, since it uses all cores.

    Args:
        model: An `EpisodicModel` that learns from examples, for this object
            alone: its verbs are compiled.
        classes, calibrate: As `opening` returns them.
        limits: `Limits`.

    Raises:
        ValueError: If the classes do not fit the model or the limits.
    """

    def __init__(self, model, classes=None, calibrate=False, limits=None):
        self.model = compile_verbs(model)
        self.limits = limits or Limits()
        self.calibrate = calibrate
        self._computing = threading.Lock()
        self._changing = threading.Lock()
        self._classes, self._learned_now = {}, None
        self._replace(classes or {})

    @property
    def classes(self):
        """Dict from labels to the number of examples."""
        known = self._classes
        return {label: len(known[label]) for label in sorted(known)}

    def add(self, label, examples):
        """Learns a class, or more examples of one.

        Args:
            label: str.
            examples: List of examples as they were sent.

        Raises:
            FieldError: If one of them cannot be used.
            StateError: If there would be too many.
        """
        found = self._prepared(examples, ("images",))
        with self._changing:
            old = self._classes.get(label)
            if old is not None:
                found = np.concatenate([old, found])
            self._replace({**self._classes, label: found})

    def remove(self, label):
        """Forgets a class.

        Args:
            label: str.

        Raises:
            KeyError: If there is no such class.
        """
        with self._changing:
            left = dict(self._classes)
            del left[label]
            self._replace(left)

    def predict(self, queries, classes=None, unknown=None):
        """Classifies examples.

        Args:
            queries: List of examples as they were sent.
            classes: List of pairs of a label and a list of examples, instead
                of the classes that are known; they are not kept.
            unknown: As for `keras_meta.FewShotClassifier.predict`.

        Returns:
            List of dicts of `label`, None for an example that is refused,
            and `probabilities` by label, the largest first.

        Raises:
            FieldError: If a field cannot be used.
            StateError: If fewer than two classes are known.
        """
        found = self._prepared(queries, ("images",))
        if classes is None:
            learned = self._learned_now
            if learned is None:
                raise StateError(
                    "There must be at least two classes: add them, or send "
                    f"`classes`. Received: {len(self._classes)} so far"
                )
        else:
            given = self._given(classes)
            with self._computing:
                learned = self._learned(given, False, ("classes",))
        images = predictions.unscaled(self.model, found)
        with self._computing:
            return _answers(*learned, images, unknown)

    def _replace(self, classes):
        """Learns classes and keeps them; a failure leaves the old ones."""
        count = sum(map(len, classes.values()))
        limits = self.limits
        most = min(limits.classes, self.model.fixed_way or limits.classes)
        if len(classes) > most or count > limits.examples:
            raise StateError(
                f"At most {most} classes and {limits.examples} examples are "
                f"kept. Received: {len(classes)} and {count} in all"
            )
        learned = None
        if len(classes) > 1:
            with self._computing:
                learned = self._learned(classes, self.calibrate, ("images",))
        self._classes, self._learned_now = classes, learned

    def _given(self, classes):
        """Dict of the examples of classes that came with a request."""
        found, field = {}, ("classes",)
        most = min(self.limits.classes, self.model.fixed_way or len(classes))
        count = sum(len(examples) for _, examples in classes)
        if len(classes) > most or count > self.limits.examples:
            raise FieldError(
                field,
                f"there must be at most {most} classes and "
                f"{self.limits.examples} examples. Received: {len(classes)} "
                f"and {count}",
            )
        for place, (label, examples) in enumerate(classes):
            if label in found:
                raise FieldError(
                    (*field, place, "label"), f"two classes are called {label}"
                )
            found[label] = self._prepared(examples, (*field, place, "images"))
        return found

    def _learned(self, classes, calibrate, field):
        """The classifier of these classes, and its examples."""
        labels = [label for label, rows in classes.items() for _ in rows]
        images = np.concatenate([*classes.values()])
        images = predictions.unscaled(self.model, images)
        classifier = km.FewShotClassifier(self.model)
        try:
            return classifier.fit(images, labels, calibrate), images
        except ValueError as error:
            raise FieldError(field, str(error)) from error

    def _prepared(self, examples, field):
        """float32 examples `(n, ...)` as the model takes them."""
        found = []
        for place, example in enumerate(examples):
            try:
                found.append(self._one(example))
            except ValueError as error:
                raise FieldError((*field, place), str(error)) from error
        return np.concatenate(found)

    def _one(self, example):
        """One example `(1, ...)`."""
        prepare = self.model.preprocessing
        if isinstance(example, bytes):
            if prepare is None:
                raise ValueError(
                    "the model takes arrays of the shape "
                    f"{self.model.example_shapes['support_x']}, no picture file"
                )
            shrinkage = getattr(prepare, "shrinkage", None)
            file = io.BytesIO(example)
            return prepare([decode_picture(file, "the file", shrinkage)])
        if prepare is None:
            check_shape(self.model, example[None])
            return example[None].astype("float32")
        if isinstance(prepare, Preprocessing) and example.max(initial=0) > 1:
            # JSON does not tell 1 from 1.0.
            example = example / 255
        return prepare([example])


def _answers(classifier, support, images, unknown):
    """The answers of `predict`."""
    queries = images
    if classifier.model.transductive:
        # It takes the moments of all that it classifies at once, which a few
        # pictures alone would give badly.
        queries = np.concatenate([images, support])
    table = classifier.predict_proba(queries)[: len(images)]
    if not np.isfinite(table).all():
        raise FieldError(
            ("images",), "the model gives no finite probabilities of them"
        )
    refused = np.zeros(len(images), bool)
    if unknown is not None:
        try:
            labels = classifier.predict(images, unknown)
        except ValueError as error:
            raise FieldError(("unknown",), str(error)) from error
        refused = np.array([label is None for label in labels])
    names = classifier.classes_.tolist()
    answers = []
    for row, none in zip(table.tolist(), refused.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda place: -row[place])
        answers.append(
            {
                "label": None if none else names[order[0]],
                "probabilities": {names[place]: row[place] for place in order},
            }
        )
    return answers
