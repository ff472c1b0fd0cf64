"""Rotated images as new classes (Vinyals et al. 2016)."""

import numpy as np

from keras_meta.arrays import number_array
from keras_meta.data.labels import label_array
from keras_meta.typing import Labels


def rotations_as_classes(
    examples: np.ndarray, labels: Labels
) -> tuple[np.ndarray, np.ndarray]:
    """Adds the images turned by 90, 180 and 270 degrees as new classes.

    Args:
        examples: Array `(n, height, width, channels)` of square images.
        labels: Array `(n,)` of str.

    Returns:
        Pair of arrays of length `4 n`: the images, turned counter-clockwise,
        and labels `label/000`, `label/090`, `label/180`, `label/270`. In
        sorted order, class `4 * i + k` is label `i` after `k` quarter turns.

    Raises:
        ValueError: If the images are not of rank 4 and square, or labels are
            missing or of several kinds.
    """
    examples = number_array(examples, "examples")
    labels = label_array(labels)
    if examples.ndim != 4 or examples.shape[1] != examples.shape[2]:
        raise ValueError(
            "`examples` must be square images (n, size, size, channels). "
            f"Received: examples of shape {examples.shape}"
        )
    if labels.shape != examples.shape[:1]:
        raise ValueError(
            "`labels` must hold one label for each example. Received: "
            f"{len(examples)} examples and labels of shape {labels.shape}"
        )
    turned = [np.rot90(examples, turns, axes=(1, 2)) for turns in range(4)]
    names = [
        np.char.add(labels.astype(str), f"/{90 * turns:03d}")
        for turns in range(4)
    ]
    return np.concatenate(turned), np.concatenate(names)
