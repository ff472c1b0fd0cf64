"""Tests of the arrays that are built once."""

import pathlib

import numpy as np
import pytest

from keras_meta.data.cache import cache_folder, cached_arrays

ARRAYS = {
    "images": np.arange(24, dtype="uint8").reshape(2, 3, 4),
    "names": np.array(["one", "twenty"]),
}


class Builder:
    """Counts how often it is asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return dict(ARRAYS)


def never():
    raise AssertionError("the cache should have been read")


def assert_same(arrays):
    assert set(arrays) == set(ARRAYS)
    for key, expected in ARRAYS.items():
        assert arrays[key].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[key], expected)


def test_the_second_call_reads_what_the_first_built(tmp_path):
    builder = Builder()
    assert_same(cached_arrays("thing", builder, tmp_path))
    assert_same(cached_arrays("thing", never, tmp_path))
    assert builder.calls == 1


def test_another_name_is_built_anew(tmp_path):
    builder = Builder()
    cached_arrays("thing", builder, tmp_path)
    cached_arrays("thing_2", builder, tmp_path)
    assert builder.calls == 2


def test_the_folder_is_made_and_holds_one_file_a_name(tmp_path):
    folder = tmp_path / "not" / "yet"
    cached_arrays("thing", Builder(), folder)
    assert [path.name for path in folder.iterdir()] == ["thing.npz"]


def test_the_folder_may_be_text(tmp_path):
    cached_arrays("thing", Builder(), str(tmp_path))
    assert (tmp_path / "thing.npz").exists()


@pytest.mark.parametrize("kept", [0, 1, 10, 100, -1])
def test_a_truncated_file_is_built_again(tmp_path, kept):
    cached_arrays("thing", Builder(), tmp_path)
    path = tmp_path / "thing.npz"
    path.write_bytes(path.read_bytes()[:kept])
    builder = Builder()
    assert_same(cached_arrays("thing", builder, tmp_path))
    assert builder.calls == 1
    assert_same(cached_arrays("thing", never, tmp_path))


def test_a_file_of_something_else_is_built_again(tmp_path):
    (tmp_path / "thing.npz").write_text("this is no archive " * 100)
    builder = Builder()
    assert_same(cached_arrays("thing", builder, tmp_path))
    assert builder.calls == 1


def test_a_changed_byte_never_stops_a_program(tmp_path):
    cached_arrays("thing", Builder(), tmp_path)
    path = tmp_path / "thing.npz"
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        arrays = cached_arrays("thing", Builder(), tmp_path)
        # A name in the archive's directory has no checksum; values do.
        for key in set(arrays) & set(ARRAYS):
            np.testing.assert_array_equal(arrays[key], ARRAYS[key])


def test_a_failing_build_leaves_nothing(tmp_path):
    def build():
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        cached_arrays("thing", build, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_nothing(tmp_path, monkeypatch):
    def savez(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(OSError, match="no space left"):
        cached_arrays("thing", Builder(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    savez = np.savez
    seen = []

    def watched(file, **arrays):
        seen.append((tmp_path / "thing.npz").exists())
        savez(file, **arrays)
        seen.append((tmp_path / "thing.npz").exists())

    monkeypatch.setattr(np, "savez", watched)
    cached_arrays("thing", Builder(), tmp_path)
    assert seen == [False, False]
    assert (tmp_path / "thing.npz").exists()


def test_the_folder_is_keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "keras_meta"
    cached_arrays("thing", Builder())
    assert (tmp_path / "keras_meta" / "thing.npz").exists()


def test_without_keras_home_the_folder_is_in_the_users_own(monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert cache_folder() == pathlib.Path.home() / ".keras" / "keras_meta"
