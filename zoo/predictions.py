"""Classes learned from folders of pictures, and pictures classified."""

import csv
import os
import pathlib
import sys
import warnings

import numpy as np

import keras_meta as km
import zoo
from keras_meta import losses
from keras_meta.data.image_folders import EXTENSIONS
from zoo import progress

# The label of a refused picture in a table.
NONE = "none of these"


def check_learns_classes(name, model):
    """Checks that a model learns classes from examples.

    Args:
        name: The preset's name, for the message.
        model: An `EpisodicModel` or another Keras model.

    Raises:
        ValueError: If it was trained for something else, which is named.
    """
    if not isinstance(model, km.models.EpisodicModel):
        raise ValueError(
            f"{name} does not learn classes: it is a plain Keras model, a "
            f"{type(model).__name__}. Use it from Python with `predict`."
        )
    reason = None
    if isinstance(model, km.models.ZeroShotPrototypicalNetwork):
        reason = (
            "this preset is for zero-shot classification: it knows a class by "
            "a description, and takes no examples"
        )
    elif getattr(model, "inner_loss", None) is losses.mean_squared_error:
        reason = (
            "this preset is for regression: it learns a function from points "
            "and their values"
        )
    if reason:
        raise ValueError(_no_pictures(name, reason))


def check_learns_pictures(name, model):
    """Checks that a model classifies pictures after examples of them.

    Args:
        name, model: As for `check_learns_classes`.

    Raises:
        ValueError: If it was trained for something else, which is named.
    """
    check_learns_classes(name, model)
    if model.preprocessing is None:
        reason = (
            "this preset is for examples of the shape "
            f"{model.example_shapes['support_x']}, without a preprocessing"
        )
        raise ValueError(_no_pictures(name, reason))


def _no_pictures(name, reason):
    return (
        f"{name} was not trained on pictures, and cannot learn "
        f"classes from them: {reason}. Use it from Python with `adapt` and "
        "`infer`."
    )


def unscaled(model, images):
    """Images as a model takes them, in the form in which they are given.

    A classifier prepares them once more, which changes nothing: they have the
    model's size, and dark grounds.

    Args:
        model: An `EpisodicModel`.
        images: float32 array `(n, ...)`, prepared.

    Returns:
        Array of that shape. A preprocessing of the user's own need not have
        a range of values.
    """
    return getattr(model.preprocessing, "unscaled", lambda same: same)(images)


def fit(name, support, calibrate=False, skip=False):
    """Learns classes from folders of pictures.

    Args:
        name: Name or folder of a preset.
        support: Folder with one folder of pictures per class.
        calibrate: As for `keras_meta.FewShotClassifier.fit`.
        skip: Whether pictures that cannot be read are named and left out.

    Returns:
        The fitted `keras_meta.FewShotClassifier`.

    Raises:
        ValueError: If the model does not learn from pictures, or a picture
            cannot be read.
    """
    model = zoo.load(name)
    check_learns_pictures(name, model)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        # The model has a size of its own, and a picture that is read is
        # checked.
        examples, labels = km.data.load_image_folder(
            support, size=1, check=False
        )
    for warning in raised:
        _warn(warning.message)
    read, images = _read(examples.pictures, model, skip)
    kept = labels[np.isin(examples.pictures, read)]
    lost = sorted({*labels.tolist()} - {*kept.tolist()})
    if lost:
        raise ValueError(
            "Every class folder must hold a picture that can be read. "
            f"Received: none in {', '.join(lost)}"
        )
    with progress.elapsed("learning the classes"):
        classifier = km.FewShotClassifier(model)
        return classifier.fit(images, kept, calibrate=calibrate)


def load(name, directory):
    """Reads a classifier that `keras-meta fit` wrote.

    Args:
        name: Its folder as it was given, for messages.
        directory: The folder.

    Returns:
        The fitted `keras_meta.FewShotClassifier`.

    Raises:
        ValueError: If it is damaged, or not one of pictures.
    """
    classifier = km.FewShotClassifier.load(directory)
    check_learns_pictures(name, classifier.model)
    return classifier


