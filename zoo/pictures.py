"""The pictures of a model: an episode, embeddings, learning curves."""

import pathlib

import numpy as np
from keras import ops

from keras_meta import plots


def draw(model, episodes, directory, history=None, method="pca"):
    """Writes the pictures of a model as PNG files.

    Args:
        model: An `EpisodicModel` with weights.
        episodes: Batched `tf.data.Dataset` of `(episode, query_y)`; the
            first task is drawn.
        directory: Folder for the files.
        history: Optional dict of lists, as `keras.callbacks.History` keeps.
        method: `"pca"` or `"tsne"`: how embeddings are mapped.

    Returns:
        List of the paths: `episode.png`, `embeddings.png` if the model has
        embeddings, and `learning_curves.png` if there is a history.
    """
    directory = pathlib.Path(directory)
    episode, query_y = next(iter(episodes))
    task = {key: value[:1] for key, value in episode.items()}
    probabilities = model.probabilities(model(task))
    drawn = {key: value.numpy()[0] for key, value in task.items()}
    drawn["query_y"] = query_y.numpy()[0]
    figures = {
        "episode": plots.plot_episode(
            drawn, ops.convert_to_numpy(probabilities)[0]
        )
    }
    if hasattr(model, "embed"):
        figures["embeddings"] = _embeddings(model, task, drawn, method)
    if history:
        figures["learning_curves"] = plots.plot_learning_curves(history)
    return [
        plots.save_figure(figure, directory / f"{name}.png")
        for name, figure in figures.items()
    ]


def _embeddings(model, task, drawn, method):
    """The map of the queries and the prototypes of one task."""
    embeddings = ops.convert_to_numpy(model.embed(task["query_x"]))[0]
    prototypes = model.adapt(task["support_x"], task["support_y"])
    return plots.plot_embeddings(
        embeddings,
        np.argmax(drawn["query_y"], axis=1),
        ops.convert_to_numpy(prototypes["prototypes"])[0],
        method=method,
        class_names=[f"class {k}" for k in range(drawn["query_y"].shape[1])],
    )
