"""Removes the temporary files that a killed process has left."""

import re
import shutil

# Names of `tempfile`, which Keras and `keras_meta.presets` use.
TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}")
# The first bytes of Keras' temporary files, once there are any.
HDF5 = b"\x89HDF"


def remove(folder, names):
    """Removes the unfinished files of a folder.

    Args:
        folder: `pathlib.Path`; nothing is done if it is missing. No other
            process writes to it.
        names: Names of the files that are written there; files that have
            nothing to do with them are left alone.
    """
    parts = {part for name in names for part in part_names(name)}
    for path in folder.glob("*"):
        temporary = TEMPORARY.fullmatch(path.name)
        if path.is_dir():
            inside = {found.name for found in path.iterdir()}
            if temporary and inside <= parts | {*names}:
                shutil.rmtree(path)
        elif path.name in parts or (temporary and _is_of_keras(path)):
            path.unlink()


def part_names(name):
    """How a file is called until it is whole.

    Args:
        name: Name of the whole file.

    Returns:
        Pair of names: that of `keras_meta.presets`, and one with the same
        extension, which Keras heeds.
    """
    return name + ".part", "part_" + name


def _is_of_keras(path):
    with path.open("rb") as file:
        return file.read(len(HDF5)) in (b"", HDF5)
