"""Rotated images as new classes (Vinyals et al. 2016)."""

import numpy as np


def rotations_as_classes(examples, labels):
    """Adds the images turned by 90, 180 and 270 degrees as new classes.

    Args:
        examples: Array `(n, height, width, channels)` of square images.
        labels: Array `(n,)` of str.

    Returns:
        Pair of arrays of length `4 n`: the images, turned counter-clockwise,
        and labels `label/000`, `label/090`, `label/180`, `label/270`. In
        sorted order, class `4 * i + k` is label `i` after `k` quarter turns.
    """
    turned = [np.rot90(examples, turns, axes=(1, 2)) for turns in range(4)]
    names = [
        np.char.add(np.asarray(labels, str), f"/{90 * turns:03d}")
        for turns in range(4)
    ]
    return np.concatenate(turned), np.concatenate(names)
