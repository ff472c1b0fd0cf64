"""Tests of the letters that are classes, and of their splits."""

import collections
import unicodedata

import numpy as np
import pytest

from keras_meta.data import glyphs
from keras_meta.data.glyph_drawings import DRAWINGS
from keras_meta.data.glyphs import SPLITS, load_glyphs


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("glyphs")


@pytest.fixture(scope="module")
def splits(cache_dir):
    """All splits: `{split: (examples, labels)}`."""
    return {split: load_glyphs(split, cache_dir=cache_dir) for split in SPLITS}


@pytest.fixture(scope="module")
def combinations(cache_dir, splits):
    """The same of the protocol "combinations", from the same cache."""
    return {
        split: load_glyphs(split, cache_dir=cache_dir, protocol="combinations")
        for split in SPLITS
    }


def classes(labels):
    return labels[::DRAWINGS]


@pytest.mark.parametrize("split", SPLITS)
def test_shapes_and_values(splits, split):
    examples, labels = splits[split]
    assert examples.dtype == np.uint8
    assert examples.shape == (len(labels), 28, 28, 1)
    assert labels.dtype.kind == "U"
    # Every drawing has ink, about as dark as it gets, and dark ground.
    assert examples.max(axis=(1, 2, 3)).min() > 127
    assert np.median(examples) == 0
    coverage = (examples > 127).mean(axis=(1, 2, 3))
    assert 0.01 < coverage.min() and coverage.max() < 0.6


@pytest.mark.parametrize("split", SPLITS)
def test_each_class_has_twenty_drawings_in_a_row(splits, split):
    labels = splits[split][1]
    names, counts = np.unique(labels, return_counts=True)
    assert set(counts) == {DRAWINGS}
    assert len(names) == len(classes(labels))
    np.testing.assert_array_equal(labels, np.repeat(classes(labels), DRAWINGS))


def test_number_of_classes(splits):
    """As the docstring says, but for the versions of the libraries."""
    counts = {s: len(classes(labels)) for s, (_, labels) in splits.items()}
    assert counts["train"] == pytest.approx(903, rel=0.05)
    assert counts["validation"] == pytest.approx(103, rel=0.1)
    assert counts["test"] == pytest.approx(157, rel=0.1)


def test_labels_name_letters_of_the_scripts_of_the_split(splits):
    for split, (_, labels) in splits.items():
        scripts = set()
        for label in classes(labels):
            script, name = label.split("/")
            letter = unicodedata.lookup(name)
            assert unicodedata.category(letter) in ("Lu", "Ll", "Lt", "Lo")
            assert name.startswith(script.upper())
            scripts.add(script)
        assert scripts == set(SPLITS[split])


def test_no_class_is_in_two_splits(splits):
    names = np.concatenate([classes(labels) for _, labels in splits.values()])
    assert len(np.unique(names)) == len(names)


def test_drawings_of_a_class_differ(splits):
    for examples, _ in splits.values():
        for drawings in examples.reshape(-1, DRAWINGS, 28 * 28):
            assert len({image.tobytes() for image in drawings}) == DRAWINGS


def test_ink_is_centred_inside_the_frame(splits):
    # The first eight drawings are plain styles, 20 pixels wide or high.
    for examples, _ in splits.values():
        images = examples.reshape(-1, DRAWINGS, 28, 28)[:, :8]
        assert not images[..., :3, :].any() and not images[..., -3:, :].any()
        assert not images[..., :3].any() and not images[..., -3:].any()
        columns, rows = images.any(axis=2), images.any(axis=3)
        span = np.maximum(columns.sum(-1), rows.sum(-1))
        # Holes, as under the dot of an i, leave the larger of them whole.
        assert np.median(span) == 20


def test_look_alikes_belong_to_the_first_split(splits):
    train = set(splits["train"][1])
    held_out = {*splits["validation"][1], *splits["test"][1]}
    assert "Latin/LATIN CAPITAL LETTER A" in train
    assert "Greek/GREEK CAPITAL LETTER ALPHA" not in train
    assert "Cyrillic/CYRILLIC CAPITAL LETTER A" not in held_out
    assert "Latin/LATIN CAPITAL LETTER C" in train
    assert "Latin/LATIN SMALL LETTER C" not in train
    assert "Cyrillic/CYRILLIC SMALL LETTER ES" not in held_out
    assert "Armenian/ARMENIAN SMALL LETTER SEH" not in held_out


def test_different_letters_stay_apart(splits):
    train = set(splits["train"][1])
    for name in ("B", "D", "E", "E WITH ACUTE", "E WITH GRAVE", "Q", "R"):
        assert f"Latin/LATIN SMALL LETTER {name}" in train
    assert "Greek/GREEK CAPITAL LETTER OMEGA" in train
    assert "Cyrillic/CYRILLIC CAPITAL LETTER ZHE" in splits["test"][1]


def test_no_letter_looks_like_one_of_another_split(splits):
    # Every letter begins with the four styles of DejaVu Sans, so drawings
    # can be compared one to one.
    plain = {
        split: examples.reshape(-1, DRAWINGS, 28 * 28)[:, :4] / np.float32(255)
        for split, (examples, _) in splits.items()
    }
    for one, other in (
        ("train", "validation"),
        ("train", "test"),
        ("validation", "test"),
    ):
        distances = []
        for style in range(4):
            a, b = plain[one][:, style], plain[other][:, style]
            a2, b2 = (a**2).sum(-1)[:, None], (b**2).sum(-1)
            distances.append((a2 + b2 - 2 * a @ b.T) / (a2 + b2))
        # 0 for the same drawing, 1 for no common ink; 0.04 for two letters
        # that differ by one bar (U+0184 and U+048C).
        assert np.mean(distances, axis=0).min() > 0.02


