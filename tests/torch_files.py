"""Files as `torch.save` wrote them before PyTorch 1.6, without PyTorch."""

import collections
import pickle

import numpy as np

MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
STORAGES = {"<f4": "FloatStorage", "<i8": "LongStorage", "<f2": "HalfStorage"}


class Global:
    """Pickled as a name of a module, whatever it is."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __reduce__(self):
        raise NotImplementedError


class Call:
    """Pickled as the call of a function of a module."""

    def __init__(self, module, name, *arguments):
        self.function, self.arguments = Global(module, name), arguments


class Reference:
    """Pickled as a persistent id."""

    def __init__(self, pid):
        self.pid = pid


class _Pickler(pickle._Pickler):
    """Python's own, which can be told how to write a class."""

    dispatch = dict(pickle._Pickler.dispatch)

    def persistent_id(self, thing):
        return thing.pid if isinstance(thing, Reference) else None

    def save_name(self, thing):
        self.write(f"c{thing.module}\n{thing.name}\n".encode())

    def save_call(self, thing):
        self.save(thing.function)
        self.save(tuple(thing.arguments))
        self.write(pickle.REDUCE)

    dispatch[Global] = save_name
    dispatch[Call] = save_call


def storage(array, key):
    """The reference to the numbers of an array."""
    name = Global("torch", STORAGES[array.dtype.str])
    return Reference(("storage", name, key, "cpu", array.size, None))


def tensor(array, key):
    """The pickled form of an array, in whatever order its numbers lie."""
    strides = tuple(step // array.itemsize for step in array.strides)
    return Call(
        *("torch._utils", "_rebuild_tensor_v2"),
        *(storage(array, key), 0, array.shape, strides),
        *(False, collections.OrderedDict()),
    )


def write(path, tensors, arrays, machine=MACHINE):
    """Writes a file.

    Args:
        path: Where to.
        tensors: What is pickled as the state dict.
        arrays: Dict from the keys of storages to arrays, whose numbers are
            written in the order in which they lie in memory.
        machine: The facts of the machine.
    """
    with open(path, "wb") as file:
        for value in (
            *(0x1950A86A20F9469CFC6C, 1001),
            *(machine, tensors, sorted(arrays)),
        ):
            _Pickler(file, 2).dump(value)
        for key in sorted(arrays):
            array = arrays[key]
            file.write(array.size.to_bytes(8, "little"))
            file.write(np.ravel(array, "K").tobytes())


def write_arrays(path, arrays):
    """Writes a state dict of arrays, as PyTorch would."""
    tensors = collections.OrderedDict(
        (name, tensor(array, name)) for name, array in arrays.items()
    )
    write(path, tensors, arrays)
