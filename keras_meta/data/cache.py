"""Arrays that are built once and then read from the user's cache."""

import os
import pathlib
import tempfile
import zipfile

import numpy as np


def cache_folder():
    """The folder for built arrays: `keras_meta` in Keras' own folder.

    Keras' folder is the environment variable `KERAS_HOME`, or else
    `~/.keras`; it is read at each call, never on import.
    """
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    return pathlib.Path(home) / "keras_meta"


def cached_arrays(name, build, cache_dir=None):
    """Returns the arrays of `build()`, from the cache if they are there.

    The file is written under a temporary name and renamed at the end, so an
    interrupted build leaves nothing. A damaged file is built again.

    Args:
        name: File name without suffix; it must contain every setting that
            changes the arrays.
        build: Function without arguments that returns a dict of arrays.
        cache_dir: Folder; `cache_folder()` by default.

    Returns:
        A dict of NumPy arrays.
    """
    path = pathlib.Path(cache_dir or cache_folder()) / f"{name}.npz"
    if path.exists():
        try:
            # Given the path, NumPy would leave a damaged file open.
            with open(path, "rb") as file, np.load(file) as stored:
                return dict(stored)
        # RuntimeError: a flipped bit claims encryption or other compression.
        except (
            OSError,
            ValueError,
            EOFError,
            RuntimeError,
            zipfile.BadZipFile,
        ):
            path.unlink()
    arrays = build()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz.part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    finally:
        pathlib.Path(temporary).unlink(missing_ok=True)
    return arrays
