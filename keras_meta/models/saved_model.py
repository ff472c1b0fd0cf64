"""Export as a SavedModel that learns new classes inside its graph."""

import os
import pathlib
import sys
import tempfile

import tensorflow as tf

from keras_meta.graph.preprocessing import prepare


def export(model, filepath, verbose=False, preprocessing=False):
    """Writes a SavedModel with `serving_default`, `adapt` and `infer`.

    The folder is written beside its place and moved at the end, so an
    interrupted export leaves nothing.

    Args:
        model: A built `EpisodicModel`.
        filepath: Folder to write; it must not exist.
        verbose: Whether a line names what was written.
        preprocessing: Whether the signatures take uint8 pictures and put
            them through the model's `Preprocessing`.

    Raises:
        ValueError: If the folder exists, or the model is not built.
    """
    path = check_new(model, filepath)
    served = tf.Module()
    # What the graphs read must belong to what is saved.
    served.weights = [variable.value for variable in model.variables]
    signatures = _signatures(model, preprocessing)
    for name, function in signatures.items():
        setattr(served, name, function)
    # The gradients inside `adapt` are part of its graph. Those of layers that
    # define their own would be stored for training, which no signature does.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = pathlib.Path(folder) / path.name
        # Traced once: Keras' ExportArchive traces each function twice, and
        # the call of the model too.
        tf.saved_model.save(served, str(part), signatures, options)
        os.rename(part, path)
    if verbose:
        say_what_was_saved(signatures, path)


def check_new(model, filepath):
    """The path to write, or a ValueError: see `export`."""
    path = pathlib.Path(filepath)
    if path.exists():
        raise ValueError(
            "`filepath` must be a new folder or file; nothing is overwritten. "
            f"Received: filepath={str(filepath)!r}, which exists"
        )
    if not model.built:
        raise ValueError(
            "The model must be built before it is exported: fit it, load "
            "its weights or call it on a batch of episodes."
        )
    return path


def say_what_was_saved(signatures, path):
    """Prints a line as Keras does when it exports."""
    saved = f"Saved {', '.join(signatures)} in {str(path)!r}."
    tf.print(saved, output_stream=sys.stdout)


def _signatures(model, preprocessing):
    """Concrete functions by name, with every size open but an example's."""
    spec, examples = _example_inputs(model, preprocessing)

    support = {
        "support_x": spec("support_x"),
        "support_y": tf.TensorSpec((None, None, None), name="support_y"),
    }
    query = {"query_x": spec("query_x")}

    def served(task, query_x):
        predictions = model.infer(task, examples("query_x", query_x))
        return {"probabilities": model.probabilities(predictions)}

    def learned(support_x, support_y):
        return model.adapt(examples("support_x", support_x), support_y)

    def serve(support_x, support_y, query_x):
        return served(learned(support_x, support_y), query_x)

    def adapt(support_x, support_y):
        task = learned(support_x, support_y)
        return task if isinstance(task, dict) else {"task": task}

    def infer(query_x, **parts):
        task = parts["task"] if set(parts) == {"task"} else parts
        return served(task, query_x)

    def trace(function, specs):
        traced = tf.function(function, autograph=False)
        return traced.get_concrete_function(**specs)

    adapted = trace(adapt, support)
    # What `infer` takes is what a trace of `adapt` returned.
    parts = {
        name: tf.TensorSpec(part.shape, part.dtype, name)
        for name, part in adapted.structured_outputs.items()
    }
    return {
        "serving_default": trace(serve, {**support, **query}),
        "adapt": adapted,
        "infer": trace(infer, {**query, **parts}),
    }


def _example_inputs(model, preprocessing):
    """What the signatures take as examples, and what they make of it.

    Args:
        model, preprocessing: As for `export`.

    Returns:
        Functions `key -> tf.TensorSpec` and `(key, tensor) -> examples`.
    """

    # Traced once: it is large where drawings are cleaned.
    @tf.function(
        input_signature=[tf.TensorSpec((None,) * 4, "uint8")], autograph=False
    )
    def prepared(pictures):
        return prepare(model.preprocessing, pictures)

    def takes_pictures(key):
        # The support of a zero-shot model is no pictures.
        shape = model.example_shapes[key]
        return preprocessing and shape == model.preprocessing.shape

    def spec(key):
        if takes_pictures(key):
            return tf.TensorSpec((None,) * 5, "uint8", key)
        shape = (None, None, *model.example_shapes[key])
        return tf.TensorSpec(shape, name=key)

    def examples(key, given):
        if not takes_pictures(key):
            return given
        sizes = tf.shape(given)
        merged = tf.reshape(given, tf.concat([[-1], sizes[2:]], 0))
        images = prepared(merged)
        return tf.reshape(images, (sizes[0], sizes[1], *images.shape[1:]))

    return spec, examples
