"""The zoo: pretrained models, and the command line that made them.

>>> import zoo
>>> "prototypical_network_omniglot" in zoo.list_presets()
True
"""

import pathlib

PRESETS = pathlib.Path(__file__).parent / "presets"


def list_presets():
    """Names of the pretrained models that are here, sorted."""
    return sorted(path.parent.name for path in PRESETS.glob("*/config.json"))


def preset_directory(name):
    """The folder of a preset.

    Args:
        name: Name of a preset of the zoo, or the path of a folder that
            `keras_meta.presets.save` wrote.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: For an unknown name; the nearest are listed.
    """
    if name in list_presets():
        return PRESETS / name
    if (pathlib.Path(name) / "config.json").is_file():
        return pathlib.Path(name)
    from zoo.recipes import RECIPES, unknown

    if name in RECIPES:
        raise ValueError(
            f"{name!r} is a recipe without shipped weights: train it with "
            f"`keras-meta train {name}`, which names the folder to use."
        )
    raise ValueError(unknown("preset", str(name), list_presets()))


def load(name):
    """Loads a pretrained model.

    The files are checked against their SHA-256 sums, and nothing in them is
    run as code.

    Args:
        name: Name of a preset (see `list_presets`), or the path of a preset
            folder.

    Returns:
        A `keras_meta.models.EpisodicModel` with its weights and its
        `preprocessing`, ready for `FewShotClassifier`, `adapt`, `infer`,
        `predict` and `export`; compile it to train or evaluate it.

    Raises:
        ValueError: For an unknown name, or a damaged preset.
    """
    directory = preset_directory(name)
    # Imported late, so that the command line can first silence TensorFlow.
    from keras_meta import presets

    return presets.load(directory)
