"""Photographs of Debian packages: Qt's files, classes, and measurements."""

import io
import struct
import subprocess
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

import keras_meta as km
from benchmarks import large_photos, photos
from zoo import evaluate, photographs
from zoo import pictures as zoo_pictures
from zoo.recipes.recipe import Evaluation
from zoo.streams import Photographs


def resource_file(files, version=3, compressed=()):
    """The bytes of a resource file of Qt, with all files in one folder.

    Args:
        files: Dict from `folder/name` to bytes; the folder may be nested, and
            is written as one name.
        version: Of the format.
        compressed: The paths that are packed.
    """
    folders = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    names, data, nodes = b"", b"", []

    def place(name):
        nonlocal names
        found = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        return found

    nodes.append(struct.pack(">IHII", 0, 2, len(folders), 1))
    first = 1 + len(folders)
    for folder, inside in folders.items():
        nodes.append(struct.pack(">IHII", place(folder), 2, len(inside), first))
        first += len(inside)
    for folder, inside in folders.items():
        for name in inside:
            content = files[f"{folder}/{name}"]
            packed = f"{folder}/{name}" in compressed
            if packed:
                content = struct.pack(">I", len(content)) + zlib.compress(
                    content
                )
            node = struct.pack(">IHII", place(name), packed, 0, len(data))
            nodes.append(node)
            data += struct.pack(">I", len(content)) + content
    time = b"" if version == 1 else bytes(8)
    tree = b"".join(node + time for node in nodes)
    start = 20
    offsets = (start, start + len(tree), start + len(tree) + len(data))
    return (
        struct.pack(">4s4I", b"qres", version, *offsets) + tree + data + names
    )


FILES = {"a/one.webp": b"first" * 20, "a/two": b"", "b/one.webp": b"second"}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_resource_file_gives_its_files(version, tmp_path):
    path = tmp_path / "file.rcc"
    path.write_bytes(resource_file(FILES, version, {"a/one.webp"}))
    found = photographs.read_resources(path)
    assert found == {f"/{name}": data for name, data in FILES.items()}


def test_damaged_resource_files_are_named(tmp_path):
    path = tmp_path / "file.rcc"
    whole = resource_file(FILES, 3, {"a/one.webp"})
    circle = bytearray(whole)
    # The first child of the first folder is the root.
    circle[20 + 22 + 10 : 20 + 22 + 14] = bytes(4)
    for data in (b"", b"zip", whole[:60], bytes(circle), whole[:4] + bytes(60)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="must be a resource .*file.rcc"):
            photographs.read_resources(path)
    with pytest.raises(ValueError, match="none.rcc"):
        photographs.read_resources(tmp_path / "none.rcc")


def test_pictures_get_the_classes_of_their_names(tmp_path):
    folder = tmp_path / photographs.RESOURCES
    folder.mkdir(parents=True)
    inside = {}
    for file, prefix, _ in photographs.GCOMPRIS:
        inside.setdefault(file, []).append(prefix)
    pictures = {
        "categorization/resource/images/fishes/": ["fish1", "fish28", "other"],
        "categorization/resource/images/renewable/": ["windmill", "dam1"],
        "categorization/resource/images/tools/": ["wrench"],
        "erase/resource/": ["swans", "bee", "goat"],
        "explore_farm_animals/resource/animals/": ["owl", "cow"],
    }
    for file, prefixes in inside.items():
        files = {
            f"x/{prefix}{name}.webp": f"{prefix}{name}".encode()
            for prefix in prefixes
            for name in pictures.get(prefix, ())
        }
        files["x/README"] = b"text"
        (folder / file).write_bytes(resource_file(files))
    found, labels = photographs.load("gcompris", tmp_path)
    pairs = {
        data.decode().rpartition("/")[2]: label
        for data, label in zip(found, labels, strict=True)
    }
    assert pairs == {
        **{"fish1": "fish", "fish28": "fish", "windmill": "windmill"},
        **{"wrench": "tool", "swans": "bird", "goat": "mammal"},
        **{"owl": "bird", "cow": "mammal"},
    }


