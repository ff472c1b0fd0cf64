"""Episodes: few-shot tasks drawn from a set of labelled examples."""

import numpy as np
import tensorflow as tf

from keras_meta.checks import check_integer
from keras_meta.data.class_table import (
    ClassTable,
    draw_rows,
    fold_seed,
)
from keras_meta.data.examples import read_examples, row_taker
from keras_meta.data.labels import label_array
from keras_meta.data.numbered_tasks import numbered_tasks
from keras_meta.typing import Augmentation, Examples, Labels


def episode_dataset(
    examples: Examples,
    labels: Labels,
    way: int | tuple[int, int],
    shot: int | tuple[int, int],
    queries: int,
    seed: int,
    start: int = 0,
    groups: Labels | None = None,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Draws an endless stream of episodes.

    Episode `i` draws `way` classes, gives them the positions 0 to `way - 1`
    in random order, and draws `shot + queries` different examples of each.
    It depends on `(seed, i)` alone, so the stream is the same on every
    machine, `shard` splits it, and `start` resumes it.

    With a range for `way` or `shot`, each episode draws its own number from
    it and is padded to the largest. Padding repeats examples of the episode
    and has zero rows as labels; the elements get a third part, the sample
    weights, which are 0 for padded queries.

    Args:
        examples: Array, tensor, DataFrame or list `(n, ...)` of numbers, or
            an image source with `shape` and `take(indices)`. Images (rank 4)
            are integers 0 to 255 or floats 0 to 1 and become floats 0 to 1.
            uint8 of any rank stays uint8 in memory and is divided by 255
            when drawn. Other values need only be finite.
        labels: List, array, tensor or pandas Series of `n` labels of one
            kind: str, numbers, members of an enum, or any other kind that
            can be sorted. Equal labels are one class.
        way: Classes in an episode, at least 2, or a pair `(least, most)`.
        shot: Support examples of a class, at least 1, or a pair.
        queries: Query examples of a class, at least 0.
        seed: Integer: which stream.
        start: Integer, at least 0: the first episode.
        groups: Optional group of each example, in the form of `labels`: all
            classes of an episode come from one group (an alphabet, say). See
            `label_groups`.
        augmentation: Optional function `(images, classes, seed) -> images`;
            see `keras_meta.data.augmentation`.

    Returns:
        A `tf.data.Dataset` without end of `(episode, query_y)`, padded ones
        `(episode, query_y, sample_weight)`. The episode is a dict:
        `support_x (way * shot, ...)`, `support_y (way * shot, way)`,
        `query_x (way * queries, ...)`; the target `query_y (way * queries,
        way)`; all float32. Rows are in random order. `.batch(n)` makes
        meta-batches of `n` tasks.

    Raises:
        ValueError: If a number is out of range, if there are fewer classes
            than `way` (in every group), if a class has fewer examples than
            `shot + queries`, if labels are missing (None, NaN) or of several
            kinds, or if examples are of unequal shapes, sparse, without any
            value, NaN or out of range.

    Example:

    >>> images = np.zeros((12, 28, 28, 1), "uint8")
    >>> labels = np.repeat(["cat", "dog", "hen"], 4)
    >>> episodes = episode_dataset(
    ...     images, labels, way=2, shot=1, queries=3, seed=0)
    >>> episode, query_y = next(iter(episodes.batch(16)))
    >>> episode["support_x"].shape.as_list(), query_y.shape.as_list()
    ([16, 2, 28, 28, 1], [16, 6, 2])
    """
    way_range = _number_or_range("way", way, 2)
    shot_range = _number_or_range("shot", shot, 1)
    queries = check_integer("queries", queries, 0)
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    examples = read_examples(examples)
    table = ClassTable(examples, labels, groups)
    table.check(way_range[1], shot_range[1], queries)
    take = row_taker(examples)
    padded = len(set(way_range)) > 1 or len(set(shot_range)) > 1

    def draw(index):
        rows, classes, support, weight = draw_rows(
            table, way_range, shot_range, queries, (seed, index)
        )
        if augmentation is None:
            # Two calls of `take` cost less than slicing the result of one.
            support_x, query_x = take(rows[:support]), take(rows[support:])
        else:
            seed_of_its_own = fold_seed(seed, index)
            values = augmentation(take(rows), classes, seed_of_its_own)
            support_x, query_x = values[:support], values[support:]
        targets = tf.one_hot(classes, way_range[1]) * weight[:, None]
        query_y = targets[support:]
        episode = {
            "support_x": support_x,
            "support_y": targets[:support],
            "query_x": query_x,
        }
        if padded:
            return episode, query_y, weight[support:]
        return episode, query_y

    return numbered_tasks(draw, start)


def label_groups(labels: Labels) -> np.ndarray:
    """The group of each label: its part before the first slash.

    Args:
        labels: Array `(n,)` of str such as `alphabet/character`.

    Returns:
        Array `(n,)` of str, for `episode_dataset(groups=...)`.

    Raises:
        ValueError: If labels are missing or of several kinds.

    >>> label_groups(["Greek/alpha", "Greek/beta", "Latin/a"]).tolist()
    ['Greek', 'Greek', 'Latin']
    """
    return np.array([str(label).split("/")[0] for label in label_array(labels)])


def _number_or_range(name, value, least):
    """`(low, high)` of a number or a pair of numbers."""
    is_pair = isinstance(value, tuple | list) or np.ndim(value) == 1
    pair = tuple(value) if is_pair else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be a number or a pair (least, most). "
            f"Received: {name}={value!r}"
        )
    pair = tuple(check_integer(name, number) for number in pair)
    if pair[0] < least:
        raise ValueError(
            f"`{name}` must be at least {least}. Received: {name}={value!r}"
        )
    if pair[0] > pair[1]:
        raise ValueError(
            f"`{name}` must be ordered (least, most). "
            f"Received: {name}={value!r}"
        )
    return pair
