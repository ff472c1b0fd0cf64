"""The head of a card, by which the Hugging Face hub lists a model.

It is YAML between two lines `---`, in the form of the hub's model cards:
library, licence, tags, data sets, and every measurement of `results.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.results import Result
    from zoo.stream import Stream

LINE = "---\n"
# As in `setup.py`, in the hub's spelling.
LICENCE = "apache-2.0"


def render(
    recipe: dict[str, Any], results: Sequence[Result], stream: Stream
) -> str:
    """The head of a card.

    Args:
        recipe: Dict of `recipe.json`.
        results: What was measured, one at least.
        stream: The tasks that the recipe trains on.

    Returns:
        YAML between two lines `---`.
    """
    found = [_result(result) for result in results]
    head: dict[str, Any] = {"library_name": "keras", "license": LICENCE}
    if stream.pipeline_tag:
        head["pipeline_tag"] = stream.pipeline_tag
    head["tags"] = ["keras_meta", "meta-learning", *stream.tags]
    # Weights that others trained come from other data.
    if recipe["steps"] and "dataset" in recipe:
        head["datasets"] = [recipe["dataset"]]
    kinds = [metric["type"] for each in found for metric in each["metrics"]]
    head["metrics"] = list(dict.fromkeys(kinds))
    head["model-index"] = [{"name": recipe["name"], "results": found}]
    return LINE + "\n".join(_lines(head)) + "\n" + LINE


def split(card: str) -> tuple[str, str]:
    """A card as its head, which may be empty, and its text.

    Args:
        card: Markdown.

    Returns:
        The head with its two lines `---`, and all that follows.
    """
    if not card.startswith(LINE):
        return "", card
    end = card.index("\n" + LINE) + 1 + len(LINE)
    return card[:end], card[end:]


def _result(result: Result) -> dict[str, Any]:
    """A measurement as an entry of `model-index`."""
    evaluation = result.evaluation
    stream, settings = evaluation.stream, evaluation.record()
    dataset = {
        "name": f"{stream.data}, {stream.setting}",
        "type": settings.get("dataset", stream.kind),
    }
    if "split" in settings:
        dataset["split"] = settings["split"]
    names = ("episodes", "queries", "seed", "statistics", "inner_steps")
    dataset["args"] = {
        name: settings[name] for name in names if settings.get(name) is not None
    }
    return {
        "task": {"type": stream.pipeline_tag or "other"},
        "dataset": dataset,
        "metrics": stream.measure.metrics(result.numbers),
    }


def _lines(value: dict | list) -> list[str]:
    """A dict or list as lines of YAML in block style.

    JSON is YAML: so are its texts and numbers. Keys are plain words.
    """
    if isinstance(value, list):
        lines = []
        for item in value:
            if isinstance(item, dict):
                first, *rest = _lines(item)
                lines += [f"- {first}", *(f"  {line}" for line in rest)]
            else:
                lines.append(f"- {json.dumps(item, ensure_ascii=False)}")
        return lines
    lines = []
    for key, item in value.items():
        if isinstance(item, dict | list):
            lines += [f"{key}:", *(f"  {line}" for line in _lines(item))]
        else:
            lines.append(f"{key}: {json.dumps(item, ensure_ascii=False)}")
    return lines
