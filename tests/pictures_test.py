"""Tests of pictures of real size: shrunk while they are decoded, or refused."""

import functools
import io
import struct
import warnings
import zlib

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

import keras_meta
from keras_meta.data import EncodedImages, load_image_folder, read_picture
from keras_meta.pictures import TURNS, WHOLE, reduced
from keras_meta.preprocessing import Preprocessing

PREPARE = Preprocessing(32, 3)
# Just above the pixels that are decoded whole.
HEIGHT, WIDTH = 1400, 1600
COLOURS = np.array(
    [[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [180, 180, 60]]], "uint8"
)
QUARTERS = COLOURS.repeat(HEIGHT // 2, axis=0).repeat(WIDTH // 2, axis=1)


def encoded(image, kind, **options):
    file = io.BytesIO()
    # Quickly.
    options = {"png": {"compress_level": 1}, "webp": {"method": 0}}.get(
        kind, {}
    ) | options
    image.save(file, kind, **options)
    return file.getvalue()


def prepared(data, prepare=PREPARE):
    """A picture file as the model takes it, `(32, 32, channels)`."""
    return EncodedImages([data], prepare)[0]


def decoded(data, tmp_path, shrinkage=PREPARE.shrinkage):
    path = tmp_path / "picture"
    path.write_bytes(data)
    return read_picture(path, shrinkage)


def middles(image):
    """The colours in the middle of the quarters, `(2, 2, channels)`."""
    return np.asarray(image)[8::16, 8::16]


@functools.cache
def photograph(height, width, seed=0):
    """Smooth shapes of all sizes and the noise of a sensor."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (4, 16, 64, 256):
        coarse = rng.normal(size=(cells, cells, 3))
        for channel in range(3):
            layer = Image.fromarray(coarse[..., channel].astype("float32"))
            layer = layer.resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += 30 * np.asarray(layer) / np.sqrt(cells / 4)
    total += rng.normal(0, 5, (height, width, 1))
    return Image.fromarray(np.clip(total + 128, 0, 255).astype("uint8"))


class TestShrinkage:
    @pytest.mark.parametrize("size", [28, 224, (100, 300)])
    @pytest.mark.parametrize("sides", [(3000, 4000), (9000, 300), (1449, 1449)])
    def test_twice_the_size_is_left(self, size, sides):
        prepare = Preprocessing(size)
        factor = prepare.shrinkage(*sides)
        least = 2 * max(prepare.size)
        assert factor == 1 or min(sides) // factor >= least
        assert min(sides) // (factor + 1) < least

    def test_a_drawing_keeps_what_its_cleaning_analyses(self):
        prepare = Preprocessing(28, ink=True)
        assert prepare.shrinkage(3000, 4096) == 4
        assert prepare.shrinkage(3000, 4095) == 3
        assert Preprocessing(1500, ink=True).shrinkage(3000, 4096) == 1

    def test_pictures_up_to_full_hd_are_never_shrunk(self):
        assert Preprocessing(1).shrinkage(1080, 1920) == 1
        assert Preprocessing(1).shrinkage(1, WHOLE) == 1
        assert Preprocessing(1).shrinkage(1449, 1448) > 1

    @pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
    def test_those_are_decoded_as_before(self, kind, tmp_path):
        data = encoded(photograph(1080, 1920), kind)
        found = decoded(data, tmp_path)
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(found, np.asarray(image))
        expected = PREPARE.resize(found[None].astype("float32") / 255)
        np.testing.assert_array_equal(prepared(data), expected[0])

    @pytest.mark.parametrize("interpolation", ["area", "bilinear", "bicubic"])
    @pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
    def test_larger_ones_look_the_same(self, kind, interpolation, tmp_path):
        prepare = Preprocessing(64, 3, interpolation=interpolation)
        data = encoded(photograph(HEIGHT, WIDTH), kind)
        whole = decoded(data, tmp_path, shrinkage=None)
        assert whole.shape == (HEIGHT, WIDTH, 3)
        small = decoded(data, tmp_path, prepare.shrinkage)
        assert 128 <= min(small.shape[:2]) < 300 and small.dtype == np.uint8
        expected = prepare.resize(whole[None].astype("float32") / 255)[0]
        difference = np.abs(prepared(data, prepare) - expected)
        assert difference.mean() < 0.003 and difference.max() < 0.03

    def test_arrays_and_pictures_are_those_of_a_file(self):
        picture = photograph(HEIGHT, WIDTH)
        pixels = np.asarray(picture)
        expected = prepared(encoded(picture, "png"))
        for given in (pixels[None], [pixels], [picture], picture):
            np.testing.assert_array_equal(PREPARE(given)[0], expected)
        assert picture.size == (WIDTH, HEIGHT)

    def test_a_picture_that_the_caller_opened_keeps_its_size(self):
        data = encoded(Image.fromarray(QUARTERS), "jpeg")
        with Image.open(io.BytesIO(data)) as picture:
            found = PREPARE([picture])
            assert picture.size == (WIDTH, HEIGHT)
        np.testing.assert_allclose(found[0], prepared(data), atol=0.03)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_blocks_become_their_means(self, channels):
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (6, 9, channels)).astype("uint8")
        # Opaque, so that no colour counts more than another.
        if channels == 4:
            pixels[..., 3] = 255
        found = reduced(pixels, 3)
        assert found.shape == (2, 3, channels) and found.dtype == np.uint8
        expected = pixels.reshape(2, 3, 3, 3, channels).mean(axis=(1, 3))
        # Rounded after the rows and after the columns.
        np.testing.assert_allclose(found, expected, atol=1)

    def test_the_middle_stays_in_the_middle(self):
        pixels = np.zeros((2, 1999, 1), "uint8")
        pixels[:, 1000:] = 255
        pixels[:, 999] = 128
        found = reduced(pixels, 2)[0, :, 0].astype(int)
        np.testing.assert_allclose(found + found[::-1], 255, atol=1)

    def test_what_is_transparent_has_no_colour(self):
        pixels = np.array([[[200, 0, 0, 255], [0, 200, 0, 0]]], "uint8")
        found = reduced(np.repeat(pixels, 2, axis=0), 2)[0, 0]
        np.testing.assert_allclose(found, [200, 0, 0, 128], atol=1)


class TestFormats:
    """Pictures of 2.2 megapixels in four colours, as people see them."""

    @pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
    @pytest.mark.parametrize("orientation", [1, *TURNS])
    def test_the_orientation_of_the_camera(self, orientation, kind):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(QUARTERS), kind, exif=exif)
        rows = Image.fromarray(COLOURS)
        if orientation > 1:
            rows = rows.transpose(TURNS[orientation])
        found = middles(prepared(data))
        np.testing.assert_allclose(found, np.asarray(rows) / 255, atol=0.03)

    def test_turns_are_those_of_pillow(self):
        for orientation, turn in TURNS.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            pixels = np.arange(6, dtype="uint8").reshape(2, 3)
            data = encoded(Image.fromarray(pixels), "png", exif=exif)
            with Image.open(io.BytesIO(data)) as image:
                expected = np.asarray(Image.fromarray(pixels).transpose(turn))
                turned = ImageOps.exif_transpose(image)
                np.testing.assert_array_equal(np.asarray(turned), expected)

    @pytest.mark.parametrize("kind", ["png", "tiff"])
    def test_16_bits(self, kind):
        grey = QUARTERS[..., 0].astype("uint16") * 257
        found = middles(prepared(encoded(Image.fromarray(grey), kind)))
        expected = np.repeat(COLOURS[..., :1], 3, axis=-1)
        np.testing.assert_allclose(found, expected / 255, atol=1 / 255)

    @pytest.mark.parametrize("kind", ["jpeg", "tiff"])
    def test_inks(self, kind):
        image = Image.fromarray(QUARTERS).convert("CMYK")
        found = middles(prepared(encoded(image, kind)))
        np.testing.assert_allclose(found, COLOURS / 255, atol=0.03)

    @pytest.mark.parametrize("kind", ["png", "gif"])
    def test_a_palette(self, kind):
        image = Image.fromarray(QUARTERS).quantize(8)
        found = middles(prepared(encoded(image, kind)))
        np.testing.assert_allclose(found, COLOURS / 255, atol=0.03)

    def test_a_transparent_palette_entry_shows_white(self):
        image = Image.new("P", (WIDTH, HEIGHT), 1)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.paste(0, (0, 0, WIDTH // 2, HEIGHT))
        found = middles(prepared(encoded(image, "png", transparency=0)))
        np.testing.assert_allclose(found[:, 0], 1, atol=1e-6)
        np.testing.assert_allclose(found[:, 1], [[0, 0, 1]] * 2, atol=1e-6)

    @pytest.mark.parametrize("kind", ["gif", "png", "webp"])
    def test_the_first_frame_of_an_animation(self, kind):
        first = Image.fromarray(QUARTERS)
        options = {"save_all": True, "append_images": [first.rotate(180)]}
        found = middles(prepared(encoded(first, kind, **options)))
        np.testing.assert_allclose(found, COLOURS / 255, atol=0.04)

    @pytest.mark.parametrize("kind", ["png", "webp"])
    def test_transparency_shows_white(self, kind):
        alpha = np.zeros((HEIGHT, WIDTH, 1), "uint8")
        alpha[:, : WIDTH // 2] = 255
        image = Image.fromarray(np.concatenate([QUARTERS, alpha], axis=-1))
        found = middles(prepared(encoded(image, kind)))
        np.testing.assert_allclose(found[:, 1], 1, atol=1e-6)
        np.testing.assert_allclose(found[:, 0], COLOURS[:, 0] / 255, atol=0.03)

    def test_grey_with_alpha(self):
        image = Image.new("LA", (WIDTH, HEIGHT), (100, 51))
        found = prepared(encoded(image, "png"))
        expected = 0.2 * 100 / 255 + 0.8
        np.testing.assert_allclose(found, expected, atol=0.01)

    def test_one_bit(self):
        board = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 1
        found = prepared(encoded(Image.fromarray(board), "png"))
        np.testing.assert_allclose(found, 0.5, atol=0.01)

    def test_a_drawing_is_found_in_a_large_photograph(self):
        canvas = np.full((2400, 3200), 235, "uint8")
        canvas[500:1900, 1500:1560] = 30
        canvas[1100:1160, 900:2200] = 30
        rng = np.random.default_rng(0)
        noise = rng.integers(-4, 5, canvas.shape)
        canvas = (canvas + noise).astype("uint8")
        prepare = Preprocessing(28, ink=True)
        expected = prepare([canvas])
        assert 0.05 < expected.mean() < 0.5
        for kind in ("jpeg", "png"):
            found = prepared(encoded(Image.fromarray(canvas), kind), prepare)
            assert np.abs(found - expected[0]).mean() < 0.01


def bomb(width, height):
    """A PNG file of some bytes that says it is large."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


class TestRefused:
    # Pillow raises an error for the first and warns of the second.
    @pytest.mark.parametrize(
        "side, text", [(20000, "400,000,000"), (10000, "100,000,000")]
    )
    @pytest.mark.parametrize("action", ["error", "ignore"])
    def test_a_bomb_is_refused_by_its_size(self, side, text, action, tmp_path):
        path = tmp_path / "bomb.png"
        path.write_bytes(bomb(side, side))
        match = f"bomb.png.*{text} pixels, .*at most 89,478,485 .*MAX_IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            for shrinkage in (None, PREPARE.shrinkage):
                with pytest.raises(ValueError, match=match):
                    read_picture(path, shrinkage)
            with pytest.raises(ValueError, match=match):
                EncodedImages([path], PREPARE).numpy()

    def test_a_folder_names_all_bombs(self, tmp_path):
        for name in ("cat", "dog"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "bomb.png").write_bytes(bomb(20000, 20000))
        with pytest.raises(ValueError, match="2 broken.*cat/bomb.*400,000,000"):
            load_image_folder(tmp_path, 8)

    def test_the_limit_is_that_of_pillow(self, monkeypatch, tmp_path):
        path = tmp_path / "small.png"
        picture = photograph(30, 40)
        picture.save(path)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1199)
        with pytest.raises(ValueError, match="small.png.*1,200 .*most 1,199"):
            read_picture(path)
        with pytest.raises(ValueError, match="1,200 pixels, .*most 1,199"):
            PREPARE(picture)
        for limit in (1200, None):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            assert read_picture(path).shape == (30, 40, 3)

    @pytest.mark.parametrize(
        "data, reason",
        [
            (b"\0\0\0\x18ftypheic" + bytes(90), "HEIC.*magick in.heic"),
            (b"\0\0\0\x18ftypmif1" + bytes(90), "HEIC.*magick in.heic"),
            (bomb(20000, 20000), "400,000,000 pixels"),
            (bomb(30, 40), "truncated|SyntaxError|OSError"),
            (b"no picture", "UnidentifiedImageError"),
            (b"", "UnidentifiedImageError"),
        ],
        ids=["heic", "mif1", "bomb", "cut", "text", "empty"],
    )
    def test_a_classifier_names_the_file(self, data, reason, tmp_path):
        model = keras_meta.models.PrototypicalNetwork(
            keras.layers.Flatten(), preprocessing=Preprocessing(4)
        )
        whole = encoded(photograph(20, 30), "png")
        (tmp_path / "broken.jpg").write_bytes(data)
        (tmp_path / "whole.png").write_bytes(whole)
        paths = [tmp_path / "whole.png", tmp_path / "broken.jpg"]
        named = {"broken.jpg": paths, "picture 1": [whole, data]}
        for name, pictures in named.items():
            images = EncodedImages(pictures, model.preprocessing)
            classifier = keras_meta.FewShotClassifier(model)
            with pytest.raises(ValueError, match=f"{name}.*({reason})"):
                classifier.fit(images, ["a", "b"])
            assert not hasattr(classifier, "classes_")
            classifier.fit(images[[0, 0]], ["a", "b"])
            with pytest.raises(ValueError, match=f"{name}.*({reason})"):
                classifier.predict(images)
