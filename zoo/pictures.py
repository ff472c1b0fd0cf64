"""The pictures of a model: an episode, embeddings, learning curves."""

import pathlib

import keras
import numpy as np
from keras import ops

from keras_meta import layers, models, plots
from zoo.evaluate import with_attributes

# Inner steps after which a predicted curve is drawn.
DRAWN_STEPS = (0, 1, 10)


def draw(
    model,
    episodes,
    directory,
    history=None,
    method="pca",
    pairs=None,
    curves=(),
    class_names=None,
):
    """Writes the pictures of a model as PNG files.

    Args:
        model: An `EpisodicModel` with weights, or a plain Keras model.
        episodes: Batched `tf.data.Dataset` of `(episode, query_y)`, of
            `(sequence, target)` as of `keras_meta.data.sequence_dataset`, or
            of `(inputs, target, sample_weight)` for a plain model, as of
            `keras_meta.data.copy_dataset`; the first task is drawn.
        directory: Folder for the files.
        history: Optional dict of lists, as `keras.callbacks.History` keeps.
        method: `"pca"` or `"tsne"`: how embeddings are mapped.
        pairs: Optional finite, batched data set of verification pairs, as
            of `keras_meta.data.pair_dataset`, for a model that scores pairs.
        curves: Regression tasks to draw, as a stream's `curves` returns
            them, for a model that takes inner steps.
        class_names: Sequence of the names of the first task's classes, as a
            stream's `class_names` returns them. Defaults to `class 0`,
            `class 1`, ...

    Returns:
        List of the paths, of those that the model has: `episode.png`,
        `embeddings.png`, `attention.png` (of the first query, if it reads
        the support by attention), `gates.png` (of a learned
        optimizer),
        `pair_scores.png`, `adaptation.png` (of the `curves`), `memory.png`
        (over a sequence, of a model that has one), `copy.png` (of a plain
        model whose first layer has an `NTMCell`), `learning_curves.png` and
        `instance_accuracy.png` (of a model that was trained on sequences).
    """
    directory = pathlib.Path(directory)
    first = keras.tree.map_structure(
        lambda part: part[:1], next(iter(episodes))
    )
    if not isinstance(model, models.EpisodicModel):
        figures = _of_one_copy(model, *first)
    elif "sequence_x" in first[0]:
        figures = _of_one_sequence(model, *first)
    else:
        inputs, query_y = first
        figures = _of_one_task(
            model, inputs, query_y.numpy()[0], method, class_names
        )
    if pairs is not None:
        figures["pair_scores"] = plots.plot_score_histogram(
            model.predict(pairs, verbose=0).ravel(),
            np.concatenate([same.numpy().ravel() for _, same in pairs]),
        )
    if curves and getattr(model, "evaluation_inner_steps", None) is not None:
        figures["adaptation"] = plots.plot_regression_adaptation(
            [
                {**curve, "predictions": _predictions(model, curve)}
                for curve in curves
            ],
            [curve["title"] for curve in curves],
        )
    if history:
        figures["learning_curves"] = plots.plot_learning_curves(history)
        if "instance_1" in history:
            figures["instance_accuracy"] = plots.plot_instance_accuracy(history)
    return [
        plots.save_figure(figure, directory / f"{name}.png")
        for name, figure in figures.items()
    ]


