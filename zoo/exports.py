"""Exported files of presets, and what they offer in words."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from keras_meta.models import EpisodicModel

if TYPE_CHECKING:
    import keras

    from keras_meta.typing import Path


def export(
    model: keras.Model,
    directory: Path,
    format: str = "tf_saved_model",
    preprocessing: bool = False,
) -> str:
    """Writes a SavedModel, or a LiteRT file.

    Args:
        model: An `EpisodicModel`, which learns inside the graph, or another
            Keras model, which is exported as Keras does.
        directory: Folder or file to write; it must not exist.
        format: As for `EpisodicModel.export`: `"tf_saved_model"` or
            `"litert"`.
        preprocessing: Whether it takes pictures, as for
            `EpisodicModel.export`.

    Returns:
        str: what was written offers.

    Raises:
        ValueError: If the folder or file exists, or if the model, such as
            one that learns no classes, has no such form.
    """
    if isinstance(model, EpisodicModel):
        given = {"preprocessing": True} if preprocessing else {}
        model.export(directory, format, **given)
        if format == "litert":
            return "the signatures adapt and infer"
        return "the signatures serving_default, adapt and infer"
    if format != "tf_saved_model" or preprocessing:
        raise ValueError(
            "`--format litert` and `--preprocessing` are for models that "
            f"learn from a support. Received: a {type(model).__name__}"
        )
    # Keras would write over it.
    if pathlib.Path(directory).exists():
        raise ValueError(
            f"{str(directory)!r} must be a new folder; nothing is overwritten."
        )
    model.export(directory, verbose=False)
    return "the signatures serve and serving_default, which are the same"
