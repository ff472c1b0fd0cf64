"""Tests of the zero-shot episodes.

The examples hold their own row number and the descriptions the number of
their class, so everything drawn can be traced back.
"""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_meta.data.zero_shot import zero_shot_dataset

fewer = hypothesis.settings(max_examples=10, deadline=None)


def numbered(count):
    """Examples `(n, 1)` float32: their own row numbers."""
    return np.arange(count, dtype="float32")[:, None]


def numbers_of_classes(count):
    """Descriptions `(classes, 2)`: the number of the class, and minus it."""
    return np.arange(count)[:, None] * np.array([1, -1])


def take(dataset, count):
    return next(dataset.batch(count).as_numpy_iterator())


def assert_equal(left, right):
    """Two batches, to the last bit."""
    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


@st.composite
def settings(draw):
    """Labels of unequal classes, a way, a number of queries and a seed."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=6))
    seed = draw(st.integers(-(2**31), 2**31))
    labels = np.random.default_rng(abs(seed)).permutation(
        np.repeat(np.arange(len(sizes)), sizes)
    )
    way = draw(st.integers(2, len(sizes)))
    return labels, way, draw(st.integers(1, min(sizes))), seed


class TestEpisodes:
    @fewer
    @hypothesis.given(settings())
    def test_descriptions_are_those_of_the_queries(self, setting):
        labels, way, queries, seed = setting
        descriptions = numbers_of_classes(labels.max() + 1)
        dataset = zero_shot_dataset(
            numbered(len(labels)), labels, descriptions, way, queries, seed
        )
        episode, query_y = take(dataset, 8)
        assert set(episode) == {"support_x", "support_y", "query_x"}
        assert episode["support_x"].shape == (8, way, 2)
        assert episode["query_x"].shape == (8, way * queries, 1)
        assert query_y.shape == (8, way * queries, way)
        for array in (*episode.values(), query_y):
            assert array.dtype == np.float32
        for task in range(8):
            support_x = episode["support_x"][task]
            np.testing.assert_array_equal(
                episode["support_y"][task], np.eye(way)
            )
            assert len(np.unique(support_x[:, 0])) == way
            np.testing.assert_array_equal(support_x[:, 1], -support_x[:, 0])
            rows = episode["query_x"][task, :, 0].astype(int)
            assert len(np.unique(rows)) == way * queries
            np.testing.assert_array_equal(query_y[task].sum(0), queries)
            # The target picks the description of the query's own class.
            np.testing.assert_array_equal(
                query_y[task] @ support_x[:, 0], labels[rows]
            )

    def test_a_dict_is_read_by_label(self):
        labels = np.repeat(["hen", "cat", "dog"], 3)
        vectors = {"hen": [2, -2], "dog": [1, -1], "cat": [0, 0], "ox": [7]}
        by_name = zero_shot_dataset(numbered(9), labels, vectors, 3, 2, 0)
        by_place = zero_shot_dataset(
            numbered(9), labels, numbers_of_classes(3), 3, 2, 0
        )
        assert_equal(take(by_name, 5), take(by_place, 5))

    def test_all_classes_at_once_are_in_random_order(self):
        labels = np.repeat(np.arange(5), 4)
        dataset = zero_shot_dataset(
            numbered(20), labels, numbers_of_classes(5), 5, 4, 0
        )
        orders = take(dataset, 400)[0]["support_x"][..., 0]
        np.testing.assert_array_equal(
            np.sort(orders), np.tile(np.arange(5), (400, 1))
        )
        # Each class at each position in a fifth of the episodes, +- 6 sigma.
        share = (orders[..., None] == np.arange(5)).mean(0)
        np.testing.assert_allclose(share, 0.2, atol=0.12)

    def test_an_element_depends_on_seed_and_index_alone(self):
        def episodes(seed, start=0):
            return zero_shot_dataset(
                numbered(20),
                np.repeat(np.arange(5), 4),
                numbers_of_classes(5),
                way=3,
                queries=2,
                seed=seed,
                start=start,
            )

        assert_equal(take(episodes(1), 6), take(episodes(1), 6))
        assert_equal(take(episodes(1).skip(4), 6), take(episodes(1, 4), 6))
        assert_equal(
            take(episodes(1).shard(2, 1), 1), take(episodes(1, start=1), 1)
        )
        rows = [take(episodes(s), 6)[0]["query_x"] for s in (1, 2)]
        assert not np.array_equal(*rows)

    def test_images_and_shapes_are_static(self):
        images = np.full((6, 8, 8, 1), 255, "uint8")
        dataset = zero_shot_dataset(
            images, np.repeat([0, 1], 3), numbers_of_classes(2), 2, 3, 0
        )
        episode, query_y = dataset.element_spec
        assert episode["support_x"].shape == (2, 2)
        assert episode["support_y"].shape == (2, 2)
        assert episode["query_x"].shape == (6, 8, 8, 1)
        assert query_y.shape == (6, 2)
        np.testing.assert_array_equal(take(dataset, 1)[0]["query_x"], 1)

    def test_augmentation_sees_queries_their_classes_and_a_seed(self):
        def augmentation(images, classes, seed):
            noise = tf.random.stateless_uniform((), seed)
            return images * 0 + tf.cast(classes, "float32")[:, None] + noise

        dataset = zero_shot_dataset(
            numbered(12),
            np.repeat(np.arange(3), 4),
            numbers_of_classes(3),
            way=2,
            queries=4,
            seed=3,
            augmentation=augmentation,
        )
        episode, query_y = take(dataset, 4)
        query_x = episode["query_x"][..., 0]
        np.testing.assert_array_equal(query_x.astype(int), query_y.argmax(-1))
        noise = query_x - query_y.argmax(-1)
        assert np.ptp(noise, axis=1).max() < 1e-6
        assert len(np.unique(noise[:, 0].round(4))) == 4
        assert_equal(take(dataset, 4), (episode, query_y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"way": 1}, "`way` must be at least 2.*way=1"),
        ({"way": 4}, "`way` must not exceed.*classes, 3.*way=4"),
        ({"queries": 0}, "`queries` must be at least 1.*queries=0"),
        ({"queries": 3}, "`queries` must not.*class dog has 2.*queries=3"),
        ({"seed": 0.5}, "`seed` must be an integer.*seed=0.5"),
        ({"start": -1}, "`start` must be at least 0.*start=-1"),
        ({"examples": np.full((8, 1), np.nan)}, "`examples` must be finite"),
        ({"labels": ["cat"] * 7}, "`labels` must hold one label for each"),
        (
            {"descriptions": {"cat": [1], "hen": [2]}},
            "must describe every class.*1 of 3 classes, such as dog",
        ),
        (
            {"descriptions": {"cat": [1, 2], "dog": [3], "hen": [4, 5]}},
            r"vectors of one length.*\(2,\) for class cat, \(1,\) for class d",
        ),
        (
            {"descriptions": {"cat": 1, "dog": 2, "hen": 3}},
            r"vectors of one length.*shape \(\) for class cat",
        ),
        (
            {"descriptions": {"cat": [1], "dog": [np.inf], "hen": [4]}},
            "must be finite.*for class dog",
        ),
        (
            {"descriptions": np.eye(4)},
            r"each of the 3 classes. Received: an array of shape \(4, 4\)",
        ),
        ({"descriptions": np.ones(3)}, r"an array of shape \(3,\)"),
        (
            {"descriptions": np.array([[1.0], [2.0], [np.nan]])},
            "must be finite.*for class hen",
        ),
    ],
)
def test_errors_say_what_was_expected(options, message):
    given = {
        "examples": numbered(8),
        "labels": np.repeat(["cat", "dog", "hen"], [3, 2, 3]),
        "descriptions": np.eye(3),
        "way": 2,
        "queries": 2,
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        zero_shot_dataset(**{**given, **options})
