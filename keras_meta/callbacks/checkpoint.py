"""The checkpoint of a training: one file, replaced as a whole.

A `.keras` file is a zip archive. The state of the training and the metrics of
an unfinished epoch are members of it, so that all are replaced at once,
whenever the process is killed; `state.json` is a copy for people.
"""

import io
import json
import os
import pathlib
import zipfile

import keras
import numpy as np

from keras_meta.presets import write_json

CHECKPOINT = "checkpoint.keras"
BEST = "best.keras"
STATE = "state.json"
METRICS = "metrics.npz"


def part_of(path):
    """How a file is called until it is whole; Keras heeds the extension."""
    return path.with_name("part_" + path.name)


def write(directory, model, state, metrics=None):
    """Saves a model with its optimizer, and the state of its training.

    Args:
        directory: `pathlib.Path` of an existing folder.
        model: The compiled model.
        state: Dict that JSON can hold.
        metrics: List of arrays, the metrics of an unfinished epoch; None at
            the end of one.

    Raises:
        OSError: If it could not be written; the last checkpoint is kept.
    """
    part = part_of(directory / CHECKPOINT)
    write_part(part, model, state, metrics)
    os.replace(part, directory / CHECKPOINT)
    write_json(directory / STATE, state)


def write_part(part, model, state, metrics=None):
    """Writes the file that `write` then gives its name.

    Args:
        part: Its path.
        model, state, metrics: As for `write`.

    Raises:
        OSError: If it could not be written; nothing is left of it.
    """
    try:
        model.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(STATE, json.dumps(state))
            if metrics is not None:
                archive.writestr(METRICS, _npz(metrics))
        synchronize(part)
    except BaseException as error:
        part.unlink(missing_ok=True)
        # What the file's `close` raises hides what the system had said.
        cause = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None or cause is error:
            raise
        raise cause from None


def synchronize(path):
    """Waits until the system has a file on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def exists(directory):
    """Whether a folder holds a checkpoint."""
    return (pathlib.Path(directory) / CHECKPOINT).is_file()


def read_state(directory):
    """The state that belongs to the checkpoint of a folder.

    Args:
        directory: The folder.

    Returns:
        Dict, as `write` got it.

    Raises:
        ValueError: If the checkpoint holds none or is damaged.
    """
    path = pathlib.Path(directory) / CHECKPOINT
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(STATE))
    # What a damaged archive raises depends on where it broke.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} must be a checkpoint that holds the state of its "
            f"training; name another folder. Received: {error}"
        ) from error


def read_metrics(directory):
    """The metrics of the unfinished epoch of a checkpoint.

    Args:
        directory: The folder.

    Returns:
        List of arrays; None if the checkpoint ends an epoch.
    """
    with zipfile.ZipFile(pathlib.Path(directory) / CHECKPOINT) as archive:
        if METRICS not in archive.namelist():
            return None
        with np.load(io.BytesIO(archive.read(METRICS))) as arrays:
            return [arrays[name] for name in arrays.files]


def load_model(directory):
    """The compiled model of a checkpoint.

    Raises:
        ValueError: If it is damaged; the file is named.
    """
    path = pathlib.Path(directory) / CHECKPOINT
    # What it raises depends on where it broke.
    try:
        return keras.saving.load_model(path)
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must be the checkpoint of a "
            f"training. Received: {error}"
        ) from error


def restore(directory, model):
    """Gives a model the weights and the optimizer's state of a checkpoint.

    Args:
        directory: The folder.
        model: A built and compiled model.

    Raises:
        ValueError: If the model is not built, or the checkpoint is of another.
    """
    path = pathlib.Path(directory) / CHECKPOINT
    if not model.built:
        raise ValueError(
            "`model` must be built before its training goes on: call it on a "
            f"batch, as `model(x)`. Received: {model.name!r}, which is not"
        )
    optimizer = model.optimizer
    if optimizer is not None and not optimizer.built:
        with model.distribute_strategy.scope():
            optimizer.build(model.trainable_variables)
    # What a damaged file raises depends on where it broke.
    try:
        model.load_weights(path)
    except Exception as error:
        raise ValueError(
            f"The run in {str(path.parent)!r} must be one of the same model "
            f"and optimizer; name another folder. Received: {error}"
        ) from error


def _npz(arrays):
    file = io.BytesIO()
    np.savez(file, *arrays)
    return file.getvalue()
