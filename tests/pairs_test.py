"""Tests of the pairs.

The examples here hold their own row number, so every drawn example can be
traced back to its row, its class and its group.
"""

import dataclasses

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_meta.data.augmentation import Affine
from keras_meta.data.pairs import BLOCK, pair_dataset

fewer = hypothesis.settings(max_examples=5, deadline=None)


def numbered(count):
    """Examples `(n, 1)` float32: their own row numbers."""
    return np.arange(count, dtype="float32")[:, None]


def class_labels(sizes, seed=0):
    """`sizes[k]` labels of class `k`, in random order."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


@dataclasses.dataclass
class Pairs:
    """A batch of pairs, read back: row numbers, and what the target says."""

    support: np.ndarray
    query: np.ndarray
    same: np.ndarray


def stack(dataset, count):
    return next(dataset.batch(count).as_numpy_iterator())


def read(dataset, count):
    episode, query_y = stack(dataset, count)
    assert set(episode) == {"support_x", "support_y", "query_x"}
    np.testing.assert_array_equal(
        episode["support_y"], np.ones((count, 1, 1), "float32")
    )
    assert query_y.shape == (count, 1, 1)
    assert set(np.unique(query_y)) <= {0, 1}
    return Pairs(
        episode["support_x"][:, 0, 0].astype(int),
        episode["query_x"][:, 0, 0].astype(int),
        query_y[:, 0, 0] == 1,
    )


def assert_equal(left, right):
    """Two batches, to the last bit."""
    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


@st.composite
def settings(draw):
    """Labels of unequal classes, perhaps in groups, and a seed."""
    class_groups = np.repeat(
        [0, 1, 2], draw(st.tuples(*[st.integers(2, 4)] * 3))
    )
    count = len(class_groups)
    size = st.integers(2, 7)
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    seed = draw(st.integers(-(2**31), 2**31))
    labels = class_labels(sizes, abs(seed))
    groups = class_groups[labels] if draw(st.booleans()) else None
    return labels, seed, groups


class TestPairs:
    @fewer
    @hypothesis.given(settings())
    def test_a_target_says_whether_the_classes_are_the_same(self, setting):
        labels, seed, groups = setting
        dataset = pair_dataset(
            numbered(len(labels)), labels, seed, groups=groups
        )
        pairs = read(dataset, 3 * BLOCK)
        np.testing.assert_array_equal(
            labels[pairs.support] == labels[pairs.query], pairs.same
        )
        # No image is ever compared with itself.
        assert np.all(pairs.support != pairs.query)
        if groups is not None:
            np.testing.assert_array_equal(
                groups[pairs.support], groups[pairs.query]
            )

    def test_couples_are_half_and_half_in_random_order(self):
        dataset = pair_dataset(numbered(12), class_labels([3] * 4), seed=0)
        couples = read(dataset, 2000).same.reshape(-1, 2)
        np.testing.assert_array_equal(couples.sum(axis=1), 1)
        # The standard deviation is 0.016.
        assert abs(couples[:, 0].mean() - 0.5) < 0.06

    def test_two_classes_of_two_examples_are_enough(self):
        labels = np.array([0, 1, 1, 0])
        pairs = read(pair_dataset(numbered(4), labels, seed=0), 400)
        drawn = set(zip(pairs.support, pairs.query, strict=True))
        # Every ordered pair of different rows occurs, and nothing else.
        assert len(drawn) == 12

    def test_batches_and_shapes(self):
        images = np.zeros((12, 6, 7, 3), "uint8")
        dataset = pair_dataset(images, class_labels([4] * 3), seed=0)
        episode, query_y = dataset.element_spec
        assert {key: tuple(spec.shape) for key, spec in episode.items()} == {
            "support_x": (1, 6, 7, 3),
            "support_y": (1, 1),
            "query_x": (1, 6, 7, 3),
        }
        assert query_y.shape == (1, 1)
        for spec in tf.nest.flatten(dataset.element_spec):
            assert spec.dtype == tf.float32
        episode, query_y = stack(dataset, 4)
        assert episode["support_x"].shape == (4, 1, 6, 7, 3)
        assert episode["support_y"].shape == (4, 1, 1)
        assert episode["query_x"].shape == (4, 1, 6, 7, 3)
        assert query_y.shape == (4, 1, 1)

    def test_the_stream_has_no_end(self):
        dataset = pair_dataset(numbered(4), [0, 0, 1, 1], seed=0, start=3)
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY

    def test_labels_may_be_text_and_bytes_are_divided_by_255(self):
        images = np.array([0, 51, 102, 255], "uint8")[:, None, None, None]
        dataset = pair_dataset(images, ["a", "a", "b", "b"], seed=0)
        episode, query_y = stack(dataset, 100)
        values = np.stack([episode["support_x"], episode["query_x"]])
        np.testing.assert_allclose(
            np.unique(values), [0, 0.2, 0.4, 1], rtol=1e-6
        )
        letters = values.reshape(2, 100) > 0.3
        np.testing.assert_array_equal(
            letters[0] == letters[1], query_y.ravel() == 1
        )

    def test_a_source_with_take_gives_what_its_array_gives(self):
        class Source:
            shape = (12, 1)

            def take(self, indices):
                return tf.gather(tf.constant(numbered(12)), indices)

        labels = class_labels([4] * 3)
        array, source = (
            stack(pair_dataset(examples, labels, seed=0), 20)
            for examples in (numbered(12), Source())
        )
        assert_equal(array, source)


class TestStream:
    @fewer
    @hypothesis.given(settings(), st.integers(0, 1000))
    def test_the_same_seed_gives_the_same_stream(self, setting, start):
        labels, seed, groups = setting
        one, two = (
            stack(
                pair_dataset(
                    numbered(len(labels)), labels, seed, start, groups
                ),
                2 * BLOCK,
            )
            for _ in range(2)
        )
        assert_equal(one, two)

    @pytest.mark.parametrize("augmentation", [None, Affine()])
    def test_start_resumes_exactly(self, augmentation):
        images = np.random.default_rng(0).random((20, 6, 6, 1), "float32")

        def drawn(start, count):
            dataset = pair_dataset(
                images,
                class_labels([5] * 4),
                seed=3,
                start=start,
                augmentation=augmentation,
            )
            return stack(dataset, count)

        whole = drawn(0, 4 * BLOCK)
        for start in (1, 6, BLOCK - 1, BLOCK, 2 * BLOCK + 5):
            # Beyond the end of the block where it starts.
            stop = start + BLOCK + 10
            assert_equal(
                drawn(start, stop - start),
                tf.nest.map_structure(
                    lambda values, s=slice(start, stop): values[s], whole
                ),
            )

    def test_another_seed_or_another_block_gives_other_pairs(self):
        labels = class_labels([9] * 9)
        drawn = [
            read(pair_dataset(numbered(81), labels, seed, start), BLOCK)
            for seed, start in [(0, 0), (0, BLOCK), (1, 0), (1, BLOCK)]
        ]
        assert len({tuple(pairs.support) for pairs in drawn}) == 4
        assert len({tuple(pairs.same) for pairs in drawn}) == 4

    def test_shards_split_the_stream_and_hold_both_kinds(self):
        dataset = pair_dataset(numbered(12), class_labels([4] * 3), seed=0)
        whole = stack(dataset, 400)
        for shard in range(2):
            half = stack(dataset.shard(2, shard), 200)
            assert_equal(
                half,
                tf.nest.map_structure(lambda v, s=shard: v[s::2], whole),
            )
            # The standard deviation is 0.035.
            assert abs(half[1].mean() - 0.5) < 0.13

    def test_pair_numbers_may_be_large(self):
        dataset = pair_dataset(
            numbered(4), [0, 0, 1, 1], seed=2**40, start=2**40 + 1
        )
        assert len(read(dataset, 3).same) == 3


def assert_uniform(table):
    """The 99.99% point of chi-square is below 3.4 cells + 15."""
    expected = table.sum() / table.size
    statistic = np.sum((table - expected) ** 2 / expected)
    assert statistic < 3.4 * table.size + 15


@pytest.fixture(scope="module")
def drawn():
    """8 unequal classes in groups of 5 and 3, without and with groups."""
    labels = class_labels([5, 2, 9, 4, 3, 7, 2, 6])
    groups = (labels >= 5).astype(int)
    plain, grouped = (
        read(pair_dataset(numbered(38), labels, 0, groups=given), 6000)
        for given in (None, groups)
    )
    return labels, groups, plain, grouped


class TestUniformity:
    """Loose chi-square bounds; the seed is fixed, so they hold or do not."""

    @pytest.mark.parametrize("same", [True, False])
    @pytest.mark.parametrize("side", ["support", "query"])
    def test_classes_and_their_examples(self, drawn, side, same):
        labels, _, pairs, _ = drawn
        rows = getattr(pairs, side)[pairs.same == same]
        assert_uniform(np.bincount(labels[rows]))
        for k in range(8):
            assert_uniform(np.bincount(rows, minlength=38)[labels == k])

    def test_a_same_pair_is_any_two_examples_of_its_class(self, drawn):
        labels, _, pairs, _ = drawn
        table = np.zeros((38, 38))
        np.add.at(table, (pairs.support, pairs.query), pairs.same)
        for k in range(8):
            inside = table[np.ix_(labels == k, labels == k)]
            assert_uniform(inside[~np.eye(len(inside), dtype=bool)])

    def test_a_different_pair_is_any_two_classes(self, drawn):
        labels, _, pairs, _ = drawn
        table = np.zeros((8, 8))
        np.add.at(
            table, (labels[pairs.support], labels[pairs.query]), ~pairs.same
        )
        assert_uniform(table[~np.eye(8, dtype=bool)])

    @pytest.mark.parametrize("same", [True, False])
    def test_groups_alike_whatever_their_size(self, drawn, same):
        labels, groups, _, pairs = drawn
        support = pairs.support[pairs.same == same]
        query = pairs.query[pairs.same == same]
        np.testing.assert_array_equal(groups[support], groups[query])
        assert_uniform(np.bincount(groups[support]))
        # And the classes of a group.
        for rows in (support, query):
            counts = np.bincount(labels[rows])
            assert_uniform(counts[:5])
            assert_uniform(counts[5:])

    def test_the_kind_tells_nothing_of_the_order_of_classes(self, drawn):
        labels, _, pairs, _ = drawn
        before = labels[pairs.support] < labels[pairs.query]
        # Of 3000 different pairs; the standard deviation is 0.009.
        assert abs(before[~pairs.same].mean() - 0.5) < 0.04


class TestAugmentation:
    def test_it_gets_images_classes_and_a_seed(self):
        shapes = []

        def augmentation(images, classes, seed):
            shapes.append((images.shape, classes.shape, seed.shape))
            # The row number stays, and what it was told comes behind.
            count = 2 * BLOCK
            told = [classes, tf.fill([count], seed[0] + seed[1])]
            told = [tf.cast(t % 2**20, "float32")[:, None] for t in told]
            return tf.concat([images, *told], axis=1)

        labels = class_labels([4] * 3)
        plain, told = (
            stack(
                pair_dataset(
                    numbered(12), labels, seed=0, augmentation=function
                ),
                3 * BLOCK,
            )
            for function in (None, augmentation)
        )
        assert shapes[0] == ((2 * BLOCK, 1), (2 * BLOCK,), (2,))
        support, query = told[0]["support_x"][:, 0], told[0]["query_x"][:, 0]
        # The pairs are those without augmentation.
        np.testing.assert_array_equal(plain[1], told[1])
        for part, values in [("support_x", support), ("query_x", query)]:
            np.testing.assert_array_equal(plain[0][part][:, 0, 0], values[:, 0])
        # The two of a same pair share a class; all others are different.
        same = told[1][:, 0, 0] == 1
        np.testing.assert_array_equal(support[:, 1] == query[:, 1], same)
        for block in range(3):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            classes = np.concatenate([support[part, 1], query[part, 1]])
            assert len(set(classes)) == BLOCK * 3 // 2
            assert 0 <= classes.min() and classes.max() < 2 * BLOCK
        # One seed for each block.
        seeds = support[:, 2].reshape(3, BLOCK)
        assert len(np.unique(seeds)) == 3
        assert np.all(seeds == seeds[:, :1])

    @pytest.mark.parametrize("per_class", [False, True])
    def test_affine_distorts_each_image_by_itself(self, per_class):
        # All images are alike, so what differs is the distortion.
        images = np.zeros((8, 12, 12, 1), "float32")
        images[:, 3:9, 4:7] = 1
        dataset = pair_dataset(
            images,
            class_labels([2] * 4),
            seed=0,
            augmentation=Affine(probability=1.0, per_class=per_class),
        )
        episode, query_y = stack(dataset, BLOCK)
        same = query_y[:, 0, 0] == 1
        support, query = episode["support_x"], episode["query_x"]
        alike = np.all(np.isclose(support, query), axis=(1, 2, 3, 4))
        # Distortions of a class are shared by the images of a same pair.
        np.testing.assert_array_equal(alike, same & per_class)
        assert len(np.unique(support, axis=0)) == BLOCK


# Four classes of 5, 4, 3 and 2 examples, in two groups.
LABELS = np.repeat(["ant", "bee", "cat", "dog"], [5, 4, 3, 2])
GROUPS = np.repeat(["insects", "mammals"], [9, 5])


class TestErrors:
    @pytest.mark.parametrize(
        "changes, text",
        [
            ({"seed": None}, "`seed` must be an integer. .* seed=None"),
            ({"seed": 0.5}, "`seed` must be an integer. .* seed=0.5"),
            ({"start": -1}, "`start` must be at least 0. .* start=-1"),
            ({"start": True}, "`start` must be an integer. .* start=True"),
            (
                {"labels": ["ant"] * 14},
                r"`labels` must name at least two classes.* \['ant'\]",
            ),
            (
                {"examples": np.zeros((0, 4)), "labels": []},
                r"`labels` must name at least two classes.* classes \[\]",
            ),
            (
                {"labels": [*LABELS[:-1], "lonely"]},
                "`labels` must give each class at least two examples.* "
                "Received: class dog with 1 example",
            ),
            (
                {"labels": LABELS[1:]},
                r"one label for each example, shape \(14,\). Received: "
                r"labels of shape \(13,\)$",
            ),
            (
                {"labels": np.eye(14)},
                r"labels of shape \(14, 14\); turn one-hot rows into labels",
            ),
            (
                {"groups": GROUPS[1:]},
                r"`groups` .* shape \(14,\). Received: groups of shape "
                r"\(13,\)",
            ),
            (
                {"groups": np.arange(14) // 7},
                "`groups` must be the same for all examples of a class",
            ),
            (
                {"groups": np.where(LABELS == "dog", "pets", "others")},
                "`groups` must have at least two classes each.* "
                "Received: group pets with 1 class",
            ),
            (
                {"examples": np.where(numbered(14) == 3, np.nan, 0)},
                "`examples` must be finite.*: 1 values",
            ),
        ],
    )
    def test_arguments(self, changes, text):
        arguments = {"examples": numbered(14), "labels": LABELS, "seed": 0}
        arguments |= {"groups": GROUPS, **changes}
        if "labels" in changes and "groups" not in changes:
            del arguments["groups"]
        with pytest.raises(ValueError, match=text):
            pair_dataset(**arguments)

    def test_a_class_with_one_image_is_named(self):
        labels = ["pair", "pair", "lonely", "two", "two"]
        with pytest.raises(ValueError, match="class lonely with 1 example"):
            pair_dataset(numbered(5), labels, seed=0)
