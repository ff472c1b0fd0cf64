"""The six files of a preset: their names, reading and writing.

| file | holds | written by |
|---|---|---|
| `config.json` | the model's config | `write_trained` |
| `model.weights.h5` | its weights | `write_trained` |
| `recipe.json` | how it was trained | `write_trained` |
| `results.json` | what was measured | `write_results` |
| `README.md` | the card, made of the two | `write_card` |
| `SHA256SUMS` | the sums of all others | each of them |

Where a package holds the weights, `weights.json` with their names stands in
place of `model.weights.h5`.
"""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING

from zoo import leftovers
from zoo.results import Results

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import keras

    from keras_meta.typing import Path

# As `keras_meta.presets` names them, which brings in TensorFlow: the functions
# that write or load import it.
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
SOURCE = "weights.json"
SUMS = "SHA256SUMS"
# A classifier's folder has it too.
SUPPORT = "support.npz"
RECIPE = "recipe.json"
RESULTS = "results.json"
CARD = "README.md"
FILES = (CONFIG, WEIGHTS, RECIPE, RESULTS, CARD, SUMS)


def is_preset(directory: Path) -> bool:
    """Whether a folder holds a preset, measured or not."""
    return (pathlib.Path(directory) / CONFIG).is_file()


def is_classifier(directory: Path) -> bool:
    """Whether a folder holds a few-shot classifier with its classes."""
    directory = pathlib.Path(directory)
    return is_preset(directory) and (directory / SUPPORT).is_file()


def read_model(directory: Path) -> keras.Model:
    """The model of a preset: see `keras_meta.presets.load`."""
    from keras_meta import presets

    return presets.load(directory)


def read_recipe(directory: Path) -> dict[str, Any]:
    """How a preset was trained.

    Args:
        directory: Folder of the preset.

    Returns:
        The dict of `recipe.json`; empty if there is none.

    Raises:
        ValueError: If it is damaged; the file is named.
    """
    recipe = _read_json(directory, RECIPE) or {}
    if not isinstance(recipe, dict):
        raise ValueError(
            f"{str(pathlib.Path(directory) / RECIPE)!r} is damaged: it must "
            f"hold a dict. Received: a {type(recipe).__name__}"
        )
    return recipe


def read_results(directory: Path) -> Results:
    """What was measured of a preset.

    Args:
        directory: Folder of the preset.

    Returns:
        The `zoo.results.Results` of `results.json`; empty ones if there are
        none.

    Raises:
        ValueError: If it is damaged; the file is named.
    """
    record = _read_json(directory, RESULTS)
    if record is None:
        return Results()
    # What it raises depends on what is missing or of another type.
    try:
        return Results.from_record(record)
    except Exception as error:
        raise ValueError(
            f"{str(pathlib.Path(directory) / RESULTS)!r} is damaged: it must "
            "hold measurements. Received: "
            f"{type(error).__name__}: {error}"
        ) from error


def read_card(directory: Path) -> str | None:
    """The text of a preset's card; None if there is none.

    Raises:
        ValueError: If it is no text; the file is named.
    """
    path = pathlib.Path(directory) / CARD
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must be a text in UTF-8. "
            f"Received: {error}"
        ) from error


def write_trained(
    directory: Path,
    model: keras.Model,
    recipe: dict[str, Any],
    half_precision: bool = False,
    weights_from: Mapping[str, str] | None = None,
) -> None:
    """Writes a trained model as a preset that is not measured yet.

    Args:
        directory: Folder of the preset; made if it is missing.
        model: The trained model.
        recipe: Dict for `recipe.json`.
        half_precision, weights_from: As for `keras_meta.presets.save`.
    """
    from keras_meta import presets

    directory = pathlib.Path(directory)
    leftovers.remove(directory, (*FILES, SOURCE))
    presets.save(model, directory, half_precision, weights_from)
    # What was measured on older weights does not hold for these.
    for name in (RESULTS, CARD):
        (directory / name).unlink(missing_ok=True)
    presets.write_json(directory / RECIPE, recipe)
    presets.write_sums(directory)


def write_results(directory: Path, results: Results) -> None:
    """Writes what was measured of a preset.

    Args:
        directory: Folder of the preset.
        results: `zoo.results.Results`.
    """
    from keras_meta import presets

    directory = pathlib.Path(directory)
    presets.write_json(directory / RESULTS, results.record())
    presets.write_sums(directory)


def write_card(directory: Path, text: str) -> None:
    """Writes the card of a preset.

    Args:
        directory: Folder of the preset.
        text: Markdown.
    """
    from keras_meta import presets

    directory = pathlib.Path(directory)
    (directory / CARD).write_text(text, encoding="utf-8")
    presets.write_sums(directory)


def _read_json(directory, name):
    """The value of a JSON file; None if there is no such file."""
    path = pathlib.Path(directory) / name
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold JSON in UTF-8. "
            f"Received: {error}"
        ) from error
