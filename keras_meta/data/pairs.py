"""Verification pairs: are these two examples of one class?"""

import numpy as np
import tensorflow as tf

from keras_meta.checks import check_integer
from keras_meta.data.class_table import (
    PARALLEL_CALLS,
    ClassTable,
    fold_seed,
)
from keras_meta.data.examples import read_examples, row_taker
from keras_meta.typing import Augmentation, Examples, Labels

# Pairs drawn in a call: a call for each would cost more than its work. Four
# times as many would be a fifth faster for images of 28 pixels, no faster for
# 105, and take four times the memory. With another number, a seed gives other
# pairs.
BLOCK = 64


def pair_dataset(
    examples: Examples,
    labels: Labels,
    seed: int,
    start: int = 0,
    groups: Labels | None = None,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Draws an endless stream of pairs of examples, same class or different.

    A pair is an episode of one class with one support example: the target of
    the query is 1 if it is of the support's class, and 0 if not. A same pair
    is two different examples of one class, a different pair one example of
    each of two classes, all drawn uniformly (Koch et al. 2015, "Siamese
    Neural Networks for One-shot Image Recognition", section 4.1).

    Of the elements `2 * k` and `2 * k + 1` one is a same and one a different
    pair, in random order, so a batch of even size is exactly half and half.
    Element `i` depends on `(seed, i)` alone, so the stream is the same on
    every machine, `shard` splits it, and `start` resumes it.

    Args:
        examples: Array `(n, ...)` or image source, as for `episode_dataset`.
        labels: `n` labels, as for `episode_dataset`.
        seed: Integer: which stream.
        start: Integer, at least 0: the first pair.
        groups: Optional group of each example, as for `episode_dataset`:
            each pair draws a group (an alphabet, say) first, all being
            equally likely whatever their size, and then its class or both
            its classes from it. See `label_groups`.
        augmentation: Optional function `(images, classes, seed) -> images`;
            see `keras_meta.data.augmentation`. It gets the images of many
            pairs at once, and `classes` that are equal for the two images of
            a same pair and different for all others: `Affine()` distorts
            each image by itself, as in the paper.

    Returns:
        A `tf.data.Dataset` without end of `(episode, query_y)`. The episode
        is a dict: `support_x (1, ...)`, `support_y (1, 1)` of ones,
        `query_x (1, ...)`; the target `query_y (1, 1)` is 0 or 1; all
        float32. `.batch(n)` makes batches of `n` pairs.

    Raises:
        ValueError: If `seed` or `start` is out of range, if there are fewer
            than two classes (in any group), if a class has fewer than two
            examples or lies in several groups, if labels are missing or of
            several kinds, or if values are NaN or out of range.

    Example:

    >>> images = np.zeros((12, 28, 28, 1), "uint8")
    >>> labels = np.repeat(["cat", "dog", "hen"], 4)
    >>> pairs = pair_dataset(images, labels, seed=0)
    >>> episode, query_y = next(iter(pairs.batch(128)))
    >>> episode["query_x"].shape.as_list(), query_y.shape.as_list()
    ([128, 1, 28, 28, 1], [128, 1, 1])
    >>> float(query_y[:, 0, 0].numpy().mean())
    0.5
    """
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    examples = read_examples(examples)
    class_table = ClassTable(examples, labels, groups)
    _check_classes(class_table)
    group_table = _group_table(class_table)
    take = row_taker(examples)

    def draw(block):
        support, query, same = _draw_rows(
            class_table, group_table, (seed, block)
        )
        if augmentation is None:
            # Two calls of `take` cost less than slicing the result of one.
            support_x, query_x = take(support), take(query)
        else:
            pair = tf.range(BLOCK)
            classes = tf.concat(
                [pair, tf.where(same, pair, BLOCK + pair)], axis=0
            )
            images = take(tf.concat([support, query], axis=0))
            images = augmentation(images, classes, fold_seed(seed, block))
            support_x, query_x = images[:BLOCK], images[BLOCK:]
        episode = {
            "support_x": support_x[:, None],
            "support_y": tf.ones((BLOCK, 1, 1)),
            "query_x": query_x[:, None],
        }
        return episode, tf.cast(same, "float32")[:, None, None]

    blocks = tf.data.Dataset.counter(start // BLOCK)
    pairs = blocks.map(draw, num_parallel_calls=PARALLEL_CALLS).unbatch()
    return pairs.skip(start % BLOCK)


def _check_classes(table):
    """Raises a ValueError unless both kinds of pairs exist."""
    if len(table.names) < 2:
        raise ValueError(
            "`labels` must name at least two classes, as a different pair is "
            f"of two. Received: labels of the classes {table.names.tolist()}"
        )
    smallest = int(np.argmin(table.sizes))
    if table.sizes[smallest] < 2:
        raise ValueError(
            "`labels` must give each class at least two examples, as a same "
            "pair is two different ones of a class. Received: class "
            f"{table.names[smallest]!s} with {table.sizes[smallest]} example"
        )


def _group_table(class_table):
    """Which classes belong to which group; without groups, all to one."""
    if class_table.groups is None:
        names = np.zeros(len(class_table.names), "int32")
    else:
        names = class_table.group_names[class_table.groups]
    # A group has classes as members, as a class has examples.
    table = ClassTable(class_table.names, names, None)
    smallest = int(np.argmin(table.sizes))
    if table.sizes[smallest] < 2:
        raise ValueError(
            "`groups` must have at least two classes each, as the classes of "
            "a different pair come from one group. Received: group "
            f"{table.names[smallest]!s} with {table.sizes[smallest]} class"
        )
    return table


def _draw_rows(class_table, group_table, seed):
    """Draws the rows of one block of pairs.

    Returns:
        support, query: `(BLOCK,)` int32 row numbers of the examples.
        same: `(BLOCK,)` bool: whether both are of one class.
    """
    uniform = tf.random.stateless_uniform((6, BLOCK), seed)
    first_is_same = uniform[0, : BLOCK // 2] < 0.5
    same = tf.stack([first_is_same, tf.logical_not(first_is_same)], axis=1)
    same = tf.reshape(same, (BLOCK,))

    group = _below(len(group_table.names), uniform[1])
    classes = tf.gather(tf.constant(group_table.sizes, "int32"), group)
    place = _below(classes, uniform[2])
    other_place = _another(place, classes, uniform[3])
    support_class = _member(group_table, group, place)
    query_class = _member(
        group_table, group, tf.where(same, place, other_place)
    )

    sizes = tf.constant(class_table.sizes, "int32")
    support_size = tf.gather(sizes, support_class)
    query_size = tf.gather(sizes, query_class)
    place = _below(support_size, uniform[4])
    other_place = tf.where(
        same,
        _another(place, support_size, uniform[5]),
        _below(query_size, uniform[5]),
    )
    support = _member(class_table, support_class, place)
    query = _member(class_table, query_class, other_place)
    return support, query, same


def _below(bound, uniform):
    """Integers from 0 to `bound - 1`, from a uniform draw in [0, 1)."""
    drawn = tf.cast(uniform * tf.cast(bound, "float32"), "int32")
    return tf.minimum(drawn, bound - 1)


def _another(number, bound, uniform):
    """Integers from 0 to `bound - 1` without `number`, equally likely."""
    return (number + 1 + _below(bound - 1, uniform)) % bound


def _member(table, code, place):
    """The member at a place of a class or group."""
    return tf.gather_nd(
        tf.constant(table.members), tf.stack([code, place], axis=1)
    )
