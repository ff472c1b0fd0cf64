"""Your own pictures: one folder per class, or a table of files and labels."""

import concurrent.futures
import csv
import pathlib
import warnings

import numpy as np

from keras_meta.arrays import is_missing
from keras_meta.data.encoded_images import (
    EncodedImages,
    loader_preprocessing,
    read_picture,
)
from keras_meta.pictures import HEIC_HINT
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size

EXTENSIONS = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)
# Files that are no pictures and often lie beside them.
OTHER_FILES = (
    ".csv",
    ".htm",
    ".html",
    ".json",
    ".log",
    ".md",
    ".rst",
    ".tsv",
    ".txt",
    ".xml",
    ".xmp",
    ".yaml",
    ".yml",
)
# Files that are given to threads together.
CHECKED_AT_ONCE = 4096
# What Windows keeps in folders of pictures.
SYSTEM_FILES = ("desktop.ini", "thumbs.db")


def load_image_folder(
    path: Path,
    size: Size | None = None,
    channels: int | None = None,
    ink: bool | None = None,
    table: Path | None = None,
    check: bool = True,
    preprocessing: Preprocessing | None = None,
) -> tuple[EncodedImages, np.ndarray]:
    """Loads labelled pictures from files.

    Without a `table`, `path` holds one folder per class, named for it, with
    the pictures directly inside (bmp, gif, jpg, jpeg, png, tif, tiff, webp,
    in either case). Other files are ignored, with a warning that names them;
    hidden files and folders, texts and tables without one. Examples are
    ordered by class, then by file name.

    With a `table`, any files below `path` are taken, in the table's order.

    Only the paths are kept: pictures are decoded, oriented (EXIF) and
    resized when an episode asks for them, so that a folder may be larger than
    the memory. `examples.numpy()` decodes them all, which is quicker where
    they fit; the episodes are the same.

    Args:
        path: The folder.
        size: Positive integer, or a pair `(height, width)`: pixels. None if
            there is a `preprocessing`.
        channels: 1 (grey) or 3 (RGB), the default.
        ink: Whether the pictures are drawings, wanted as bright ink on a
            dark ground (see `Preprocessing`); False by default.
        table: Path of a CSV file (or TSV, with that extension) of two
            columns, file and label, with or without a header; or a sequence
            of such pairs, or a DataFrame. Files are relative to `path`.
        check: Whether to decode every picture once, now, so that broken
            files are found before the training and not during it.
        preprocessing: A `Preprocessing` instead of `size`, `channels` and
            `ink`, such as `model.preprocessing`, which knows the
            interpolation and the range of values too.

    Returns:
        Pair `(examples, labels)`: `EncodedImages` of the shape
        `(n, *size, channels)`, and an array `(n,)` of str.

    Raises:
        ValueError: For a `size` and a `preprocessing` or neither, a missing,
            empty or one-class folder, a class folder without pictures, a
            table that is malformed or names a file twice or a missing one,
            and, if `check`, for broken pictures.
    """
    preprocessing = loader_preprocessing(size, channels, ink, preprocessing)
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise ValueError(
            f"`path` must be an existing folder. Received: path='{path}'"
        )
    if table is None:
        pairs = _pairs_of_folders(folder)
    else:
        pairs = _pairs_of_table(folder, table)
    files = [file for file, _ in pairs]
    labels = np.array([label for _, label in pairs], dtype=str)
    classes = sorted(set(labels.tolist()))
    if len(classes) < 2:
        raise ValueError(
            "There must be at least two classes to tell apart. "
            f"Received: path='{path}' with the classes {classes}"
        )
    if check:
        _check_pictures(files, preprocessing.shrinkage)
    return EncodedImages(files, preprocessing), labels


def _visible(folder):
    return sorted(
        (p for p in folder.iterdir() if not p.name.startswith(".")),
        key=lambda p: p.name,
    )


