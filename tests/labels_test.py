"""Labels of one kind become classes; missing and mixed ones are named."""

import datetime
import decimal
import enum

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_meta.data import (
    episode_dataset,
    label_groups,
    load_image_folder,
    pair_dataset,
    zero_shot_dataset,
)
from keras_meta.data.labels import class_codes, label_array

Animal = enum.Enum("Animal", {"HEN": "z", "CAT": 3})
Word = enum.StrEnum("Word", {"SECOND": "b", "FIRST": "a"})
Number = enum.IntEnum("Number", {"TWO": 2, "ONE": 1})
Colour = enum.Flag("Colour", ["RED", "BLUE"])
DAYS = [datetime.date(2024, 5, 2), datetime.date(2024, 5, 1)]


@pytest.mark.parametrize(
    "labels, classes",
    [
        (["b", "a", "b"], ["a", "b"]),
        (np.array(["b", "a"]), ["a", "b"]),
        ([np.str_("b"), "a"], ["a", "b"]),
        (pd.Series(["b", "a"]), ["a", "b"]),
        (pd.Series(["b", "a"], index=[7, 9]), ["a", "b"]),
        (pd.Index(["b", "a"]), ["a", "b"]),
        (pd.Categorical(["b", "a", "b"], ["b", "a", "c"]), ["a", "b"]),
        (pd.Series(["b", "a"], dtype="category"), ["a", "b"]),
        (pd.Series([2, 1], dtype="Int64"), [1, 2]),
        (tf.constant([2, 1]), [1, 2]),
        (list(tf.constant([2, 1])), [1, 2]),
        ([2, 1.5], [1.5, 2.0]),
        (np.array([2, 1.5], object), [1.5, 2.0]),
        (range(3), [0, 1, 2]),
        ([True, False], [False, True]),
        ([2**70, 1], [1, 2**70]),
        (np.ma.masked_array([2, 1], [False, False]), [1, 2]),
        (DAYS, DAYS[::-1]),
        ([Animal.CAT, Animal.HEN], [Animal.HEN, Animal.CAT]),
        (pd.Series([Animal.CAT, Animal.HEN]), [Animal.HEN, Animal.CAT]),
        ([Word.SECOND, Word.FIRST], [Word.FIRST, Word.SECOND]),
        ([Number.TWO, Number.ONE], [Number.ONE, Number.TWO]),
        (
            [Colour.RED | Colour.BLUE, Colour.BLUE],
            [Colour.BLUE, Colour.RED | Colour.BLUE],
        ),
    ],
)
def test_classes_are_sorted_and_keep_their_kind(labels, classes):
    found, codes = class_codes(label_array(labels))
    assert found.tolist() == classes
    assert [type(x) for x in found.tolist()] == [type(x) for x in classes]
    assert [classes[code] for code in codes] == [
        label.numpy() if hasattr(label, "numpy") else label for label in labels
    ]


def test_long_str_are_not_cut():
    labels = np.concatenate([label_array(["a"]), label_array(["longer"])])
    assert labels.tolist() == ["a", "longer"]


