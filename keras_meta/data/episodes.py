"""Episodes: few-shot tasks drawn from a set of labelled examples."""

import numpy as np
import tensorflow as tf

from keras_meta.preprocessing import to_unit_range

# A fixed number instead of AUTOTUNE, which allows so short a queue of so
# small calls that waking threads takes a third of the time.
PARALLEL_CALLS = 16


def episode_dataset(
    examples,
    labels,
    way,
    shot,
    queries,
    seed,
    start=0,
    groups=None,
    augmentation=None,
):
    """Draws an endless stream of episodes.

    Episode `i` draws `way` classes, gives them the positions 0 to `way - 1`
    in random order, and draws `shot + queries` different examples of each.
    It depends on `(seed, i)` alone, so the stream is the same on every
    machine, `shard` splits it, and `start` resumes it.

    With a range for `way` or `shot`, each episode draws its own number from
    it and is padded to the largest: padding repeats examples of the episode,
    its support labels are zero rows, and the elements get a third part, the
    sample weights, that is 0 on padded queries.

    Args:
        examples: Array `(n, ...)`, or an image source with `shape` and
            `take(indices)`. Images (rank 4) are integers 0 to 255 or floats
            0 to 1 and become floats 0 to 1; uint8 of any rank is divided by
            255 when drawn and so keeps its size in memory. Other values need
            only be finite.
        labels: Array `(n,)` of any kind; equal labels are one class.
        way: Classes in an episode, at least 2, or a pair `(least, most)`.
        shot: Support examples of a class, at least 1, or a pair.
        queries: Query examples of a class, at least 0.
        seed: Integer: which stream.
        start: Integer, at least 0: the first episode.
        groups: Optional array `(n,)`: all classes of an episode come from
            one group (an alphabet, say). See `label_groups`.
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
            `shot + queries`, or if values are NaN or out of range.

    Example:

    >>> images = np.zeros((12, 28, 28, 1), "uint8")
    >>> labels = np.repeat(["cat", "dog", "hen"], 4)
    >>> episodes = episode_dataset(
    ...     images, labels, way=2, shot=1, queries=3, seed=0)
    >>> episode, query_y = next(iter(episodes.batch(16)))
    >>> episode["support_x"].shape.as_list(), query_y.shape.as_list()
    ([16, 2, 28, 28, 1], [16, 6, 2])
    """
    way_range = _number_or_range("way", way, 2, "a task needs a choice")
    shot_range = _number_or_range("shot", shot, 1, "a class needs a support")
    check_integer("queries", queries, 0)
    check_integer("seed", seed, None)
    check_integer("start", start, 0)
    if not hasattr(examples, "shape"):
        examples = np.asarray(examples)
    table = ClassTable(examples, labels, groups)
    table.check(way_range[1], shot_range[1], queries)
    take = row_taker(examples)
    padded = len(set(way_range)) > 1 or len(set(shot_range)) > 1

    def draw(index):
        rows, classes, support, weight = draw_rows(
            table, way_range, shot_range, queries, (seed, index)
        )
        if augmentation is None:
            # Twice `take` costs less than cutting one result in two.
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

    indices = tf.data.Dataset.counter(start)
    return indices.map(draw, num_parallel_calls=PARALLEL_CALLS)


def label_groups(labels):
    """The group of each label: its part before the first slash.

    Args:
        labels: Array `(n,)` of str such as `alphabet/character`.

    Returns:
        Array `(n,)` of str, for `episode_dataset(groups=...)`.

    >>> label_groups(["Greek/alpha", "Greek/beta", "Latin/a"]).tolist()
    ['Greek', 'Greek', 'Latin']
    """
    return np.array([str(label).split("/")[0] for label in labels])


class ClassTable:
    """Which rows of the examples belong to which class and group.

    `members: (classes, most)` int32 row numbers, padded with zeros;
    `sizes: (classes,)`; `groups: (classes,)` number of the group.
    """

    def __init__(self, examples, labels, groups):
        labels = np.asarray(labels)
        count = examples.shape[0]
        if labels.shape != (count,):
            raise ValueError(
                "`labels` must hold one label for each example, shape "
                f"({count},). Received: labels of shape {labels.shape}"
                + _one_hot_hint(labels)
            )
        self.names, codes = np.unique(labels, return_inverse=True)
        self.sizes = np.bincount(codes)
        order = np.argsort(codes, kind="stable")
        self.members = np.zeros(
            (len(self.names), self.sizes.max(initial=0)), "int32"
        )
        rank = np.arange(count) - np.repeat(
            np.cumsum(self.sizes) - self.sizes, self.sizes
        )
        self.members[codes[order], rank] = order
        self.groups = None
        if groups is not None:
            self._set_groups(np.asarray(groups), codes, count)

    def _set_groups(self, groups, codes, count):
        if groups.shape != (count,):
            raise ValueError(
                "`groups` must hold the group of each example, shape "
                f"({count},). Received: groups of shape {groups.shape}"
            )
        _, group_codes = np.unique(groups, return_inverse=True)
        self.groups = np.zeros(len(self.names), "int32")
        self.groups[codes] = group_codes
        if not np.array_equal(self.groups[codes], group_codes):
            raise ValueError(
                "`groups` must be the same for all examples of a class. "
                "Received: a class in several groups"
            )

    def check(self, way, shot, queries):
        classes = len(self.names)
        if classes < way:
            raise ValueError(
                f"`way` must not exceed the number of classes, {classes}. "
                f"Received: way={way}"
            )
        if self.groups is not None:
            largest = np.bincount(self.groups).max()
            if largest < way:
                raise ValueError(
                    "`way` must not exceed the classes of the largest group, "
                    f"{largest}. Received: way={way}"
                )
        smallest = int(np.argmin(self.sizes))
        size = int(self.sizes[smallest])
        if size < shot + queries:
            raise ValueError(
                "`shot` + `queries` must not exceed the number of examples "
                f"of any class; class {self.names[smallest]!s} has {size}. "
                f"Received: shot={shot}, queries={queries}"
            )


