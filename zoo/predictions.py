"""Classes learned from folders of pictures, and pictures classified."""

import sys
import warnings

import keras_meta as km
from keras_meta import losses


def check_learns_pictures(name, model):
    """Checks that a model classifies pictures after examples of them.

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
    elif model.preprocessing is None:
        reason = (
            "this preset is for examples of the shape "
            f"{model.example_shapes['support_x']}, without a preprocessing"
        )
    if reason:
        raise ValueError(
            f"{name} was not trained on pictures, and cannot learn "
            f"classes from them: {reason}. Use it from Python with `adapt` and "
            "`infer`."
        )


def predict(model, support, queries):
    """Learns classes and classifies pictures.

    Args:
        model: An `EpisodicModel` with a preprocessing.
        support: Folder with one folder of pictures per class.
        queries: Sequence of files.

    Returns:
        List of a dict for each file: `file`, `label`, and `probabilities`
        by class.
    """
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        # The model has a size of its own, and a picture that is read is
        # checked.
        examples, labels = km.data.load_image_folder(
            support, size=1, check=False
        )
    for warning in raised:
        print(f"keras-meta: warning: {warning.message}", file=sys.stderr)
    pictures = [km.data.read_picture(file) for file in examples.pictures]
    classifier = km.FewShotClassifier(model).fit(pictures, labels)
    pictures = [km.data.read_picture(file) for file in queries]
    classes = classifier.classes_.tolist()
    return [
        {
            "file": str(file),
            "label": classes[int(row.argmax())],
            "probabilities": dict(zip(classes, map(float, row), strict=True)),
        }
        for file, row in zip(
            queries, classifier.predict_proba(pictures), strict=True
        )
    ]


def table(rows):
    """The rows of `predict` as aligned text."""
    classes = list(rows[0]["probabilities"])
    shown = [name if len(name) <= 16 else name[:15] + "…" for name in classes]
    lines = [["file", "label", *shown]]
    for row in rows:
        shares = [f"{row['probabilities'][name]:.1%}" for name in classes]
        lines.append([row["file"], row["label"], *shares])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in lines
    )
