"""Writes a page for each preset, and makes the tables of measurements.

All numbers come from the files of the presets. The pages lie in `docs/zoo`,
which holds nothing else and is not kept.
"""

import json
import pathlib

import costs
from api_pages import write_pages

import zoo
from benchmarks import presets as preset_times
from keras_meta import models, plots
from zoo import front_matter, preset_folder, recipes

DIRECTORY = pathlib.Path(__file__).parents[1] / "zoo"
# Of all presets; NOTICE names the package that holds weights of one of them.
LICENCE = "Apache-2.0"

PAGE = """\
```{{include}} ../../zoo/presets/{name}/README.md
:start-line: {head}
```

{start}Its folder is `zoo/presets/{name}`; weights: {size}; licence: {licence}.
{curves}"""
CURVES = """
## Learning curves

Means over the tasks of an epoch, and where there is a band, their 95% interval.

![What was measured in training]({name}.svg)
"""
START = "Training began with the weights of [`{start}`]({start}.md).\n\n"


def size_of(directory):
    """The kilobytes of a preset's weights, or where they are."""
    weights = directory / preset_folder.WEIGHTS
    if not weights.exists():
        return "in an extra"
    return f"{weights.stat().st_size / 1000:,.0f} kB"


def method_of(directory):
    """The class of a preset's model, as a page names it."""
    config = json.loads((directory / preset_folder.CONFIG).read_text("utf-8"))
    name = config["class_name"]
    # One preset is a plain Keras model.
    if not hasattr(models, name):
        return f"`keras.{name}`"
    return f"{{py:obj}}`~keras_meta.models.{name}`"


def pages():
    """The text of each page.

    Returns:
        Dict of Markdown by file name.
    """
    texts = {}
    for name in zoo.list_presets():
        directory = zoo.PRESETS / name
        recipe = preset_folder.read_recipe(directory)
        start = recipe.get("start")
        card = preset_folder.read_card(directory)
        texts[f"{name}.md"] = PAGE.format(
            name=name,
            # The lines of YAML for the hub are no part of the page.
            head=front_matter.split(card)[0].count("\n"),
            size=size_of(directory),
            licence=LICENCE,
            start=START.format(start=start) if start else "",
            curves=CURVES.format(name=name) if recipe.get("history") else "",
        )
    return texts


def table(heads, rows, name="sortable"):
    """A table that a reader can sort by a click on the head of a column.

    Args:
        heads: List of str.
        rows: List of lists of str, as long as `heads`; a cell may be empty.
        name: Its class for CSS.

    Returns:
        Markdown.
    """
    lines = ["```{list-table}", ":header-rows: 1", f":class: {name}", ""]
    for row in [heads, *rows]:
        first, *rest = row
        lines += [f"* - {first}", *(f"  - {cell}" for cell in rest)]
    return "\n".join([*lines, "```"])


def preset_table(folder="zoo"):
    """All presets, each with its first measurement and its times.

    Args:
        folder: Where the pages of the presets are, seen from the page with
            the table.

    Returns:
        Markdown.
    """
    rows = []
    milliseconds = preset_times.stored()["milliseconds"]
    for name in zoo.list_presets():
        directory = zoo.PRESETS / name
        recipe = preset_folder.read_recipe(directory)
        first = preset_folder.read_results(directory).evaluations[0]
        settings = first.record()
        rows.append(
            [
                f"[`{name}`]({folder}/{name}.md)",
                method_of(directory),
                first.evaluation.stream.data,
                str(settings.get("way") or ""),
                str(settings.get("shot") or ""),
                # A number stays with its interval.
                first.words.replace(
                    " ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
                ),
                *(
                    f"{milliseconds[name][verb]:.2f}"
                    if name in milliseconds
                    else ""
                    for verb in ("adapt", "infer")
                ),
                f"{recipe['parameters']:,}",
                size_of(directory),
                LICENCE,
            ]
        )
    heads = (
        "preset",
        "method",
        "measured on",
        "way",
        "shot",
        "ours, 95% interval",
        "`adapt`, ms",
        "`infer`, ms",
        "parameters",
        "weights",
        "licence",
    )
    return table(heads, rows, "sortable presets")


def measurements(names, folder="../zoo"):
    """What was measured of some presets, beside what papers report.

    Args:
        names: Names of recipes; those without a preset are left out.
        folder: As for `preset_table`.

    Returns:
        Markdown.

    Raises:
        ValueError: For a name that is no recipe.
    """
    unknown = set(names) - set(recipes.NAMES)
    if unknown:
        raise ValueError(f"There is no recipe {sorted(unknown)}.")
    shipped = [name for name in names if name in zoo.list_presets()]
    if not shipped:
        return "No trained preset is shipped yet."
    rows = []
    for name in shipped:
        results = preset_folder.read_results(zoo.PRESETS / name)
        for found in results.evaluations:
            evaluation = found.evaluation
            published = evaluation.published
            rows.append(
                [
                    f"[`{name}`]({folder}/{name}.md)",
                    f"{evaluation.stream.data}, {evaluation.setting}",
                    evaluation.statistics,
                    found.words,
                    "" if published is None else str(published),
                ]
            )
    heads = ("preset", "episodes", "batch norm", "ours, 95% interval", "paper")
    return table(heads, rows)


def draw_curves(folder):
    """Draws the training of each preset, unless a file of it is there.

    Args:
        folder: Where `NAME.svg` is written.
    """
    for name in zoo.list_presets():
        source = zoo.PRESETS / name / preset_folder.RECIPE
        path = folder / f"{name}.svg"
        history = preset_folder.read_recipe(source.parent).get("history")
        old = not path.exists() or (
            path.stat().st_mtime < source.stat().st_mtime
        )
        if history and old:
            draw = plots.plot_learning_curves
            if "instance_1" in history:
                draw = plots.plot_instance_accuracy
            plots.save_figure(draw(history), path)


def machine():
    """On which machine the milliseconds were measured, in words."""
    found = preset_times.stored()["machine"]
    return (
        f"Measured on {found['cores']} cores of {found['processor']}, "
        f"TensorFlow {found['tensorflow']}, Keras {found['keras']}."
    )


def write(app):
    write_pages(DIRECTORY, pages())
    draw_curves(DIRECTORY)
    plots.save_figure(costs.plot_costs(), DIRECTORY / "costs.svg")


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