def predict(classifier, queries, unknown=None, skip=False):
    """Classifies pictures.

    Args:
        classifier: A fitted `keras_meta.FewShotClassifier` of pictures.
        queries: Sequence of files, and of folders whose pictures are taken.
        unknown: As for the classifier's `predict`.
        skip: Whether pictures that cannot be read are named and left out.

    Returns:
        List of a dict for each picture: `file`; `label`, None for a picture
        that is refused; and `probabilities` by class, the most probable
        first.

    Raises:
        ValueError: If there is no picture, or one that cannot be read.
    """
    files = [file for query in queries for file in _pictures(query)]
    files, images = _read(files, classifier.model, skip)
    if not files:
        raise ValueError("There is no picture to classify (`--query`).")
    with progress.elapsed("classifying"):
        labels = classifier.predict(images, unknown)
        shares = classifier.predict_proba(images)
    classes = classifier.classes_.tolist()
    return [
        {
            "file": file,
            "label": label,
            "probabilities": {
                str(classes[place]): float(row[place])
                for place in np.argsort(-row, kind="stable")
            },
        }
        for file, label, row in zip(
            files,
            labels.tolist(),
            shares,
            strict=True,
        )
    ]


def _pictures(query):
    """The file, or the pictures directly inside a folder, as str."""
    folder = pathlib.Path(query)
    if not folder.is_dir():
        return [str(query)]
    found = [
        str(path)
        for path in sorted(folder.iterdir())
        if path.is_file()
        and path.suffix.lower() in EXTENSIONS
        and not path.name.startswith(".")
    ]
    if not found:
        raise ValueError(
            "A folder to classify must hold pictures directly inside "
            f"({', '.join(name[1:] for name in EXTENSIONS)}). "
            f"Received: {str(query)!r}"
        )
    return found


def _read(files, model, skip):
    """The files that can be read, and their pictures of the model's size.

    One at a time, so that only small pictures are held together. They are in
    [0, 1]: the classifier gives them the model's range of values.
    """
    read, images, errors = [], [], []
    # A preprocessing of the user's own need not have it.
    shrinkage = getattr(model.preprocessing, "shrinkage", None)
    for file in progress.counted("pictures read", files):
        try:
            picture = km.data.read_picture(file, shrinkage)
            images.append(unscaled(model, model.preprocessing([picture])[0]))
            read.append(file)
        except ValueError as error:
            errors.append(str(error))
    if errors and not skip:
        more = ""
        if len(errors) > 1:
            more = f"; and {len(errors) - 1} more that cannot be read"
        raise ValueError(
            f"{errors[0]}{more}. `--skip-unreadable` leaves such files out."
        )
    for error in errors:
        _warn(f"skipped. {error}")
    return read, images


def _warn(text):
    print(f"keras-meta: warning: {text}", file=sys.stderr)


def shortened(rows, top):
    """The rows of `predict` with the `top` most probable classes."""
    return [
        {
            **row,
            "probabilities": dict([*row["probabilities"].items()][:top]),
        }
        for row in rows
    ]


def lines(rows, top=None):
    """The rows of `predict` as a table: a list of lists of str and floats.

    Args:
        rows: What `predict` returned.
        top: None for a column for each class, in order; or how many of the
            most probable are named in each row, with a column each and one
            for their probability.
    """
    if top is None:
        classes = sorted(rows[0]["probabilities"])
        table = [["file", "label", *classes]]
        shares = [[row["probabilities"][k] for k in classes] for row in rows]
    else:
        top = min(top, len(rows[0]["probabilities"]))
        names = [
            f"{word}{n + 1}" for n in range(top) for word in ("class", "p")
        ]
        table = [["file", "label", *names]]
        shares = [
            [
                cell
                for pair in [*row["probabilities"].items()][:top]
                for cell in pair
            ]
            for row in rows
        ]
    for row, cells in zip(rows, shares, strict=True):
        label = NONE if row["label"] is None else str(row["label"])
        table.append([row["file"], label, *cells])
    return table


def text(table):
    """The table of `lines` as aligned text."""
    cells = [
        [
            f"{cell:.1%}"
            if isinstance(cell, float)
            else cell
            # Files and labels are whole.
            if column < 2 or len(cell) <= 16
            else cell[:15] + "…"
            for column, cell in enumerate(line)
        ]
        for line in table
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in cells
    )


def write_csv(table, path):
    """Writes the table of `lines`, whole or not at all.

    Args:
        table: List of lists of str and floats.
        path: The file, in UTF-8; an older one is replaced.
    """
    path = pathlib.Path(path)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [f"{x:.6f}" if isinstance(x, float) else x for x in line]
            for line in table
        )
    os.replace(part, path)
