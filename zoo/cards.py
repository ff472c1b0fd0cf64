"""Cards and tables, written from `recipe.json` and `results.json`.

`python -m zoo.cards` renews the cards of all presets, and with `README.md` the
table of the zoo in that file too.
"""

from __future__ import annotations

import pathlib
import sys
from typing import TYPE_CHECKING

import zoo
from zoo import front_matter, preset_folder, recipes, streams
from zoo.preset_folder import CARD
from zoo.wording import count

if TYPE_CHECKING:
    from keras_meta.typing import Path

# The table of the zoo stands between these marks.
START, END = "<!-- zoo table -->\n", "<!-- end of zoo table -->"

TEMPLATE = """\
# {name}

{title}.

{paper}.

```python
import keras_meta, zoo

model = zoo.load("{name}")
{usage}
```

## Measured

{measure} with its 95% interval; in brackets what the paper
reports.

{table}
{statistics}{compared}
{trained}
## Made again

```
python -m zoo train {name} --output zoo/presets/{name}
python -m zoo evaluate zoo/presets/{name} --write
```

Measured with {versions}.
"""

TRAINED = """\
## Trained

- Data: {data}.
- Steps: {training}.
- Augmentation: {augmentation}.
- {changes}
- {seconds:.0f} minutes on a CPU with {cpus} cores, {parameters:,} parameters.
"""
NOT_TRAINED = """\
## Weights

{changes}

{parameters:,} parameters.
"""
STATISTICS = """
Batch-norm statistics: `running` are the moving averages of training;
`support` the moments of each support set; `batch` those of all queries at
once, which is transductive.
"""


def render(directory: Path) -> str:
    """The text of the card of a preset.

    Args:
        directory: Folder with `recipe.json` and `results.json`.

    Returns:
        Markdown, with a head of YAML: see `zoo.front_matter`.

    Raises:
        ValueError: If one of the two is missing.
    """
    recipe = preset_folder.read_recipe(directory)
    results = preset_folder.read_results(directory)
    if not recipe or not results.evaluations:
        raise ValueError(
            f"A card needs the files {preset_folder.RECIPE} and "
            f"{preset_folder.RESULTS}. Received: directory="
            f"{str(directory)!r} without one of them"
        )
    stream = streams.from_record(recipe)
    head = front_matter.render(recipe, results.evaluations, stream)
    return head + TEMPLATE.format(
        usage=stream.usage,
        measure=stream.measure.heading.format(
            episodes=_one_of(results.evaluations, "episodes"),
            queries=_one_of(results.evaluations, "queries"),
        ),
        name=recipe["name"],
        title=recipe["title"],
        paper=recipe["paper"],
        table=_table(results.evaluations),
        statistics=STATISTICS if stream.batch_norm else "",
        compared=_compared(recipe["name"], results.evaluations),
        trained=_trained(recipe, stream),
        versions=", ".join(f"{k} {v}" for k, v in results.versions.items()),
    )


def _trained(recipe, stream):
    """The section on where the weights come from."""
    if not recipe["steps"]:
        return NOT_TRAINED.format(**recipe)
    return TRAINED.format(
        data=stream.trained_on,
        training=_training(recipe, stream),
        augmentation=_augmentation(recipe["augmentation"]),
        changes=recipe["changes"],
        seconds=recipe["seconds"] / 60,
        cpus=recipe["cpus"],
        parameters=recipe["parameters"],
    )


def _training(recipe, stream):
    """The steps, the loss and the optimizer of a recipe, in words."""
    clipped = ""
    if recipe["clip_norm"]:
        clipped = f", gradients clipped to a norm of {recipe['clip_norm']}"
    optimizer = f"Adam, learning rate {recipe['learning_rate']} with cosine "
    optimizer += f"decay and {count(recipe['restarts'], 'warm restart')}"
    if recipe["optimizer"] == "sgd":
        optimizer = f"SGD, learning rate {recipe['learning_rate']} to 0 along "
        optimizer += "a line"
    return (
        f"{recipe['steps']:,} of {stream.meta_batch(recipe['tasks'])}; "
        f"{recipe['loss'].replace('_', ' ')}; {optimizer}{clipped}"
    )


