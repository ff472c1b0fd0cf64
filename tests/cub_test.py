"""Tests of the loader of CUB-200-2011, on a folder made up here."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_meta.data.cub import cub_attributes, load_cub, write_cub_features

CLASSES = [f"{k + 1:03d}.Bird_{k + 1}" for k in range(4)]
# The classes of the six photographs: not sorted, as nothing says they are.
OWNERS = [0, 1, 0, 2, 3, 3]
ATTRIBUTES = np.array([[0, 50, 100], [1, 2, 3], [9.5, 0, 0], [4, 4, 4]])
FILES = (
    "classes.txt",
    "images.txt",
    "image_class_labels.txt",
    "trainclasses.txt",
    "valclasses.txt",
    "testclasses.txt",
    "features.npy",
)


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def folder(tmp_path):
    """Six photographs of four classes; number `i` is grey of 10 `i`."""
    names = [f"{CLASSES[k]}/{i}.png" for i, k in enumerate(OWNERS)]
    write_lines(
        tmp_path / "classes.txt",
        [f"{k + 1} {n}" for k, n in enumerate(CLASSES)],
    )
    write_lines(
        tmp_path / "images.txt", [f"{i + 1} {n}" for i, n in enumerate(names)]
    )
    write_lines(
        tmp_path / "image_class_labels.txt",
        [f"{i + 1} {k + 1}" for i, k in enumerate(OWNERS)],
    )
    write_lines(tmp_path / "trainclasses.txt", [CLASSES[3], CLASSES[0]])
    write_lines(tmp_path / "valclasses.txt", [CLASSES[1]])
    write_lines(tmp_path / "testclasses.txt", [CLASSES[2]])
    (tmp_path / "attributes").mkdir()
    np.savetxt(
        tmp_path / "attributes/class_attribute_labels_continuous.txt",
        ATTRIBUTES,
    )
    for i, name in enumerate(names):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + i, 12), (10 * i,) * 3).save(path)
    np.save(tmp_path / "features.npy", np.arange(12.0).reshape(6, 2))
    return tmp_path


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", [0, 2, 4, 5]),
        ("validation", [1]),
        ("test", [3]),
        ("trainval", [0, 1, 2, 4, 5]),
    ],
)
def test_splits(folder, split, rows):
    features, labels = load_cub(folder, split)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[:, 0], 2 * np.array(rows))
    assert labels.tolist() == [CLASSES[OWNERS[row]] for row in rows]


def test_attributes_are_shares(folder):
    attributes = cub_attributes(str(folder))
    assert list(attributes) == CLASSES
    for name, row in zip(CLASSES, ATTRIBUTES, strict=True):
        assert attributes[name].dtype == np.float32
        np.testing.assert_allclose(attributes[name], row / 100, rtol=1e-6)


def test_written_features_are_those_of_the_network(folder, monkeypatch):
    # Batches of 4 and 2, and a network that sees sizes and values.
    monkeypatch.setattr("keras_meta.data.cub.BATCH", 4)
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    path = write_cub_features(folder, network, size=(8, 6))
    assert path == folder / "features.npy"
    features = np.load(path)
    assert features.dtype == np.float32
    grey = np.repeat(10 * np.arange(6)[:, None] / 255, 3, axis=1)
    np.testing.assert_allclose(features, grey, atol=1e-6)
    np.testing.assert_array_equal(load_cub(folder, "test")[0], features[3:4])


@pytest.mark.parametrize(
    "layer", [keras.layers.Identity(), keras.layers.Lambda(lambda x: x / 0)]
)
def test_useless_networks_leave_the_file_as_it_was(folder, layer):
    pooling = keras.layers.GlobalAveragePooling2D()
    lambdas = isinstance(layer, keras.layers.Lambda)
    network = keras.Sequential([layer, pooling] if lambdas else [layer])
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match="`network` must give finite vectors"):
        write_cub_features(folder, network, size=8)
    assert sorted(folder.iterdir()) == before
    assert np.load(folder / "features.npy").shape == (6, 2)


@pytest.mark.parametrize("name", FILES)
def test_missing_files_are_named_with_their_source(folder, name):
    (folder / name).unlink()
    source = {
        "f": "`write_cub_features`",
        "c": "the release",
        "i": "the release",
    }.get(name[0], "the zero-shot split of Reed")
    with pytest.raises(ValueError, match=f"the file {name}.*{source}"):
        load_cub(folder, "train")


def test_missing_attributes_and_pictures(folder):
    (folder / "attributes/class_attribute_labels_continuous.txt").unlink()
    with pytest.raises(ValueError, match="continuous.txt.*the release"):
        cub_attributes(folder)
    (folder / "images" / CLASSES[1] / "1.png").unlink()
    network = keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="whole file .*1.png"):
        write_cub_features(folder, network, size=8)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("valclasses.txt", ["Robin"], "names of classes.txt.*: 'Robin'"),
        ("testclasses.txt", CLASSES[:1], f"in common.*'{CLASSES[0]}' again"),
        ("images.txt", ["1 a.png", "7 b.png"], "a class.*none for 'b.png'"),
        ("image_class_labels.txt", ["1 9"], "a class.*none for .*0.png'"),
        ("classes.txt", ["1"], "a number and a value.*the line '1'"),
    ],
)
def test_malformed_lists(folder, name, lines, message):
    write_lines(folder / name, lines)
    with pytest.raises(ValueError, match=message):
        load_cub(folder, "train")


@pytest.mark.parametrize("shape", [(5, 2), (6,), (6, 2, 1)])
def test_features_of_another_shape(folder, shape):
    np.save(folder / "features.npy", np.zeros(shape))
    with pytest.raises(ValueError, match="each of the 6 photographs"):
        load_cub(folder, "test")


@pytest.mark.parametrize(
    "values",
    [ATTRIBUTES[:3], ATTRIBUTES - 1, ATTRIBUTES + 1, ATTRIBUTES * np.nan],
)
def test_impossible_attributes(folder, values):
    np.savetxt(
        folder / "attributes/class_attribute_labels_continuous.txt", values
    )
    with pytest.raises(ValueError, match="percentages for each of the 4"):
        cub_attributes(folder)


def test_unknown_split(folder):
    with pytest.raises(ValueError, match="`split` must be .*split='all'"):
        load_cub(folder, "all")
