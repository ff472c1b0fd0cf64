"""Caltech-UCSD Birds-200-2011 for zero-shot learning, from your own files."""

import os
import pathlib
import tempfile

import keras
import numpy as np

from keras_meta.checks import check_choice
from keras_meta.data.encoded_images import EncodedImages
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size

# Which lists of classes make up a split.
SPLITS = {
    "train": ("trainclasses.txt",),
    "validation": ("valclasses.txt",),
    "test": ("testclasses.txt",),
    "trainval": ("trainclasses.txt", "valclasses.txt"),
}
ATTRIBUTES = "attributes/class_attribute_labels_continuous.txt"
FEATURES = "features.npy"
RELEASE = "CUB_200_2011.tgz, the release of CUB-200-2011"
# The source of each file, for the error when it is missing.
SOURCES = {
    "classes.txt": RELEASE,
    "images.txt": RELEASE,
    "image_class_labels.txt": RELEASE,
    ATTRIBUTES: RELEASE,
    **{
        name: "the zero-shot split of Reed et al. (2016), "
        "github.com/reedscot/cvpr2016"
        for name in ("trainclasses.txt", "valclasses.txt", "testclasses.txt")
    },
    FEATURES: "`write_cub_features`",
}
# Photographs in memory at once.
BATCH = 32


