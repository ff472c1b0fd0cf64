"""Export as a SavedModel that learns new classes inside its graph."""

import os
import pathlib
import tempfile

import keras
import tensorflow as tf


def export(model, filepath, verbose=False):
    """Writes a SavedModel with `serving_default`, `adapt` and `infer`.

    The folder is written beside its place and moved at the end, so an
    interrupted export leaves nothing.

    Args:
        model: A built `EpisodicModel`.
        filepath: Folder to write; it must not exist.
        verbose: Whether Keras prints what it wrote.

    Raises:
        ValueError: If the folder exists, or the model is not built.
    """
    path = pathlib.Path(filepath)
    if path.exists():
        raise ValueError(
            "`filepath` must be a new folder; nothing is overwritten. "
            f"Received: filepath={str(filepath)!r}, which exists"
        )
    if not model.built:
        raise ValueError(
            "The model must be built before it is exported: fit it, load "
            "its weights or call it on a batch of episodes."
        )
    archive = keras.export.ExportArchive()
    archive.track(model)
    _add_signatures(archive, model)
    # The gradients inside `adapt` are part of its graph. Those of layers that
    # define their own would be stored for training, which no signature does.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = pathlib.Path(folder) / path.name
        archive.write_out(str(part), options, verbose=verbose)
        os.rename(part, path)


def _add_signatures(archive, model):
    def spec(key):
        shape = (None, None, *model.example_shapes[key])
        return tf.TensorSpec(shape, name=key)

    support = {
        "support_x": spec("support_x"),
        "support_y": tf.TensorSpec((None, None, None), name="support_y"),
    }
    query = {"query_x": spec("query_x")}

    def served(task, query_x):
        predictions = model.infer(task, query_x)
        return {"probabilities": model.probabilities(predictions)}

    def serve(support_x, support_y, query_x):
        return served(model.adapt(support_x, support_y), query_x)

    def adapt(support_x, support_y):
        task = model.adapt(support_x, support_y)
        return task if isinstance(task, dict) else {"task": task}

    def infer(query_x, **parts):
        task = parts["task"] if set(parts) == {"task"} else parts
        return served(task, query_x)

    def add(name, function, specs):
        traced = tf.function(function, autograph=False)
        concrete = traced.get_concrete_function(**specs)
        archive.add_endpoint(name, traced)
        return concrete.structured_outputs

    # What `infer` takes is what a trace of `adapt` returned.
    task = add("adapt", adapt, support)
    parts = {
        name: tf.TensorSpec(part.shape, part.dtype, name)
        for name, part in task.items()
    }
    add("infer", infer, {**query, **parts})
    add("serving_default", serve, {**support, **query})
