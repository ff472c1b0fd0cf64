"""What callers pass as examples: read, or named in the error."""

import array
import collections

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from PIL import Image

from keras_meta.arrays import is_source, number_array
from keras_meta.data import (
    EncodedImages,
    episode_dataset,
    pair_dataset,
    rotations_as_classes,
    zero_shot_dataset,
)
from keras_meta.preprocessing import Preprocessing

ROWS = np.arange(24, dtype="float32").reshape(8, 3) * 3 - 20
LABELS = np.repeat(["cat", "dog"], 4)

SAME = {
    "tensor": lambda: tf.constant(ROWS),
    "variable": lambda: tf.Variable(ROWS),
    "Keras variable": lambda: keras.Variable(ROWS),
    "half precision": lambda: tf.cast(ROWS, "bfloat16"),
    "table": lambda: pd.DataFrame(ROWS),
    "table of objects": lambda: pd.DataFrame(ROWS).astype(object),
    "nullable table": lambda: pd.DataFrame(ROWS).astype("Int64"),
    "nested lists": ROWS.tolist,
    "list of arrays": lambda: list(ROWS),
    "tuple of tensors": lambda: tuple(tf.constant(row) for row in ROWS),
    "series of arrays": lambda: pd.Series(list(ROWS)),
    "queue": lambda: collections.deque(ROWS),
    "uniform ragged tensor": lambda: tf.ragged.constant(ROWS.tolist()),
    "unmasked": lambda: np.ma.masked_array(ROWS, ROWS > 1000),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_numbers_in_any_form(kind):
    np.testing.assert_array_equal(number_array(SAME[kind](), "x"), ROWS)


def test_types_are_kept():
    for dtype in ("uint8", "int64", "bool", "float16"):
        values = np.ones((2, 3), dtype)
        for given in (values, tf.constant(values), pd.DataFrame(values)):
            assert number_array(given, "x").dtype == dtype
    assert number_array(array.array("d", [1, 2]), "x").dtype == "float64"
    assert number_array([], "x").shape == (0,)


def test_pictures_of_one_size_are_read_by_their_mode():
    pictures = [Image.new("CMYK", (5, 4), (0, 255, 255, 0))] * 2
    found = number_array(pictures, "x")
    assert found.shape == (2, 4, 5, 3)
    assert found[0, 0, 0].tolist() == [255, 0, 0]


BAD = {
    "generator": (lambda: (row for row in ROWS), "type generator"),
    "iterator": (lambda: iter(ROWS), "type"),
    "data set": (lambda: tf.data.Dataset.from_tensors(1), "type"),
    "dict": (lambda: {"x": ROWS}, "type dict"),
    "set": (lambda: set(range(8)), "type set"),
    "nothing": (lambda: None, "type NoneType"),
    "number": (lambda: 3.5, "type float"),
    "text": (lambda: "cat.png", "read_picture"),
    "texts": (lambda: ["cat.png"] * 8, "read_picture"),
    "sparse": (lambda: scipy.sparse.csr_matrix(ROWS), "a sparse csr_matrix"),
    "sparse rows": (
        lambda: [scipy.sparse.coo_array(ROWS[:1])] * 8,
        "a sparse coo_array",
    ),
    "sparse tensor": (
        lambda: tf.sparse.from_dense(ROWS),
        "a sparse SparseTensor",
    ),
    "ragged tensor": (
        lambda: tf.ragged.constant([[1.0, 2.0]] * 7 + [[1.0]]),
        r"shapes \(2,\) in row 0 and \(1,\) in row 7",
    ),
    "unequal": (
        lambda: [np.zeros((3, 3))] * 2 + [np.zeros((4, 3))] * 6,
        r"list of 8 with the shapes \(3, 3\) in row 0 and \(4, 3\) in row 2",
    ),
    "unequal pictures": (
        lambda: [Image.new("L", (3, 3))] * 7 + [Image.new("L", (3, 4))],
        r"\(3, 3, 1\) in row 0 and \(4, 3, 1\) in row 7",
    ),
    "bytes and floats": (
        lambda: [np.zeros(3, "uint8")] * 7 + [np.zeros(3)],
        "uint8 and other arrays",
    ),
    "words": (lambda: pd.DataFrame({"a": ["x"] * 8}), "are no numbers"),
    "dates": (lambda: np.zeros(8, "M8[s]"), "are no numbers"),
    "complex": (lambda: np.zeros((8, 2), complex), "are no numbers"),
    "fields": (lambda: np.zeros(8, [("a", int)]), "are no numbers"),
    "symbol": (lambda: keras.Input((3,)), "symbolic"),
    "no values": (lambda: np.zeros((8, 0)), "at least one value"),
    "no pixels": (lambda: [np.zeros((0, 15, 3))] * 8, "at least one value"),
    "missing": (lambda: pd.DataFrame({"a": [1, None] * 4}), "be finite"),
    "nullable": (
        lambda: pd.DataFrame({"a": pd.array([1, None] * 4, "Int64")}),
        "be finite",
    ),
    "masked": (lambda: np.ma.masked_array(ROWS, ROWS > 0), "be finite"),
    "overflow": (lambda: np.full((8, 2), 1e300), "be finite"),
    "range": (
        lambda: np.full((8, 4, 4, 1), -40.0),
        r"-40 to -40.* other values are passed in another rank",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_named_by_every_data_set(kind):
    make, message = BAD[kind]
    message = f"`examples` must (?s:.*){message}"
    with pytest.raises(ValueError, match=message):
        episode_dataset(make(), LABELS, 2, 1, 1, seed=0)
    with pytest.raises(ValueError, match=message):
        pair_dataset(make(), LABELS, seed=0)
    with pytest.raises(ValueError, match=message):
        zero_shot_dataset(make(), LABELS, np.eye(2), 2, 1, seed=0)


@pytest.mark.parametrize("kind", ["tensor", "table", "list of arrays"])
def test_a_data_set_of_any_form_is_that_of_the_array(kind):
    for draw in (
        lambda x: episode_dataset(x, LABELS, 2, 1, 2, seed=3),
        lambda x: pair_dataset(x, LABELS, seed=3),
        lambda x: zero_shot_dataset(x, LABELS, np.eye(2), 2, 1, seed=3),
    ):
        expected = next(iter(draw(ROWS)))
        found = next(iter(draw(SAME[kind]())))
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_counts_may_be_numbers_of_numpy():
    one = np.int64(1)
    given = episode_dataset(
        ROWS,
        LABELS,
        way=np.array([2, 2]),
        shot=np.uint8(1),
        queries=np.int32(2),
        seed=np.int16(3),
        start=one,
    )
    plain = episode_dataset(ROWS, LABELS, 2, 1, 2, seed=3, start=1)
    tf.nest.map_structure(
        np.testing.assert_array_equal, next(iter(given)), next(iter(plain))
    )
    assert EncodedImages([], Preprocessing(np.int8(9))).shape == (0, 9, 9, 1)


def test_a_table_or_a_tensor_is_no_image_source():
    assert is_source(EncodedImages([], Preprocessing(4)))
    for values in (ROWS, pd.DataFrame(ROWS), tf.constant(ROWS), [1]):
        assert not is_source(values)


class TestDescriptions:
    def drawn(self, descriptions):
        data = zero_shot_dataset(ROWS, LABELS, descriptions, 2, 1, seed=0)
        return next(iter(data))[0]["support_x"].numpy().tolist()

    def test_a_table_is_read_by_its_index(self):
        table = pd.DataFrame([[5, 6], [7, 8]], index=["dog", "cat"])
        by_label = {"dog": tf.constant([5, 6]), "cat": pd.Series([7, 8])}
        in_order = tf.constant([[7, 8], [5, 6]])
        expected = self.drawn(np.array([[7, 8], [5, 6]]))
        for given in (table, by_label, in_order, table.iloc[::-1].to_numpy()):
            assert self.drawn(given) == expected

    @pytest.mark.parametrize(
        "given",
        [[[1], [2, 3]], [["a"], ["b"]], {"cat": "a", "dog": "b"}, "ab", None],
    )
    def test_what_is_no_number_is_named(self, given):
        with pytest.raises(ValueError, match="`descriptions` must be"):
            self.drawn(given)


class TestRotations:
    def test_square_images_and_whole_labels_only(self):
        with pytest.raises(ValueError, match="must be square images"):
            rotations_as_classes(np.zeros((2, 4, 5, 1)), ["a", "b"])
        with pytest.raises(ValueError, match="`labels` must not be missing"):
            rotations_as_classes(np.zeros((2, 4, 4, 1)), ["a", None])
        with pytest.raises(ValueError, match="one label for each example"):
            rotations_as_classes(np.zeros((2, 4, 4, 1)), ["a"])
        images, labels = rotations_as_classes(
            tf.ones((1, 4, 4, 1)), pd.Series(["a"])
        )
        assert images.shape == (4, 4, 4, 1)
        assert labels.tolist() == ["a/000", "a/090", "a/180", "a/270"]
