"""Checks of the arrays of one task: pictures, labels, names of classes."""

import numpy as np

from keras_meta.preprocessing import to_unit_range


def check_pictures(pictures, name):
    """Casts pictures to float32 in `[0, 1]` and checks their shape."""
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
        raise ValueError(
            f"`{name}` must have the shape (examples, height, width, "
            "channels) with 1 or 3 channels; of a batch, take one task. "
            f"Received: {name}.shape={pictures.shape}"
        )
    return to_unit_range(pictures, name)


def check_one_hot(one_hot, y, x, count, way=None):
    """Checks one-hot labels, in which all-zero rows are padding.

    Args:
        one_hot: The labels.
        y, x: Names of the labels and of the examples, for the messages.
        count: How many examples there are.
        way: How many classes there are. None: as many as there are columns.

    Returns:
        The labels as an array `(count, way)`.
    """
    one_hot = np.asarray(one_hot)
    columns = one_hot.shape[-1:] if way is None else (way,)
    if one_hot.shape != (count, *columns):
        same = "" if way is None else f", and {way} columns, as `support_y` has"
        raise ValueError(
            f"`{y}` must have the shape (examples, way): one row for each of "
            f"the {count} examples of `{x}`{same}. "
            f"Received: {y}.shape={one_hot.shape}"
        )
    wrong = ~np.isin(one_hot, (0, 1)).all(axis=1) | (one_hot.sum(axis=1) > 1)
    if wrong.any():
        raise ValueError(
            f"`{y}` must be one-hot, or zero where padded. "
            f"Received: the row {one_hot[wrong][0]}"
        )
    if y == "support_y" and not one_hot.any():
        raise ValueError(
            "`support_y` must hold at least one labelled example. Received: "
            "all rows are zero"
        )
    return one_hot


def check_names(class_names, way):
    """The names of `way` classes, `class 0`, `class 1`, ... by default."""
    if class_names is None:
        return [f"class {k}" for k in range(way)]
    if len(class_names) != way:
        raise ValueError(
            f"`class_names` must hold one name for each of the {way} classes. "
            f"Received: {len(class_names)} names"
        )
    return [str(name) for name in class_names]


def support_header(support_y):
    """Says the way and the shot of a support set `support_y (support, way)`."""
    shots = support_y.sum(axis=0)
    shots = shots[shots > 0]
    few, most = int(shots.min()), int(shots.max())
    return f"Support set: {len(shots)}-way, " + (
        f"{most}-shot" if few == most else f"{few} to {most} shots"
    )
