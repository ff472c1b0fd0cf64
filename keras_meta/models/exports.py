"""The formats in which a model learns new classes inside its graph."""

from keras_meta.models import litert_file, saved_model

# What writes each of them.
FORMATS = {
    "tf_saved_model": saved_model.export,
    "litert": litert_file.export,
}


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