MISSING = [
    (["a", None, "b"], "None in row 1"),
    (["a", float("nan"), "b"], "nan in row 1"),
    ([1.0, 2.0, np.nan], "nan in row 2"),
    ([None] * 9, "None in rows 0, 1, 2, 3, 4 and 4 more"),
    (np.array([1.0, np.nan]), "nan in row 1"),
    (np.array(["2024", "NaT"], "M8[D]"), "NaT in row 1"),
    (np.array(["a", None], object), "None in row 1"),
    (np.ma.masked_array([1, 2], [True, False]), "None in row 0"),
    (pd.Series(["a", None]), "in row 1"),
    (pd.Series([1, pd.NA], dtype="Int64"), "in row 1"),
    (pd.Series([True, pd.NA], dtype="boolean"), "in row 1"),
    (pd.Series(["a", pd.NA], dtype="string"), "in row 1"),
    (pd.Categorical(["a", None]), "nan in row 1"),
    ([pd.NaT, pd.Timestamp(0)], "NaT in row 0"),
    ([decimal.Decimal(1), decimal.Decimal("NaN")], "NaN in row 1"),
]
MIXED = [
    (["a", 1, "b", 2.5], "Received: str in rows 0, 2; int in rows 1, 3"),
    ([True, 1], "bool in row 0; int in row 1"),
    ([b"a", "a"], "bytes in row 0; str in row 1"),
    ([Animal.HEN, "hen"], "Animal in row 0; str in row 1"),
    ([Word.FIRST, "a"], "Word in row 0; str in row 1"),
    ([Number.ONE, Word.FIRST], "Number in row 0; Word in row 1"),
    (np.array([1, "a"], object), "int in row 0; str in row 1"),
]
OTHER = [
    (np.eye(3), r"one-dimensional.*\(3, 3\); turn one-hot rows"),
    (np.eye(3).tolist(), r"one-dimensional.*\(3, 3\); turn one-hot rows"),
    (pd.DataFrame({"a": [1, 2]}), r"\(2, 1\); pass its only column"),
    ("abc", "list or array of labels. Received: an object of type str"),
    ((x for x in "ab"), "an object of type generator"),
    ({"a": 1}, "an object of type dict"),
    (None, "an object of type NoneType"),
    (5, "an object of type int"),
    ([object(), object()], "can be sorted.* Received: object in row 0"),
    ([[1], [1, 2]], "such as str or numbers. Received: list in row 0"),
    ([{1}, {2}], "such as str or numbers. Received: set in row 0"),
]


@pytest.mark.parametrize("labels, message", MISSING + MIXED + OTHER)
def test_what_is_no_label_is_named(labels, message):
    with pytest.raises(ValueError, match=f"^`labels` must .*{message}"):
        class_codes(label_array(labels))


X = np.zeros((4, 3))
GOOD = ["a", "a", "b", "b"]


@pytest.mark.parametrize("bad", [None, np.nan, pd.NA, 7])
def test_every_data_set_checks_its_labels(bad):
    labels = ["a", "a", "b", bad]
    for draw in (
        lambda: episode_dataset(X, labels, 2, 1, 1, seed=0),
        lambda: pair_dataset(X, labels, seed=0),
        lambda: zero_shot_dataset(X, labels, np.eye(2), 2, 1, seed=0),
        lambda: label_groups(labels),
    ):
        with pytest.raises(ValueError, match="`labels` must .*row 3"):
            draw()
    for draw in (
        lambda: episode_dataset(X, GOOD, 2, 1, 1, seed=0, groups=labels),
        lambda: pair_dataset(X, GOOD, seed=0, groups=labels),
    ):
        with pytest.raises(ValueError, match="`groups` must .*row 3"):
            draw()


def test_groups_and_descriptions_may_be_of_an_enum():
    labels = [Animal.HEN, Animal.HEN, Animal.CAT, Animal.CAT]
    groups = pd.Categorical([1, 1, 1, 1])
    pair_dataset(X, labels, seed=0, groups=groups)
    descriptions = {Animal.CAT: [5], Animal.HEN: [6]}
    drawn = zero_shot_dataset(X, labels, descriptions, 2, 1, seed=0)
    episode, _ = next(iter(drawn))
    assert sorted(episode["support_x"][:, 0].numpy()) == [5, 6]


@pytest.mark.parametrize("label", [None, float("nan"), pd.NA])
def test_a_table_of_files_has_no_missing_labels(label, tmp_path):
    table = pd.DataFrame({"file": ["a.png", "b.png"], "label": ["a", label]})
    for given in (table, list(table.itertuples(index=False))):
        with pytest.raises(ValueError, match="a file and its label.*b.png"):
            load_image_folder(tmp_path, 8, table=given)
