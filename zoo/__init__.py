"""The zoo: pretrained models, and the command line that made them.

>>> import zoo
>>> "prototypical_network_omniglot" in zoo.list_presets()
True
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from keras_meta.typing import Path

# The functions import what brings in TensorFlow when they are called, so that
# the command line can silence TensorFlow first and shows its help at once.

PRESETS = pathlib.Path(__file__).parent / "presets"


def list_presets() -> list[str]:
    """Names of the pretrained models that are here, sorted."""
    from zoo import preset_folder

    return sorted(
        path.name for path in PRESETS.glob("*") if preset_folder.is_preset(path)
    )


def preset_directory(name: Path) -> pathlib.Path:
    """The folder of a preset.

    Args:
        name: Name of a preset of the zoo, or the path of a folder that
            `keras_meta.presets.save` wrote.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: For an unknown name; the nearest are listed.
    """
    from zoo import preset_folder
    from zoo.recipes import NAMES
    from zoo.wording import unknown

    for directory in (PRESETS / name, pathlib.Path(name)):
        if preset_folder.is_preset(directory):
            return directory
    if name in NAMES:
        raise ValueError(
            f"{name!r} is a recipe without shipped weights: train it with "
            f"`keras-meta train {name}`, which names the folder to use."
        )
    raise ValueError(unknown("preset", str(name), list_presets()))


def load(name: Path) -> keras.Model:
    """Loads a pretrained model.

    The files are checked against their SHA-256 sums, and nothing in them is
    run as code.

    Args:
        name: Name of a preset (see `list_presets`), or the path of a preset
            folder.

    Returns:
        A `keras_meta.models.EpisodicModel` with its weights and its
        `preprocessing`, ready for `FewShotClassifier`, `adapt`, `infer`,
        `predict` and `export`; compile it to train or evaluate it. A preset
        that learns no classes may be another Keras model.

    Raises:
        ValueError: For an unknown name, or a damaged preset.
    """
    from zoo import preset_folder

    return preset_folder.read_model(preset_directory(name))
