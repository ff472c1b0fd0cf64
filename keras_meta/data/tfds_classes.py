"""The classes of any labelled image data set of TensorFlow Datasets."""

from collections.abc import Sequence

import numpy as np

from keras_meta.checks import check_choice, check_integer, check_number
from keras_meta.data import tfds_package
from keras_meta.data.encoded_images import (
    EncodedImages,
    loader_preprocessing,
)
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size

PARTS = ("train", "validation", "test")


def load_tfds(
    name: str,
    class_split: str,
    size: Size | None = None,
    channels: int | None = None,
    ink: bool | None = None,
    fractions: tuple[float, float, float] = (0.64, 0.16, 0.20),
    seed: int = 0,
    classes: Sequence[str] | None = None,
    split: str = "all",
    data_dir: Path | None = None,
    image_key: str = "image",
    label_key: str = "label",
    preprocessing: Preprocessing | None = None,
) -> tuple[EncodedImages, np.ndarray]:
    """Loads the pictures of some of the classes of a TFDS data set.

    Meta-learning is measured on classes that training has never seen, so the
    *classes* are split, not the examples: `"train"`, `"validation"` and
    `"test"` are disjoint parts, drawn with `seed`. Their default proportions
    are those of CIFAR-FS (Bertinetto et al., "Meta-learning with
    differentiable closed-form solvers", 2019: 64, 16 and 20 of the 100
    classes of CIFAR-100). A published split is passed as `classes`.

    The data set is downloaded by `tfds.load` if it is not there yet. The
    encoded pictures are kept in memory and decoded per episode.

    Args:
        name: Name of the data set, such as `"cifar100"`, with a config and
            version where wanted.
        class_split: `"train"`, `"validation"` or `"test"`, or a key of
            `classes`.
        size: Positive integer, or a pair `(height, width)`: pixels. None if
            there is a `preprocessing`.
        channels: 1 (grey) or 3 (RGB), the default.
        ink: Whether the pictures are drawings, wanted as bright ink on a
            dark ground (see `Preprocessing`); False by default.
        fractions: Shares of the classes in `"train"`, `"validation"` and
            `"test"`; they sum to 1.
        seed: Integer in `[0, 2**32)`: which classes go where.
        classes: Optional mapping from names of parts to lists of class
            names, instead of `fractions` and `seed`.
        split: Which examples of these classes, in the form of `tfds.load`.
        data_dir: Where the data sets are; None for the default of TFDS.
        image_key: The feature that holds the picture.
        label_key: The feature that holds the class.
        preprocessing: A `Preprocessing` instead of `size`, `channels` and
            `ink`, such as `model.preprocessing`, which knows the
            interpolation and the range of values too.

    Returns:
        Pair `(examples, labels)`: `EncodedImages` of the shape
        `(n, *size, channels)`, and an array `(n,)` of class names (str).

    Raises:
        ValueError: If the data set lacks such features, for an unknown
            `class_split`, `fractions` that do not sum to 1, a `seed` out of
            range, `classes` that overlap or that the data set lacks, a part
            of fewer than two classes, a split with unlabelled examples, or a
            `size` and a `preprocessing` or neither.
    """
    tfds = tfds_package.load()

    preprocessing = loader_preprocessing(size, channels, ink, preprocessing)
    features = tfds.builder(name, data_dir=data_dir).info.features
    _check_features(name, features, image_key, label_key)
    int2str = features[label_key].int2str
    names = [int2str(i) for i in range(features[label_key].num_classes)]
    if classes is None:
        classes = _draw_classes(names, fractions, seed)
    chosen = _choose_classes(names, classes, class_split)

    dataset = tfds.load(
        name,
        split=split,
        data_dir=data_dir,
        decoders=tfds.decode.PartialDecoding(
            dict.fromkeys((image_key, label_key), True),
            decoders={image_key: tfds.decode.SkipDecoding()},
        ),
    )
    pictures, labels = [], []
    for example in tfds.as_numpy(dataset):
        index = int(example[label_key])
        if index < 0:
            raise ValueError(
                "Every example must be labelled; name the splits that are, "
                f"such as 'train+test'. Received: split='{split}'"
            )
        if names[index] in chosen:
            pictures.append(example[image_key])
            labels.append(names[index])
    return EncodedImages(pictures, preprocessing), np.array(labels, dtype=str)


def _check_features(name, features, image_key, label_key):
    """Raises a ValueError unless there are pictures and class labels."""
    tfds = tfds_package.load()
    kinds = {
        image_key: tfds.features.Image,
        label_key: tfds.features.ClassLabel,
    }
    for key, kind in kinds.items():
        if not isinstance(dict(features).get(key), kind):
            raise ValueError(
                "`image_key` and `label_key` must name features of the kinds "
                f"Image and ClassLabel. Received: name='{name}', '{key}' of "
                f"the features {dict(features)}"
            )
    # TFDS stores a float picture as a PNG of its bytes, which are no colours.
    if features[image_key].np_dtype not in (np.uint8, np.uint16):
        raise ValueError(
            "The pictures must be of 8 or 16 bits. Received: "
            f"name='{name}' with the feature {features[image_key]}"
        )


def _draw_classes(names, fractions, seed):
    """Mapping of the three parts to disjoint random lists of names."""
    fractions = _check_fractions(fractions)
    seed = check_integer("seed", seed, 0)
    # RandomState is frozen: a seed keeps its meaning in every NumPy.
    order = np.random.RandomState(seed).permutation(sorted(names)).tolist()
    ends = np.round(np.cumsum(fractions) * len(names)).astype(int)
    starts = (0, *ends[:-1])
    return {
        part: order[start:end]
        for part, start, end in zip(PARTS, starts, ends, strict=True)
    }


def _check_fractions(fractions):
    """The three shares as numbers, or a ValueError."""
    try:
        shares = [check_number("fractions", share) for share in fractions]
    except (TypeError, ValueError):
        shares = []
    if (
        len(shares) != len(PARTS)
        or min(shares) < 0
        or abs(sum(shares) - 1) > 1e-6
    ):
        raise ValueError(
            "`fractions` must be three shares, of train, validation and test "
            f"classes, that sum to 1. Received: fractions={fractions}"
        )
    return shares


def _choose_classes(names, classes, class_split):
    """Set of the names in one part, after checks of all parts."""
    check_choice("class_split", class_split, classes)
    listed = [n for part in classes.values() for n in part]
    unknown = sorted(set(listed) - set(names))
    if unknown:
        raise ValueError(
            "`classes` must be class names of the data set, such as "
            f"{names[:5]}. Received: {unknown[:5]} ({len(unknown)} unknown)"
        )
    if len(set(listed)) < len(listed):
        twice = sorted({n for n in listed if listed.count(n) > 1})
        raise ValueError(
            "`classes` must list every class once, as its parts are "
            f"disjoint. Received: more than once: {twice[:5]}"
        )
    chosen = set(classes[class_split])
    if len(chosen) < 2:
        raise ValueError(
            "A part must have at least two classes to tell apart. "
            f"Received: class_split={class_split!r} with {len(chosen)} of the "
            f"{len(names)} classes"
        )
    return chosen
