"""mini-ImageNet, from your own files."""

import pathlib
from typing import Any

import numpy as np

from keras_meta.checks import check_choice
from keras_meta.data.encoded_images import EncodedImages
from keras_meta.data.image_folders import load_image_folder
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size

# How many classes each split has, and the names that it has in the releases.
CLASSES = {"train": 64, "validation": 16, "test": 20}
NAMES = {
    "train": ("train",),
    "validation": ("val", "validation"),
    "test": ("test",),
}
SIZE = 84


def load_mini_imagenet(
    directory: Path,
    split: str,
    size: Size | None = None,
    check: bool = False,
    preprocessing: Preprocessing | None = None,
) -> tuple[EncodedImages, np.ndarray]:
    """Loads photographs of mini-ImageNet (Vinyals et al. 2016).

    100 classes of 600 photographs, which no package may redistribute; the
    split into 64, 16 and 20 classes is that of Ravi and Larochelle (2017).
    The folder has either of two layouts:

    - `train`, `val` and `test`, each with one folder per class;
    - `images` with all files, and the public split files `train.csv`,
      `val.csv` and `test.csv` of two columns, `filename,label`.

    Photographs are decoded and resized when an episode asks for them.

    Args:
        directory: The folder.
        split: `"train"`, `"validation"` or `"test"`.
        size: Positive integer: pixels of each side; by default 84, as in the
            papers.
        check: Whether to decode every photograph once, now: see
            `load_image_folder`.
        preprocessing: A `Preprocessing` instead of `size`: see
            `load_image_folder`.

    Returns:
        Pair `(examples, labels)`: `EncodedImages` of the shape `(n, size,
        size, 3)`, and an array `(n,)` of str.

    Raises:
        ValueError: For an unknown split, a missing folder, or one of neither
            layout; as for `load_image_folder`; or if the split has another
            number of classes than in the paper.
    """
    check_choice("split", split, tuple(CLASSES))
    folder = pathlib.Path(directory)
    if preprocessing is None and size is None:
        size = SIZE
    options: dict[str, Any] = dict(
        size=size, check=check, preprocessing=preprocessing
    )
    for name in NAMES[split]:
        if (folder / name).is_dir():
            found = load_image_folder(folder / name, **options)
            break
        table = folder / f"{name}.csv"
        if table.is_file():
            found = load_image_folder(folder / "images", table=table, **options)
            break
    else:
        raise ValueError(
            "`directory` must hold mini-ImageNet: the folders train, val and "
            "test of one folder per class, or the folder images and the files "
            "train.csv, val.csv and test.csv (github.com/twitter-archive/"
            f"meta-learning-lstm, data/miniImagenet). Received: '{directory}'"
        )
    classes = len(set(found[1].tolist()))
    if classes != CLASSES[split]:
        raise ValueError(
            f"The split {split!r} of mini-ImageNet must have {CLASSES[split]} "
            f"classes. Received: '{directory}' with {classes}"
        )
    return found