def draw_rows(table, way_range, shot_range, queries, seed):
    """Draws the rows of one episode.

    Returns:
        rows: `(n,)` int32 row numbers of the examples, support first.
        classes: `(n,)` int32 position of each row's class.
        support: How many rows are support.
        weight: `(n,)` float32, 0 where a row is padding.
    """
    classes, most = table.members.shape
    groups = 0 if table.groups is None else int(table.groups.max()) + 1
    way, shot = way_range[1], shot_range[1]
    each = shot + queries
    sizes = [2, groups, classes, way * most, way * each]
    uniform = tf.random.stateless_uniform((sum(sizes),), seed)
    numbers, for_group, for_class, for_example, for_order = tf.split(
        uniform, sizes
    )
    way_drawn = _integer_from(numbers[0], way_range)
    shot_drawn = _integer_from(numbers[1], shot_range)
    if groups:
        # A group that is large enough, then classes within it.
        large = tf.constant(np.bincount(table.groups)) >= tf.cast(
            way_drawn, "int64"
        )
        group = tf.argmax(tf.where(large, for_group, -1.0))
        inside = tf.constant(table.groups, "int64") == group
        for_class = tf.where(inside, for_class, -1.0)
    chosen = tf.math.top_k(for_class, way).indices
    for_example = tf.reshape(for_example, (way, most))
    if table.sizes.min() < most:
        exists = tf.sequence_mask(
            tf.gather(tf.constant(table.sizes, "int32"), chosen), most
        )
        for_example = tf.where(exists, for_example, -1.0)
    picks = tf.math.top_k(for_example, each).indices
    if shot_range[0] < shot:
        columns = tf.concat(
            [tf.range(shot) % shot_drawn, tf.range(shot, each)], axis=0
        )
        picks = tf.gather(picks, columns, axis=1)
    members = tf.gather(tf.constant(table.members), chosen)
    rows = tf.gather(members, picks, batch_dims=1)
    slots = tf.range(way)
    if way_range[0] < way:
        rows = tf.gather(rows, slots % way_drawn)
    # A random order, support rows before query rows.
    for_order = tf.reshape(for_order, (way, each))
    for_order += tf.cast(tf.range(each) < shot, "float32")
    order = tf.math.top_k(tf.reshape(for_order, (-1,)), way * each).indices
    valid = tf.logical_and(
        (slots < way_drawn)[:, None],
        tf.logical_or(tf.range(each) < shot_drawn, tf.range(each) >= shot),
    )
    return (
        tf.gather(tf.reshape(rows, (-1,)), order),
        order // each,
        way * shot,
        tf.gather(tf.cast(tf.reshape(valid, (-1,)), "float32"), order),
    )


def _integer_from(uniform, bounds):
    """A whole number in `bounds`, both included, from a uniform draw."""
    low, high = bounds
    drawn = tf.cast(uniform * (high - low + 1), "int32")
    return low + tf.minimum(drawn, high - low)


def fold_seed(seed, index):
    """A seed of its own for the augmentation of episode `index`."""
    return tf.random.experimental.stateless_fold_in(
        tf.stack([tf.cast(seed, "int64"), index]), 1
    )


def row_taker(examples):
    """The function that draws rows of the examples as float32 tensors."""
    if hasattr(examples, "take") and not isinstance(examples, np.ndarray):
        return examples.take
    if examples.dtype == np.uint8:
        stored = tf.constant(examples)
        unit = tf.constant(1 / 255, "float32")
        return lambda rows: tf.cast(tf.gather(stored, rows), "float32") * unit
    if examples.ndim == 4:
        examples = to_unit_range(examples, "examples")
    examples = examples.astype("float32")
    if not np.isfinite(examples).all():
        raise ValueError(
            "`examples` must be finite. Received: "
            f"{int((~np.isfinite(examples)).sum())} values that are NaN or "
            "infinite"
        )
    stored = tf.constant(examples)
    return lambda rows: tf.gather(stored, rows)


def check_integer(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(
            f"`{name}` must be an integer. Received: {name}={value!r}"
        )
    if least is not None and value < least:
        raise ValueError(
            f"`{name}` must be at least {least}. Received: {name}={value}"
        )


def _number_or_range(name, value, least, why):
    """`(low, high)` of a number or a pair of numbers."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be a number or a pair (least, most). "
            f"Received: {name}={value!r}"
        )
    for number in pair:
        check_integer(name, number, None)
    if pair[0] < least:
        raise ValueError(
            f"`{name}` must be at least {least}: {why}. "
            f"Received: {name}={value!r}"
        )
    if pair[0] > pair[1]:
        raise ValueError(
            f"`{name}` must be ordered (least, most). "
            f"Received: {name}={value!r}"
        )
    return pair


def _one_hot_hint(labels):
    if labels.ndim == 2:
        return "; turn one-hot rows into labels with np.argmax(labels, axis=1)"
    return ""