def _of_one_task(model, inputs, query_y, method, class_names):
    """The figures of one episode.

    Args:
        model: An `EpisodicModel`.
        inputs: Dict of tensors, an episode with its axis of 1 task.
        query_y: Array `(query, way)`.
        method: How embeddings are mapped.
        class_names: As for `draw`.

    Returns:
        Dict of figures by name.
    """
    task = model.adapt(inputs["support_x"], inputs["support_y"])
    drawn = {key: value.numpy()[0] for key, value in inputs.items()}
    drawn["query_y"] = query_y
    # Descriptions and points are no pictures.
    has_pictures = drawn["support_x"].ndim == 4
    if has_pictures and hasattr(model.preprocessing, "unscaled"):
        # The network may take other values than those of a picture.
        for key in ("support_x", "query_x"):
            drawn[key] = model.preprocessing.unscaled(drawn[key])
    figures = {}
    if has_pictures:
        predictions = model.infer(task, inputs["query_x"])
        probabilities = model.probabilities(predictions)
        figures["episode"] = plots.plot_episode(
            drawn, ops.convert_to_numpy(probabilities)[0], class_names
        )
    if model.embed is not None:
        figures["embeddings"] = plots.plot_embeddings(
            ops.convert_to_numpy(model.embed(inputs["query_x"]))[0],
            np.argmax(query_y, axis=1),
            _prototypes(task),
            method=method,
            class_names=class_names
            or [f"class {k}" for k in range(query_y.shape[1])],
            # Its prototypes alone have unit length.
            directions=isinstance(model, models.ZeroShotPrototypicalNetwork),
        )
    if has_pictures and model.attention_steps:
        attention = model.read_attention(task, inputs["query_x"][:, :1])
        figures["attention"] = plots.plot_attention(
            ops.convert_to_numpy(attention)[:, 0, 0],
            drawn["support_x"],
            drawn["query_x"][0],
            drawn["support_y"],
            query_y[0],
            class_names,
        )
    if model.read_gates is not None and model.evaluation_inner_steps:
        gates = model.read_gates(inputs["support_x"], inputs["support_y"])
        figures["gates"] = plots.plot_gates(
            {key: ops.convert_to_numpy(gate) for key, gate in gates.items()},
            [weight.path for weight in model.network.trainable_variables],
        )
    return figures


def _of_one_sequence(model, sequence, target):
    """The figure of what a model keeps in its memory over one sequence.

    Args:
        model: A `MemoryAugmentedNetwork`.
        sequence: Dict of tensors with an axis of 1 sequence.
        target: Tensor `(1, steps, labels)`.

    Returns:
        Dict of figures by name; empty for a model without a memory.
    """
    if not model.memory_slots:
        return {}
    memory, predictions = model.read_memory(sequence), model(sequence)
    arrays = keras.tree.map_structure(
        lambda part: ops.convert_to_numpy(part)[0],
        (memory, target, predictions),
    )
    return {"memory": plots.plot_memory(*arrays)}


def _of_one_copy(model, inputs, target, sample_weight):
    """The figure of one sequence that a plain model recalls from memory.

    Args:
        model: A `keras.Model` of sequences.
        inputs, target, sample_weight: Tensors with an axis of 1 sequence.

    Returns:
        Dict of figures by name; empty for a model without an `NTMCell`.
    """
    cell = getattr(model.layers[0], "cell", None)
    if not isinstance(cell, layers.NTMCell):
        return {}
    traced = cell.trace(inputs)
    arrays = [inputs, target, model(inputs)]
    arrays += [traced[f"{name}_weights"][:, :, 0] for name in ("write", "read")]
    arrays = [ops.convert_to_numpy(array)[0] for array in arrays]
    return {"copy": plots.plot_copy(*arrays, sample_weight[0])}


def _prototypes(task):
    """The prototypes `(way, dim)` of one task; None if it has none."""
    # A task is a tensor or a dict of tensors.
    found = task.get("prototypes") if isinstance(task, dict) else None
    return None if found is None else ops.convert_to_numpy(found)[0]


def _predictions(model, curve):
    """What a model predicts along a curve after some inner steps.

    Args:
        model: A `GradientBasedModel` of one input and one output.
        curve: Dict with `support_x` and `support_y` `(n,)`, `x (points,)`.

    Returns:
        Dict of arrays `(points,)`; its keys are the numbers of steps.
    """
    predictions = {}
    for steps in DRAWN_STEPS:
        with with_attributes(model, {"evaluation_inner_steps": steps}):
            task = model.adapt(
                curve["support_x"][None, :, None],
                curve["support_y"][None, :, None],
            )
            values = model.infer(task, curve["x"][None, :, None])
        predictions[steps] = ops.convert_to_numpy(values)[0, :, 0]
    return predictions
