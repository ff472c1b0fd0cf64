"""Peer of `episode_dataset`: a sampler in plain Python.

Most few-shot libraries have one like it.
"""

import random

import numpy as np

from benchmarks.hyperparameters import META_BATCH
from benchmarks.workers import Step


def python_episodes(images, codes, setting, seed):
    """Draws episodes image by image, without end.

    Args:
        images: uint8 `(n, height, width, channels)`.
        codes: `(n,)`, the class of each image.
        setting: `benchmarks.episodes.Setting`.
        seed: Integer.

    Yields:
        `(support_x, support_y, query_x, query_y)`: float32 images in
        `[0, 1]`, and the integer labels of their classes in the episode.
    """
    members = {}
    for row, code in enumerate(codes.tolist()):
        members.setdefault(code, []).append(row)
    classes = list(members)
    rng = random.Random(seed)
    while True:
        support_x, support_y, query_x, query_y = [], [], [], []
        for position, code in enumerate(rng.sample(classes, setting.way)):
            rows = rng.sample(members[code], setting.shot + setting.queries)
            for number, row in enumerate(rows):
                image = images[row].astype("float32") / 255
                is_support = number < setting.shot
                (support_x if is_support else query_x).append(image)
                (support_y if is_support else query_y).append(position)
        yield (
            np.stack(support_x),
            np.array(support_y),
            np.stack(query_x),
            np.array(query_y),
        )


def python_step(images, codes, setting):
    """Draws a meta-batch through the sampler."""
    episodes = python_episodes(images, codes, setting, seed=0)

    def run():
        drawn = [next(episodes) for _ in range(META_BATCH)]
        return [np.stack(parts) for parts in zip(*drawn, strict=True)]

    return Step(run)
