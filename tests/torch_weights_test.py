"""Tensors are read without PyTorch, and nothing else of a file is run."""

import os

import numpy as np
import pytest
import torch_files
from torch_files import Call, Global, tensor, write, write_arrays

from keras_meta.torch_weights import read_tensors

ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)


def test_arrays_come_back_in_any_order_of_their_numbers(tmp_path):
    arrays = {
        "rows": ARRAY,
        "columns": np.asfortranarray(ARRAY),
        "scalar": np.array(7, "<i8"),
        "half": ARRAY[0].astype("<f2"),
    }
    write_arrays(tmp_path / "file.pth", arrays)
    found = read_tensors(tmp_path / "file.pth")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    "harmful",
    [
        Call("os", "putenv", "HARMFUL", "1"),
        Call("builtins", "eval", "1"),
        Global("numpy", "load"),
        Call("torch._utils", "_rebuild_parameter", 1),
        Call("torch", "FloatStorage", 3),
        Call("collections", "OrderedDict", [["a", 1]]),
        [1, 2],
        {"a": 1},
    ],
)
def test_all_but_tensors_is_refused_and_not_run(harmful, tmp_path):
    write(tmp_path / "file.pth", harmful, {"a": ARRAY})
    before = dict(os.environ)
    with pytest.raises(ValueError, match="must be a file of tensors alone"):
        read_tensors(tmp_path / "file.pth")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "place, value",
    [(1, 1), (1, -1), (2, (3, 3)), (2, (2**40, 3)), (3, (3, 2)), (3, (-3, 1))],
)
def test_a_tensor_stays_inside_its_storage(place, value, tmp_path):
    call = tensor(ARRAY, "a")
    arguments = list(call.arguments)
    arguments[place] = value
    call.arguments = arguments
    write(tmp_path / "file.pth", {"a": call}, {"a": ARRAY})
    with pytest.raises(ValueError, match="a tensor leaves its storage a"):
        read_tensors(tmp_path / "file.pth")


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "file.pth"
    write_arrays(path, {"a": ARRAY})
    data = path.read_bytes()
    for other in (b"", data[:-1], data[:40], b"PK\x03\x04" + bytes(30)):
        path.write_bytes(other)
        with pytest.raises(ValueError, match="`path` must be .*file.pth"):
            read_tensors(path)
    machine = {**torch_files.MACHINE, "little_endian": False}
    write(path, {"a": tensor(ARRAY, "a")}, {"a": ARRAY}, machine)
    with pytest.raises(ValueError, match="big-endian"):
        read_tensors(path)
