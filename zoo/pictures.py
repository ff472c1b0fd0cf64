"""The pictures of a model: an episode, embeddings, learning curves."""

import pathlib

import numpy as np
from keras import ops

from keras_meta import plots


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
        context), `pair_scores.png` and `learning_curves.png`.
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
