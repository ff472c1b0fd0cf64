"""Writes figures to files."""

import os
import pathlib

from matplotlib.figure import Figure

from keras_meta.typing import Path


def save_figure(figure: Figure, path: Path) -> pathlib.Path:
    """Writes a figure to a file, completely or not at all.

    Args:
        figure: A `matplotlib.figure.Figure`.
        path: Where to write. The suffix `.png` (150 dots per inch), `.pdf` or
            `.svg` gives the format. Missing folders are made, and a file of
            that name is replaced.

    Returns:
        The path, as a `pathlib.Path`.

    Raises:
        ValueError: If the suffix is another.
    """
    path = pathlib.Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf", "svg"):
        raise ValueError(
            f"`path` must end in .png, .pdf or .svg. Received: path={path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, format=kind, dpi=150)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