def write(directory: Path) -> None:
    """Writes the card of a preset, and the sums, since a file changed."""
    preset_folder.write_card(directory, render(directory))


def with_zoo_table(text: str) -> str:
    """A text whose table of the zoo is the current one.

    It has one line a preset, with its first measurement.

    Args:
        text: Markdown with the two marks that enclose the table.

    Returns:
        Markdown.

    Raises:
        ValueError: If the marks are not there.
    """
    if START not in text or END not in text:
        raise ValueError(f"`text` must hold the marks {START!r} and {END!r}.")
    before, rest = text.split(START, 1)
    lines = [
        "| preset | episodes | batch norm | ours, 95% interval | paper |",
        "|---|---|---|---|---|",
    ]
    for name in zoo.list_presets():
        first = preset_folder.read_results(zoo.PRESETS / name).evaluations[0]
        evaluation = first.evaluation
        lines.append(
            f"| [`{name}`](zoo/presets/{name}/{CARD}) "
            f"| {evaluation.stream.data}, {evaluation.setting} "
            f"| {evaluation.statistics} | {first.words} "
            f"| {_published(evaluation)} |"
        )
    table = "\n".join(lines) + "\n"
    return before + START + table + END + rest.split(END, 1)[1]


def _published(evaluation):
    """The paper's figure, or a dash."""
    return "-" if evaluation.published is None else evaluation.published


def _one_of(results, key):
    """The numbers that a key has in all results, such as `1 or 15`."""
    records = [result.record() for result in results]
    values = sorted({record[key] for record in records if key in record})
    return " or ".join(f"{value:,}" for value in values)


def _table(results):
    """The table of a card."""
    head = results[0].evaluation.stream.measure.head
    lines = [
        f"| data | setting | statistics | {head} |",
        "|---|---|---|---|",
    ]
    for found in results:
        evaluation, words = found.evaluation, found.words
        if evaluation.published is not None:
            words += f" ({evaluation.published})"
        lines.append(
            f"| {evaluation.stream.data} | {evaluation.setting} "
            f"| {evaluation.statistics} | {words} |"
        )
    return "\n".join(lines)


def _compared(name, results):
    """The section that sets a preset beside others, on the same tasks.

    Args:
        name: The preset's.
        results: What was measured of it.

    Returns:
        Markdown; empty if its recipe names none, or none is measured.
    """
    recipe = recipes.RECIPES.get(name)
    others = [
        (other, found)
        for other in (recipe.compared_with if recipe else ())
        for found in preset_folder.read_results(zoo.PRESETS / other).evaluations
    ]
    if not others:
        return ""
    columns = results[0].evaluation.stream.measure.columns(results[0].numbers)
    heads = ["preset", "data", "setting", "statistics", *columns]
    rows = [heads, ["---"] * len(heads)]
    for own in results:
        stream = own.evaluation.stream
        rows += [
            [
                f"`{preset}`",
                stream.data,
                found.evaluation.setting,
                found.evaluation.statistics,
                *stream.measure.columns(found.numbers).values(),
            ]
            for preset, found in [(name, own), *others]
            if found.evaluation.stream == stream
        ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"\n## Compared\n\n{table}\n"


def _augmentation(value):
    """What `recipe.json` holds of an augmentation, in words."""
    if value is None:
        return "none"
    if value["class"] == "Chain":
        return "; then ".join(map(_augmentation, value["steps"]))
    fields = ", ".join(f"{k}={v}" for k, v in value.items() if k != "class")
    return f"{value['class']}({fields})"


if __name__ == "__main__":
    for name in zoo.list_presets():
        write(zoo.PRESETS / name)
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        path.write_text(with_zoo_table(path.read_text("utf-8")), "utf-8")
