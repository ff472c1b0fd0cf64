"""The files of a few-shot classifier: a preset, its support and its labels."""

import pathlib
import zipfile

import numpy as np

from keras_meta import presets
from keras_meta.checks import check_positive
from keras_meta.data.labels import label_array
from keras_meta.presets import LABELS, SUMS, SUPPORT

# What JSON keeps as it is.
LABEL_TYPES = (str, int, float, bool)
# Bytes of the support once it is unpacked: a small file may claim any number.
LARGEST = 4 * 2**30
# Beside the images, where the classifier was calibrated.
TEMPERATURE = "temperature"


def write(directory, model, images, labels, temperature=None):
    """Writes a classifier; an older one in the folder is replaced.

    Args:
        directory: Folder to write; made if it is missing.
        model: The built `EpisodicModel`.
        images: float32 support examples `(n, ...)`, as the model takes them.
        labels: Array `(n,)` of their labels.
        temperature: Positive float; None if it was not calibrated.

    Raises:
        ValueError: If a label is not a str, int, float or bool.
    """
    # NumPy's numbers become Python's; its dates would become numbers.
    labels = labels.tolist() if labels.dtype.kind in "biuf" else [*labels]
    odd = [x for x in labels if type(x) not in LABEL_TYPES]
    if odd:
        raise ValueError(
            "Only labels of type str, int, float or bool can be saved. "
            f"Received: {odd[0]!r}"
        )
    arrays = {"images": images}
    if temperature is not None:
        arrays[TEMPERATURE] = np.float64(temperature)
    with presets.replaced_files(directory) as part:
        np.savez_compressed(part / SUPPORT, **arrays)
        presets.write_json(part / LABELS, labels)
        presets.write_model(model, part)


def read(directory):
    """Reads what `write` wrote.

    Args:
        directory: Folder of the classifier.

    Returns:
        `(model, images, labels, temperature)` as for `write`.

    Raises:
        ValueError: If a file is missing or damaged.
    """
    directory = pathlib.Path(directory)
    for name in (SUPPORT, LABELS, SUMS):
        if not (directory / name).is_file():
            raise ValueError(
                "`directory` must hold a classifier that was saved whole. "
                f"Received: directory={str(directory)!r} without {name}"
            )
    presets.check_sums(directory)
    images, temperature = _read_support(directory / SUPPORT)
    labels = _read_labels(directory / LABELS, len(images))
    return presets.load(directory), images, labels, temperature


def _read_support(path):
    """The support images of a saved classifier, and its temperature."""
    try:
        # Given the path, NumPy would leave a damaged file open.
        with open(path, "rb") as file:
            _check_size(file)
            arrays = np.load(file, allow_pickle=False)
            images = arrays["images"]
            temperature = None
            if TEMPERATURE in arrays:
                temperature = check_positive(
                    TEMPERATURE, float(arrays[TEMPERATURE])
                )
        if images.dtype != np.float32 or not images.ndim:
            raise ValueError(f"dtype {images.dtype}, shape {images.shape}")
        if not np.isfinite(images).all():
            raise ValueError("values that are NaN or infinite")
    # What a damaged file raises depends on where it broke.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold finite float32 images. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return images, temperature


def _check_size(file):
    """Raises a ValueError for an archive that would fill the memory."""
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes unpacked, of {LARGEST:,} at most")
    file.seek(0)


def _read_labels(path, count):
    """The labels of a saved classifier."""
    labels = presets.read_json(path)
    try:
        if not isinstance(labels, list):
            raise ValueError(f"an object of type {type(labels).__name__}")
        odd = [x for x in labels if type(x) not in LABEL_TYPES]
        if odd or len(labels) != count:
            raise ValueError(f"{len(labels)} values, such as {odd[:1]}")
        return label_array(labels)
    except ValueError as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold a label of type str, "
            f"int, float or bool for each of {count} images. "
            f"Received: {error}"
        ) from error
