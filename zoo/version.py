"""The version of the distribution, without an import of TensorFlow."""

import importlib.util
import pathlib
import runpy


def version() -> str:
    """The version that `keras_meta` states, which is found but not imported."""
    spec = importlib.util.find_spec("keras_meta")
    (folder,) = spec.submodule_search_locations
    return runpy.run_path(pathlib.Path(folder) / "version.py")["__version__"]
