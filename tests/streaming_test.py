"""Episodes from files: the same as from an array, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from keras_meta.data.encoded_images import EncodedImages
from keras_meta.data.episodes import episode_dataset
from keras_meta.data.image_folders import load_image_folder

CLASSES, EACH = 8, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(CLASSES):
        (folder / f"class{number}").mkdir()
        for row in range(EACH):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype="uint8")
            path = folder / f"class{number}" / f"{row}.png"
            Image.fromarray(pixels).save(path)
    return folder


def draw(examples, labels, count, **options):
    options = {"way": 3, "shot": 2, "queries": 2, "seed": 5, **options}
    episodes = episode_dataset(examples, labels, **options)
    return [*episodes.take(count)]


def assert_equal(found, expected):
    for (episode, target), (other, other_target) in zip(
        found, expected, strict=True
    ):
        np.testing.assert_array_equal(target, other_target)
        for key, values in episode.items():
            np.testing.assert_array_equal(values, other[key])


def test_episodes_are_those_of_the_array(folder):
    pictures, labels = load_image_folder(folder, size=8)
    expected = draw(pictures.numpy(), labels, 6)
    assert_equal(draw(pictures, labels, 6), expected)
    # It resumes at an episode, and each worker has every second one.
    assert_equal(draw(pictures, labels, 2, start=4), expected[4:])
    episodes = episode_dataset(pictures, labels, 3, 2, 2, seed=5)
    for worker in range(2):
        shard = episodes.shard(2, worker).take(3)
        assert_equal([*shard], expected[worker::2])


def test_opening_a_folder_decodes_nothing_if_not_asked(folder, monkeypatch):
    def decode(self, index):
        raise AssertionError("decoded")

    monkeypatch.setattr(EncodedImages, "_decode", decode)
    pictures, labels = load_image_folder(folder, size=8, check=False)
    episode_dataset(pictures, labels, 3, 2, 2, seed=5)


def test_memory_does_not_hold_all_pictures(folder):
    pictures, labels = load_image_folder(folder, size=320)
    whole = 4 * np.prod(pictures.shape)
    options = {"way": 2, "shot": 1, "queries": 0}
    tracemalloc.start()
    try:
        draw(pictures, labels, 60, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Episodes that are prepared ahead, two pictures each.
    assert peak < 0.6 * whole
