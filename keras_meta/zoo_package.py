"""The package `zoo` of this distribution, which stands on the library."""

import types


def find() -> types.ModuleType:
    """The package `zoo`, imported when it is asked for.

    Raises:
        ImportError: If another package of that name is found first.
    """
    import zoo

    if not hasattr(zoo, "preset_directory"):
        where = getattr(zoo, "__file__", None) or list(zoo.__path__)
        raise ImportError(
            "Another package called `zoo` hides that of keras_meta: uninstall "
            "it, or use a virtual environment without it (in a folder, rename "
            f"it). Received: zoo from {where}"
        )
    return zoo
