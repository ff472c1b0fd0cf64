"""Labels and groups as a caller passes them: one kind, none missing."""

import collections.abc
import enum
import numbers

import numpy as np

from keras_meta.arrays import is_missing
from keras_meta.typing import Labels


def label_array(labels: Labels, name: str = "labels") -> np.ndarray:
    """Checks labels and converts them to an array.

    Args:
        labels: List, array, tensor, pandas Series or categorical of labels
            of one kind: str, numbers, bool, members of one enum, or any
            other kind that can be sorted, such as dates.
        name: Name of the argument, for the error.

    Returns:
        Array `(n,)` of numbers or bool, or of objects: str keep their
        length, and members of an enum stay members.

    Raises:
        ValueError: If labels are missing (None, NaN, pandas' NA), of several
            kinds, not one-dimensional, or cannot be sorted.
    """
    array = _one_dimension(labels, name)
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind not in "OV":
        missing = np.isnat if array.dtype.kind in "Mm" else np.isnan
        _check_present(array, np.flatnonzero(missing(array)), name)
        return array
    array = array.astype(object)
    rows = [row for row, label in enumerate(array) if is_missing(label)]
    _check_present(array, rows, name)
    kinds = [label_kind(label) for label in array]
    if len(set(kinds)) > 1:
        raise ValueError(
            f"`{name}` must be of one kind, such as all str or all numbers. "
            f"Received: {_by_kind(array, kinds)}"
        )
    if kinds and kinds[0] in (bool, numbers.Number):
        return np.asarray(array.tolist())
    if kinds and kinds[0] is str:
        # NumPy's str become Python's.
        return np.array([str(label) for label in array], object)
    if kinds and kinds[0].__hash__ is None:
        raise ValueError(
            f"`{name}` must be labels such as str or numbers. "
            f"Received: {type(array[0]).__name__} in row 0"
        )
    return array


def class_codes(
    labels: Labels, name: str = "labels"
) -> tuple[np.ndarray, np.ndarray]:
    """The classes that occur, in order, and which one each label is.

    Args:
        labels: What `label_array` returned.
        name: Name of the argument, for the error.

    Returns:
        classes: Array `(classes,)`, sorted; members of an enum that cannot
            be sorted come in the order of their definition.
        codes: Integer array `(n,)`: `classes[codes]` are the labels.

    Raises:
        ValueError: If labels cannot be sorted.
    """
    try:
        return np.unique(labels, return_inverse=True)
    except TypeError as error:
        if not isinstance(labels[0], enum.Enum):
            raise ValueError(
                f"`{name}` must be labels that can be sorted, such as str or "
                f"numbers. Received: {type(labels[0]).__name__} in row 0"
            ) from error
    # A combination of flags is no member that its class lists.
    members = list(dict.fromkeys([*type(labels[0]), *labels]))
    place = {member: number for number, member in enumerate(members)}
    places, codes = np.unique(
        [place[label] for label in labels], return_inverse=True
    )
    return _objects([members[number] for number in places]), codes


def label_kind(label: object) -> type:
    """What labels of one array have in common: a class."""
    if isinstance(label, enum.Enum):
        return type(label)
    if isinstance(label, bool | np.bool_):
        return bool
    if isinstance(label, numbers.Number):
        return numbers.Number
    return str if isinstance(label, str) else type(label)


def _one_dimension(labels, name):
    """Array `(n,)`; of objects where the labels came one by one."""
    labels = _unwrapped(labels)
    if isinstance(labels, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(labels)
        array = (
            np.where(masked, None, labels.data) if masked.any() else labels.data
        )
    elif hasattr(labels, "__array__"):
        array = np.asarray(labels)
    elif isinstance(labels, collections.abc.Sequence) and not isinstance(
        labels, str | bytes
    ):
        array = _objects([_unwrapped(label) for label in labels])
    else:
        array = np.zeros(())
    if array.ndim == 0:
        raise ValueError(
            f"`{name}` must be a list or array of labels. "
            f"Received: an object of type {type(labels).__name__}"
        )
    if array.ndim > 1:
        hint = "turn one-hot rows into labels with np.argmax(labels, axis=1)"
        if array.shape[1] == 1:
            hint = "pass its only column"
        raise ValueError(
            f"`{name}` must be one-dimensional. "
            f"Received: {name} of shape {array.shape}; {hint}"
        )
    return array


def _unwrapped(labels):
    """NumPy's or Python's form of a tensor, or of a column of a table."""
    if hasattr(labels, "detach"):
        # A tensor of PyTorch may need gradients, or be on another device.
        labels = labels.detach().cpu()
    for method in ("to_numpy", "numpy"):
        convert = getattr(labels, method, None)
        if callable(convert) and not isinstance(labels, enum.Enum):
            return convert()
    return labels


def _objects(labels):
    """A list as an array of objects, so that NumPy converts no label."""
    if any(isinstance(label, list | tuple | np.ndarray) for label in labels):
        try:
            # Rows of numbers, for the error that tells their shape.
            array = np.asarray(labels)
        except ValueError:
            array = np.zeros(())
        if array.ndim > 1:
            return array
    array = np.empty(len(labels), object)
    for row, label in enumerate(labels):
        array[row] = label
    return array


def _check_present(array, rows, name):
    if len(rows):
        raise ValueError(
            f"`{name}` must not be missing for any example. "
            f"Received: {array[rows[0]]} in {_rows(rows)}"
        )


def _by_kind(array, kinds):
    """Text such as "str in rows 0, 1; int in row 2"."""
    return "; ".join(
        f"{type(array[kinds.index(kind)]).__name__} in "
        + _rows([row for row, other in enumerate(kinds) if other is kind])
        for kind in dict.fromkeys(kinds)
    )


def _rows(rows, count=5):
    """Text that names the first few of some rows."""
    text = ", ".join(str(row) for row in rows[:count])
    more = len(rows) - count
    if more > 0:
        text += f" and {more} more"
    return f"{'rows' if len(rows) > 1 else 'row'} {text}"
