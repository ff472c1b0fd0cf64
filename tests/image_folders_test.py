import io

import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection
import tensorflow as tf
from PIL import Image

from keras_meta.data.encoded_images import EncodedImages, read_picture
from keras_meta.data.episodes import episode_dataset
from keras_meta.data.image_folders import load_image_folder
from keras_meta.preprocessing import Preprocessing

RAMP = np.arange(48, dtype="uint8").reshape(6, 8) * 5


def encoded(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(image, kind="png", tmp_path=None, **options):
    path = tmp_path / f"picture.{kind}"
    path.write_bytes(encoded(image, kind, **options))
    return read_picture(path)


def noise(seed, size=(20, 30, 3)):
    pixels = np.random.default_rng(seed).integers(0, 256, size)
    return Image.fromarray(pixels.astype("uint8"))


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(["cat/2.png", "cat/10.PNG", "ant/a.bmp"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        noise(i).save(path)
    return tmp_path


class TestReadPicture:
    def test_grey_rgb_and_rgba_are_kept(self, tmp_path):
        for mode, channels in [("L", 1), ("RGB", 3), ("RGBA", 4)]:
            image = noise(0).convert(mode)
            pixels = decoded(image, tmp_path=tmp_path)
            expected = np.asarray(image).reshape(20, 30, channels)
            np.testing.assert_array_equal(pixels, expected)

    def test_a_palette_is_resolved(self, tmp_path):
        image = noise(0).quantize(16)
        pixels = decoded(image, "gif", tmp_path=tmp_path)
        np.testing.assert_array_equal(pixels, image.convert("RGB"))

    def test_a_transparent_palette_entry_has_alpha_zero(self, tmp_path):
        image = Image.new("P", (4, 4), 1)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.putpixel((0, 0), 0)
        pixels = decoded(image, transparency=0, tmp_path=tmp_path)
        assert pixels[0, 0, 3] == 0
        assert pixels[1, 1].tolist() == [0, 0, 255, 255]

    def test_grey_with_alpha_becomes_rgba(self, tmp_path):
        image = Image.new("LA", (4, 4), (90, 30))
        pixels = decoded(image, tmp_path=tmp_path)
        assert pixels[0, 0].tolist() == [90, 90, 90, 30]

    def test_cmyk_becomes_rgb(self, tmp_path):
        image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
        pixels = decoded(image, "tiff", tmp_path=tmp_path)
        assert pixels[0, 0].tolist() == [255, 0, 0]

    @pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
    def test_16_bits_are_scaled_and_not_clipped(self, tmp_path, kind):
        image = Image.fromarray(RAMP.astype("uint16") * 257)
        pixels = decoded(image, kind, tmp_path=tmp_path)
        np.testing.assert_array_equal(pixels[..., 0], RAMP)

    def test_one_bit_pictures_are_resized_by_area(self):
        board = np.indices((8, 8)).sum(axis=0) % 2 == 1
        data = encoded(Image.fromarray(board))
        assert Image.open(io.BytesIO(data)).mode == "1"
        image = EncodedImages([data], Preprocessing(4)).numpy()
        np.testing.assert_allclose(image, 0.5)

    def test_the_orientation_of_the_camera_is_honoured(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees
        image = Image.fromarray(RAMP)
        pixels = decoded(image, exif=exif, tmp_path=tmp_path)
        np.testing.assert_array_equal(pixels[..., 0], np.rot90(RAMP, -1))

    @pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "tiff"])
    def test_a_truncated_file_is_named(self, tmp_path, kind):
        path = tmp_path / "broken"
        data = encoded(noise(0), kind)
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match="whole file.*Received: .*broken"):
            read_picture(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ValueError, match="nowhere.png.*FileNotFound"):
            read_picture(tmp_path / "nowhere.png")

    @pytest.mark.parametrize("dtype", ["int32", "float32"])
    def test_more_than_16_bits_are_an_error(self, tmp_path, dtype):
        image = Image.fromarray(np.full((4, 4), 1e6, dtype))
        with pytest.raises(ValueError, match="save it with 8 or 16 bits"):
            decoded(image, "tiff", tmp_path=tmp_path)


class TestEncodedImages:
    def test_take_is_the_preprocessing_of_the_pixels(self):
        preprocessing = Preprocessing((5, 7), channels=1)
        pictures = [noise(0), noise(1, (9, 11, 3)), noise(2, (40, 8, 3))]
        images = EncodedImages([encoded(p) for p in pictures], preprocessing)
        assert len(images) == 3
        assert images.shape == (3, 5, 7, 1)
        expected = preprocessing([np.asarray(pictures[i]) for i in [2, 0, 2]])
        taken = images.take([2, 0, 2])
        np.testing.assert_allclose(taken, expected)
        np.testing.assert_allclose(images.numpy([2, 0, 2]), expected)
        assert images.numpy().shape == images.shape
        assert taken.dtype == tf.float32

    def test_take_runs_inside_a_parallel_map(self):
        images = EncodedImages(
            [encoded(noise(i)) for i in range(6)], Preprocessing(8, channels=3)
        )
        indices = np.array([[0, 1], [4, 5], [2, 0]], "int32")
        dataset = tf.data.Dataset.from_tensor_slices(indices).map(
            images.take, num_parallel_calls=2
        )
        assert dataset.element_spec.shape == (2, 8, 8, 3)
        for row, batch in zip(indices, dataset, strict=True):
            np.testing.assert_array_equal(batch, images.numpy(row))

    def test_no_pictures_are_an_empty_array(self):
        images = EncodedImages([], Preprocessing(8))
        assert images.numpy().shape == images.shape == (0, 8, 8, 1)
        assert images.take(tf.zeros([0], "int32")).shape == (0, 8, 8, 1)

    def test_a_broken_picture_is_named_in_a_graph_too(self):
        images = EncodedImages([encoded(noise(0)), b"text"], Preprocessing(8))
        with pytest.raises(ValueError, match="Received: picture 1 .Unident"):
            images.numpy()
        dataset = tf.data.Dataset.from_tensors([0, 1]).map(images.take)
        with pytest.raises(tf.errors.InvalidArgumentError, match="picture 1"):
            next(iter(dataset))


class TestIndexing:
    @pytest.fixture
    def images(self):
        pictures = [encoded(noise(i)) for i in range(5)]
        return EncodedImages(pictures, Preprocessing(4, channels=3))

    @pytest.mark.parametrize(
        "key",
        [
            slice(1, 4),
            slice(None, None, -2),
            slice(9, None),
            [0, -1, 2],
            [],
            np.array([3, 3, -5], "int8"),
            np.array([True, False, True, False, False]),
            [False, True, False, False, True],
            pd.Series([4, 0]),
            pd.Series([1, 2, 3, 4, 5]) > 2,
            range(2),
            ...,
            ([1, 2], ...),
        ],
        ids=str,
    )
    def test_a_selection_is_that_of_the_array_and_stays_lazy(self, images, key):
        expected = images.numpy()[key]
        whole = images.pictures
        # None of them can be decoded.
        images.pictures = [b"%d" % row for row in range(5)]
        chosen = images[key]
        assert isinstance(chosen, EncodedImages)
        assert chosen.shape == expected.shape and len(chosen) == len(expected)
        chosen.pictures = [whole[int(name)] for name in chosen.pictures]
        np.testing.assert_array_equal(chosen.numpy(), expected)

    @pytest.mark.parametrize("key", [0, -1, np.int64(3), np.uint8(2), -5])
    def test_one_picture_is_an_array(self, images, key):
        np.testing.assert_array_equal(images[key], images.numpy()[key])
        np.testing.assert_array_equal(
            images[tf.constant(int(key))], images.numpy()[key]
        )

    def test_iteration_decodes_one_after_the_other(self, images):
        images.pictures[2] = b"text"
        pictures = iter(images)
        for row in range(2):
            np.testing.assert_array_equal(next(pictures), images[row])
        with pytest.raises(ValueError, match="whole file"):
            next(pictures)

    def test_numpy_makes_an_array_of_them(self, images):
        np.testing.assert_array_equal(np.asarray(images), images.numpy())

    def test_scikit_learn_splits_them(self, images):
        train, test = sklearn.model_selection.train_test_split(
            images, test_size=2, random_state=0
        )
        assert isinstance(train, EncodedImages) and len(train) == 3
        assert not set(train.pictures) & set(test.pictures)

    @pytest.mark.parametrize(
        "key",
        [5, -6, [0, 5], [True], 1.0, "0", [0.5], None, [[0, 1]], (0, 1), True],
    )
    def test_wrong_keys_are_errors(self, images, key):
        with pytest.raises(IndexError):
            images[key]


class TestFolders:
    def test_classes_and_files_are_sorted(self, folder):
        images, labels = load_image_folder(folder, size=(8, 10))
        assert labels.tolist() == ["ant", "cat", "cat"]
        assert images.shape == (3, 8, 10, 3)
        names = [p[len(str(folder)) + 1 :] for p in images.pictures]
        assert names == ["ant/a.bmp", "cat/10.PNG", "cat/2.png"]
        expected = Preprocessing((8, 10), channels=3)([np.asarray(noise(2))])
        np.testing.assert_allclose(images.take([0]), expected)

    def test_hidden_and_other_files_are_ignored(self, folder):
        for name in ["readme.txt", ".DS_Store", "ant/notes.txt", "ant/._a.png"]:
            (folder / name).write_text("no picture")
        (folder / ".cache").mkdir()
        assert len(load_image_folder(folder, size=8)[0]) == 3

    @pytest.mark.parametrize(
        "name",
        [
            "cat/photo.heic",
            "cat/IMG_1.HEIC",
            "ant/new.avif",
            "ant/scan.pdf",
            "ant/no_ending",
            "stray.png",
            "stray.heif",
        ],
    )
    def test_files_that_may_be_pictures_are_named(self, folder, name):
        (folder / name).write_bytes(b"something")
        with pytest.warns(UserWarning, match=f"Convert.*Ignored.*/{name}'"):
            assert len(load_image_folder(folder, size=8)[0]) == 3

    def test_a_folder_inside_a_class_is_named(self, folder):
        (folder / "cat/kittens").mkdir()
        noise(5).save(folder / "cat/kittens/a.png")
        with pytest.warns(UserWarning, match="directly inside.*cat/kittens'"):
            assert len(load_image_folder(folder, size=8)[0]) == 3

    def test_what_systems_and_people_leave_is_not_named(self, folder):
        names = ["Thumbs.db", "desktop.ini", ".DS_Store", "LICENSE.md"]
        for name in [*names, "labels.CSV", ".hidden.heic"]:
            for place in (folder, folder / "cat"):
                (place / name).write_bytes(b"something")
        assert len(load_image_folder(folder, size=8)[0]) == 3

    def test_a_class_of_files_of_another_kind_is_an_error(self, folder):
        (folder / "bee").mkdir()
        (folder / "bee/1.heic").write_bytes(b"something")
        with pytest.raises(ValueError, match="no picture in .*bee/1.heic'"):
            load_image_folder(folder, size=8)

    def test_channels_and_ink_reach_the_preprocessing(self, folder):
        images, _ = load_image_folder(folder, size=8, channels=1, ink=True)
        assert images.preprocessing == Preprocessing(8, channels=1, ink=True)

    def test_a_whole_preprocessing_is_that_of_the_pictures(self, folder):
        prepare = Preprocessing(
            (8, 6), 3, interpolation="bicubic", value_range=(-1, 1)
        )
        images, labels = load_image_folder(folder, preprocessing=prepare)
        assert images.preprocessing == prepare
        np.testing.assert_array_equal(
            images.numpy([0]), prepare([np.asarray(noise(2))])
        )
        assert images.numpy().min() < 0
        # Episodes have that range too.
        episodes = episode_dataset(
            images, labels, way=2, shot=1, queries=0, seed=0
        )
        (episode, _), *_ = episodes.take(1)
        assert episode["support_x"].numpy().min() < 0

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"channels": 1},
            {"size": 8, "preprocessing": Preprocessing(8)},
            {"ink": False, "preprocessing": Preprocessing(8)},
            {"preprocessing": 8},
        ],
        ids=str,
    )
    def test_a_size_or_a_preprocessing_is_needed(self, folder, given):
        with pytest.raises(ValueError, match="`size`.*`preprocessing` instead"):
            load_image_folder(folder, **given)

    def test_a_missing_folder_is_an_error(self, folder):
        with pytest.raises(ValueError, match="existing folder. Received: pat"):
            load_image_folder(folder / "nowhere", size=8)

    def test_a_folder_without_class_folders_is_an_error(self, folder):
        with pytest.raises(ValueError, match="one folder of pictures per cl"):
            load_image_folder(folder / "cat", size=8)

    def test_class_folders_without_pictures_are_named(self, folder):
        for name in ["bee", "dog"]:
            (folder / name).mkdir()
        with pytest.raises(ValueError, match="no picture in .*bee', .*dog'"):
            load_image_folder(folder, size=8)

    def test_one_class_is_an_error(self, folder):
        (folder / "ant/a.bmp").unlink()
        (folder / "ant").rmdir()
        with pytest.raises(ValueError, match=r"two classes.*\['cat'\]"):
            load_image_folder(folder, size=8)

    def test_all_broken_pictures_are_found_at_once(self, folder):
        for i in range(7):
            (folder / f"cat/broken_{i}.png").write_bytes(b"")
        with pytest.raises(ValueError, match="7 broken of 10.*2 more") as info:
            load_image_folder(folder, size=8)
        assert all(f"broken_{i}.png" in str(info.value) for i in range(5))
        images, _ = load_image_folder(folder, size=8, check=False)
        with pytest.raises(ValueError, match="broken_0.png"):
            images.numpy()


