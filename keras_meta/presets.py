"""A preset is a directory: a model's config, its weights and their sums.

A few-shot classifier's folder is a preset with two files more. Whatever else
lies in a folder is the user's, and is neither summed nor checked.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import keras
import numpy as np

from keras_meta import pretrained_weights, zoo_package
from keras_meta.open_shapes import open_sizes
from keras_meta.typing import Path

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
# In place of the weights, the names of those that a package holds.
SOURCE = "weights.json"
SUMS = "SHA256SUMS"
# What a few-shot classifier adds.
SUPPORT = "support.npz"
LABELS = "labels.json"
# What the zoo adds; the first of them tells its presets from others.
ZOO = ("recipe.json", "results.json", "README.md")
# Temporary folders of `replaced_files` begin with it.
TEMPORARY = ".keras_meta_save_"


def save(
    model: keras.Model,
    directory: Path,
    half_precision: bool = False,
    weights_from: Mapping[str, str] | None = None,
) -> None:
    """Writes a model as a preset.

    See `replaced_files` for what an interrupted save leaves.

    Args:
        model: A built `EpisodicModel` or other Keras model. Its classes must
            be Keras' own or registered with
            `keras.saving.register_keras_serializable`.
        directory: Folder; made if it is missing. Other files in it stay.
        half_precision: Whether weights are rounded to float16, which halves
            the file of a float32 model. The loaded model has the type of the
            saved one.
        weights_from: Dict from parts of the model, such as `"encoder"`, to
            names of `keras_meta.pretrained_weights.SOURCES`, if all of its
            weights are those: the names are then written instead.

    Raises:
        ValueError: If the model is not built, its config would not load, or
            its weights are others than those of the names.
    """
    check_built(model)
    with replaced_files(directory) as part:
        write_model(model, part, weights_from)
        if half_precision and not weights_from:
            _round_weights(part / WEIGHTS)


def find(name: Path) -> pathlib.Path:
    """The folder of a preset, as `zoo.load` finds it.

    Args:
        name: Name of a preset of the zoo, or path of a folder with a preset.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If there is neither; names that are alike are listed.
    """
    return zoo_package.find().preset_directory(name)


def load(directory: Path) -> keras.Model:
    """Rebuilds the model of a preset.

    If the folder has a `SHA256SUMS` the files are checked first. Nothing in
    a preset is run as code: the config names registered classes only. Its
    weights may come from a package that must be installed.

    Args:
        directory: Folder of the preset.

    Returns:
        The `EpisodicModel` or other Keras model, with its weights, not
        compiled.

    Raises:
        ValueError: If a file is missing, damaged or does not match its sum,
            or the package of the weights is not installed.
    """
    directory = pathlib.Path(directory)
    weights = _weights_name(directory)
    for name in (CONFIG, weights):
        if not (directory / name).is_file():
            raise ValueError(
                f"`directory` must be a preset with the files {CONFIG} and "
                f"{WEIGHTS}. Received: directory={str(directory)!r} "
                f"without {name}"
            )
    check_sums(directory)
    config = read_json(directory / CONFIG)
    # What a config or weights raise depends on where they are damaged.
    try:
        # Older presets have the sizes of the batch that built them.
        config = open_sizes(config)
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if not isinstance(model, keras.Model):
            raise ValueError(f"it holds a {type(model).__name__}, no model")
        preprocessing = getattr(model, "preprocessing", None)
        if not (preprocessing is None or callable(preprocessing)):
            raise ValueError(f"preprocessing={preprocessing!r}")
    except Exception as error:
        raise ValueError(
            f"The preset in {str(directory)!r} cannot be loaded: {CONFIG}: "
            f"{error}"
        ) from error
    try:
        if weights == SOURCE:
            pretrained_weights.load_parts(model, read_json(directory / SOURCE))
        else:
            model.load_weights(directory / WEIGHTS)
    except Exception as error:
        raise ValueError(
            f"The preset in {str(directory)!r} cannot be loaded: {weights}: "
            f"{error}"
        ) from error
    return model


def check_built(model: keras.Model) -> None:
    """Raises a ValueError unless a model has weights to save.

    Args:
        model: A `keras.Model`.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built before it is saved: fit it or call it on "
            "a batch of its inputs."
        )


