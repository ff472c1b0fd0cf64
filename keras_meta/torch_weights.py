"""Reads the tensors of a file that PyTorch saved, without PyTorch.

Such a file is a pickle, which may name any function to be called. The
unpickler here knows what tensors need and refuses all else, so that nothing of
a file is run as code.

The format is that of `torch.save` before PyTorch 1.6: pickles of a magic
number, a version, facts of the machine, the dict of tensors and the keys of
their storages; then each storage as its length and its bytes.
"""

import collections
import math
import pickle
import typing

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
# NumPy's types of PyTorch's classes of storages.
STORAGES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}


class _Storage(typing.NamedTuple):
    """Numbers that are further on in the file."""

    key: str
    dtype: str
    length: int


class _Tensor(typing.NamedTuple):
    """A view of a storage; offset and strides count numbers."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


def _tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, shape, strides)


class _TensorUnpickler(pickle.Unpickler):
    """Makes dicts of `_Tensor`s, and nothing else."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise ValueError(f"it names {module}.{name}, which is no tensor")

    def persistent_load(self, pid):
        _, dtype, key, _, length, view = pid
        if view is not None:
            raise ValueError("it holds views of storages, which are not read")
        return _Storage(key, dtype, length)


def read_tensors(path):
    """The tensors of a file.

    Args:
        path: File that `torch.save` of a version before 1.6, or with
            `_use_new_zipfile_serialization=False`, made of a state dict.

    Returns:
        Dict of NumPy arrays by name.

    Raises:
        ValueError: If the file is of another kind, damaged, or holds anything
            but tensors.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    # What a pickle raises depends on its bytes.
    except Exception as error:
        raise ValueError(
            f"`path` must be a file of tensors alone, as `torch.save` wrote "
            f"them before PyTorch 1.6. Received: path={str(path)!r}: "
            f"{error or type(error).__name__}"
        ) from error


def _read(file):
    magic, version, machine, tensors, keys = (
        _TensorUnpickler(file).load() for _ in range(5)
    )
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"it begins with {magic!r} and {version!r}")
    if not machine["little_endian"]:
        raise ValueError("it is from a big-endian machine")
    if not isinstance(tensors, dict) or not all(
        isinstance(tensor, _Tensor) for tensor in tensors.values()
    ):
        raise ValueError("it holds other things than a dict of tensors")
    storages = {t.storage.key: t.storage for t in tensors.values()}
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {
        name: _array(numbers[tensor.storage.key], tensor)
        for name, tensor in tensors.items()
    }


def _numbers(file, storage):
    """The numbers of a storage, which are next in the file."""
    length = int.from_bytes(file.read(8), "little")
    size = length * np.dtype(storage.dtype).itemsize
    data = file.read(size)
    if length != storage.length or len(data) != size:
        raise ValueError(f"storage {storage.key} is cut off")
    return np.frombuffer(data, storage.dtype)


def _array(numbers, tensor):
    """The array of a tensor; a copy, of which nothing lies out of bounds."""
    last = tensor.offset + sum(
        (size - 1) * stride
        for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    inside = last < len(numbers) and math.prod(tensor.shape) <= len(numbers)
    if (
        not inside
        or min((tensor.offset, last, *tensor.shape)) < 0
        or (min(tensor.strides, default=0) < 0)
    ):
        raise ValueError(f"a tensor leaves its storage {tensor.storage.key}")
    places = np.full(tensor.shape, tensor.offset)
    for axis, stride in enumerate(tensor.strides):
        steps = np.arange(tensor.shape[axis]) * stride
        places += steps.reshape(-1, *[1] * (len(tensor.shape) - axis - 1))
    return numbers[places]