def _pairs_of_folders(folder):
    pairs = []
    empty = []
    ignored = [p for p in _visible(folder) if p.is_file()]
    classes = [p for p in _visible(folder) if p.is_dir()]
    if not classes:
        raise ValueError(
            "`path` must hold one folder of pictures per class (or pass a "
            f"`table` of files and labels). Received: path='{folder}', which "
            "holds no folder"
        )
    for class_folder in classes:
        files = []
        for p in _visible(class_folder):
            if p.suffix.lower() in EXTENSIONS and p.is_file():
                files.append(str(p))
            else:
                ignored.append(p)
        pairs += [(file, class_folder.name) for file in files]
        if not files:
            empty.append(f"'{class_folder}'")
    ignored = [f"'{p}'" for p in ignored if not _is_no_picture(p)]
    if empty:
        found = f", but {_first_few(ignored)}" if ignored else ""
        raise ValueError(
            "Every class folder must hold pictures "
            f"({', '.join(e[1:] for e in EXTENSIONS)}). "
            f"Received: no picture in {_first_few(empty)}{found}"
        )
    if ignored:
        warnings.warn(
            "Only files directly inside a class folder are taken, of the kinds "
            f"{', '.join(e[1:] for e in EXTENSIONS)}. Convert other pictures "
            f"first: {HEIC_HINT}. Ignored: {_first_few(ignored)}",
            stacklevel=3,
        )
    return pairs


def _is_no_picture(path):
    """Whether a file is known to be something else, by its name."""
    return path.is_file() and (
        path.suffix.lower() in OTHER_FILES or path.name.lower() in SYSTEM_FILES
    )


def _pairs_of_table(folder, table):
    if isinstance(table, str | pathlib.Path):
        rows = _read_table(folder, pathlib.Path(table))
    else:
        # A DataFrame would iterate over the names of its columns.
        rows = table.to_numpy() if hasattr(table, "to_numpy") else table
        rows = [_row(row) for row in rows]
    for row in rows:
        if len(row) != 2 or not all(row):
            raise ValueError(
                "Every row of `table` must be a file and its label. "
                f"Received: {row}"
            )
    pairs = [(str(folder / file), label) for file, label in rows]
    missing = [f"'{f}'" for f, _ in pairs if not _is_file(f)]
    if missing:
        raise ValueError(
            "Every file of `table` must exist below `path`. "
            f"Received: no file {_first_few(missing)}"
        )
    # A file listed twice could be in the support and the query set at once.
    seen = set()
    twice = [f"'{f}'" for f, _ in pairs if f in seen or seen.add(f)]
    if twice:
        raise ValueError(
            "Every file of `table` must be listed once. "
            f"Received: listed again: {_first_few(twice)}"
        )
    return pairs


def _row(row):
    """A row as a tuple of str; a missing label is empty, and an error."""
    if isinstance(row, str) or not np.iterable(row):
        row = (row,)
    return tuple("" if is_missing(field) else str(field) for field in row)


def _read_table(folder, table):
    if not table.is_file():
        raise ValueError(
            "`table` must be a CSV or TSV file, or a sequence of (file, "
            f"label) pairs. Received: table='{table}', which is no file"
        )
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
    # "utf-8-sig": spreadsheets put a byte order mark in front.
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [tuple(row) for row in csv.reader(file, delimiter=delimiter)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"`table` must be a CSV or TSV file in UTF-8. Received: "
            f"table='{table}' ({error})"
        ) from error
    rows = [row for row in rows if row]
    if rows and _is_header(folder, rows[0][0]):
        rows = rows[1:]
    return rows


def _is_header(folder, field):
    return not pathlib.Path(field).suffix and not _is_file(folder / field)


def _is_file(path):
    # What stands in a damaged table may be too long for a name.
    try:
        return pathlib.Path(path).is_file()
    except OSError:
        return False


def _check_pictures(files, shrinkage):
    errors = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # In parts, as the pool keeps an object for each file it is given.
        for start in range(0, len(files), CHECKED_AT_ONCE):
            part = files[start : start + CHECKED_AT_ONCE]
            found = pool.map(lambda file: _error(file, shrinkage), part)
            errors += [error for error in found if error]
    if errors:
        raise ValueError(
            "Every picture must be a whole file that Pillow can decode; "
            "repair or remove the broken ones. "
            f"Received: {len(errors)} broken of {len(files)}: "
            f"{_first_few(errors)}"
        )


def _error(file, shrinkage):
    """Why a file cannot be decoded, or None."""
    try:
        read_picture(file, shrinkage)
    except ValueError as error:
        return f"'{file}' ({error.__cause__})"


def _first_few(names, count=5):
    more = len(names) - count
    text = ", ".join(names[:count])
    return f"{text} and {more} more" if more > 0 else text
