"""TensorFlow Datasets, which an extra brings and which is slow to import."""

import types


def load() -> types.ModuleType:
    """The module `tensorflow_datasets`.

    Raises:
        ValueError: If it is not installed; the extra is named.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            "This data set is read by tensorflow-datasets, which cannot be "
            f'imported: pip install "keras-meta[datasets]". Received: {error}'
        ) from error
    return tensorflow_datasets
