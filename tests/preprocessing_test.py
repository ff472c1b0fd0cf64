"""Tests of what turns a picture into a model's input."""

import json
import math

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from PIL import Image

import keras_meta
from keras_meta.data import read_picture
from keras_meta.preprocessing import (
    Preprocessing,
    invert_bright_ground,
    to_unit_range,
)


def pixels(shape, seed=0):
    """uint8 noise."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, shape).astype("uint8")


def scan(height=56, width=56):
    """A black square on white paper, uint8 `(height, width)`."""
    image = np.full((height, width), 255, "uint8")
    image[height // 3 : height // 2, width // 3 : width // 2] = 0
    return image


class TestTypes:
    def test_all_types_of_the_same_picture_agree(self):
        bits = pixels((4, 10, 10)) > 127
        prepare = Preprocessing(5)
        expected = prepare(bits)
        assert 0 < expected.mean() < 1
        for same in (
            bits.astype("uint8") * np.uint8(255),
            bits.astype("int64") * 255,
            bits.astype("uint16") * np.uint16(255),
            bits.astype("float16"),
            bits.astype("float32"),
            bits.astype("float64"),
        ):
            np.testing.assert_array_equal(prepare(same), expected)

    def test_integers_are_divided_by_255(self):
        values = np.arange(256)
        for dtype in ("uint8", "int16", "int64"):
            np.testing.assert_array_equal(
                to_unit_range(values.astype(dtype), "x"),
                values.astype("float32") / 255,
            )

    @pytest.mark.parametrize("ink", [False, True])
    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("size", [3, 28, 31])
    def test_results_are_float32_in_the_unit_range(self, size, channels, ink):
        # Averages of white would leave it by rounding.
        images = np.full((2, 105, 91, channels), 255, "uint8")
        prepared = Preprocessing(size, ink=ink)(images)
        assert prepared.dtype == np.float32
        assert 0 <= prepared.min() and prepared.max() <= 1

    def test_the_pictures_of_the_caller_are_not_changed(self):
        images = np.random.default_rng(0).random((2, 8, 8, 1), "float32")
        images[:, 0] = images[:, -1] = 1
        before = images.copy()
        Preprocessing(8, ink=True)(images)
        np.testing.assert_array_equal(images, before)


class TestColour:
    def test_grey_of_a_colour_is_its_luma(self):
        image = pixels((1, 6, 6, 3))
        grey = Preprocessing(6)(image)
        expected = (image / 255) @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(grey[..., 0], expected, atol=1e-6)

    def test_a_grey_picture_in_colour_has_equal_channels(self):
        image = pixels((1, 6, 6))
        colour = Preprocessing(6, channels=3)(image)
        assert colour.shape == (1, 6, 6, 3)
        for channel in range(3):
            np.testing.assert_array_equal(
                colour[..., channel], Preprocessing(6)(image)[..., 0]
            )

    @pytest.mark.parametrize("channels", [1, 3])
    def test_grey_stored_as_colour_is_grey(self, channels):
        grey = pixels((1, 6, 6, 1))
        prepare = Preprocessing(6, channels)
        np.testing.assert_allclose(
            prepare(np.repeat(grey, 3, axis=-1)), prepare(grey), atol=1e-6
        )

    @pytest.mark.parametrize("channels", [1, 3])
    def test_transparency_shows_white(self, channels):
        image = pixels((1, 6, 6, 4))
        image[..., 3] = 0
        image[0, :3, :, 3] = 255
        prepared = Preprocessing(6, channels)(image)
        opaque = Preprocessing(6, channels)(image[..., :3])
        np.testing.assert_allclose(prepared[0, :3], opaque[0, :3], atol=1e-6)
        np.testing.assert_allclose(prepared[0, 3:], 1, atol=1e-6)

    def test_half_transparency_mixes_with_white(self):
        image = np.zeros((1, 2, 2, 4), "float32")
        image[..., 3] = 0.25
        np.testing.assert_allclose(Preprocessing(2)(image), 0.75)


class TestInk:
    def test_black_on_white_becomes_bright_on_dark(self):
        prepared = Preprocessing(28, ink=True)(scan()[None])
        assert prepared[0, 0, 0, 0] == 0
        assert prepared[0, 12, 12, 0] == 1

    def test_bright_on_dark_stays(self):
        prepare = Preprocessing(28, ink=True)
        np.testing.assert_allclose(
            prepare(255 - scan()[None]), prepare(scan()[None]), atol=1e-6
        )

    def test_each_picture_is_judged_by_itself(self):
        prepare = Preprocessing(28, ink=True)
        both = prepare(np.stack([scan(), 255 - scan()]))
        np.testing.assert_allclose(both[0], both[1], atol=1e-6)

    def test_without_ink_nothing_is_inverted(self):
        assert Preprocessing(28)(scan()[None])[0, 0, 0, 0] == 1

    def test_ink_that_touches_the_border_does_not_decide(self):
        image = np.ones((1, 10, 10, 1))
        image[0, :, 4:6] = 0
        np.testing.assert_array_equal(invert_bright_ground(image), 1 - image)


class TestPictures:
    def test_a_list_may_mix_sizes_and_channels(self):
        mixed = [
            pixels((9, 12)),
            pixels((40, 7, 1)),
            pixels((5, 5, 3)),
            pixels((6, 8, 4)),
            pixels((4, 4)) > 127,
            pixels((3, 9)) / 255.0,
        ]
        prepare = Preprocessing((6, 4), channels=3)
        prepared = prepare(mixed)
        assert prepared.shape == (6, 6, 4, 3)
        for one, image in zip(prepared, mixed, strict=True):
            np.testing.assert_array_equal(one, prepare([image])[0])

    def test_a_list_equals_an_array(self):
        images = pixels((3, 9, 9, 3))
        prepare = Preprocessing(4, ink=True)
        np.testing.assert_allclose(
            prepare(list(images)), prepare(images), atol=1e-6
        )

    @pytest.mark.parametrize("ink", [False, True])
    @pytest.mark.parametrize(
        "nothing", [[], np.zeros((0, 9, 9), "uint8"), np.zeros((0, 9, 9, 3))]
    )
    def test_no_pictures_give_none(self, nothing, ink):
        prepared = Preprocessing((6, 4), ink=ink)(nothing)
        assert prepared.shape == (0, 6, 4, 1)

    @pytest.mark.parametrize("ink", [False, True])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_second_time_changes_nothing(self, channels, ink):
        prepare = Preprocessing((7, 9), channels, ink)
        once = prepare([scan(40, 33), pixels((20, 30, 3))])
        np.testing.assert_array_equal(prepare(once), once)


class TestSerialization:
    @pytest.mark.parametrize("size", [28, (28, 32), [28, 32], np.int64(28)])
    def test_the_size_is_a_pair(self, size):
        expected = (28, 28) if np.ndim(size) == 0 else (28, 32)
        assert Preprocessing(size).size == expected

    def test_config_round_trip(self):
        original = Preprocessing((28, 32), channels=3, ink=True)
        config = json.loads(
            json.dumps(keras.saving.serialize_keras_object(original))
        )
        assert config["registered_name"] == "keras_meta>Preprocessing"
        assert keras.saving.deserialize_keras_object(config) == original
        assert Preprocessing.from_config(original.get_config()) == original

    def test_it_is_a_value(self):
        assert Preprocessing(28) == Preprocessing((28, 28))
        assert hash(Preprocessing(28)) == hash(Preprocessing([28, 28]))
        with pytest.raises(AttributeError):
            Preprocessing(28).size = 3


class TestErrors:
    @pytest.mark.parametrize(
        "size", [0, -1, (28,), (28, 0), (1, 2, 3), 28.0, "28", None]
    )
    def test_size(self, size):
        with pytest.raises(ValueError, match="`size` must be a positive"):
            Preprocessing(size)

    @pytest.mark.parametrize("channels", [0, 2, 4, "grey", True, np.True_, 1.5])
    def test_channels(self, channels):
        with pytest.raises(ValueError, match="`channels` must be 1 .* or 3"):
            Preprocessing(28, channels)

    @pytest.mark.parametrize(
        "shape", [(), (4,), (4, 4), (1, 4, 4, 2), (1, 1, 4, 4, 3)]
    )
    def test_shape(self, shape):
        with pytest.raises(
            ValueError, match="put one picture in a list. Received: an array"
        ):
            Preprocessing(4)(np.zeros(shape))

    @pytest.mark.parametrize(
        "value, text",
        [
            (math.nan, "finite, but holds NaN values. Received: 1 of 16"),
            (math.inf, "values from 0 to inf"),
            (-math.inf, "values from -inf to 0"),
            (2.0, "values from 0 to 2"),
            (-0.5, "values from -0.5 to 0"),
        ],
    )
    def test_floats_out_of_range(self, value, text):
        image = np.zeros((1, 4, 4))
        image[0, 1, 1] = value
        with pytest.raises(ValueError, match=text):
            Preprocessing(4)(image)

    @pytest.mark.parametrize("value", [256, -1])
    def test_integers_out_of_range(self, value):
        with pytest.raises(ValueError, match=r"`images` .* in \[0, 255\]"):
            Preprocessing(4)(np.full((1, 4, 4), value))

    def test_floats_of_bytes_are_told_to_be_divided(self):
        with pytest.raises(ValueError, match="divide by the largest value"):
            Preprocessing(4)(np.full((1, 4, 4), 255.0))

    def test_text(self):
        with pytest.raises(ValueError, match="`images` must hold numbers"):
            Preprocessing(1)(np.array([[["a"]]]))


PIL_MODES = [
    *("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX"),
    *("CMYK", "YCbCr", "LAB", "HSV", "I;16", "I;16B", "I;16L"),
]


class TestPilPictures:
    @pytest.mark.parametrize("mode", PIL_MODES)
    def test_a_picture_is_read_by_its_mode(self, mode):
        picture = noise_in(mode)
        prepared = Preprocessing((6, 7), channels=3)([picture])
        expected = expected_pixels(picture)
        np.testing.assert_allclose(prepared[0], expected, atol=1e-6)
        bare = Preprocessing((6, 7), channels=3)(picture)
        np.testing.assert_array_equal(bare, prepared)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_black_stays_black_in_inks(self, channels):
        black = Image.new("CMYK", (3, 3), (0, 0, 0, 255))
        assert Preprocessing(3, channels)(black).max() == 0

    def test_a_file_means_what_it_means_by_its_path(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / "turned.png"
        noise_in("RGB").save(path, exif=exif)
        prepare = Preprocessing((6, 7), channels=3)
        with Image.open(path) as picture:
            found = prepare([picture])
        np.testing.assert_array_equal(found, prepare([read_picture(path)]))

    def test_pictures_and_arrays_may_be_mixed(self):
        picture = noise_in("RGB")
        found = Preprocessing(4, 3)([picture, np.asarray(picture) / 255.0])
        np.testing.assert_allclose(found[0], found[1], atol=1e-6)

    @pytest.mark.parametrize("mode, value", [("F", 0.5), ("I", 70000)])
    def test_more_than_16_bits_are_an_error(self, mode, value):
        with pytest.raises(ValueError, match="`images` .*8 or 16 bits"):
            Preprocessing(4)([Image.new(mode, (3, 3), value)])

    def test_a_truncated_file_is_an_error(self, tmp_path):
        path = tmp_path / "cut.png"
        noise_in("RGB", 60).save(path)
        path.write_bytes(path.read_bytes()[:500])
        with Image.open(path) as picture:
            with pytest.raises(ValueError, match="`images` must be an array"):
                Preprocessing(4)(picture)


def noise_in(mode, size=7):
    """A picture of a mode, of one size less high than wide."""
    colours = Image.fromarray(pixels((size - 1, size, 3)))
    if mode.startswith("I;16"):
        return Image.frombytes(mode, (size, size - 1), pixels(84).tobytes())
    if mode == "La":
        return colours.convert("L").convert("LA").convert("La")
    if mode == "LAB":
        # Pillow does not convert to it.
        return Image.frombytes(mode, colours.size, colours.tobytes())
    if mode in ("PA", "RGBa"):
        return colours.convert({"PA": "P", "RGBa": "RGBA"}[mode]).convert(mode)
    return colours.convert(mode)


def expected_pixels(picture):
    """What Pillow shows of it, in colour, in `[0, 1]`."""
    if picture.mode.startswith("I;16"):
        # Of 16 bits, the upper eight.
        grey = (np.asarray(picture) >> 8) / 255
        return np.repeat(grey[..., None], 3, axis=-1)
    if picture.mode == "La":
        picture = picture.convert("LA")
    return np.asarray(picture.convert("RGB")) / 255


class TestOnePicture:
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_one_colour_picture_is_no_batch(self, channels):
        picture = pixels((60, 50, channels))
        prepare = Preprocessing(8)
        for given in (picture, picture / 255.0, tf.constant(picture)):
            with pytest.raises(ValueError, match="put one picture in a list"):
                prepare(given)
        with pytest.raises(ValueError, match="put one picture in a list"):
            prepare(picture[:5].tolist())
        assert prepare([picture]).shape == (1, 8, 8, 1)

    def test_grey_pictures_of_the_own_size_are_a_batch(self):
        images = pixels((5, 6, 4)) / 255
        found = Preprocessing((6, 4))(images)
        np.testing.assert_allclose(found[..., 0], images, atol=1e-6)

    @pytest.mark.parametrize("shape", [(0, 15, 3), (15, 0), (0, 0), (0, 4, 1)])
    def test_a_picture_without_pixels_is_an_error(self, shape):
        for given in (
            [np.zeros(shape)],
            [pixels((5, 5)), np.zeros(shape, "uint8")],
            np.zeros((2, *shape)),
        ):
            with pytest.raises(ValueError, match="at least one pixel"):
                Preprocessing(8)(given)
        with pytest.raises(ValueError, match="at least one pixel"):
            Preprocessing(8)(Image.new("I;16", (0, 5)))

    def test_no_channels_are_an_error(self):
        with pytest.raises(ValueError, match="1, 3 or 4 channels"):
            Preprocessing(8)(np.zeros((2, 5, 5, 0)))

    @pytest.mark.parametrize("nothing", [np.zeros(0), (), np.zeros((0, 0, 9))])
    def test_no_pictures_give_none(self, nothing):
        assert Preprocessing(8, 3)(nothing).shape == (0, 8, 8, 3)


class TestOtherForms:
    def test_tensors_and_columns_of_pictures(self):
        images = pixels((3, 9, 9, 3))
        prepare = Preprocessing(4, ink=True)
        expected = prepare(images)
        for given in (
            tf.constant(images),
            [tf.constant(image) for image in images],
            images[:, :, ::1].tolist(),
            pd.Series(list(images)),
        ):
            np.testing.assert_allclose(prepare(given), expected, atol=1e-6)
        unequal = pd.Series([pixels((5, 5)), pixels((7, 9, 3))])
        assert prepare(unequal).shape == (2, 4, 4, 1)

    def test_an_image_source_is_read_in_parts(self, monkeypatch):
        monkeypatch.setattr(keras_meta.preprocessing, "CHUNK", 2)
        images = pixels((5, 6, 6, 3)) / 255

        class Source:
            shape = images.shape
            most = 0

            def take(self, rows):
                self.most = max(self.most, len(rows))
                return tf.gather(images, rows)

        source = Source()
        prepare = Preprocessing(4)
        np.testing.assert_allclose(prepare(source), prepare(images), atol=1e-6)
        assert source.most == 2

    @pytest.mark.parametrize(
        "given, message",
        [
            ((x for x in [1]), "object of type generator"),
            (scipy.sparse.eye_array(4), "sparse"),
            ("cat.png", "read_picture"),
            (["cat.png"], "read_picture"),
            ({"a": 1}, "object of type dict"),
        ],
    )
    def test_anything_else_is_named(self, given, message):
        with pytest.raises(ValueError, match=f"`images` must be.*{message}"):
            Preprocessing(4)(given)


@pytest.mark.parametrize("value_range", [(0, 255), (-1, 1), [0.5, 2]])
def test_values_get_the_range_that_is_asked_for(value_range):
    images = pixels((2, 5, 6, 3))
    unit = Preprocessing(4, 3)
    preprocessing = Preprocessing(4, 3, value_range=value_range)
    low, high = value_range
    expected = low + (high - low) * unit(images)
    for given in (images, [*images]):
        found = preprocessing(given)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(
        preprocessing.unscaled(found), unit(images), atol=1e-5
    )
    config = json.loads(json.dumps(preprocessing.get_config()))
    assert Preprocessing.from_config(config) == preprocessing


@pytest.mark.parametrize(
    "value_range", [1, (1, 0), (0, 0), (0, 1, 2), "01", (0, math.nan), None]
)
def test_a_range_is_a_pair_of_numbers(value_range):
    with pytest.raises(ValueError, match="`value_range` must be a pair"):
        Preprocessing(4, value_range=value_range)