def test_fresh_builds_give_the_same_arrays(splits, tmp_path, monkeypatch):
    # Two scripts only, to be quick.
    monkeypatch.setattr(glyphs, "SPLITS", {"test": ("Armenian", "Lao")})
    examples, labels = load_glyphs("test", cache_dir=tmp_path / "one")
    again = load_glyphs("test", cache_dir=tmp_path / "two")
    np.testing.assert_array_equal(again[0], examples)
    np.testing.assert_array_equal(again[1], labels)
    # A letter's drawings do not depend on which other letters there are.
    both = np.intersect1d(labels, splits["test"][1])
    assert len(both) > 60
    for label in both:
        np.testing.assert_array_equal(
            examples[labels == label],
            splits["test"][0][splits["test"][1] == label],
        )


def test_second_load_only_reads_the_cache(splits, cache_dir, monkeypatch):
    def fail(*args):
        raise AssertionError("built again")

    monkeypatch.setattr(glyphs, "_build", fail)
    examples, labels = load_glyphs("test", cache_dir=cache_dir)
    np.testing.assert_array_equal(examples, splits["test"][0])
    np.testing.assert_array_equal(labels, splits["test"][1])


class TestCombinations:
    """The protocol for zero-shot learning."""

    def names(self, combinations, split):
        return [i.split("/")[1] for i in classes(combinations[split][1])]

    def test_number_of_classes(self, combinations):
        """As the docstring says, but for the versions of the libraries."""
        counts = {s: len(classes(x[1])) for s, x in combinations.items()}
        assert counts["train"] == pytest.approx(814, rel=0.05)
        assert counts["validation"] == pytest.approx(63, rel=0.15)
        assert counts["test"] == pytest.approx(103, rel=0.15)

    def test_the_letters_are_those_of_three_scripts(self, splits, combinations):
        """So any two of them look different, as in the other protocol."""
        drawings = {
            label: examples[k * DRAWINGS : (k + 1) * DRAWINGS]
            for examples, labels in splits.values()
            for k, label in enumerate(classes(labels))
            if label.startswith(("Latin", "Greek", "Cyrillic"))
        }
        for examples, labels in combinations.values():
            np.testing.assert_array_equal(
                labels, np.repeat(classes(labels), DRAWINGS)
            )
            for k, label in enumerate(classes(labels)):
                # Popped: each letter is in one split, once.
                np.testing.assert_array_equal(
                    examples[k * DRAWINGS : (k + 1) * DRAWINGS],
                    drawings.pop(label),
                )
        assert not drawings

    @pytest.mark.parametrize("split", ["validation", "test"])
    def test_words_of_held_out_letters_are_trained(self, combinations, split):
        seen = collections.Counter(
            word
            for name in self.names(combinations, "train")
            for word in set(name.split())
        )
        bases = {
            name.split(" WITH ")[0]
            for name in self.names(combinations, "train")
        }
        for name in self.names(combinations, split):
            assert " WITH " in name
            assert name.split(" WITH ")[0] in bases
            assert min(seen[word] for word in name.split()) >= 3

    def test_no_combination_of_words_is_in_two_splits(self, combinations):
        sets = [
            frozenset(name.split())
            for split in SPLITS
            for name in self.names(combinations, split)
        ]
        assert len(set(sets)) == len(sets)

    def test_letters_without_marks_are_trained(self, combinations):
        train = classes(combinations["train"][1])
        assert "Latin/LATIN CAPITAL LETTER A" in train
        assert "Greek/GREEK SMALL LETTER OMEGA" in train
        assert "Cyrillic/CYRILLIC CAPITAL LETTER ZHE" in train

    def test_a_letter_less_leaves_the_choice_of_the_others(self, combinations):
        """Nearly: the letter may have made another's parts frequent."""
        labels = np.concatenate([classes(i[1]) for i in combinations.values()])
        whole = glyphs._splits_of_combinations(sorted(labels))
        for split, (_, own) in combinations.items():
            assert {i for i in whole if whole[i] == split} == set(own)
        for label in labels[::100]:
            fewer = [i for i in labels if i != label]
            rest = glyphs._splits_of_combinations(fewer)
            assert sum(rest[i] != whole[i] for i in fewer) <= 3

    def test_rotations(self, combinations, cache_dir):
        examples, names = load_glyphs(
            "test", rotations=True, cache_dir=cache_dir, protocol="combinations"
        )
        assert len(examples) == len(names)
        assert len(examples) == 4 * len(combinations["test"][0])

    def test_unknown_protocol(self):
        with pytest.raises(
            ValueError, match="`protocol` must be .*Received: protocol='words'"
        ):
            load_glyphs("train", protocol="words")


def test_rotations_are_classes(splits, cache_dir):
    examples, labels = splits["test"]
    turned, names = load_glyphs("test", rotations=True, cache_dir=cache_dir)
    assert len(turned) == len(names) == 4 * len(examples)
    assert len(np.unique(names)) == 4 * len(np.unique(labels))
    chosen = np.flatnonzero(names == f"{labels[0]}/090")
    np.testing.assert_array_equal(
        turned[chosen], np.rot90(examples[:DRAWINGS], axes=(1, 2))
    )


def test_unknown_split():
    with pytest.raises(
        ValueError, match="`split` must be one of .*Received: split='trainval'"
    ):
        load_glyphs("trainval")


@pytest.mark.parametrize("size", [0, 7, 28.0, True, None, (28, 28)])
def test_impossible_size(size):
    with pytest.raises(ValueError, match="`size` must be .*Received: size="):
        load_glyphs("train", size=size)
