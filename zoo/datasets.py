"""The labelled data sets that presets are trained and measured on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from zoo.wording import unknown

if TYPE_CHECKING:
    import pathlib

    import numpy as np


def _loaders():
    """`keras_meta.data`, which brings in TensorFlow when it is needed."""
    from keras_meta import data

    return data


def own_files(name: str) -> pathlib.Path:
    """The folder where the files of a data set that you bring must lie."""
    from keras_meta.data.cache import cache_folder

    return cache_folder().parent / "datasets" / name


def cub_folder() -> pathlib.Path:
    """The folder where the files of CUB-200-2011 must lie."""
    return own_files("CUB_200_2011")


def _check_not_turned(dataset, what, rotations):
    """Raises a ValueError for rotations of what has none as classes."""
    if rotations:
        raise ValueError(
            f"`rotations` must be False (`--no-rotations`) for {dataset!r}, "
            f"whose examples are {what}. Received: rotations={rotations!r}"
        )


def _load_cub(split, rotations):
    _check_not_turned("cub", "features and cannot be turned", rotations)
    return _loaders().load_cub(cub_folder(), split)


def _load_mini_imagenet(split, rotations):
    _check_not_turned(
        "mini-imagenet",
        "photographs, and a turned one is of the same class",
        rotations,
    )
    return _loaders().load_mini_imagenet(own_files("mini_imagenet"), split)


def _load_photographs(dataset, split, rotations):
    from zoo import photographs

    _check_not_turned(
        dataset,
        "photographs, and a turned one is of the same class",
        rotations,
    )
    if split != "test":
        raise ValueError(
            f"`split` (`--split`) must be 'test' for {dataset!r}, which has no "
            f"other. Received: split={split!r}"
        )
    return photographs.images(dataset, own_files(photographs.PACKAGES[dataset]))


# Loaders by name: (split, rotations) -> (examples, labels).
DATASETS = {
    "omniglot": lambda split, rotations: _loaders().load_omniglot(
        split, "vinyals", rotations
    ),
    "omniglot-105": lambda split, rotations: _loaders().load_omniglot(
        split, "vinyals", rotations, size=105
    ),
    "omniglot-20": lambda split, rotations: _loaders().load_omniglot(
        split, "vinyals", rotations, size=20
    ),
    "omniglot-lake": lambda split, rotations: _loaders().load_omniglot(
        split, "lake", rotations
    ),
    "omniglot-random1200": lambda split, rotations: _loaders().load_omniglot(
        split, "random1200", rotations
    ),
    "omniglot-random1200-20": lambda split, rotations: _loaders().load_omniglot(
        split, "random1200", rotations, size=20
    ),
    "glyphs": lambda split, rotations: _loaders().load_glyphs(split, rotations),
    "glyph-combinations": lambda split, rotations: _loaders().load_glyphs(
        split, rotations, protocol="combinations"
    ),
    "cub": _load_cub,
    "mini-imagenet": _load_mini_imagenet,
    "gcompris": functools.partial(_load_photographs, "gcompris"),
    "tuxpaint": functools.partial(_load_photographs, "tuxpaint"),
}
# Not every data set has all of them.
SPLITS = ("train", "validation", "test", "trainval")
# Descriptions of the classes, for zero-shot learning: labels -> dict of a
# vector for each label.
DESCRIPTIONS = {
    "glyphs": lambda labels: _loaders().describe_glyphs(labels),
    "glyph-combinations": lambda labels: _loaders().describe_glyphs(labels),
    "cub": lambda _: _loaders().cub_attributes(cub_folder()),
}


def check_dataset(dataset: str) -> None:
    """Raises a ValueError that lists the nearest for an unknown data set."""
    if dataset not in DATASETS:
        raise ValueError(unknown("data set", dataset, DATASETS))


def check_split(split: str) -> None:
    """Raises a ValueError for a split that no data set has."""
    if split not in SPLITS:
        raise ValueError(unknown("split", split, SPLITS))


def load_split(
    dataset: str, split: str, rotations: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Loads one split of a data set.

    Args:
        dataset: A name of `DATASETS`.
        split: `"train"`, `"validation"`, `"test"` or `"trainval"`, as far as
            the data set has them.
        rotations: Whether each class turned by 90, 180 and 270 degrees is a
            new class.

    Returns:
        `(examples, labels)`: array or image source `(n, ...)`, and array
        `(n,)` of str.

    Raises:
        ValueError: For an unknown data set or split, or rotations of what
            cannot be turned.
    """
    check_dataset(dataset)
    from zoo import progress

    with progress.elapsed(f"reading {dataset} {split}"):
        return DATASETS[dataset](split, rotations)


def describe_classes(dataset: str, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Describes the classes of a data set, for zero-shot learning.

    Args:
        dataset: A name of `DESCRIPTIONS`.
        labels: Array `(n,)` of str, as `load_split` returns it.

    Returns:
        Dict with an array `(attributes,)` for each label.

    Raises:
        ValueError: If the data set has no descriptions.
    """
    if dataset not in DESCRIPTIONS:
        raise ValueError(
            unknown("data set with descriptions", dataset, DESCRIPTIONS)
        )
    return DESCRIPTIONS[dataset](labels)
