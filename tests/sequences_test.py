"""Tests of the label-offset sequences.

The examples here hold their own row number, so every drawn example can be
traced back to its row, its class and its group.
"""

import dataclasses
import json
import pathlib

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_meta.data.augmentation import Affine
from keras_meta.data.sequences import previous_labels, sequence_dataset

VECTORS = pathlib.Path(__file__).parent / "vectors"
few = hypothesis.settings(max_examples=15, deadline=None)


def numbered(count):
    """Examples `(n, 1)` float32: their own row numbers."""
    return np.arange(count, dtype="float32")[:, None]


def class_labels(sizes, seed=0):
    """`sizes[k]` labels of class `k`, in random order."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


@dataclasses.dataclass
class Sequences:
    """A batch of sequences, read back: row numbers and labels."""

    rows: np.ndarray
    previous_y: np.ndarray
    target: np.ndarray

    def names(self):
        """The label of each step as text, `(sequences, steps)`."""
        return np.array(
            [["".join(map(str, y)) for y in s] for s in self.target.astype(int)]
        )


def stack(dataset, count):
    return next(dataset.batch(count).as_numpy_iterator())


def read(dataset, count):
    sequence, target = stack(dataset, count)
    assert set(sequence) == {"sequence_x", "previous_y"}
    return Sequences(
        sequence["sequence_x"][:, :, 0].astype(int),
        sequence["previous_y"],
        target,
    )


def assert_equal(left, right):
    """Two batches, to the last bit."""
    tf.nest.map_structure(np.testing.assert_array_equal, left, right)


@st.composite
def settings(draw):
    """What `sequence_dataset` takes, for unequal classes, maybe in groups."""
    class_groups = np.repeat([0, 1], draw(st.tuples(*[st.integers(2, 4)] * 2)))
    count = len(class_groups)
    size = st.integers(2, 6)
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    seed = draw(st.integers(-(2**31), 2**31))
    labels = class_labels(sizes, abs(seed))
    grouped = draw(st.booleans())
    most = np.bincount(class_groups).max() if grouped else count
    way = draw(st.integers(2, int(most)))
    return {
        "examples": numbered(len(labels)),
        "labels": labels,
        "way": way,
        "length": draw(st.integers(way, way * min(sizes))),
        "seed": seed,
        "encoding": draw(st.sampled_from(["one_hot", "letters"])),
        "groups": class_groups[labels] if grouped else None,
    }


class TestSequences:
    @few
    @hypothesis.given(settings())
    def test_labels_are_those_of_the_classes_and_examples_differ(self, setting):
        labels, way, length = (setting[k] for k in ("labels", "way", "length"))
        sequences = read(sequence_dataset(**setting), 5)
        names = sequences.names()
        for rows, names_of_steps in zip(sequences.rows, names, strict=True):
            classes = labels[rows]
            assert len(set(rows)) == length
            # Every class appears, and has one label that no other has.
            pairs = set(zip(classes, names_of_steps, strict=True))
            assert len(pairs) == len(set(classes)) == way
            assert len(set(names_of_steps)) == way
            counts = np.unique(classes, return_counts=True)[1]
            assert set(counts) <= {length // way, -(-length // way)}
            if setting["groups"] is not None:
                assert len(set(setting["groups"][rows])) == 1

    @few
    @hypothesis.given(settings())
    def test_a_label_is_seen_one_step_later(self, setting):
        sequences = read(sequence_dataset(**setting), 5)
        assert not sequences.previous_y[:, 0].any()
        np.testing.assert_array_equal(
            sequences.previous_y[:, 1:], sequences.target[:, :-1]
        )

    @few
    @hypothesis.given(settings(), st.integers(0, 9))
    def test_start_continues_exactly(self, setting, start):
        whole = stack(sequence_dataset(**setting), 12)
        rest = stack(sequence_dataset(**setting, start=start), 12 - start)
        assert_equal(tf.nest.map_structure(lambda x: x[start:], whole), rest)

    def test_the_seed_gives_the_sequences(self):
        def sequences(seed):
            labels = class_labels([4] * 6)
            data = sequence_dataset(numbered(24), labels, 3, 12, seed)
            return stack(data, 20)

        assert_equal(sequences(1), sequences(1))
        assert np.any(sequences(1)[1] != sequences(2)[1])

    def test_one_hot_rows_have_a_column_for_each_class(self):
        sequences = read(
            sequence_dataset(numbered(24), class_labels([4] * 6), 3, 12, 0), 20
        )
        assert sequences.target.shape == (20, 12, 3)
        assert set(np.unique(sequences.target)) == {0, 1}
        np.testing.assert_array_equal(sequences.target.sum(axis=2), 1)
        np.testing.assert_array_equal(sequences.target.sum(axis=1), 4)

    def test_letters_are_five_one_hot_rows(self):
        sequences = read(
            sequence_dataset(
                numbered(24), class_labels([4] * 6), 3, 12, 0, 0, "letters"
            ),
            20,
        )
        letters = sequences.target.reshape(20, 12, 5, 5)
        assert set(np.unique(letters)) == {0, 1}
        np.testing.assert_array_equal(letters.sum(axis=3), 1)

    def test_no_two_classes_share_a_string(self):
        # 60 independent draws of 3,125 would have a pair alike in two of
        # five sequences.
        data = sequence_dataset(
            numbered(60), np.arange(60), 60, 60, 0, encoding="letters"
        )
        for names in read(data, 50).names():
            assert len(set(names)) == 60

    def test_every_letter_is_as_likely_at_every_place(self):
        data = sequence_dataset(
            numbered(20), np.arange(20), 20, 20, 0, encoding="letters"
        )
        frequency = read(data, 200).target.mean(axis=(0, 1))
        # The standard deviation is 0.0063.
        np.testing.assert_allclose(frequency, 0.2, atol=0.03)


class TestEverythingIsReshuffled:
    LABELS = np.repeat(np.arange(6), 5)
    COUNT = 2000

    def sequences(self, length=6, **options):
        data = sequence_dataset(
            numbered(30), self.LABELS, 3, length, 0, **options
        )
        return read(data, self.COUNT)

    def test_classes_and_samples_are_equally_likely(self):
        rows = self.sequences().rows
        frequency = np.bincount(rows.ravel(), minlength=30) / self.COUNT
        # 6 of 30 rows; the standard deviation is 0.009.
        np.testing.assert_allclose(frequency, 6 / 30, atol=0.04)

    @pytest.mark.parametrize("length", [6, 7])
    def test_a_class_has_every_label_at_every_step(self, length):
        sequences = self.sequences(length)
        classes = self.LABELS[sequences.rows]
        labels = sequences.target.argmax(axis=2)
        for step in range(length):
            table = np.zeros((6, 3))
            np.add.at(table, (classes[:, step], labels[:, step]), 1)
            # The standard deviation is 0.005.
            np.testing.assert_allclose(table / self.COUNT, 1 / 18, atol=0.03)

    def test_strings_of_a_class_change(self):
        names = self.sequences(encoding="letters").names()
        # 3 in each of 2000 sequences, of 3,125.
        assert len(np.unique(names)) > 2000

    @pytest.mark.parametrize("length, odd", [(7, 1), (8, 2)])
    def test_the_steps_left_over_have_any_class_and_place(self, length, odd):
        sequences = self.sequences(length)
        counts = sequences.target.sum(axis=1)
        np.testing.assert_array_equal(
            np.sort(counts, axis=1),
            np.tile([2] * (3 - odd) + [3] * odd, (self.COUNT, 1)),
        )
        # The standard deviation is 0.011.
        np.testing.assert_allclose(
            (counts == 3).mean(axis=0), odd / 3, atol=0.05
        )
        # All arrangements are equally likely: so is a repetition anywhere.
        labels = sequences.target.argmax(axis=2)
        repeated = (labels[:, 1:] == labels[:, :-1]).mean(axis=0)
        pairs = (3 - odd) * 2 + odd * 6
        expected = pairs / (length * (length - 1))
        np.testing.assert_allclose(repeated, expected, atol=0.05)


def test_labels_are_offset_as_in_the_vector():
    content = json.loads((VECTORS / "mann_episode.json").read_text())
    labels = np.array(content["inputs"]["labels"])
    expected = content["expected"]
    for offset, vectors in (
        ("one_hot_offset", np.eye(3)),
        ("string_offset", np.array(expected["string_vectors"])),
    ):
        for steps, previous_y in zip(labels, expected[offset], strict=True):
            np.testing.assert_array_equal(
                previous_labels(vectors[steps]), previous_y
            )


class TestElements:
    IMAGES = np.zeros((12, 6, 7, 3), "uint8")
    LABELS = class_labels([4] * 3)

    @pytest.mark.parametrize(
        "encoding, columns", [("one_hot", 2), ("letters", 25)]
    )
    def test_batches_and_shapes(self, encoding, columns):
        data = sequence_dataset(
            self.IMAGES, self.LABELS, 2, 8, 0, encoding=encoding
        )
        sequence, target = data.element_spec
        assert {key: tuple(spec.shape) for key, spec in sequence.items()} == {
            "sequence_x": (8, 6, 7, 3),
            "previous_y": (8, columns),
        }
        assert target.shape == (8, columns)
        for spec in tf.nest.flatten(data.element_spec):
            assert spec.dtype == tf.float32
        sequence, target = stack(data, 4)
        assert sequence["sequence_x"].shape == (4, 8, 6, 7, 3)
        assert sequence["previous_y"].shape == (4, 8, columns)
        assert target.shape == (4, 8, columns)

    def test_the_stream_has_no_end(self):
        data = sequence_dataset(self.IMAGES, self.LABELS, 2, 8, 0, start=3)
        assert data.cardinality() == tf.data.INFINITE_CARDINALITY

    def test_labels_may_be_text_and_bytes_are_divided_by_255(self):
        images = np.array([0, 51, 102, 255], "uint8")[:, None, None, None]
        data = sequence_dataset(images, ["a", "a", "b", "b"], 2, 4, seed=0)
        values = stack(data, 3)[0]["sequence_x"][..., 0, 0, 0]
        np.testing.assert_allclose(
            np.sort(values), np.tile([0, 0.2, 0.4, 1], (3, 1)), rtol=1e-6
        )

    def test_an_image_source_gives_the_same_sequences(self):
        class Source:
            """Draws rows of an array, as a folder of images does."""

            shape = (12, 1)

            def take(self, rows):
                return tf.gather(tf.constant(numbered(12)), rows)

        assert_equal(
            *(
                stack(sequence_dataset(examples, self.LABELS, 2, 8, 0), 5)
                for examples in (numbered(12), Source())
            )
        )

    def test_an_augmentation_gets_the_classes_and_a_seed(self):
        seeds = []

        def add_ten_times_the_class(images, classes, seed):
            seeds.append(seed)
            return images + 10.0 * tf.cast(classes, "float32")[:, None]

        options = {"way": 2, "length": 8, "seed": 0}
        augmented, plain = (
            stack(
                sequence_dataset(
                    numbered(12), self.LABELS, **options, augmentation=change
                ),
                5,
            )
            for change in (add_ten_times_the_class, None)
        )
        classes = plain[1].argmax(axis=2)
        np.testing.assert_array_equal(
            augmented[0]["sequence_x"] - plain[0]["sequence_x"],
            10 * classes[:, :, None],
        )
        np.testing.assert_array_equal(augmented[1], plain[1])
        assert all(tuple(seed.shape) == (2,) for seed in seeds)

    def test_images_are_augmented_anew_in_each_sequence(self):
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (4, 6, 6, 1)).astype("uint8")
        data = sequence_dataset(
            images, [0, 0, 1, 1], 2, 4, 0, augmentation=Affine()
        )
        drawn = stack(data, 20)[0]["sequence_x"].reshape(80, -1)
        assert len(np.unique(drawn, axis=0)) > 40
        assert_equal(stack(data, 20)[0]["sequence_x"].reshape(80, -1), drawn)


class TestErrors:
    def draw(self, **options):
        setting = {
            "examples": numbered(12),
            "labels": np.repeat(["cat", "dog", "hen"], 4),
            "way": 2,
            "length": 8,
            "seed": 0,
        }
        return sequence_dataset(**{**setting, **options})

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"way": 1}, "`way` must be at least 2. Received: way=1"),
            ({"way": 2.0}, "`way` must be an integer"),
            ({"way": 4}, "must not exceed the number of classes, 3. Rec"),
            ({"length": 1}, "`length` must be at least 2. Received: length=1"),
            (
                {"way": 3, "length": 2},
                "`length` must be at least `way`, so that every class "
                "appears. Received: length=2, way=3",
            ),
            (
                {"length": 9},
                "`length` must not exceed `way` times the number of examples "
                "of any class, as no example is shown twice; class cat has "
                "4. Received: length=9, way=2",
            ),
            ({"seed": 0.5}, "`seed` must be an integer"),
            ({"start": -1}, "`start` must be at least 0"),
            ({"encoding": "text"}, "`encoding` must be one of .*letters"),
            (
                {"way": 3126, "length": 3126, "encoding": "letters"},
                "`way` must not exceed the number of strings of 5 letters, "
                "3125. Received: way=3126",
            ),
            ({"labels": np.zeros(11)}, "one label for each example"),
            (
                {"groups": [0] * 4 + [1] * 4 + [2] * 4},
                "classes of the largest group, 1",
            ),
            (
                {"examples": np.where(np.arange(12) == 5, np.nan, 0)[:, None]},
                "`examples` must be finite. Received: 1 values that are NaN",
            ),
        ],
    )
    def test_a_wrong_argument_is_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            self.draw(**options)

    def test_the_longest_sequence_shows_every_example(self):
        rows = read(self.draw(way=3, length=12), 4).rows
        np.testing.assert_array_equal(
            np.sort(rows), np.tile(np.arange(12), (4, 1))
        )

    def test_every_string_is_used_by_as_many_classes(self):
        data = self.draw(
            examples=np.zeros((3125, 1)),
            labels=np.arange(3125),
            way=3125,
            length=3125,
            encoding="letters",
        )
        _, target = next(data.as_numpy_iterator())
        assert len(np.unique(target, axis=0)) == 3125
