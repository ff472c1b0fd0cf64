"""Tests of Omniglot, and of its decoding on a tiny imitation of it.

What needs the data set itself is skipped where `TFDS_DATA_DIR` does not hold
it: tests download nothing.
"""

import os
import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from keras_meta.data.episodes import episode_dataset, label_groups
from keras_meta.data.omniglot import (
    DRAWINGS,
    PROTOCOLS,
    VINYALS_TEST,
    VINYALS_VALIDATION,
    load_omniglot,
)

CHARACTERS = {
    ("vinyals", "train"): 1028,
    ("vinyals", "validation"): 172,
    ("vinyals", "trainval"): 1200,
    ("vinyals", "test"): 423,
    ("lake", "train"): 964,
    ("lake", "test"): 659,
    ("random1200", "train"): 1100,
    ("random1200", "validation"): 100,
    ("random1200", "trainval"): 1200,
    ("random1200", "test"): 423,
}


@pytest.fixture(scope="module")
def splits():
    """`{(protocol, split): (examples, labels)}`, without rotations."""
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not (pathlib.Path(folder) / "omniglot").is_dir():
        pytest.skip("TFDS_DATA_DIR does not hold the data set omniglot")
    return {
        (protocol, split): load_omniglot(split, protocol, rotations=False)
        for protocol, split in CHARACTERS
    }


class TestSplits:
    def test_the_numbers_of_characters(self, splits):
        for key, (examples, labels) in splits.items():
            names, drawings = np.unique(labels, return_counts=True)
            assert len(names) == CHARACTERS[key], key
            assert set(drawings) == {DRAWINGS} == {20}
            assert examples.shape == (len(labels), 28, 28, 1)
            assert examples.dtype == np.uint8
            assert labels.dtype.kind == "U"

    def test_the_splits_of_a_protocol_share_no_character(self, splits):
        for protocol in PROTOCOLS:
            names = {
                split: set(labels)
                for (of, split), (_, labels) in splits.items()
                if of == protocol
            }
            trainval = names.pop("trainval", None)
            assert sum(map(len, names.values())) == 1623
            assert len(set.union(*names.values())) == 1623
            if trainval:
                assert trainval == names["train"] | names["validation"]

    def test_the_alphabets_of_the_vinyals_split(self, splits):
        alphabets = {
            split: set(label_groups(splits["vinyals", split][1]))
            for split in ("train", "validation", "test")
        }
        sizes = {split: len(names) for split, names in alphabets.items()}
        assert sizes == {"train": 33, "validation": 5, "test": 13}
        assert alphabets["train"] & alphabets["test"] == {"Gurmukhi"}
        assert alphabets["validation"] == set(VINYALS_VALIDATION)
        assert alphabets["test"] == {*VINYALS_TEST, "Gurmukhi"}
        assert len(set.union(*alphabets.values())) == 50

    def test_the_characters_of_the_straddling_alphabet(self, splits):
        characters = {
            split: [
                int(label[-2:])
                for label in np.unique(splits["vinyals", split][1])
                if label.startswith("Gurmukhi/")
            ]
            for split in ("train", "test")
        }
        assert characters["train"] == list(range(1, 42))
        assert characters["test"] == list(range(42, 46))

    def test_the_alphabets_of_the_lake_split(self, splits):
        train, test = (
            set(label_groups(splits["lake", split][1]))
            for split in ("train", "test")
        )
        assert len(train) == 30 and len(test) == 20
        assert not train & test

    def test_the_random_split_shares_alphabets(self, splits):
        train, test = (
            set(label_groups(splits["random1200", split][1]))
            for split in ("train", "test")
        )
        assert len(train) == 50 and len(test) > 40

    def test_ink_is_bright_on_a_dark_ground(self, splits):
        examples, _ = splits["vinyals", "test"]
        border = np.concatenate(
            [examples[:, 0], examples[:, -1], examples[:, :, 0]], axis=1
        )
        assert (np.median(border, axis=(1, 2)) == 0).all()
        # Thin strokes: every drawing has ink, on a small part of it.
        assert examples.max(axis=(1, 2, 3)).min() > 80
        coverage = examples.mean(axis=(1, 2, 3)) / 255
        assert 0 < coverage.min() and coverage.max() < 0.5

    def test_drawings_of_a_character_differ(self, splits):
        examples, _ = splits["vinyals", "test"]
        flat = examples.reshape(-1, DRAWINGS, 28 * 28)
        distinct = [len(np.unique(drawings, axis=0)) for drawings in flat]
        assert np.mean(distinct) > 19.9

    def test_rotations_are_four_times_the_classes(self, splits):
        plain, names = splits["vinyals", "test"]
        examples, labels = load_omniglot("test")
        assert len(np.unique(labels)) == 4 * 423
        assert len(examples) == 4 * len(plain)
        for turns in range(4):
            chosen = np.char.endswith(labels, f"/{90 * turns:03d}")
            np.testing.assert_array_equal(
                examples[chosen], np.rot90(plain, turns, axes=(1, 2))
            )
            np.testing.assert_array_equal(
                labels[chosen], np.char.add(names, f"/{90 * turns:03d}")
            )

    def test_episodes_within_an_alphabet(self, splits):
        examples, labels = splits["vinyals", "validation"]
        dataset = episode_dataset(
            examples, labels, 20, 1, 1, 0, groups=label_groups(labels)
        )
        episode, _ = next(dataset.as_numpy_iterator())
        assert episode["support_x"].shape == (20, 28, 28, 1)
        assert 0 <= episode["support_x"].min()
        assert episode["support_x"].max() <= 1


