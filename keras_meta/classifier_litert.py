"""A fitted classifier as one file for phones, its classes frozen."""

import dataclasses
import os
import pathlib
import tempfile

import tensorflow as tf
from keras import ops

from keras_meta.distances import squared_euclidean
from keras_meta.graph.preprocessing import prepare
from keras_meta.ink import SMALLEST
from keras_meta.models.prototypical_network import PrototypicalNetwork
from keras_meta.models.saved_model import check_new
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size


class LiteRTExport:
    """Gives a few-shot classifier the method `export_tflite`."""

    def export_tflite(
        self,
        filepath: Path,
        size: Size | None = None,
        half_precision: bool = False,
    ) -> None:
        """Writes the classifier as a LiteRT (TensorFlow Lite) file.

        The classes are frozen: the file takes a picture and returns its
        probabilities, in LiteRT's own operations, so that a phone needs no
        other code. Its one signature takes `image`, uint8 `(1, height,
        width, 3)`, RGB as a camera gives it, and returns `probabilities (1,
        way)`, those of `predict_proba`, calibrated if the classifier is.
        Grey, resize, polarity of ink and range of values are inside.

        Beside it the labels are written in the order of the columns, one a
        line, in UTF-8: those of `mine.tflite` in `mine.labels.txt`.

        Prototypes `c` that are compared by the squared Euclidean distance
        become a dense layer: `2 z . c - |c|^2` differs from `-|z - c|^2` by
        a number that all classes share. Other models keep their task, such
        as adapted weights, as constants.

        Args:
            filepath: File to write, such as `mine.tflite`; neither it nor
                the labels may exist.
            size: Pixels of `image`: an integer or a pair `(height, width)`;
                by default the size of the model's preprocessing. Any other
                size is resized inside, but not by a model of ink above 32
                pixels: drawings in photographs are cleaned by operations
                that LiteRT lacks.
            half_precision: Whether weights are stored as float16, which
                halves the file.

        Raises:
            ValueError: If a file exists, a label is more than a line, the
                model has no `Preprocessing`, has predictions that depend on
                each other (the statistics `"batch"`) or needs operations
                that LiteRT has not, and for a size that it cannot take.
        """
        self._check_fitted()
        path = check_new(self.model, filepath)
        labels = check_new(self.model, path.with_suffix(".labels.txt"))
        text = _label_lines(self.classes_)
        content = _converted(self, _picture(self.model, size), half_precision)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            folder = pathlib.Path(folder)
            (folder / "labels").write_text(text, encoding="utf-8")
            (folder / "model").write_bytes(content)
            os.rename(folder / "labels", labels)
            os.rename(folder / "model", path)


def _label_lines(classes):
    """The labels as text, one a line."""
    lines = [str(label) for label in classes]
    odd = [line for line in lines if line.splitlines() != [line]]
    if odd:
        raise ValueError(
            "`labels` must be one line of text each to be written to a file. "
            f"Received: {odd[0]!r}"
        )
    return "".join(f"{line}\n" for line in lines)


def _picture(model, size):
    """The spec of the picture that a file takes; checks the model too."""
    prepared = model.preprocessing
    if not isinstance(prepared, Preprocessing):
        raise ValueError(
            "`model` must have a `keras_meta.Preprocessing`, which a file for "
            f"phones takes in. Received: preprocessing={prepared!r}"
        )
    if model.transductive:
        raise ValueError(
            "`model` must predict a picture without others, as a phone has "
            "one at a time: set `model.statistics` to 'running', or to "
            "'support' for a gradient-based model, and fit again. Received: "
            f"statistics={model.statistics!r}"
        )
    if size is None:
        size = prepared.size
    # It checks the size.
    size = dataclasses.replace(prepared, size=size).size
    most = max(*prepared.size, SMALLEST)
    if prepared.ink and max(size) > most:
        raise ValueError(
            f"`size` must be at most {most} pixels for a model of ink: larger "
            "pictures are cleaned first, by operations that LiteRT has not. "
            f"Received: size={size}"
        )
    return tf.TensorSpec((1, *size, 3), "uint8", "image")


def _converted(classifier, picture, half_precision):
    """The content of the file.

    Args:
        classifier: A fitted `FewShotClassifier`.
        picture: The spec of its input.
        half_precision: Whether weights are stored as float16.

    Returns:
        bytes.
    """
    model = classifier.model
    # Constants of the graph, not of this process.
    task = tf.nest.map_structure(ops.convert_to_numpy, classifier._task)
    way = len(classifier.classes_)
    predict = _prototype_layer if _compares_squares(model) else _frozen_infer
    predict = predict(model, task, way, classifier.temperature_)

    def classify(image):
        query_x = prepare(model.preprocessing, image)[None]
        return {"probabilities": tf.reshape(predict(query_x), (1, way))}

    served = tf.Module()
    served.weights = [variable.value for variable in model.variables]
    served.classify = tf.function(classify, [picture], autograph=False)
    # What tracing and converting raise depends on the operation.
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [served.classify.get_concrete_function()], served
        )
        if half_precision:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    except Exception as error:
        raise ValueError(
            "`model` must predict in operations that LiteRT has, as the "
            "models of the zoo do. Received: "
            f"model={model.name!r} of type {type(model).__name__}, of which "
            f"the converter says: {_first_line(error)}"
        ) from error


def _first_line(error):
    """The first line of a message that may be very long."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _compares_squares(model):
    """Whether `infer` is the squared distance to prototypes, up to sign."""
    return (
        isinstance(model, PrototypicalNetwork)
        and type(model).infer is PrototypicalNetwork.infer
        and model.distance is squared_euclidean
        and model.statistics == "running"
    )


def _prototype_layer(model, task, way, temperature):
    """Prototypes as a dense layer: `2 z . c - |c|^2`.

    Args:
        model: A Prototypical Network for which `_compares_squares` holds.
        task: What `adapt` returned, in NumPy.
        way: Number of classes, all of which have support.
        temperature: Positive float; None is 1.

    Returns:
        Function of `query_x (1, 1, ...)` that returns probabilities
        `(1, 1, way)`.
    """
    prototypes = task["prototypes"][0].astype("float64")
    # The difference of the prototypes from their mean `m` keeps digits:
    # 2 z . (c - m) - |c|^2 differs from it by 2 z . m, the same for all.
    kernel = 2 * (prototypes - prototypes.mean(axis=0)).T
    bias = -(prototypes**2).sum(axis=1)
    bias -= bias.mean()
    kernel, bias = (
        (part / (temperature or 1)).astype("float32") for part in (kernel, bias)
    )

    def predict(query_x):
        embeddings = tf.cast(model.embed(query_x), "float32")
        return tf.nn.softmax(tf.matmul(embeddings[0], kernel) + bias)

    return predict


def _frozen_infer(model, task, way, temperature):
    """`infer` with a task of constants; arguments as `_prototype_layer`."""

    def predict(query_x):
        constants = tf.nest.map_structure(tf.constant, task)
        predictions = model.infer(constants, query_x)[..., :way]
        if temperature is None:
            return model.probabilities(predictions)
        logs = model.log_probabilities(predictions)
        return tf.nn.softmax(logs / temperature)

    return predict
