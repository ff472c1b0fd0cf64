"""The formats in which a model learns new classes inside its graph."""

from keras_meta.models import litert_file, saved_model
from keras_meta.preprocessing import Preprocessing

# What writes each of them.
FORMATS = {
    "tf_saved_model": saved_model.export,
    "litert": litert_file.export,
}


def export(model, filepath, format, verbose, preprocessing):
    """Writes a model in one of `FORMATS`.

    Args:
        model, filepath, format, verbose, preprocessing: As for
            `EpisodicModel.export`.

    Raises:
        ValueError: As that method; and if `preprocessing` is asked for of a
            model without one, or of another format than a SavedModel.
    """
    if not preprocessing:
        FORMATS[format](model, filepath, bool(verbose))
        return
    if format != "tf_saved_model":
        raise ValueError(
            f"`preprocessing` must be False for {format!r}, which lacks "
            "operations that clean drawings; `FewShotClassifier."
            "export_tflite` has the rest of it. Received: preprocessing=True"
        )
    if not isinstance(model.preprocessing, Preprocessing):
        raise ValueError(
            "`preprocessing` must be False for a model without a "
            "`keras_meta.Preprocessing`. Received: preprocessing=True and "
            f"model.preprocessing={model.preprocessing!r}"
        )
    saved_model.export(model, filepath, bool(verbose), preprocessing=True)


def check_no_signature(format, input_signature, given):
    """Raises a ValueError if a user would choose the input.

    Args:
        format: A key of `FORMATS`.
        input_signature: What must be None.
        given: Dict of other arguments, which must be empty.
    """
    if input_signature is not None or given:
        raise ValueError(
            f"`input_signature` must be None for {format!r}, whose "
            "signatures leave tasks, support, queries and way open. "
            f"Received: input_signature={input_signature!r}, {sorted(given)}"
        )
