"""Damaged files get the library's error, or are read as what they are.

`python tests/file_damage.py` runs more of them.
"""

import subprocess
import zipfile

import numpy as np
import pytest
from file_damage import CHECKS, Damage, check
from PIL import Image

import keras_meta as km
from keras_meta import classifier_files, presets
from keras_meta.callbacks import checkpoint


@pytest.fixture(scope="module")
def damage(tmp_path_factory):
    return Damage(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("name", CHECKS)
def test_no_damage_is_a_raw_error(damage, name):
    check(damage, name, examples=100)


def test_a_support_that_fills_the_memory_is_refused(damage, monkeypatch):
    path = damage.restored(presets.SUPPORT)
    monkeypatch.setattr(classifier_files, "LARGEST", 300)
    with pytest.raises(ValueError, match=r"support.npz.* unpacked, of 300"):
        classifier_files._read_support(path)


def test_no_program_of_a_picture_runs(tmp_path, monkeypatch):
    """Pillow would start Ghostscript for PostScript, by whatever name."""

    def started(*_, **__):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    path = tmp_path / "picture.png"
    Image.new("L", (4, 4)).save(path, "eps")
    with pytest.raises(ValueError, match="picture.png.*no format"):
        km.data.read_picture(path)


@pytest.mark.parametrize("data", [b"\xff\xfe,a\n", b"a," + b"b" * 200_000])
def test_a_table_that_is_no_text_is_named(tmp_path, data):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="in UTF-8. Received: table='.*csv"):
        km.data.load_image_folder(tmp_path, size=4, table=path)


def test_a_name_that_is_too_long_is_no_file(tmp_path):
    rows = [("a" * 5000, "cat"), ("b.png", "dog")]
    with pytest.raises(ValueError, match="no file '.*aaa"):
        km.data.load_image_folder(tmp_path, size=4, table=rows)


@pytest.mark.parametrize("state", [b"{", b"\xff", b"[" * 100_000, None])
def test_a_damaged_checkpoint_is_named(tmp_path, state):
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(np.random.default_rng(0).bytes(99))
    if state is not None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(checkpoint.STATE, state)
    for read in (checkpoint.read_state, checkpoint.load_model):
        with pytest.raises(ValueError, match=checkpoint.CHECKPOINT) as error:
            read(tmp_path)
        assert type(error.value) is ValueError