class TestTables:
    rows = [("cat/2.png", "b"), ("ant/a.bmp", "a"), ("cat/10.PNG", "b")]

    def check(self, folder, table):
        images, labels = load_image_folder(folder, size=8, table=table)
        assert labels.tolist() == ["b", "a", "b"]
        assert images.pictures == [str(folder / file) for file, _ in self.rows]

    def test_pairs_keep_their_order(self, folder):
        self.check(folder, self.rows)
        self.check(folder, zip(*zip(*self.rows, strict=True), strict=True))

    @pytest.mark.parametrize("header", ["", "file,label\n", "\ufeff"])
    def test_a_csv_file_may_have_a_header(self, folder, header):
        table = folder / "labels.csv"
        text = header + "".join(
            f"{file},{label}\n" for file, label in self.rows
        )
        table.write_text(text, encoding="utf-8")
        self.check(folder, table)

    def test_a_tsv_file_is_split_at_tabs(self, folder):
        table = folder / "labels.tsv"
        table.write_text("\n".join(map("\t".join, self.rows)))
        self.check(folder, str(table))

    def test_labels_may_be_numbers(self, folder):
        rows = [(file, i) for i, (file, _) in enumerate(self.rows)]
        _, labels = load_image_folder(folder, size=8, table=rows)
        assert labels.tolist() == ["0", "1", "2"]

    def test_missing_files_are_named(self, folder):
        rows = [*self.rows, ("dog/1.png", "c")]
        with pytest.raises(ValueError, match="no file '.*dog/1.png'"):
            load_image_folder(folder, size=8, table=rows)

    def test_a_file_listed_twice_is_named(self, folder):
        rows = [*self.rows, ("ant/a.bmp", "c")]
        with pytest.raises(ValueError, match="listed again: '.*ant/a.bmp'"):
            load_image_folder(folder, size=8, table=rows)

    @pytest.mark.parametrize("row", [("a.png",), ("a.png", ""), ("a", "b", 1)])
    def test_a_row_that_is_no_pair_is_an_error(self, folder, row):
        with pytest.raises(ValueError, match="a file and its label. Received"):
            load_image_folder(folder, size=8, table=[row])

    def test_a_missing_table_is_an_error(self, folder):
        with pytest.raises(ValueError, match="nowhere.csv', which is no file"):
            load_image_folder(folder, size=8, table="nowhere.csv")

    def test_an_empty_table_has_no_classes(self, folder):
        with pytest.raises(ValueError, match=r"with the classes \[\]"):
            load_image_folder(folder, size=8, table=[])
