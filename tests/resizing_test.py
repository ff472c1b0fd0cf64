"""Tests of resizing, against block means and against Pillow."""

import hypothesis
import numpy as np
import pytest
import reference
from hypothesis import strategies as st
from PIL import Image

from keras_meta import Preprocessing
from keras_meta.resizing import resize


class TestArea:
    @pytest.mark.parametrize(
        "old, new",
        [((6, 8), (3, 2)), ((105, 105), (35, 21)), ((4, 4), (1, 1))],
    )
    def test_whole_factors_equal_the_mean_of_blocks(self, old, new):
        images = np.random.default_rng(0).random((3, *old, 2))
        resized = resize(images, new)
        for image, small in zip(images, resized, strict=True):
            np.testing.assert_allclose(
                small, reference.area_resize(image, new), atol=1e-12
            )

    @hypothesis.settings(max_examples=20, deadline=None)
    @hypothesis.given(
        old=st.tuples(st.integers(1, 30), st.integers(1, 30)),
        new=st.tuples(st.integers(1, 30), st.integers(1, 30)),
        seed=st.integers(0, 99),
    )
    def test_the_mean_and_the_range_are_kept(self, old, new, seed):
        images = np.random.default_rng(seed).random((2, *old, 1))
        resized = resize(images, new)
        assert resized.shape == (2, *new, 1)
        np.testing.assert_allclose(
            resized.mean((1, 2)), images.mean((1, 2)), atol=1e-12
        )
        assert resized.min() >= images.min() - 1e-12
        assert resized.max() <= images.max() + 1e-12

    def test_a_fraction_of_a_pixel_counts_by_its_share(self):
        row = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
        resized = resize(row, (1, 2))
        np.testing.assert_allclose(
            resized.ravel(), [(1 + 2 / 2) / 1.5, (2 / 2 + 4) / 1.5]
        )

    def test_rows_and_columns_may_be_resized_apart(self):
        images = np.random.default_rng(0).random((1, 12, 20, 1))
        np.testing.assert_allclose(
            resize(resize(images, (5, 20)), (5, 7)),
            resize(images, (5, 7)),
            atol=1e-12,
        )

    def test_the_same_size_changes_nothing(self):
        images = np.random.default_rng(0).random((1, 5, 7, 3))
        np.testing.assert_array_equal(resize(images, (5, 7)), images)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_type_is_kept(self, dtype):
        assert resize(np.zeros((1, 6, 6, 1), dtype), (4, 4)).dtype == dtype


@pytest.mark.parametrize("size", [(11, 64), (37, 23), (5, 40)])
@pytest.mark.parametrize(
    "name, pillow",
    [
        ("bilinear", Image.Resampling.BILINEAR),
        ("bicubic", Image.Resampling.BICUBIC),
    ],
)
def test_it_is_pillows_resize_of_floats(name, pillow, size):
    """Growing, shrinking, and one axis of each."""
    image = np.random.default_rng(0).random((23, 31)).astype("float32")
    found = resize(image[None, ..., None], size, name)[0, ..., 0]
    expected = Image.fromarray(image, "F").resize(size[::-1], pillow)
    np.testing.assert_allclose(found, np.array(expected), atol=1e-6)


def test_preprocessing_interpolates_as_asked_and_stays_in_range():
    image = np.kron(np.eye(2), np.full((3, 3), 255)).astype("uint8")
    found = {
        name: Preprocessing(20, interpolation=name)(image[None])[0, ..., 0]
        for name in ("area", "bilinear", "bicubic")
    }
    for name, pixels in found.items():
        expected = resize(image[None, ..., None] / 255, (20, 20), name)
        expected = expected[0, ..., 0]
        np.testing.assert_allclose(pixels, expected.clip(0, 1), atol=1e-6)
        assert (expected.max() > 1.01) == (name == "bicubic")
    # Area makes blocks: its only values in between are at the borders of old
    # pixels.
    blocks = {name: len(np.unique(p.round(5))) for name, p in found.items()}
    assert blocks["area"] < blocks["bilinear"]


def test_a_config_keeps_the_interpolation():
    preprocessing = Preprocessing(8, interpolation="bicubic")
    config = preprocessing.get_config()
    assert Preprocessing.from_config(config) == preprocessing


def test_a_config_without_interpolation_is_that_of_area():
    config = Preprocessing(8).get_config()
    assert set(config) == {"size", "channels", "ink"}
    assert Preprocessing.from_config(config) == Preprocessing(8)


def test_an_unknown_interpolation_lists_the_names():
    with pytest.raises(ValueError, match=r"`interpolation` must be one of"):
        Preprocessing(8, interpolation="lanczos")
