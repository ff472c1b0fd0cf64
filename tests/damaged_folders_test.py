"""Damaged presets and classifiers are refused, and the file is named.

The damage is drawn with fixed seeds. Where sums are written anew, the files
are read; otherwise the sums alone would refuse them.
"""

import io
import json
import os
import pickle
import shutil
import zipfile

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta import presets

FILES = [
    "SHA256SUMS",
    "config.json",
    "labels.json",
    "model.weights.h5",
    "support.npz",
]


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    model = km.models.PrototypicalNetwork(
        km.encoders.mlp((3,)), preprocessing=km.Preprocessing(4)
    )
    images = np.random.default_rng(0).random((6, 4, 4))
    return km.FewShotClassifier(model).fit(images, list("aabbcc"))


@pytest.fixture(scope="module")
def whole(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "classifier"
    classifier.save(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def refuse(folder, name, load=km.FewShotClassifier.load):
    with pytest.raises(ValueError) as error:
        load(folder)
    # No error of another library by itself, such as JSONDecodeError.
    assert type(error.value) is ValueError
    assert name in str(error.value)


def damaged(data, seed):
    """The bytes of a file with one of many kinds of damage."""
    rng = np.random.default_rng(seed)
    place = int(rng.integers(len(data)))
    flipped = bytearray(data)
    flipped[place] ^= 1 << int(rng.integers(8))
    kinds = (
        bytes(flipped),
        data[:place],
        data[place + 1 :],
        data[:place] + bytes(rng.integers(0, 256, 9, "uint8")) + data[place:],
        bytes(rng.integers(0, 256, len(data), "uint8")),
        data[:place] + bytes(len(data) - place),
    )
    return kinds[seed % len(kinds)]


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_do_not_match_their_sums(name, folder):
    data = (folder / name).read_bytes()
    for seed in range(60):
        changed = damaged(data, seed)
        if changed != data:
            (folder / name).write_bytes(changed)
            # A sum may be damaged so that its file seems to be.
            refuse(folder, "" if name == "SHA256SUMS" else name)


OTHER_BYTES = {
    "nothing": b"",
    "zeros": bytes(64),
    "text": b"text",
    "no UTF-8": b"\xff\xfe\x80",
    "pickle": pickle.dumps({"images": 1}),
    "array": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', }",
    "zip": b"PK\x05\x06" + bytes(18),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(40),
}
OTHER_JSON = [
    *(None, True, 3, -0.5, "text", [], {}, [[]], [{}], [None] * 6),
    *(["a"] * 5, ["a"] * 7, ["a", 1, "b", 2, "c", 3], [["a"]] * 6),
    *({"a": 1}, [float("nan")] * 6, ["a"] * 6, list("abcde") + [None]),
    {"class_name": "Dense", "config": {}, "module": "keras.layers"},
    {"class_name": "os.system", "config": "true", "module": "os"},
    {"class_name": "function", "config": "system", "module": "os"},
]


def config_with(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["config"] = {**config["config"], **changes}
        return config

    return change


@pytest.mark.parametrize("kind", OTHER_BYTES)
@pytest.mark.parametrize("name", FILES)
def test_files_of_other_kinds_are_named(name, kind, folder):
    (folder / name).write_bytes(OTHER_BYTES[kind])
    if name != "SHA256SUMS":
        presets.write_sums(folder)
    refuse(folder, name)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_named(name, folder):
    (folder / name).unlink()
    (folder / name).mkdir()
    refuse(folder, name)


@pytest.mark.parametrize("value", OTHER_JSON, ids=repr)
def test_json_of_other_types_is_named(value, folder):
    for name in ("labels.json", "config.json"):
        before = (folder / name).read_bytes()
        (folder / name).write_text(json.dumps(value))
        presets.write_sums(folder)
        refuse(folder, name)
        (folder / name).write_bytes(before)


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": 5},
        {"encoder": None},
        {"preprocessing": "text"},
        {"preprocessing": {"class_name": "Preprocessing", "config": {}}},
        {"statistics": "none"},
        {"distance": ["euclidean"]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_config_of_wrong_values_is_named(changes, folder):
    config = config_with(**changes)(folder)
    presets.write_json(folder / "config.json", config)
    presets.write_sums(folder)
    refuse(folder, "config.json")
    refuse(folder, "config.json", presets.load)


def test_deeply_nested_json_is_named(folder):
    for name in ("labels.json", "config.json"):
        before = (folder / name).read_bytes()
        (folder / name).write_text("[" * 100_000)
        presets.write_sums(folder)
        refuse(folder, name)
        (folder / name).write_bytes(before)


def support(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


class Harmful:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self):
        return os.putenv, ("HARMFUL", "1")


IMAGES = np.full((6, 4, 4, 1), 0.5, "float32")
SUPPORTS = {
    "none": support(),
    "other name": support(pictures=IMAGES),
    "rank 0": support(images=np.float32(1)),
    "rank 1": support(images=IMAGES[:, 0, 0, 0]),
    "rank 3": support(images=IMAGES[..., 0]),
    "size": support(images=IMAGES[:, 1:]),
    "fewer": support(images=IMAGES[1:]),
    "empty": support(images=IMAGES[:0]),
    "integers": support(images=IMAGES.astype("int64")),
    "float64": support(images=IMAGES.astype("float64")),
    "text": support(images=np.array(["a"] * 6)),
    "NaN": support(images=IMAGES * np.nan),
    "infinite": support(images=IMAGES * np.inf),
    "range": support(images=IMAGES * 9),
    "cold": support(images=IMAGES, temperature=0.0),
    "two temperatures": support(images=IMAGES, temperature=np.ones(2)),
    "objects": support(images=np.array([Harmful()] * 6, object)),
}


@pytest.mark.parametrize("kind", SUPPORTS)
def test_a_support_of_another_form_is_named(kind, folder):
    (folder / "support.npz").write_bytes(SUPPORTS[kind])
    presets.write_sums(folder)
    before = dict(os.environ)
    refuse(folder, "labels.json" if kind in ("fewer", "empty") else "support")
    assert dict(os.environ) == before


def test_a_support_that_claims_to_be_huge_is_named(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": "<f4", "fortran_order": False, "shape": (2**50, 4, 4, 1)},
    )
    with zipfile.ZipFile(folder / "support.npz", "w") as file:
        file.writestr("images.npy", header.getvalue())
    presets.write_sums(folder)
    refuse(folder, "support.npz")


@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes_under_new_sums_are_no_raw_errors(name, folder):
    """What still loads is whole; all else is a ValueError."""
    data = (folder / name).read_bytes()
    load = km.FewShotClassifier.load
    # The weights are read by HDF5 in much more time.
    for seed in range(8 if name == "model.weights.h5" else 30):
        (folder / name).write_bytes(damaged(data, seed))
        if name != "SHA256SUMS":
            presets.write_sums(folder)
        try:
            found = load(folder)
        except ValueError as error:
            assert type(error) is ValueError
        else:
            assert len(found.classes_) > 1


LINE = "0" * 64 + "  "


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "\n\n",
        lambda text: text.splitlines(True)[0],
        lambda text: text.replace("config.json", "confjg.json"),
        lambda text: text.replace("labels.json", "model.weights.h5"),
        lambda text: text + "what\n",
        lambda text: text.replace("  ", "\t"),
        lambda text: text.upper(),
        lambda text: text[:-30],
    ],
)
def test_damaged_sums_are_named(change, folder):
    path = folder / "SHA256SUMS"
    path.write_text(change(path.read_text()))
    refuse(folder, "SHA256SUMS")


def test_sums_of_other_files_are_ignored(folder):
    """Older versions summed all files of a folder."""
    path = folder / "SHA256SUMS"
    old = "".join(
        f"{LINE}{name}\n" for name in ("log.csv", "README.md", "a b\u2028c")
    )
    path.write_text(old + path.read_text(), encoding="utf-8")
    km.FewShotClassifier.load(folder)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    km.FewShotClassifier.load(folder)
