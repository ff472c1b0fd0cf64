"""SavedModels of presets, and their signatures in words."""

import pathlib

from keras_meta.models import EpisodicModel


def export(model, directory):
    """Writes a SavedModel.

    Args:
        model: An `EpisodicModel`, which learns inside the graph, or another
            Keras model, which is exported as Keras does.
        directory: Folder to write; it must not exist.

    Returns:
        str: what the SavedModel offers.

    Raises:
        ValueError: If the folder exists.
    """
    if isinstance(model, EpisodicModel):
        model.export(directory)
        return "the signatures serving_default, adapt and infer"
    # Keras would write over it.
    if pathlib.Path(directory).exists():
        raise ValueError(
            f"{str(directory)!r} must be a new folder; nothing is overwritten."
        )
    model.export(directory, verbose=False)
    return "the signatures serve and serving_default, which are the same"
