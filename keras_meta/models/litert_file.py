"""Export as a LiteRT file, which learns new classes on a phone."""

import os
import pathlib
import tempfile

import tensorflow as tf

from keras_meta.models import saved_model

SIGNATURES = ["adapt", "infer"]


def export(model, filepath, verbose=False):
    """Writes a file of LiteRT (TensorFlow Lite) with `adapt` and `infer`.

    The signatures are those of the SavedModel, with tasks, support, queries
    and way open, in LiteRT's own operations: no others need be shipped. A
    phone learns new classes with `adapt` and keeps the task.

    Args:
        model: A built `EpisodicModel`.
        filepath: File to write, such as `model.tflite`; it must not exist.
        verbose: Whether a line names what was written.

    Raises:
        ValueError: If the file exists, if the model is not built, or if its
            verbs need operations that LiteRT has not: loops over a support
            of any size, as the gradients of inner steps, recurrent cells and
            full context take them.
    """
    path = saved_model.check_new(model, filepath)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        graphs = pathlib.Path(folder) / "graphs"
        saved_model.export(model, graphs)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(graphs), signature_keys=SIGNATURES
        )
        # What a converter raises depends on the operation.
        try:
            content = converter.convert()
        except Exception as error:
            raise ValueError(
                "`format` must be 'tf_saved_model' for a model whose `adapt` "
                "or `infer` needs operations that LiteRT has not, such as "
                "loops over a support of any size. Received: "
                f"format='litert', model={model.name!r} of type "
                f"{type(model).__name__}"
            ) from error
        part = pathlib.Path(folder) / path.name
        part.write_bytes(content)
        os.rename(part, path)
    if verbose:
        saved_model.say_what_was_saved(SIGNATURES, path)
