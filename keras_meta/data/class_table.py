"""Which rows belong to which class and group, and how rows are drawn."""

import numpy as np
import tensorflow as tf

from keras_meta.data.labels import class_codes, label_array

# A fixed number, because AUTOTUNE makes the queue of these small calls so
# short that waking threads takes a third of the time.
PARALLEL_CALLS = 16


class ClassTable:
    """Which rows of the examples belong to which class and group.

    `members: (classes, most)` int32 row numbers, padded with zeros;
    `sizes: (classes,)`; `names: (classes,)` the labels; `codes: (n,)` the
    class of each example; `groups: (classes,)` number of the group, whose
    label is in `group_names`; both None without groups.
    """

    def __init__(self, examples, labels, groups):
        count = examples.shape[0]
        labels = label_array(labels)
        if labels.shape != (count,):
            raise ValueError(
                "`labels` must hold one label for each example, shape "
                f"({count},). Received: labels of shape {labels.shape}"
            )
        self.names, codes = class_codes(labels)
        self.codes = codes
        self.sizes = np.bincount(codes)
        order = np.argsort(codes, kind="stable")
        self.members = np.zeros(
            (len(self.names), self.sizes.max(initial=0)), "int32"
        )
        rank = np.arange(count) - np.repeat(
            np.cumsum(self.sizes) - self.sizes, self.sizes
        )
        self.members[codes[order], rank] = order
        self.groups = self.group_names = None
        if groups is not None:
            self._set_groups(label_array(groups, "groups"), codes, count)

    def _set_groups(self, groups, codes, count):
        if groups.shape != (count,):
            raise ValueError(
                "`groups` must hold the group of each example, shape "
                f"({count},). Received: groups of shape {groups.shape}"
            )
        self.group_names, group_codes = class_codes(groups, "groups")
        self.groups = np.zeros(len(self.names), "int32")
        self.groups[codes] = group_codes
        if not np.array_equal(self.groups[codes], group_codes):
            raise ValueError(
                "`groups` must be the same for all examples of a class. "
                "Received: a class in several groups"
            )

    def check(self, way, shot, queries):
        """Raises a ValueError if such episodes cannot be drawn."""
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
    """An integer in `bounds`, both included, from a uniform draw."""
    low, high = bounds
    drawn = tf.cast(uniform * (high - low + 1), "int32")
    return low + tf.minimum(drawn, high - low)


def fold_seed(seed, index):
    """The seed `(2,)` of the augmentation of episode `index`."""
    return tf.random.experimental.stateless_fold_in(
        tf.stack([tf.cast(seed, "int64"), index]), 1
    )