def load_cub(directory: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Loads image features of the birds of CUB-200-2011 (Wah et al. 2011).

    The folder is the unpacked release `CUB_200_2011.tgz` (11788 photographs
    of 200 species) with these files that you add:

    - `trainclasses.txt`, `valclasses.txt`, `testclasses.txt`: one name such
      as `001.Black_footed_Albatross` on each line. Snell et al. (2017) have
      the 100, 50 and 50 classes of Reed et al. (2016).
    - `features.npy`: array `(11788, dim)`, the vectors of all photographs in
      the order of `images.txt`, by any network; `write_cub_features` writes
      it. Snell et al. have 1024 features of a GoogLeNet.

    Args:
        directory: The folder.
        split: `"train"`, `"validation"`, `"test"`, or `"trainval"`, the
            first two together.

    Returns:
        `(features, labels)`: float32 `(n, dim)` and str `(n,)`, the names of
        the classes, for `zero_shot_dataset` with `cub_attributes`.

    Raises:
        ValueError: For an unknown split, a missing or malformed file, a name
            that `classes.txt` lacks, or more or fewer features than
            photographs.
    """
    check_choice("split", split, SPLITS)
    folder = pathlib.Path(directory)
    labels = _labels(folder)
    chosen = np.isin(labels, _class_lists(folder)[split])
    # Memory-mapped: the rows of the other splits are not read.
    features = np.load(_file(folder, FEATURES), mmap_mode="r")
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(
            f"{FEATURES} must hold one vector for each of the {len(labels)} "
            f"photographs of images.txt. Received: shape {features.shape}"
        )
    return np.asarray(features[chosen], "float32"), labels[chosen]


def cub_attributes(directory: Path) -> dict[str, np.ndarray]:
    """Loads the attributes of the 200 species: how often people saw each.

    Args:
        directory: The folder of `load_cub`; only files of the release are
            read.

    Returns:
        Dict from the name of each class to a float32 array `(312,)` in
        `[0, 1]`, the percentages of the release divided by 100.

    Raises:
        ValueError: For a missing file, or values that are not percentages,
            or not as many rows as classes.
    """
    folder = pathlib.Path(directory)
    classes = list(_numbered(folder, "classes.txt").values())
    path = _file(folder, ATTRIBUTES)
    values = np.loadtxt(path, dtype="float32", ndmin=2)
    in_range = np.logical_and(values >= 0, values <= 100).all()
    if len(values) != len(classes) or not in_range:
        raise ValueError(
            f"'{path}' must hold a row of percentages for each of the "
            f"{len(classes)} classes. Received: shape {values.shape}, values "
            f"from {values.min():g} to {values.max():g}"
        )
    return dict(zip(classes, values / 100, strict=True))


def write_cub_features(
    directory: Path, network: keras.Layer, size: Size
) -> pathlib.Path:
    """Computes `features.npy` of `load_cub` with a network of yours.

    Each photograph is resized as a whole to `size`, whatever its shape; Snell
    et al. cropped its middle. With an ImageNet network, say:

        network = keras.Sequential([
            keras.layers.Rescaling(2, offset=-1),
            keras.applications.InceptionV3(include_top=False, pooling="avg"),
        ])
        write_cub_features("CUB_200_2011", network, size=299)

    The file is written under a temporary name and renamed at the end, so an
    interrupted run leaves the folder as it was.

    Args:
        directory: The folder of `load_cub`; only files of the release are
            read.
        network: Keras model from RGB images `(batch, height, width, 3)` in
            `[0, 1]` to vectors `(batch, dim)`. One that needs another range
            must rescale the values itself, as above.
        size: Positive integer, or a pair `(height, width)`: pixels.

    Returns:
        The path of the file.

    Raises:
        ValueError: For a missing or broken file, or a network that gives no
            vectors, or values that are NaN or infinite.
    """
    folder = pathlib.Path(directory)
    names = _numbered(folder, "images.txt").values()
    images = EncodedImages(
        [folder / "images" / name for name in names],
        Preprocessing(size=size, channels=3),
    )
    batches = []
    for start in range(0, len(images), BATCH):
        rows = range(start, min(start + BATCH, len(images)))
        vectors = np.asarray(network.predict_on_batch(images.numpy(rows)))
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise ValueError(
                "`network` must give finite vectors (batch, dim). Received: "
                f"an output of shape {vectors.shape} for the photographs "
                f"from number {start + 1}, with "
                f"{int((~np.isfinite(vectors)).sum())} values that are NaN "
                "or infinite"
            )
        batches.append(vectors.astype("float32"))
    path = folder / FEATURES
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".npy.part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, np.concatenate(batches))
        os.replace(temporary, path)
    finally:
        pathlib.Path(temporary).unlink(missing_ok=True)
    return path


def _file(folder, name):
    """The path of a file, or a ValueError if it is missing."""
    path = folder / name
    if not path.is_file():
        raise ValueError(
            f"`directory` must hold the file {name}, which comes from "
            f"{SOURCES[name]}. Received: directory='{folder}' without it"
        )
    return path


def _numbered(folder, name):
    """A file of lines `number value` as a dict from str to str, in order."""
    lines = _file(folder, name).read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip()]
    for row in rows:
        if len(row) != 2:
            raise ValueError(
                f"'{folder / name}' must hold a number and a value on each "
                f"line. Received: the line '{' '.join(row)}'"
            )
    return dict(rows)


def _labels(folder):
    """The class of each photograph, in the order of images.txt."""
    classes = _numbered(folder, "classes.txt")
    numbers = _numbered(folder, "image_class_labels.txt")
    images = _numbered(folder, "images.txt")
    owners = [classes.get(numbers.get(key)) for key in images]
    if None in owners:
        lost = list(images.values())[owners.index(None)]
        raise ValueError(
            "image_class_labels.txt must give each photograph of images.txt "
            f"a class of classes.txt. Received: none for '{lost}'"
        )
    return np.array(owners)


def _class_lists(folder):
    """A dict from the name of each split to the names of its classes."""
    known = set(_numbered(folder, "classes.txt").values())
    seen = set()
    lists = {}
    for file in ("trainclasses.txt", "valclasses.txt", "testclasses.txt"):
        text = _file(folder, file).read_text(encoding="utf-8")
        lists[file] = text.split()
        unknown = [name for name in lists[file] if name not in known]
        if unknown:
            raise ValueError(
                f"{file} must hold names of classes.txt, one on each line. "
                f"Received: '{unknown[0]}'"
            )
        again = seen.intersection(lists[file])
        if again:
            raise ValueError(
                "The three lists of classes must have no class in common. "
                f"Received: '{min(again)}' again in {file}"
            )
        seen.update(lists[file])
    return {
        split: [name for file in files for name in lists[file]]
        for split, files in SPLITS.items()
    }
