"""Cards and tables, written from `recipe.json` and `results.json`.

`python -m zoo.cards README.md` renews the table of the zoo in that file.
"""

import json
import pathlib
import sys

import zoo
from keras_meta import presets
from zoo.evaluate import RESULTS, read_results

CARD = "README.md"
# What the table of the zoo stands between.
START, END = "<!-- zoo table -->\n", "<!-- end of zoo table -->"
RECIPE = "recipe.json"

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

Batch-norm statistics: `running` are the moving averages of training;
`support` the moments of each support set; `batch` those of all queries at
once, which is transductive.

## Trained

- Data: {data}.
- Steps: {training}.
- Augmentation: {augmentation}.
- {changes}
- {seconds:.0f} minutes on a CPU with {cpus} cores, {parameters:,} parameters.

## Made again

```
python -m zoo train {name} --output zoo/presets/{name}
python -m zoo evaluate zoo/presets/{name} --write
```

Measured with {versions}.
"""


CLASSIFICATION = {
    "usage": """\
classifier = keras_meta.FewShotClassifier(model)
classifier.fit(images, labels)         # a few images of each class, any size
classifier.predict(new_images)
model.export("served")                 # a SavedModel that learns new classes\
""",
    "measure": "Mean accuracy over {episodes} episodes (or pairs) with "
    "{queries} queries\nper class, in percent,",
}
REGRESSION = {
    "usage": """\
task = model.adapt(x[None], y[None])   # points (n, 1) and their values
model.infer(task, new_x[None])
model.export("served")                 # a SavedModel that learns new tasks\
""",
    "measure": "Mean squared error over {episodes} tasks with {queries} "
    "queries,",
}


def render(directory):
    """The text of the card of a preset.

    Args:
        directory: Folder with `recipe.json` and `results.json`.

    Returns:
        Markdown.
    """
    directory = pathlib.Path(directory)
    recipe, results = (
        json.loads((directory / name).read_text(encoding="utf-8"))
        for name in (RECIPE, RESULTS)
    )
    evaluations = results["evaluations"]
    regression = recipe["stream"] == "sinusoids"
    words = REGRESSION if regression else CLASSIFICATION
    return TEMPLATE.format(
        usage=words["usage"],
        measure=words["measure"].format(
            episodes=_one_of(evaluations, "episodes"),
            queries=_one_of(evaluations, "queries"),
        ),
        name=recipe["name"],
        title=recipe["title"],
        paper=recipe["paper"],
        table=_table(evaluations),
        data=_training_data(recipe),
        training=_training(recipe),
        augmentation=_augmentation(recipe["augmentation"]),
        changes=recipe["changes"],
        seconds=recipe["seconds"] / 60,
        cpus=recipe["cpus"],
        parameters=recipe["parameters"],
        versions=", ".join(f"{k} {v}" for k, v in results["versions"].items()),
    )


def _training_data(recipe):
    """What a recipe was trained on, in words."""
    if recipe["stream"] == "sinusoids":
        return "sinusoids, drawn at random"
    return (
        f"`{recipe['dataset']}`, split `{recipe['split']}`, "
        f"{_rotations(recipe['rotations'])}"
    )


def _training(recipe):
    """The steps, the loss and the optimizer of a recipe, in words."""
    if recipe["stream"] == "pairs":
        each = f"{recipe['tasks']} pairs"
        if recipe["within_groups"]:
            each += " within one alphabet each"
    else:
        each = (
            f"{_count(recipe['tasks'], 'episode')}, {setting(recipe)} with "
            f"{recipe['queries']} queries"
        )
    clipped = ""
    if recipe["clip_norm"]:
        clipped = f", gradients clipped to a norm of {recipe['clip_norm']}"
    optimizer = f"Adam, learning rate {recipe['learning_rate']} with cosine "
    optimizer += f"decay and {_count(recipe['restarts'], 'warm restart')}"
    if recipe["optimizer"] == "sgd":
        optimizer = f"SGD, learning rate {recipe['learning_rate']} to 0 along "
        optimizer += "a line"
    return (
        f"{recipe['steps']:,} of {each}; {recipe['loss'].replace('_', ' ')}; "
        f"{optimizer}{clipped}"
    )


def write(directory):
    """Writes the card and, since files changed, the sums."""
    directory = pathlib.Path(directory)
    (directory / CARD).write_text(render(directory), encoding="utf-8")
    presets.write_sums(directory)


def with_zoo_table(text):
    """A text whose table of the zoo is the current one.

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
        for found in read_results(zoo.PRESETS / name):
            published = found["published"] or "-"
            regression = "mean_squared_error" in found
            running = found["statistics"] == "running"
            if running or regression or found["published"]:
                lines.append(
                    f"| [`{name}`](zoo/presets/{name}/{CARD}) | {data(found)}"
                    f", {setting(found)} | {found['statistics']} "
                    f"| {measured(found)} | {published} |"
                )
    table = "\n".join(lines) + "\n"
    return before + START + table + END + rest.split(END, 1)[1]


def data(found):
    """What a measurement was made on, in words."""
    if found["stream"] == "sinusoids":
        return "sinusoids"
    words = f"{found['dataset']} {found['split']}"
    if found["within_groups"]:
        words += ", within one alphabet"
    if not found["rotations"] and found["dataset"].startswith("omniglot"):
        words += ", not rotated"
    return words


def setting(found):
    """The kind of a measurement or a training, in words."""
    steps = found.get("inner_steps")
    if steps is not None:
        plain = setting({**found, "inner_steps": None})
        return f"{plain}, {_count(steps, 'inner step')}"
    if found["stream"] == "sinusoids":
        return f"{found['shot']}-shot"
    if found["stream"] == "pairs":
        return "pairs"
    if found["stream"] == "zero_shot":
        return f"{found['way']}-way zero-shot"
    return f"{found['way']}-way {found['shot']}-shot"


def measured(found):
    """An accuracy in percent or a squared error, with its interval."""
    if "mean_squared_error" in found:
        error, interval = found["mean_squared_error"], found["interval"]
        return f"squared error {error:.3f} ± {interval:.3f}"
    return f"{found['accuracy']:.2f} ± {found['interval']:.2f}"


def _count(number, noun):
    """`no warm restarts`, `1 episode`, `4 episodes`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _one_of(evaluations, key):
    values = sorted({evaluation[key] for evaluation in evaluations})
    return " or ".join(f"{value:,}" for value in values)


def _table(evaluations):
    lines = [
        "| data | setting | statistics | accuracy |",
        "|---|---|---|---|",
    ]
    for found in evaluations:
        accuracy = measured(found)
        if found["published"] is not None:
            accuracy += f" ({found['published']})"
        lines.append(
            f"| {data(found)} | {setting(found)} "
            f"| {found['statistics']} | {accuracy} |"
        )
    return "\n".join(lines)


def _rotations(rotations):
    if rotations:
        return "each class also turned by 90, 180 and 270 degrees as new ones"
    return "without rotations"


def _augmentation(value):
    if value is None:
        return "none"
    if value["class"] == "Chain":
        return "; then ".join(map(_augmentation, value["steps"]))
    fields = ", ".join(f"{k}={v}" for k, v in value.items() if k != "class")
    return f"{value['class']}({fields})"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        path.write_text(with_zoo_table(path.read_text("utf-8")), "utf-8")
