"""The pictures of a model: an episode, embeddings, learning curves."""

import math
import pathlib

import numpy as np
from keras import ops

from keras_meta import plots
from keras_meta.losses import mean_squared_error

# The wave that regression models are drawn on.
AMPLITUDE, PHASE = 4.0, math.pi / 3


def draw(model, episodes, directory, history=None, method="pca", pairs=None):
    """Writes the pictures of a model as PNG files.

    Args:
        model: An `EpisodicModel` with weights.
        episodes: Batched `tf.data.Dataset` of `(episode, query_y)`; the
            first task is drawn.
        directory: Folder for the files.
        history: Optional dict of lists, as `keras.callbacks.History` keeps.
        method: `"pca"` or `"tsne"`: how embeddings are mapped.
        pairs: Optional finite, batched data set of verification pairs, as
            of `keras_meta.data.pair_dataset`, for a Siamese network.

    Returns:
        List of the paths, of those that the model has: `episode.png`,
        `embeddings.png`, `attention.png` (of the first query, in full
        context), `pair_scores.png`, `adaptation.png` (of the regression of
        sinusoids) and `learning_curves.png`.
    """
    directory = pathlib.Path(directory)
    episode, query_y = next(iter(episodes))
    inputs = {key: value[:1] for key, value in episode.items()}
    task = model.adapt(inputs["support_x"], inputs["support_y"])
    drawn = {key: value.numpy()[0] for key, value in inputs.items()}
    drawn["query_y"] = query_y.numpy()[0]
    figures = {}
    # A support set of descriptions cannot be seen.
    if drawn["support_x"].ndim == 4:
        predictions = model.infer(task, inputs["query_x"])
        probabilities = model.probabilities(predictions)
        figures["episode"] = plots.plot_episode(
            drawn, ops.convert_to_numpy(probabilities)[0]
        )
    if hasattr(model, "embed"):
        figures["embeddings"] = _embeddings(
            model.embed(inputs["query_x"]), task, drawn["query_y"], method
        )
    if getattr(model, "full_context", False):
        attention = model.read_attention(task, inputs["query_x"][:, :1])
        figures["attention"] = plots.plot_attention(
            ops.convert_to_numpy(attention)[:, 0, 0],
            drawn["support_x"],
            drawn["query_x"][0],
            drawn["support_y"],
            drawn["query_y"][0],
        )
    if pairs is not None:
        figures["pair_scores"] = plots.plot_score_histogram(
            model.predict(pairs, verbose=0).ravel(),
            np.concatenate([same.numpy().ravel() for _, same in pairs]),
        )
    if _regresses(model, drawn["support_x"]):
        figures["adaptation"] = _adaptation(model)
    if history:
        figures["learning_curves"] = plots.plot_learning_curves(history)
    return [
        plots.save_figure(figure, directory / f"{name}.png")
        for name, figure in figures.items()
    ]


def _embeddings(embeddings, task, query_y, method):
    """The map of the queries of one task, and of its prototypes if any."""
    prototypes = task.get("prototypes")
    return plots.plot_embeddings(
        ops.convert_to_numpy(embeddings)[0],
        np.argmax(query_y, axis=1),
        None if prototypes is None else ops.convert_to_numpy(prototypes)[0],
        method=method,
        class_names=[f"class {k}" for k in range(query_y.shape[1])],
    )


def _regresses(model, support_x):
    """Whether it learns curves from points `support_x (points, 1)`."""
    loss = getattr(model, "inner_loss", None)
    return support_x.shape[1:] == (1,) and loss is mean_squared_error


def _adaptation(model):
    """How the model learns a wave from 5 points and from 10.

    As in figure 2 of Finn et al. 2017, the 5 are in one half of the range:
    what is right in the other half was learned from other waves. The points
    are spread evenly, so that the figure does not depend on a lucky draw.
    """

    def wave(x):
        return AMPLITUDE * np.sin(x - PHASE)

    x = np.linspace(-5, 5, 201, dtype="float32")
    half = np.linspace(0.5, 4.5, 5, dtype="float32")
    whole = np.linspace(-4.5, 4.5, 10, dtype="float32")
    tasks = [
        {
            "x": x,
            "target": wave(x),
            "support_x": points,
            "support_y": wave(points),
            "predictions": _predictions(model, points, wave(points), x),
        }
        for points in (half, whole)
    ]
    titles = ["5 support points, all at x > 0", "10 support points"]
    return plots.plot_regression_adaptation(tasks, titles)


def _predictions(model, support_x, support_y, x):
    """What a model predicts at `x (points,)` after 0, 1 and 10 steps.

    Args:
        model: A `GradientBasedModel` of one input and one output.
        support_x, support_y: Arrays `(n,)`.
        x: Array `(points,)`.

    Returns:
        Dict of arrays `(points,)`; its keys are the numbers of steps.
    """
    predictions = {}
    before = model.evaluation_inner_steps
    try:
        for steps in (0, 1, 10):
            model.evaluation_inner_steps = steps
            task = model.adapt(
                support_x[None, :, None], support_y[None, :, None]
            )
            values = model.infer(task, x[None, :, None])
            predictions[steps] = ops.convert_to_numpy(values)[0, :, 0]
    finally:
        model.evaluation_inner_steps = before
    return predictions
