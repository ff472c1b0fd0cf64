"""Tests of the episodes.

The examples here hold their own row number, so every drawn example can be
traced back to its row and its class.
"""

import dataclasses

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_meta.data.episodes import episode_dataset, label_groups

few = hypothesis.settings(max_examples=20, deadline=None)
fewer = hypothesis.settings(max_examples=8, deadline=None)


def numbered(count):
    """Examples `(n, 1)` float32: their own row numbers."""
    return np.arange(count, dtype="float32")[:, None]


def class_labels(sizes, seed=0):
    """`sizes[k]` labels of class `k`, in random order."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


@dataclasses.dataclass
class Episode:
    """An element, read back. Positions are -1 on zero rows."""

    support: np.ndarray
    support_positions: np.ndarray
    query: np.ndarray
    query_positions: np.ndarray
    weight: np.ndarray | None


def positions(targets):
    """The place of the one in each row; rows are one-hot or zero."""
    assert targets.dtype == np.float32
    assert set(np.unique(targets)) <= {0, 1}
    ones = targets.sum(axis=-1)
    assert ones.max(initial=0) <= 1
    return np.where(ones == 1, targets.argmax(axis=-1), -1)


def read(element):
    episode, query_y, *weight = element
    assert set(episode) == {"support_x", "support_y", "query_x"}
    return Episode(
        episode["support_x"][:, 0].astype(int),
        positions(episode["support_y"]),
        episode["query_x"][:, 0].astype(int),
        positions(query_y),
        weight[0] if weight else None,
    )


def elements(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def episodes(dataset, count):
    return [read(element) for element in elements(dataset, count)]


def assert_equal(left, right):
    """Two lists of elements, to the last bit."""
    assert len(left) == len(right)
    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


def differ(left, right):
    flat = zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True)
    return any(not np.array_equal(a, b) for a, b in flat)


@st.composite
def settings(draw):
    """Labels of unequal classes, and numbers that fit them."""
    way = draw(st.integers(2, 4))
    shot = draw(st.integers(1, 3))
    queries = draw(st.integers(0, 3))
    size = st.integers(shot + queries, shot + queries + 4)
    sizes = draw(st.lists(size, min_size=way, max_size=way + 3))
    seed = draw(st.integers(-(2**31), 2**31))
    return class_labels(sizes, abs(seed)), way, shot, queries, seed


@st.composite
def ranges(draw):
    """The same with ranges of way and shot, at least one of them real."""
    labels, way, shot, queries, seed = draw(settings())
    least_way = draw(st.integers(2, way))
    least_shot = draw(st.integers(1, shot))
    hypothesis.assume((least_way, least_shot) != (way, shot))
    return labels, (least_way, way), (least_shot, shot), queries, seed


class TestFixedNumbers:
    @few
    @hypothesis.given(settings())
    def test_shots_queries_classes_and_labels(self, setting):
        labels, way, shot, queries, seed = setting
        dataset = episode_dataset(
            numbered(len(labels)), labels, way, shot, queries, seed
        )
        for episode in episodes(dataset, 4):
            assert episode.weight is None
            # Exact numbers at every position.
            for drawn, number in [
                (episode.support_positions, shot),
                (episode.query_positions, queries),
            ]:
                assert sorted(drawn) == sorted(list(range(way)) * number)
            # No example twice, so support and query are disjoint.
            rows = np.concatenate([episode.support, episode.query])
            assert len(set(rows)) == len(rows) == way * (shot + queries)
            # Each position is one class, each class one position.
            place = np.concatenate(
                [episode.support_positions, episode.query_positions]
            )
            pairs = set(zip(place, labels[rows], strict=True))
            assert len(pairs) == way
            assert len({label for _, label in pairs}) == way

    @fewer
    @hypothesis.given(settings(), st.integers(0, 1000))
    def test_the_same_seed_gives_the_same_stream(self, setting, start):
        labels, *numbers = setting
        examples = numbered(len(labels))
        one, two = (
            episode_dataset(examples, labels, *numbers, start=start)
            for _ in range(2)
        )
        assert_equal(elements(one, 3), elements(two, 3))

    @fewer
    @hypothesis.given(settings(), st.integers(0, 9))
    def test_start_resumes_exactly(self, setting, start):
        labels, *numbers = setting
        examples = numbered(len(labels))
        whole = episode_dataset(examples, labels, *numbers)
        resumed = episode_dataset(examples, labels, *numbers, start=start)
        assert_equal(elements(resumed, 3), elements(whole.skip(start), 3))

    def test_another_seed_or_another_start_gives_other_episodes(self):
        labels = class_labels([9] * 9)

        def drawn(seed, start=0):
            dataset = episode_dataset(
                numbered(81), labels, 5, 1, 2, seed, start=start
            )
            return elements(dataset, 2)

        assert differ(drawn(0), drawn(1))
        assert differ(drawn(0), drawn(0, start=1))
        # A stream is not another one, shifted.
        assert differ(drawn(1), drawn(0, start=1))

    def test_the_episodes_of_a_stream_differ(self):
        labels = class_labels([9] * 9)
        dataset = episode_dataset(numbered(81), labels, 5, 1, 2, seed=0)
        seen = {tuple(episode.support) for episode in episodes(dataset, 50)}
        assert len(seen) == 50

    def test_shards_split_the_stream(self):
        labels = class_labels([4] * 6)
        dataset = episode_dataset(numbered(24), labels, 3, 1, 2, seed=0)
        whole = elements(dataset, 9)
        for shard in range(3):
            assert_equal(elements(dataset.shard(3, shard), 3), whole[shard::3])

    def test_episode_numbers_may_be_large(self):
        dataset = episode_dataset(
            numbered(4), [0, 0, 1, 1], 2, 1, 1, 2**40, start=2**40
        )
        assert len(episodes(dataset, 2)) == 2

    def test_batches_are_the_elements_stacked(self):
        labels = class_labels([4] * 6)
        dataset = episode_dataset(numbered(24), labels, 3, 1, 2, seed=0)
        single = elements(dataset, 4)
        (batch,) = elements(dataset.batch(4), 1)
        stacked = tf.nest.map_structure(lambda *a: np.stack(a), *single)
        assert_equal([batch], [stacked])

    def test_no_queries(self):
        dataset = episode_dataset(numbered(4), [0, 0, 1, 1], 2, 2, 0, seed=0)
        (episode, query_y) = elements(dataset, 1)[0]
        assert episode["query_x"].shape == (0, 1)
        assert query_y.shape == (0, 2)
        assert sorted(episode["support_x"][:, 0]) == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        "labels",
        [
            ["b", "b", "a", "a", "c", "c"],
            np.array(["b", "b", "a", "a", "c", "c"], object),
            [2.5, 2.5, -1.0, -1.0, 7.0, 7.0],
            [-5, -5, 900, 900, 0, 0],
        ],
        ids=["text", "objects", "floats", "integers"],
    )
    def test_labels_of_any_kind(self, labels):
        dataset = episode_dataset(numbered(6), labels, 3, 1, 1, seed=0)
        labels = np.asarray(labels)
        for episode in episodes(dataset, 5):
            for support, place in zip(
                episode.support, episode.support_positions, strict=True
            ):
                query = episode.query[episode.query_positions == place]
                assert labels[query] == labels[support]


class TestGroups:
    @few
    @hypothesis.given(st.data())
    def test_all_classes_come_from_one_group(self, data):
        way = data.draw(st.integers(2, 3))
        # Groups of unequal numbers of classes, one of them large enough.
        sizes = data.draw(st.lists(st.integers(1, 5), max_size=3))
        sizes = data.draw(st.permutations([*sizes, way]))
        class_groups = np.repeat(np.arange(len(sizes)), sizes)
        labels = class_labels([3] * len(class_groups))
        groups = class_groups[labels]
        dataset = episode_dataset(
            numbered(len(labels)), labels, way, 1, 1, seed=0, groups=groups
        )
        for episode in episodes(dataset, 5):
            rows = np.concatenate([episode.support, episode.query])
            assert len(set(groups[rows])) == 1
            assert len(set(labels[rows])) == way

    def test_every_group_that_is_large_enough_occurs(self):
        labels = np.repeat(np.arange(10), 2)
        groups = np.repeat(["a", "b", "c", "d"], [8, 4, 6, 2])
        dataset = episode_dataset(
            numbered(20), labels, 2, 1, 1, seed=0, groups=groups
        )
        drawn = [groups[e.support[0]] for e in episodes(dataset, 60)]
        # The group "d" has one class.
        assert set(drawn) == {"a", "b", "c"}

    def test_a_range_of_ways_uses_small_groups_for_small_ways(self):
        labels = np.repeat(np.arange(6), 2)
        groups = np.repeat(["small", "large"], [4, 8])
        dataset = episode_dataset(
            numbered(12), labels, (2, 4), 1, 1, seed=0, groups=groups
        )
        ways = {"small": set(), "large": set()}
        for episode in episodes(dataset, 60):
            assert len(set(groups[episode.support])) == 1
            way = len(set(labels[episode.support]))
            ways[groups[episode.support[0]]].add(way)
        assert ways == {"small": {2}, "large": {2, 3, 4}}

    def test_the_group_of_a_label_is_its_first_part(self):
        labels = ["Greek/alpha", "Greek/alpha/090", "Latin/a", "none"]
        groups = ["Greek", "Greek", "Latin", "none"]
        assert label_groups(labels).tolist() == groups
        assert label_groups(np.array(labels)).tolist() == groups


class TestRanges:
    @few
    @hypothesis.given(ranges())
    def test_padding(self, setting):
        labels, (least_way, way), (least_shot, shot), queries, seed = setting
        dataset = episode_dataset(
            numbered(len(labels)),
            labels,
            (least_way, way),
            (least_shot, shot),
            queries,
            seed,
        )
        for episode in episodes(dataset, 4):
            real_support = episode.support_positions >= 0
            real_query = episode.query_positions >= 0
            # The sample weight is 0 on padded queries and 1 elsewhere.
            np.testing.assert_array_equal(episode.weight, real_query)
            assert episode.weight.dtype == np.float32
            # Real rows: some way, some shot, the same for all classes.
            counts = np.bincount(episode.support_positions[real_support])
            assert least_way <= len(counts) <= way
            assert least_shot <= counts[0] <= shot
            assert set(counts) == {counts[0]}
            assert sorted(episode.query_positions[real_query]) == sorted(
                list(range(len(counts))) * queries
            )
            # Padding repeats real examples of the same part, so that no
            # support row, padded or not, is ever a query.
            support = set(episode.support[real_support])
            query = set(episode.query[real_query])
            assert len(support) == real_support.sum()
            assert len(query) == real_query.sum()
            assert set(episode.support) == support
            assert set(episode.query) == query
            assert not support & query
            # Positions and classes match.
            rows = np.concatenate(
                [episode.support[real_support], episode.query[real_query]]
            )
            place = np.concatenate(
                [
                    episode.support_positions[real_support],
                    episode.query_positions[real_query],
                ]
            )
            pairs = set(zip(place, labels[rows], strict=True))
            assert len(pairs) == len(counts)
            assert len({label for _, label in pairs}) == len(counts)

    def test_every_number_of_a_range_occurs(self):
        labels = class_labels([8] * 8)
        dataset = episode_dataset(
            numbered(64), labels, (2, 6), [1, 5], 2, seed=0
        )
        drawn = []
        for episode in episodes(dataset, 400):
            real = episode.support_positions[episode.support_positions >= 0]
            drawn.append((real.max() + 1, np.bincount(real)[0]))
        ways, shots = np.array(drawn).T
        for numbers, expected in [(ways, range(2, 7)), (shots, range(1, 6))]:
            values, counts = np.unique(numbers, return_counts=True)
            assert values.tolist() == list(expected)
            # About 80 each; the standard deviation is 8.
            assert counts.min() > 50 and counts.max() < 110
        # Way and shot are drawn apart: each of the 25 pairs occurs.
        assert len(set(drawn)) == 25

    def test_a_range_of_one_number_is_that_number(self):
        labels = class_labels([4] * 4)
        one, two = (
            episode_dataset(numbered(16), labels, way, shot, 1, seed=0)
            for way, shot in [(3, 2), ((3, 3), [2, 2])]
        )
        assert_equal(elements(one, 3), elements(two, 3))

    def test_start_resumes_exactly(self):
        labels = class_labels([4] * 5)
        whole, resumed = (
            episode_dataset(
                numbered(20), labels, (2, 5), (1, 2), 2, seed=3, start=start
            )
            for start in (0, 4)
        )
        assert_equal(elements(resumed, 4), elements(whole, 8)[4:])


@pytest.fixture(scope="module")
def batch():
    """Labels, and 1500 episodes of 3 of their 4 unequal classes."""
    labels = class_labels([5, 4, 5, 9])
    dataset = episode_dataset(numbered(23), labels, 3, 2, 2, seed=0)
    return labels, next(dataset.batch(1500).as_numpy_iterator())


class TestUniformity:
    """Loose chi-square bounds; the seed is fixed, so they hold or do not."""

    def assert_uniform(self, table, expected):
        """The 99.99% point of chi-square is below 3.4 cells + 15."""
        statistic = np.sum((table - expected) ** 2 / expected)
        assert statistic < 3.4 * table.size + 15

    def test_classes_meet_positions_uniformly(self, batch):
        labels, (episode, _) = batch
        table = np.zeros((4, 3))
        classes = labels[episode["support_x"][..., 0].astype(int)]
        np.add.at(table, (classes, episode["support_y"].argmax(-1)), 0.5)
        assert table.sum() == 3 * 1500
        self.assert_uniform(table, 1500 / 4)

    @pytest.mark.parametrize("row", [0, 1, 5])
    @pytest.mark.parametrize("part", ["support", "query"])
    def test_the_order_of_rows_tells_nothing(self, batch, part, row):
        _, (episode, query_y) = batch
        targets = {"support": episode["support_y"], "query": query_y}[part]
        table = np.bincount(targets[:, row].argmax(-1), minlength=3)
        self.assert_uniform(table, 1500 / 3)

    def test_neighbouring_rows_are_independent(self, batch):
        _, (episode, _) = batch
        first, second = episode["support_y"].argmax(-1)[:, :2].T
        # Of the 5 other rows, 1 has the same position as the first.
        assert abs(np.mean(first == second) - 1 / 5) < 0.05

    def test_examples_of_a_class_are_drawn_uniformly(self, batch):
        labels, (episode, _) = batch
        for part in ("support_x", "query_x"):
            rows = episode[part][..., 0].astype(int).ravel()
            for k in range(4):
                table = np.bincount(rows, minlength=23)[labels == k]
                self.assert_uniform(table, table.sum() / table.size)


class ImageSource:
    """As little as an image source may be."""

    def __init__(self, images):
        self.images = tf.constant(images)
        self.shape = tuple(images.shape)

    def take(self, indices):
        return tf.gather(self.images, indices)


class TestSources:
    def test_bytes_are_divided_by_255(self):
        images = np.zeros((256, 2, 3, 1), "uint8")
        images += np.arange(256, dtype="uint8")[:, None, None, None]
        labels = np.arange(256) % 2
        dataset = episode_dataset(images, labels, 2, 128, 0, seed=0)
        episode, _ = elements(dataset, 1)[0]
        values = np.sort(episode["support_x"], axis=0)
        assert values.dtype == np.float32
        expected = np.arange(256, dtype="float32") / np.float32(255)
        np.testing.assert_allclose(values[:, 0, 0, 0], expected, rtol=1e-7)
        assert values.min() == 0 and values.max() == 1

    def test_floats_come_as_they_are(self):
        images = np.random.default_rng(0).random((8, 2, 2, 1))
        dataset = episode_dataset(images, [0, 1] * 4, 2, 4, 0, seed=0)
        episode, _ = elements(dataset, 1)[0]
        assert episode["support_x"].dtype == np.float32
        np.testing.assert_array_equal(
            np.sort(episode["support_x"].ravel()),
            np.sort(images.astype("float32").ravel()),
        )

    def test_features_may_have_any_finite_values(self):
        features = np.array([[-1e6], [1e6], [-3], [300]])
        dataset = episode_dataset(features, [0, 1, 0, 1], 2, 1, 1, seed=0)
        episode, _ = elements(dataset, 1)[0]
        assert set(episode["support_x"].ravel()) <= set(features.ravel())

    def test_a_source_with_take_gives_what_its_array_gives(self):
        images = np.random.default_rng(0).random((12, 2, 2, 1), "float32")
        labels = class_labels([4] * 3)
        array, source = (
            episode_dataset(examples, labels, (2, 3), 1, 2, seed=0)
            for examples in (images, ImageSource(images))
        )
        assert_equal(elements(array, 3), elements(source, 3))

    def test_the_labels_of_a_source_are_counted(self):
        with pytest.raises(ValueError, match=r"`labels` .* shape \(4,\)"):
            episode_dataset(
                ImageSource(np.zeros((4, 2, 2, 1), "float32")),
                [0, 0, 1],
                2,
                1,
                1,
                seed=0,
            )

    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    def test_all_shapes_are_static(self, dtype):
        images = np.zeros((12, 6, 7, 3), dtype)
        labels = class_labels([4] * 3)
        fixed = episode_dataset(images, labels, 3, 1, 2, seed=0)
        episode, query_y = fixed.element_spec
        assert {key: tuple(spec.shape) for key, spec in episode.items()} == {
            "support_x": (3, 6, 7, 3),
            "support_y": (3, 3),
            "query_x": (6, 6, 7, 3),
        }
        assert query_y.shape == (6, 3)
        padded = episode_dataset(images, labels, (2, 3), (1, 2), 2, seed=0)
        episode, query_y, weight = padded.element_spec
        assert {key: tuple(spec.shape) for key, spec in episode.items()} == {
            "support_x": (6, 6, 7, 3),
            "support_y": (6, 3),
            "query_x": (6, 6, 7, 3),
        }
        assert query_y.shape == (6, 3)
        assert weight.shape == (6,)
        for spec in tf.nest.flatten(padded.element_spec):
            assert spec.dtype == tf.float32

    def test_the_stream_has_no_end(self):
        dataset = episode_dataset(numbered(4), [0, 0, 1, 1], 2, 1, 1, seed=0)
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY

    def test_an_augmentation_gets_images_classes_and_a_seed(self):
        shapes = []

        def augmentation(images, classes, seed):
            shapes.append((images.shape, classes.shape, seed.shape))
            # The row number stays, and what it was told comes behind.
            told = [classes, tf.repeat(seed[:1], 8), tf.repeat(seed[1:], 8)]
            told = [tf.cast(t % 1000, "float32")[:, None] for t in told]
            return tf.concat([images, *told], axis=1)

        labels = class_labels([4] * 3)
        dataset = episode_dataset(
            numbered(12), labels, 2, 1, 3, seed=0, augmentation=augmentation
        )
        drawn = elements(dataset, 5)
        assert shapes[0] == ((8, 1), (8,), (2,))
        seeds = set()
        for episode, query_y in drawn:
            for values, targets in [
                (episode["support_x"], episode["support_y"]),
                (episode["query_x"], query_y),
            ]:
                np.testing.assert_array_equal(values[:, 1], positions(targets))
                seeds |= set(map(tuple, values[:, 2:]))
        # One for each episode.
        assert len(seeds) == 5


# Four classes of 5, 4, 3 and 2 examples, in two groups.
LABELS = np.repeat(["ant", "bee", "cat", "dog"], [5, 4, 3, 2])
GROUPS = np.repeat(["insects", "mammals"], [9, 5])


class TestErrors:
    @pytest.mark.parametrize(
        "changes, text",
        [
            (
                {"way": 5},
                "`way` must not exceed the number of classes, 4. "
                "Received: way=5",
            ),
            (
                {"way": (2, 5)},
                "`way` must not exceed the number of classes, 4. "
                "Received: way=5",
            ),
            (
                {"way": 3, "groups": GROUPS},
                "`way` must not exceed the classes of the largest group, 2. "
                "Received: way=3",
            ),
            ({"way": 1}, "`way` must be at least 2.* Received: way=1"),
            ({"way": (1, 3)}, r"`way` must be at least 2.* way=\(1, 3\)"),
            ({"way": 2.0}, "`way` must be an integer. Received: way=2.0"),
            ({"way": "2"}, "`way` must be an integer. Received: way='2'"),
            ({"way": True}, "`way` must be an integer. Received: way=True"),
            ({"way": (2, 2.5)}, "`way` must be an integer. Received: way=2.5"),
            ({"way": (3, 2)}, r"`way` must be ordered .* way=\(3, 2\)"),
            ({"way": (2, 3, 4)}, r"`way` must be a number or a pair"),
            ({"shot": 0}, "`shot` must be at least 1.* Received: shot=0"),
            ({"shot": (0, 1)}, "`shot` must be at least 1"),
            ({"shot": (2, 1)}, r"`shot` must be ordered .* shot=\(2, 1\)"),
            ({"shot": None}, "`shot` must be an integer. Received: shot=None"),
            (
                {"shot": 2, "queries": 1},
                "of any class; class dog has 2. Received: shot=2, queries=1",
            ),
            (
                {"shot": (1, 2)},
                "of any class; class dog has 2. Received: shot=2, queries=1",
            ),
            ({"queries": -1}, "`queries` must be at least 0. .* queries=-1"),
            ({"queries": (1, 2)}, "`queries` must be an integer"),
            ({"seed": None}, "`seed` must be an integer. .* seed=None"),
            ({"seed": 0.5}, "`seed` must be an integer. .* seed=0.5"),
            ({"start": -1}, "`start` must be at least 0. .* start=-1"),
            (
                {"labels": LABELS[1:]},
                r"one label for each example, shape \(14,\). Received: "
                r"labels of shape \(13,\)$",
            ),
            (
                {"labels": np.eye(14)},
                r"labels of shape \(14, 14\); turn one-hot rows into labels "
                r"with np.argmax\(labels, axis=1\)",
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
        ],
    )
    def test_arguments(self, changes, text):
        arguments = {"way": 2, "shot": 1, "queries": 1, "seed": 0}
        arguments |= {"examples": numbered(14), "labels": LABELS, **changes}
        with pytest.raises(ValueError, match=text):
            episode_dataset(**arguments)

    def test_a_class_with_one_image_is_named(self):
        labels = ["pair", "pair", "lonely", "two", "two"]
        with pytest.raises(ValueError, match="class lonely has 1"):
            episode_dataset(numbered(5), labels, 2, 1, 1, seed=0)

    def test_no_examples_have_no_classes(self):
        with pytest.raises(ValueError, match="number of classes, 0"):
            episode_dataset(np.zeros((0, 4)), [], 2, 1, 1, seed=0)

    @pytest.mark.parametrize(
        "value, text",
        [
            (np.nan, "`examples` must be finite.*: 1 of 56 values are NaN"),
            (1.5, r"`examples` must hold values in \[0, 1\].* 0 to 1.5"),
            (255, "divide by the largest value.* values from 0 to 255"),
            (-1, "values from -1 to 0"),
            (np.inf, "values from 0 to inf"),
        ],
    )
    def test_pixels(self, value, text):
        images = np.zeros((14, 2, 2, 1))
        images[3, 0, 1] = value
        with pytest.raises(ValueError, match=text):
            episode_dataset(images, LABELS, 2, 1, 1, seed=0)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_features(self, value):
        features = numbered(14)
        features[2] = value
        with pytest.raises(ValueError, match="`examples` must be finite.*: 1"):
            episode_dataset(features, LABELS, 2, 1, 1, seed=0)
