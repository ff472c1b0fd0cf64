"""Zero-shot episodes: classes given by descriptions, not by examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_meta.arrays import as_array, as_numbers
from keras_meta.checks import check_integer
from keras_meta.data.class_table import (
    ClassTable,
    draw_rows,
    fold_seed,
)
from keras_meta.data.examples import read_examples, row_taker
from keras_meta.data.numbered_tasks import numbered_tasks
from keras_meta.typing import Augmentation, Examples, Labels


def zero_shot_dataset(
    examples: Examples,
    labels: Labels,
    descriptions: Mapping[Any, ArrayLike] | ArrayLike,
    way: int,
    queries: int,
    seed: int,
    start: int = 0,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Draws an endless stream of zero-shot episodes.

    Episode `i` draws `way` classes, gives them the positions 0 to `way - 1`
    in random order, and draws `queries` different examples of each. The
    support set is one description of each class instead of examples (Snell
    et al. 2017, "Prototypical Networks for Few-shot Learning", section 2.7).
    The episode depends on `(seed, i)` alone, so the stream is the same on
    every machine, `shard` splits it, and `start` resumes it.

    Args:
        examples: Array `(n, ...)` or image source, as for `episode_dataset`.
        labels: `n` labels, as for `episode_dataset`.
        descriptions: Dict with a vector `(attributes,)` for each label, and
            perhaps for others, a DataFrame whose index holds the labels, or
            an array `(classes, attributes)` in the order of the sorted
            labels. Numbers of any range.
        way: Classes in an episode, at least 2; at most all of them.
        queries: Query examples of a class, at least 1.
        seed: Integer: which stream.
        start: Integer, at least 0: the first episode.
        augmentation: Optional function `(images, classes, seed) -> images`
            for the queries; see `keras_meta.data.augmentation`.

    Returns:
        A `tf.data.Dataset` without end of `(episode, query_y)`. The episode
        is a dict: `support_x (way, attributes)`, the descriptions by
        position; `support_y (way, way)`, the identity; `query_x (way *
        queries, ...)` in random order. The target is `query_y (way *
        queries, way)`; all float32. `.batch(n)` makes meta-batches.

    Raises:
        ValueError: If a number is out of range, if there are fewer classes
            than `way`, if a class has fewer examples than `queries` or no
            description, if descriptions are not vectors of one length, if
            labels are missing or of several kinds, or if values are NaN or
            infinite, or out of range in `examples`.

    Example:

    >>> images = np.zeros((12, 28, 28, 1), "uint8")
    >>> labels = np.repeat(["bee", "cat", "hen"], 4)
    >>> legs_and_wings = {"bee": [6, 4], "cat": [4, 0], "hen": [2, 2]}
    >>> episodes = zero_shot_dataset(
    ...     images, labels, legs_and_wings, way=2, queries=3, seed=0)
    >>> episode, query_y = next(iter(episodes.batch(16)))
    >>> episode["support_x"].shape.as_list(), query_y.shape.as_list()
    ([16, 2, 2], [16, 6, 2])
    """
    way = check_integer("way", way, 2)
    queries = check_integer("queries", queries, 1)
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    examples = read_examples(examples)
    table = ClassTable(examples, labels, None)
    table.check(way, 0, 0)
    _check_sizes(table, queries)
    codes = tf.constant(table.codes, "int32")
    vectors = tf.constant(_vectors(descriptions, table.names))
    take = row_taker(examples)

    def draw(index):
        # An episode without support examples: all its rows are queries.
        rows, positions, _, _ = draw_rows(
            table, (way, way), (0, 0), queries, (seed, index)
        )
        # All rows of a position are of one class, which is their maximum.
        classes = tf.math.unsorted_segment_max(
            tf.gather(codes, rows), positions, way
        )
        query_x = take(rows)
        if augmentation is not None:
            query_x = augmentation(query_x, positions, fold_seed(seed, index))
        episode = {
            "support_x": tf.gather(vectors, classes),
            "support_y": tf.eye(way),
            "query_x": query_x,
        }
        return episode, tf.one_hot(positions, way)

    return numbered_tasks(draw, start)


def _check_sizes(table, queries):
    smallest = int(np.argmin(table.sizes))
    size = int(table.sizes[smallest])
    if size < queries:
        raise ValueError(
            "`queries` must not exceed the number of examples of any class; "
            f"class {table.names[smallest]!s} has {size}. "
            f"Received: queries={queries}"
        )


def _vectors(descriptions, names):
    """float32 `(classes, attributes)`, in the order of `names`."""
    listed = names.tolist()
    if hasattr(descriptions, "iloc"):
        # The rows of a table are named; if by the labels, their order is not
        # that of the classes.
        rows = dict(
            zip(descriptions.index, as_array(descriptions), strict=True)
        )
        if all(name in rows for name in listed):
            descriptions = rows
    if isinstance(descriptions, dict):
        descriptions = _in_order(descriptions, listed)
    vectors = _float32(descriptions)
    if vectors.ndim != 2 or len(vectors) != len(names):
        raise ValueError(
            "`descriptions` must be a dict of vectors, or an array with a "
            f"row for each of the {len(names)} classes. "
            f"Received: an array of shape {vectors.shape}"
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(
            "`descriptions` must be finite. Received: NaN or infinite values "
            f"for class {names[np.argmin(finite)]!s}"
        )
    return vectors


def _in_order(descriptions, names):
    missing = [name for name in names if name not in descriptions]
    if missing:
        raise ValueError(
            "`descriptions` must describe every class. Received: nothing for "
            f"{len(missing)} of {len(names)} classes, such as {missing[0]}"
        )
    vectors = [_float32(descriptions[name]) for name in names]
    for name, vector in zip(names, vectors, strict=True):
        if vector.ndim != 1 or vector.shape != vectors[0].shape:
            raise ValueError(
                "`descriptions` must be vectors of one length. Received: "
                f"shape {vectors[0].shape} for class {names[0]}, "
                f"{vector.shape} for class {name}"
            )
    return vectors


def _float32(descriptions):
    # What a tensor or a table raises depends on its library.
    try:
        return as_numbers(as_array(descriptions)).astype("float32")
    except Exception as error:
        raise ValueError(
            "`descriptions` must be a dict of vectors, or an array, tensor or "
            f"DataFrame of numbers. Received: {error}"
        ) from error