# Alphabets by part, as TFDS numbers them, and their numbers of characters.
NAMES = ["Keble", "Greek", "Hebrew"]
PARTS = {"train": {"Greek": 3, "Hebrew": 2}, "test": {"Keble": 2}}


def stroke(alphabet, character):
    """uint8 `(105, 105, 3)`: a black bar on white that names the class."""
    image = np.full((105, 105, 3), 255, "uint8")
    image[20 : 40 + 10 * character, 30 + 5 * alphabet : 45] = 0
    return image


class Imitation:
    """What `load` of TensorFlow Datasets gives for `omniglot`."""

    def __init__(self):
        self.calls = []

    def load(self, name, split, with_info):
        assert (name, with_info) == ("omniglot", True)
        self.calls.append(split)
        rows = [
            (NAMES.index(alphabet), character)
            for alphabet, characters in PARTS[split].items()
            for character in range(characters)
            for _ in range(DRAWINGS)
        ]
        rows = np.random.default_rng(0).permutation(rows)
        dataset = tf.data.Dataset.from_tensor_slices(
            {
                "image": np.stack([stroke(*row) for row in rows]),
                "alphabet": rows[:, 0],
                "alphabet_char_id": rows[:, 1],
            }
        )
        feature = types.SimpleNamespace(names=NAMES)
        info = types.SimpleNamespace(features={"alphabet": feature})
        return dataset, info


@pytest.fixture
def imitation(monkeypatch):
    imitation = Imitation()
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", imitation)
    return imitation


class TestDecoding:
    def test_labels_images_and_order(self, imitation, tmp_path):
        examples, labels = load_omniglot(
            "train", "lake", rotations=False, cache_dir=tmp_path
        )
        assert examples.shape == (5 * DRAWINGS, 28, 28, 1)
        assert examples.dtype == np.uint8
        expected = [f"Greek/character0{number}" for number in (1, 2, 3)]
        expected += [f"Hebrew/character0{number}" for number in (1, 2)]
        np.testing.assert_array_equal(labels, np.repeat(expected, DRAWINGS))
        for image, label in zip(examples, labels, strict=True):
            alphabet, character = label.split("/")
            original = stroke(NAMES.index(alphabet), int(character[-2:]) - 1)
            # The whole picture keeps its mean, inverted.
            ink = 1 - original.mean() / 255
            assert image.mean() / 255 == pytest.approx(ink, abs=1e-3)
            assert image[0, 0] == 0 and image[7, 11] == 255

    def test_parts_are_the_lake_split(self, imitation, tmp_path):
        _, labels = load_omniglot("test", "lake", cache_dir=tmp_path)
        assert set(label_groups(labels)) == {"Keble"}

    def test_alphabets_are_the_vinyals_split(self, imitation, tmp_path):
        alphabets = {
            split: set(
                label_groups(load_omniglot(split, cache_dir=tmp_path)[1])
            )
            for split in PROTOCOLS["vinyals"]
        }
        assert alphabets == {
            "train": {"Greek"},
            "validation": {"Hebrew"},
            "trainval": {"Greek", "Hebrew"},
            "test": {"Keble"},
        }

    def test_rotations_are_turned_and_named(self, imitation, tmp_path):
        plain, names = load_omniglot(
            "test", rotations=False, cache_dir=tmp_path
        )
        examples, labels = load_omniglot("test", cache_dir=tmp_path)
        assert len(set(labels)) == 4 * len(set(names))
        for image, label in zip(examples, labels, strict=True):
            name, degrees = label.rsplit("/", 1)
            original = plain[names == name][0]
            np.testing.assert_array_equal(
                image, np.rot90(original, int(degrees) // 90)
            )

    def test_the_second_call_reads_the_cache(
        self, imitation, tmp_path, monkeypatch
    ):
        first = load_omniglot("train", cache_dir=tmp_path)
        assert imitation.calls == ["train", "test"]
        # None in `sys.modules` makes the import itself fail.
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        for one, two in zip(
            first, load_omniglot("train", cache_dir=tmp_path), strict=True
        ):
            np.testing.assert_array_equal(one, two)
        # Another split and protocol come from the same file.
        load_omniglot("test", "lake", cache_dir=tmp_path)

    def test_another_size_is_decoded_anew(self, imitation, tmp_path):
        load_omniglot("test", cache_dir=tmp_path)
        examples, _ = load_omniglot("test", size=20, cache_dir=tmp_path)
        assert examples.shape[1:] == (20, 20, 1)
        assert len(imitation.calls) == 4

    def test_by_default_the_cache_is_in_keras_home(
        self, imitation, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        load_omniglot("test")
        assert len(list((tmp_path / "keras_meta").iterdir())) == 1


class TestErrors:
    """They come before anything is read."""

    @pytest.fixture(autouse=True)
    def _no_data(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def test_the_lake_protocol_has_no_validation_split(self):
        with pytest.raises(
            ValueError,
            match=r"`split` must be one of \('train', 'test'\) for the "
            "protocol 'lake'. Received: split='validation'",
        ):
            load_omniglot("validation", "lake")

    def test_an_unknown_split(self):
        with pytest.raises(ValueError, match="`split` must be one of .*'val'"):
            load_omniglot("val")

    def test_an_unknown_protocol(self):
        with pytest.raises(
            ValueError, match="`protocol` must be one of .*protocol='ravi'"
        ):
            load_omniglot("train", "ravi")