def write_model(
    model: keras.Model,
    folder: pathlib.Path,
    weights_from: Mapping[str, str] | None = None,
) -> None:
    """Writes the config and the weights of a model.

    Args:
        model: A built `keras.Model`.
        folder: pathlib.Path of an existing folder.
        weights_from: As for `save`.

    Raises:
        ValueError: If its config would not load, or its weights are others
            than those of the names.
    """
    config = keras.saving.serialize_keras_object(model)
    # How it was compiled is the recipe's business; a copy that never was has
    # no optimizer that would be saved with the weights.
    config.pop("compile_config", None)
    write_json(folder / CONFIG, open_sizes(config))
    # Rebuilt from the file, so that what is written is what loads.
    try:
        bare = keras.saving.deserialize_keras_object(
            read_json(folder / CONFIG), safe_mode=True
        )
        bare.set_weights(model.get_weights())
    # What it raises depends on what the config lacks.
    except Exception as error:
        raise ValueError(
            "`model` must have a config that makes it again, of Keras' own "
            "classes and of those registered with "
            "`keras.saving.register_keras_serializable`. Received: "
            f"model={model.name!r}, of which Keras says: {error}"
        ) from error
    if weights_from:
        pretrained_weights.load_parts(bare, weights_from)
        pairs = zip(bare.get_weights(), model.get_weights(), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            raise ValueError(
                f"`model` must have the weights of {weights_from} to be saved "
                f"with their names. Received: model={model.name!r} with others"
            )
        write_json(folder / SOURCE, weights_from)
    else:
        bare.save_weights(folder / WEIGHTS)


def _round_weights(path):
    """Stores the weights of a file as float16.

    The file is written anew, since HDF5 keeps the room of what is deleted.
    """
    rounded = path.with_suffix(".rounded")
    with h5py.File(path) as source, h5py.File(rounded, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                target[name] = item[()].astype("float16")
            else:
                target.require_group(name)
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
    rounded.replace(path)


@contextlib.contextmanager
def replaced_files(directory: Path) -> Iterator[pathlib.Path]:
    """A new folder whose files then replace those of a directory, with sums.

    The files are written beside their place and moved there at the end. A
    save that is interrupted while it writes leaves the old files whole. One
    that is interrupted while it moves leaves files that do not match their
    sums, which `load` refuses. One that is killed leaves its temporary
    folder, which the next save removes: two saves to one directory must not
    run at once.

    Args:
        directory: Folder; made if it is missing. Other files in it stay.

    Yields:
        Path of the temporary folder.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for left_over in directory.glob(TEMPORARY + "*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=directory) as folder:
        part = pathlib.Path(folder)
        yield part
        names = [path.name for path in part.iterdir()]
        if WEIGHTS in names:
            (directory / SOURCE).unlink(missing_ok=True)
        paths = {path.name: path for path in _own_files(directory)}
        paths |= {name: part / name for name in names}
        _write_sums(part, paths.values())
        # The sums first: until the last file is moved, they do not match.
        for name in (SUMS, *names):
            os.replace(part / name, directory / name)


def write_json(path: Path, value: object) -> None:
    """Writes JSON that people can read and git can compare.

    Args:
        path: File to write; it is replaced as a whole.
        value: What `json` can hold.
    """
    path = pathlib.Path(path)
    part = path.with_name(path.name + ".part")
    text = json.dumps(value, indent=1, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Args:
        path: File to read.

    Returns:
        What `json` makes of it.

    Raises:
        ValueError: If it is no JSON in UTF-8; the file is named.
    """
    try:
        return json.loads(pathlib.Path(path).read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold JSON in UTF-8. "
            f"Received: {error}"
        ) from error


def write_sums(directory: Path) -> None:
    """Writes the SHA-256 sums of the files that the library wrote.

    These are the config and the weights, the support and labels of a
    classifier, and the recipe, results and card of a preset of the zoo. The
    file has the format of the command `sha256sum`, so that
    `sha256sum -c SHA256SUMS` checks it too.

    Args:
        directory: Folder of the preset or classifier.
    """
    directory = pathlib.Path(directory)
    _write_sums(directory, _own_files(directory))


def check_sums(directory: Path) -> None:
    """Raises a ValueError if a file of the library differs from its sum.

    Sums of other files, which older versions wrote, are ignored.

    Args:
        directory: Folder of the preset or classifier; without a
            `SHA256SUMS` nothing is checked.

    Raises:
        ValueError: If a file is damaged, or `SHA256SUMS` itself: it must
            hold the sums of the config and the weights (or of what names
            them) at least, and of the support and labels of a classifier.
    """
    directory = pathlib.Path(directory)
    path = directory / SUMS
    if not path.exists():
        return
    sums = _read_sums(path)
    own = _own_names(directory, sums)
    for name in own:
        # The card of a preset may be older than its sums, its model not.
        if name not in sums and name not in ZOO:
            raise ValueError(
                f"{str(path)!r} is damaged: it must hold the sum of {name}. "
                f"Received: sums of {sorted(sums)}"
            )
    for name in own:
        file = directory / name
        found = _sum(file) if file.is_file() else "no file"
        if name in sums and found != sums[name]:
            raise ValueError(
                f"{str(file)!r} is damaged: its SHA-256 sum must be "
                f"{sums[name]}. Save it again, or, if it came with the "
                f"package, install the package again. Received: {found}"
            )


def _own_names(directory, sums=()):
    """The names of the files that the library writes into a folder."""
    names = (CONFIG, _weights_name(directory))
    if (directory / SUPPORT).is_file():
        return (*names, SUPPORT, LABELS)
    if (directory / ZOO[0]).is_file() or ZOO[0] in sums:
        return (*names, *ZOO)
    # A README.md, say, is the user's.
    return names


def _weights_name(directory):
    """The file that holds the weights, or names them."""
    return SOURCE if (directory / SOURCE).is_file() else WEIGHTS


def _own_files(directory):
    """Those that exist, as paths."""
    paths = [directory / name for name in _own_names(directory)]
    return [path for path in paths if path.is_file()]


def _write_sums(directory, files):
    files = sorted(files, key=lambda file: file.name)
    text = "".join(f"{_sum(file)}  {file.name}\n" for file in files)
    part = directory / (SUMS + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, directory / SUMS)


def _read_sums(path):
    """Dict from the name of each file to its sum."""
    try:
        # Not `splitlines`, which breaks names at rarer characters too.
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (UnicodeDecodeError, OSError) as error:
        lines = [str(error)]
    sums = {}
    for line in filter(None, (line.rstrip("\r") for line in lines)):
        match = re.fullmatch("([0-9a-f]{64}) [ *](.+)", line)
        if match is None:
            raise ValueError(
                f"{str(path)!r} is damaged: each line must hold a SHA-256 sum "
                f"and the name of a file. Received: {line[:80]!r}"
            )
        sums[match[2]] = match[1]
    return sums


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