@pytest.fixture
def stamps(tmp_path, monkeypatch):
    """Pictures of one colour a class, where the package would lie."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    folder = tmp_path / "datasets/tuxpaint-stamps-default"
    rng = np.random.default_rng(0)
    for inside in photographs.TUXPAINT.values():
        path = folder / photographs.STAMPS / inside / "more"
        (path / "cartoon").mkdir(parents=True)
        colour = rng.integers(118, 138, 3)
        for name in ("a", "b", "a_mirror", "cartoon/c"):
            noise = rng.integers(-40, 41, (4, 4, 3))
            pixels = np.clip(colour + noise, 0, 255).astype("uint8")
            Image.fromarray(pixels).save(path / f"{name}.png")
    return folder


def test_photographs_are_embedded_once_and_measured_the_same(stamps):
    pictures, labels = photographs.load("tuxpaint", stamps)
    assert len(pictures) == 2 * len(photographs.TUXPAINT) == len(labels)
    assert Image.open(io.BytesIO(pictures[0])).size == (4, 4)
    model = km.models.PrototypicalNetwork(
        keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    )
    stream = Photographs("tuxpaint", way=5, shot=1, queries=1)
    evaluation = Evaluation(stream, episodes=6)
    found = evaluate.evaluate(model, evaluation).numbers["accuracy"]
    right = []
    for inputs, query_y in stream.elements(1).take(6).batch(1):
        logits = model.predict(inputs, verbose=0)
        right += [*(np.argmax(logits[0], 1) == np.argmax(query_y[0], 1))]
    assert found == pytest.approx(100 * np.mean(right), abs=1e-3)
    assert 20 < found < 100


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0, 255)])
def test_a_figure_shows_the_pictures_of_any_range(
    value_range, stamps, tmp_path, monkeypatch
):
    prepare = km.Preprocessing(8, 3, value_range=value_range)
    model = km.models.PrototypicalNetwork(
        keras.Sequential([keras.layers.GlobalAveragePooling2D()]),
        preprocessing=prepare,
    )
    pictures, labels = photographs.load("tuxpaint", stamps)
    source = km.data.EncodedImages(pictures, prepare)
    episodes = km.data.episode_dataset(
        source, labels, way=5, shot=1, queries=1, seed=0
    )
    figures = []

    def save(figure, path):
        figures.append(figure)
        return path

    monkeypatch.setattr(zoo_pictures.plots, "save_figure", save)
    written = zoo_pictures.draw(model, episodes.batch(1), tmp_path)
    assert [path.name for path in written] == ["episode.png", "embeddings.png"]
    plain = km.data.EncodedImages(pictures, km.Preprocessing(8, 3))
    shown = [axes.images[0].get_array() for axes in figures[0].axes]
    assert len(shown) == 10
    for image in shown:
        gaps = np.abs(plain.numpy() - image).max(axis=(1, 2, 3))
        assert gaps.min() < 1e-5


@pytest.mark.parametrize(
    "fields, match",
    [
        ({"split": "train"}, "`split` .* must be 'test'"),
        ({"rotations": True}, "`rotations` must be False"),
        ({"dataset": "gcompris"}, "apt-get download gcompris-qt-data && dpkg"),
    ],
)
def test_what_photographs_there_are_is_said(fields, match, stamps):
    fields = {"dataset": "tuxpaint", **fields}
    with pytest.raises(ValueError, match=match):
        Photographs(way=5, shot=1, **fields).load()


def test_the_benchmark_says_what_to_do_without_apt(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError("no apt-get")

    monkeypatch.setattr(subprocess, "run", fail)
    folder = tmp_path / "new" / "photographs"
    with pytest.raises(ValueError, match="dpkg-deb -x .* --gcompris FOLDER"):
        photos.fetch("gcompris", folder)
    assert not any(folder.parent.iterdir())


def test_the_benchmark_measures_both_methods(stamps):
    model = km.models.PrototypicalNetwork(
        keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    )
    rng = np.random.default_rng(0)
    labels = np.repeat([*"abcdef"], 12)
    centres = np.repeat(rng.normal(size=(6, 8)), 12, axis=0)
    easy = (centres + 0.01 * rng.normal(size=(72, 8))).astype("float32")
    noise = rng.normal(size=(72, 8)).astype("float32")
    for name, method in photos.METHODS.items():
        predict = method(model)
        for embeddings, low, high in ((easy, 1, 1), (noise, 0, 0.5)):
            shares = [
                np.mean(predict(episode) == episode["query_y"].argmax(1))
                for episode in photos.episodes(embeddings, labels, 5, 5)
            ]
            assert low <= np.mean(shares) <= high, name


def test_the_benchmark_measures_confidence():
    model = km.models.PrototypicalNetwork(keras.layers.Identity())
    rng = np.random.default_rng(0)
    labels = np.repeat([*"abcdefg"], 12)
    centres = np.repeat(rng.normal(size=(7, 8)), 12, axis=0)
    easy = (3 * centres + rng.normal(size=(84, 8))).astype("float32")
    found = photos.confidence(model, easy, labels, 8)
    assert found["accuracy"] > 0.95 and found["novelty_auroc"] > 0.9
    assert 0 <= found["calibrated_error"] < 0.1
    noise = rng.normal(size=(84, 8)).astype("float32")
    found = photos.confidence(model, noise, labels, 8)
    assert found["accuracy"] < 0.5 and 0.3 < found["novelty_auroc"] < 0.7
    # Euclidean distances of noise are far too sure.
    assert found["calibrated_error"] < found["error"]


def test_photographs_are_enlarged_and_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(large_photos, "WIDTH", 1800)
    monkeypatch.setattr(large_photos, "HEIGHT", 1500)
    rng = np.random.default_rng(0)
    pairs = []
    for label in large_photos.CLASSES:
        colour = rng.integers(50, 200, 3)
        for _ in range(11):
            noise = rng.integers(-40, 41, (6, 6, 3))
            file = io.BytesIO()
            pixels = (colour + noise).astype("uint8")
            Image.fromarray(pixels).save(file, "png")
            pairs.append((file.getvalue(), label))
    monkeypatch.setattr(
        photographs, "load", lambda *_: zip(*pairs, strict=True)
    )
    files, labels = large_photos.write(tmp_path, None)
    assert len(files) == len(labels) == 40
    assert all(f.name.startswith(n) for f, n in zip(files, labels, strict=True))
    prepare = km.Preprocessing(16, 3)
    model = km.models.PrototypicalNetwork(
        keras.Sequential([keras.layers.GlobalAveragePooling2D()])
    )
    model.encoder.build((None, 16, 16, 3))
    images = [
        large_photos.decode(files, kind, 40)[0]
        for kind in (prepare, large_photos.Whole(prepare))
    ]
    changed = large_photos.compare(model, *images)
    assert changed["agree"] > 0.9 and changed["images"] < 0.005
    assert 0 < changed["probabilities"] < 0.05
