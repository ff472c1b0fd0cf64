"""Label-offset sequences for networks with memory."""

import numpy as np
import tensorflow as tf

from keras_meta.checks import check_choice, check_integer
from keras_meta.data.class_table import (
    ClassTable,
    draw_rows,
    fold_seed,
)
from keras_meta.data.examples import read_examples, row_taker
from keras_meta.data.numbered_tasks import numbered_tasks
from keras_meta.sequence_losses import ENCODINGS, LETTERS
from keras_meta.typing import Augmentation, Examples, Labels, Tensor, TensorLike

STRINGS = LETTERS**LETTERS


def sequence_dataset(
    examples: Examples,
    labels: Labels,
    way: int,
    length: int,
    seed: int,
    start: int = 0,
    encoding: str = "one_hot",
    groups: Labels | None = None,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Draws an endless stream of sequences to be labelled step by step.

    At each step a model sees an example and the label of the step before,
    and predicts the label of the example. So it can only learn to bind
    examples to labels and to remember them (Santoro et al. 2016,
    "Meta-Learning with Memory-Augmented Neural Networks", section 2).

    Sequence `i` draws `way` classes, gives them labels at random, and shows
    `length` examples of them in random order. All examples are different,
    and the classes have `length / way` each; if that is no whole number,
    classes drawn at random have one more than the others. The paper shows 10
    of each class, such as 5 classes at length 50. The sequence depends on
    `(seed, i)` alone, so the stream is the same on every machine, `shard`
    splits it, and `start` resumes it.

    How often its class has been shown up to a step follows from the target:
    see `keras_meta.metrics.instance_index` and `InstanceAccuracy`.

    Args:
        examples: Array `(n, ...)` or image source, as for `episode_dataset`.
        labels: Array `(n,)` of any kind; equal labels are one class.
        way: Classes in a sequence, at least 2.
        length: Steps of a sequence, at least 2 and at least `way`.
        seed: Integer: which stream.
        start: Integer, at least 0: the first sequence.
        encoding: How labels are written. `"one_hot"`: `way` columns.
            `"letters"`: each class has a string of five letters a to e,
            drawn from all 3,125 so that no two classes of a sequence share
            one, as five one-hot rows of five, 25 columns. They suit many
            classes (section 4.2); the loss is
            `keras_meta.sequence_losses.StringCrossentropy`.
        groups: Optional array `(n,)`: all classes of a sequence come from
            one group (an alphabet, say). See `label_groups`.
        augmentation: Optional function `(images, classes, seed) -> images`;
            see `keras_meta.data.augmentation`.

    Returns:
        A `tf.data.Dataset` without end of `(sequence, target)`. The sequence
        is a dict: `sequence_x (length, ...)` and `previous_y (length,
        columns)`, whose first row is zero and whose row `t` is the row `t -
        1` of the `target (length, columns)`; all float32. `.batch(n)` makes
        batches of `n` sequences.

    Raises:
        ValueError: If a number is out of range, if there are fewer classes
            than `way` (in every group), if a class has fewer examples than a
            sequence may show, if `encoding` is unknown, if there are fewer
            strings than `way`, or if values are NaN or out of range.

    Example:

    >>> images = np.zeros((12, 20, 20, 1), "uint8")
    >>> labels = np.repeat(["cat", "dog", "hen"], 4)
    >>> sequences = sequence_dataset(images, labels, way=2, length=8, seed=0)
    >>> sequence, target = next(iter(sequences.batch(16)))
    >>> sequence["sequence_x"].shape.as_list(), target.shape.as_list()
    ([16, 8, 20, 20, 1], [16, 8, 2])
    >>> bool((sequence["previous_y"][:, 1:] == target[:, :-1]).numpy().all())
    True
    """
    way = check_integer("way", way, 2)
    length = check_integer("length", length, 2)
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    check_choice("encoding", encoding, ENCODINGS)
    if encoding == "letters" and way > STRINGS:
        raise ValueError(
            f"`way` must not exceed the number of strings of {LETTERS} "
            f"letters, {STRINGS}. Received: way={way}"
        )
    examples = read_examples(examples)
    table = ClassTable(examples, labels, groups)
    table.check(way, 0, 0)
    _check_length(table, way, length)
    take = row_taker(examples)

    def draw(index):
        rows, classes = _draw_steps(table, way, length, seed, index)
        sequence_x = take(rows)
        if augmentation is not None:
            sequence_x = augmentation(
                sequence_x, classes, fold_seed(seed, index)
            )
        if encoding == "letters":
            strings = _draw_strings(way, _another_seed(seed, index, 1))
            target = tf.gather(strings, classes)
        else:
            target = tf.one_hot(classes, way)
        sequence = {
            "sequence_x": sequence_x,
            "previous_y": previous_labels(target),
        }
        return sequence, target

    return numbered_tasks(draw, start)


def previous_labels(target: TensorLike) -> Tensor:
    """What a model sees of the labels: at each step that of the step before.

    Args:
        target: Tensor `(steps, columns)`.

    Returns:
        Tensor `(steps, columns)`: a zero row, then all but the last.
    """
    return tf.concat([tf.zeros_like(target[:1]), target[:-1]], axis=0)


def _check_length(table, way, length):
    if length < way:
        raise ValueError(
            "`length` must be at least `way`, so that every class appears. "
            f"Received: length={length}, way={way}"
        )
    smallest = int(np.argmin(table.sizes))
    size = int(table.sizes[smallest])
    if length > way * size:
        raise ValueError(
            "`length` must not exceed `way` times the number of examples of "
            f"any class, as no example is shown twice; class "
            f"{table.names[smallest]!s} has {size}. "
            f"Received: length={length}, way={way}"
        )


def _draw_steps(table, way, length, seed, index):
    """The rows `(length,)` of the examples, and the class of each step.

    Steps are the rows of an episode without support examples, in whose
    random order classes are mixed. Where `length` is no multiple of `way`,
    the episode has one support example of each class, in random order: the
    first of them are the steps left over.
    """
    each, left_over = divmod(length, way)
    shot = min(left_over, 1)
    rows, classes, support, _ = draw_rows(
        table, (way, way), (shot, shot), each, (seed, index)
    )
    if not left_over:
        return rows, classes
    uniform = tf.random.stateless_uniform(
        (length,), _another_seed(seed, index, 2)
    )
    order = tf.math.top_k(uniform, length).indices
    # The support rows that are not steps stand between those that are.
    order = tf.where(order < left_over, order, order + support - left_over)
    return tf.gather(rows, order), tf.gather(classes, order)


def _draw_strings(way, seed):
    """`(way, 25)` float32: different strings, as five one-hot rows each."""
    uniform = tf.random.stateless_uniform((STRINGS,), seed)
    numbers = tf.math.top_k(uniform, way).indices
    powers = tf.constant([LETTERS**place for place in range(LETTERS)])
    letters = numbers[:, None] // powers % LETTERS
    return tf.reshape(tf.one_hot(letters, LETTERS), (way, LETTERS**2))


def _another_seed(seed, index, number):
    """A seed `(2,)` of sequence `index` that nothing else draws with."""
    return tf.random.experimental.stateless_fold_in(
        fold_seed(seed, index), number
    )
