"""What `fit` and `predict` check before a model is loaded."""

from zoo import preset_folder


def check_output(output):
    """Raises a ValueError if a classifier would replace a model.

    Args:
        output: Path of the folder that `fit` is to write.
    """
    if preset_folder.is_preset(output) and (
        not preset_folder.is_classifier(output)
    ):
        raise ValueError(
            "`--output` must not be the folder of a model, which would be "
            f"replaced. Received: {str(output)!r}"
        )


def check_predict(options, directory):
    """Checks the flags of `predict` against what it is given.

    Args:
        options: The parsed flags.
        directory: Path of the preset or classifier that they name.

    Returns:
        Whether it is a classifier, which knows its classes.

    Raises:
        ValueError: For flags without meaning or that are missing, and for a
            CSV file in no folder.
    """
    saved = preset_folder.is_classifier(directory)
    if saved and (options.support is not None or options.calibrate):
        raise ValueError(
            f"{options.name} is a classifier that knows its classes; leave "
            "out --support and --calibrate, which are for `fit`."
        )
    if not saved and options.support is None:
        raise ValueError(
            "`--support` must name a folder with one folder of pictures per "
            "class, unless NAME is a classifier that `keras-meta fit` wrote."
        )
    if options.csv and not options.csv.resolve().parent.is_dir():
        raise ValueError(
            "`--csv` must be in an existing folder. "
            f"Received: {str(options.csv)!r}"
        )
    return saved
