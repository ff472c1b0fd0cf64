"""A preset is a directory: a model's config and its weights."""

import hashlib
import json
import os
import pathlib
import tempfile

import keras

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
SUMS = "SHA256SUMS"


def save(model, directory):
    """Writes a model as a preset.

    The files are written beside their place and moved there together, so an
    interrupted save leaves an old preset whole.

    Args:
        model: A built `EpisodicModel`.
        directory: Folder; made if it is missing. Other files in it stay.

    Raises:
        ValueError: If the model is not built.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built before it is saved: fit it or call it on "
            "a batch of episodes."
        )
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = keras.saving.serialize_keras_object(model)
    # How it was compiled is the recipe's business; a copy that never was has
    # no optimizer that would be saved with the weights.
    config.pop("compile_config", None)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        part = pathlib.Path(temporary)
        write_json(part / CONFIG, config)
        # Rebuilt from the file, so that what is written is what loads.
        bare = keras.saving.deserialize_keras_object(_read_json(part / CONFIG))
        bare.set_weights(model.get_weights())
        bare.save_weights(part / WEIGHTS)
        for name in (CONFIG, WEIGHTS):
            os.replace(part / name, directory / name)
    write_sums(directory)


def load(directory):
    """Rebuilds the model of a preset.

    If the folder has a `SHA256SUMS` the files are checked first. Nothing in
    a preset is run as code: the config names registered classes only.

    Args:
        directory: Folder of the preset.

    Returns:
        The `EpisodicModel`, with its weights, not compiled.

    Raises:
        ValueError: If a file is missing, damaged or does not match its sum.
    """
    directory = pathlib.Path(directory)
    for name in (CONFIG, WEIGHTS):
        if not (directory / name).is_file():
            raise ValueError(
                f"`directory` must be a preset with the files {CONFIG} and "
                f"{WEIGHTS}. Received: directory={str(directory)!r} "
                f"without {name}"
            )
    check_sums(directory)
    try:
        config = _read_json(directory / CONFIG)
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        model.load_weights(directory / WEIGHTS)
    except Exception as error:
        raise ValueError(
            f"The preset in {str(directory)!r} cannot be loaded: {error}"
        ) from error
    return model


def write_json(path, value):
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


def write_sums(directory):
    """Writes the SHA-256 sums of all files of a preset.

    The file has the format of the command `sha256sum`, so that
    `sha256sum -c SHA256SUMS` checks it too.

    Args:
        directory: Folder of the preset.
    """
    directory = pathlib.Path(directory)
    lines = [
        f"{_sum(path)}  {path.name}\n"
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name != SUMS
    ]
    part = directory / (SUMS + ".part")
    part.write_text("".join(lines), encoding="utf-8")
    os.replace(part, directory / SUMS)


def check_sums(directory):
    """Raises a ValueError if a file differs from its sum.

    Args:
        directory: Folder of the preset; without a `SHA256SUMS` nothing is
            checked.
    """
    directory = pathlib.Path(directory)
    sums = directory / SUMS
    if not sums.exists():
        return
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        path = directory / name
        found = _sum(path) if path.is_file() else "no file"
        if found != expected:
            raise ValueError(
                f"{str(path)!r} is damaged: its SHA-256 sum must be "
                f"{expected}. Install the package again or download the "
                f"preset anew. Received: {found}"
            )


def _read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
