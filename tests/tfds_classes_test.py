import re
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_meta.data.tfds_classes import load_tfds
from keras_meta.preprocessing import Preprocessing

NAMES = [f"class_{i:02}" for i in range(10, 0, -1)]
COLOUR = tfds.features.Image(shape=(None, None, 3))
FLOATS = tfds.features.Image(shape=(None, None, 1), dtype=np.float32)


def picture(label, position):
    """uint8 `(height, 9, 3)`, of unequal heights."""
    shape = (6 + label % 3, 9, 3)
    pixels = np.random.default_rng([label + 1, position]).integers(
        256, size=shape
    )
    return pixels.astype("uint8")


def store(data_dir, name, image=COLOUR, labels=range(10)):
    """Writes a data set: each label once in `train` and once in `test`."""

    def examples(position):
        for label in labels:
            pixels = picture(label, position)
            if image is FLOATS:
                pixels = pixels[..., :1].astype("float32")
            yield f"{label}", {"image": pixels, "label": label, "place": "here"}

    tfds.dataset_builders.store_as_tfds_dataset(
        name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": image,
                "label": tfds.features.ClassLabel(names=NAMES),
                "place": tfds.features.Text(),
            }
        ),
        split_datasets={"train": examples(0), "test": examples(1)},
        data_dir=data_dir,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    store(data_dir, "dots")
    store(data_dir, "half_labelled", labels=[-1, 0, 1])
    store(data_dir, "floats", image=FLOATS)
    return data_dir


@pytest.fixture
def load(data_dir):
    def load(class_split, name="dots", size=8, **options):
        return load_tfds(name, class_split, size, data_dir=data_dir, **options)

    return load


def test_the_parts_are_disjoint_and_complete(load):
    parts = [load(p)[1] for p in ["train", "validation", "test"]]
    assert [len(set(labels)) for labels in parts] == [6, 2, 2]
    # Each class keeps its examples of both splits.
    assert sorted(np.concatenate(parts)) == sorted(2 * NAMES)


def test_the_seed_alone_decides_the_classes(load):
    drawn = {seed: set(load("train", seed=seed)[1]) for seed in range(4)}
    assert set(load("train", seed=0)[1]) == drawn[0]
    assert len({frozenset(d) for d in drawn.values()}) > 1


def test_fractions_set_the_number_of_classes(load):
    fractions = (0.3, 0.2, 0.5)
    counts = [
        len(set(load(part, fractions=fractions)[1]))
        for part in ["train", "validation", "test"]
    ]
    assert counts == [3, 2, 5]


def test_numbers_of_numpy_draw_the_same_classes(load):
    plain, numpy = (
        load("train", fractions=fractions, seed=seed)[1].tolist()
        for fractions, seed in (
            ((0.3, 0.2, 0.5), 3),
            (np.array([0.3, 0.2, 0.5]), np.int64(3)),
        )
    )
    assert plain == numpy


def test_pictures_and_labels_belong_together(load):
    images, labels = load("train", size=(4, 5), split="test")
    assert images.shape == (6, 4, 5, 3)
    assert all(isinstance(p, bytes) for p in images.pictures)
    expected = Preprocessing((4, 5), channels=3)(
        [picture(NAMES.index(name), position=1) for name in labels]
    )
    np.testing.assert_allclose(images.take(np.arange(6)), expected)


def test_the_order_is_reproducible(load):
    first, second = load("train"), load("train")
    assert first[0].pictures == second[0].pictures
    assert first[1].tolist() == second[1].tolist()


def test_channels_and_ink_reach_the_preprocessing(load):
    images, _ = load("train", channels=1, ink=True)
    assert images.preprocessing == Preprocessing(8, channels=1, ink=True)


def test_a_whole_preprocessing_is_that_of_the_pictures(load):
    prepare = Preprocessing(6, 3, interpolation="bilinear", value_range=(-1, 1))
    images, _ = load("train", size=None, preprocessing=prepare)
    assert images.preprocessing == prepare
    assert -1 <= images.numpy().min() < -0.1
    with pytest.raises(ValueError, match="`preprocessing` instead. Received"):
        load("train", size=8, preprocessing=prepare)


def test_a_published_split_is_a_mapping(load):
    classes = {"base": NAMES[:3], "novel": NAMES[5:7]}
    assert set(load("base", classes=classes)[1]) == set(NAMES[:3])
    assert set(load("novel", classes=classes)[1]) == set(NAMES[5:7])


@pytest.mark.parametrize(
    ("class_split", "options", "message"),
    [
        (
            "valid",
            {},
            "must be one of ('train', 'validation', 'test'). "
            "Received: class_split='valid'",
        ),
        (
            "test",
            {"classes": {"novel": NAMES}},
            "must be one of ('novel',). Received: class_split='test'",
        ),
        (["train"], {}, "`class_split` must be one of"),
        ("train", {"seed": True}, "`seed` must be an integer"),
        ("train", {"seed": None}, "`seed` must be an integer"),
        ("train", {"seed": -1}, "`seed` must be at least 0. Received: seed=-1"),
        ("train", {"fractions": 0.5}, "must be three shares"),
        ("train", {"fractions": (True, 0, 0)}, "must be three shares"),
        (
            "train",
            {"fractions": (0.5, 0.5, float("nan"))},
            "must be three shares",
        ),
        ("train", {"fractions": (0.5, 0.5)}, "fractions=(0.5, 0.5)"),
        ("train", {"fractions": (0.5, 0.2, 0.2)}, "that sum to 1. Received"),
        ("train", {"fractions": (1.2, -0.1, -0.1)}, "must be three shares"),
        (
            "test",
            {"fractions": (0.8, 0.1, 0.1)},
            "class_split='test' with 1 of the 10 classes",
        ),
        (
            "a",
            {"classes": {"a": NAMES[:3], "b": NAMES[2:5]}},
            f"more than once: ['{NAMES[2]}']",
        ),
        (
            "a",
            {"classes": {"a": ["cat", *NAMES]}},
            "Received: ['cat'] (1 unknown)",
        ),
        ("train", {"image_key": "picture"}, "'picture' of the features"),
        ("train", {"label_key": "place"}, "'place' of the features"),
        ("train", {"name": "floats"}, "8 or 16 bits. Received: name='floats'"),
        (
            "all",
            {"name": "half_labelled", "classes": {"all": NAMES}},
            "must be labelled; name the splits that are",
        ),
    ],
)
def test_errors_say_what_was_expected(load, class_split, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(class_split, **options)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ValueError, match=r"keras-meta\[datasets\]"):
        load_tfds("omniglot", "train", size=28)
