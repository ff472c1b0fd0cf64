"""Omniglot: 1623 handwritten characters, 20 drawings of each."""

import numpy as np

from keras_meta.checks import check_choice, check_integer
from keras_meta.data import tfds_package
from keras_meta.data.cache import cached_arrays
from keras_meta.data.rotations import rotations_as_classes
from keras_meta.preprocessing import Preprocessing, to_unit_range
from keras_meta.typing import Path

DRAWINGS = 20
# The alphabets of the split of Vinyals et al. (2016), as it was published
# with the code of Snell et al. (2017); the rest is for training.
VINYALS_VALIDATION = (
    "Armenian",
    "Bengali",
    "Early_Aramaic",
    "Hebrew",
    "Mkhedruli_(Georgian)",
)
VINYALS_TEST = (
    "Kannada",
    "Keble",
    "Malayalam",
    "Manipuri",
    "Mongolian",
    "Old_Church_Slavonic_(Cyrillic)",
    "Oriya",
    "Sylheti",
    "Syriac_(Serto)",
    "Tengwar",
    "Tibetan",
    "ULOG",
)
# One alphabet is in two splits: its characters from this number on are test.
VINYALS_STRADDLING = ("Gurmukhi", 42)
# The seed and the sizes of the random split over all characters.
RANDOM_SEED = 1
RANDOM_SIZES = {"train": 1100, "validation": 100, "test": 423}
PROTOCOLS = {
    "vinyals": ("train", "validation", "trainval", "test"),
    "lake": ("train", "test"),
    "random1200": ("train", "validation", "trainval", "test"),
}


def load_omniglot(
    split: str,
    protocol: str = "vinyals",
    rotations: bool = True,
    size: int = 28,
    cache_dir: Path | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Loads Omniglot (Lake et al. 2015) through TensorFlow Datasets.

    The images are reduced by area averaging and inverted, so ink is bright.
    They are decoded once and kept in the user's cache. TensorFlow Datasets
    downloads the data set on first use, into the folder of the environment
    variable `TFDS_DATA_DIR`.

    Args:
        split: `"train"`, `"validation"`, `"test"`, or `"trainval"` (train
            and validation, for a final training).
        protocol: Which characters are in which split:
            `"vinyals"`: 1028 / 172 / 423 characters by alphabet, the split
            of Matching and Prototypical Networks;
            `"lake"`: the data set's own background (964 characters, 30
            alphabets) and evaluation (659, 20 alphabets) sets; it has no
            validation split;
            `"random1200"`: 1100 / 100 / 423 characters at random, as for
            MAML and Reptile; it is easier, as splits share alphabets.
        rotations: Whether each character turned by 90, 180 and 270 degrees
            is a new class, which gives four times the classes.
        size: Height and width in pixels; the original is 105.
        cache_dir: Where the decoded arrays are kept; by default
            `keras_meta` in Keras' own folder.

    Returns:
        `(examples, labels)`: uint8 `(n, size, size, 1)` with ink 255, and
        str `(n,)`: `alphabet/character`, with rotations
        `alphabet/character/degrees`.

    Raises:
        ValueError: For an unknown protocol, a split it does not have, or a
            size that is not a positive integer.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    size = check_integer("size", size, 1)
    if split not in PROTOCOLS[protocol]:
        raise ValueError(
            f"`split` must be one of {PROTOCOLS[protocol]} for the protocol "
            f"{protocol!r}. Received: split={split!r}"
        )
    arrays = cached_arrays(
        f"omniglot_{size}_v1", lambda: _decode(size), cache_dir
    )
    chosen = _members(split, protocol, arrays)
    examples = arrays["examples"][chosen]
    labels = np.char.add(
        np.char.add(arrays["alphabet"][chosen], "/character"),
        np.char.zfill(arrays["character"][chosen].astype(str), 2),
    )
    if rotations:
        return rotations_as_classes(examples, labels)
    return examples, labels


def _decode(size):
    """All 32,460 drawings as arrays, ordered by character."""
    tfds = tfds_package.load()
    prepare = Preprocessing(size=size, ink=True)
    parts = {"train": "background", "test": "evaluation"}
    columns = {"examples": [], "alphabet": [], "character": [], "part": []}
    for split, part in parts.items():
        dataset, info = tfds.load("omniglot", split=split, with_info=True)
        names = np.array(info.features["alphabet"].names)
        for batch in dataset.batch(500).as_numpy_iterator():
            # Three equal channels; one is enough.
            scans = to_unit_range(batch["image"][..., :1], "images")
            images = prepare.resize(scans)
            columns["examples"].append(np.round(255 * images).astype("uint8"))
            columns["alphabet"].append(names[batch["alphabet"]])
            # TFDS counts the characters of an alphabet from 0, the data
            # set's own files from 1.
            columns["character"].append(batch["alphabet_char_id"] + 1)
            columns["part"].append(np.full(len(images), part))
    arrays = {key: np.concatenate(value) for key, value in columns.items()}
    # A stable sort: the drawings of a character keep the order of TFDS.
    order = np.lexsort((arrays["character"], arrays["alphabet"]))
    return {key: value[order] for key, value in arrays.items()}


def _members(split, protocol, arrays):
    """Boolean `(n,)`: which drawings a split of a protocol holds."""
    if protocol == "lake":
        part = {"train": "background", "test": "evaluation"}[split]
        return arrays["part"] == part
    if split == "trainval":
        return ~_members("test", protocol, arrays)
    if protocol == "random1200":
        # Drawings are sorted by character, DRAWINGS of each.
        characters = len(arrays["part"]) // DRAWINGS
        # RandomState is frozen: the split is the same in every NumPy.
        shuffled = np.random.RandomState(RANDOM_SEED).permutation(characters)
        bounds = np.cumsum([0, *RANDOM_SIZES.values()])
        index = list(RANDOM_SIZES).index(split)
        chosen = shuffled[bounds[index] : bounds[index + 1]]
        return np.repeat(np.isin(np.arange(characters), chosen), DRAWINGS)
    alphabet, first = VINYALS_STRADDLING
    test = np.isin(arrays["alphabet"], VINYALS_TEST) | (
        (arrays["alphabet"] == alphabet) & (arrays["character"] >= first)
    )
    validation = np.isin(arrays["alphabet"], VINYALS_VALIDATION)
    return {
        "train": ~test & ~validation,
        "validation": validation,
        "test": test,
    }[split]
