"""The command line: `python -m zoo`, installed as `keras-meta`."""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import sys

import zoo
from zoo.startup_lines import filter_startup_lines

DESCRIPTION = """\
Few-shot models: pretrained ones to use, recipes to train them again.

A model is given by NAME: a preset of the zoo (see `list`) or a folder that
`train` wrote. Accuracies are means over episodes with a 95% interval.
"""
EXAMPLES = """\
examples:
  keras-meta list
  keras-meta evaluate prototypical_network_omniglot --way 20 --shot 1
  keras-meta predict prototypical_network_omniglot --support my_symbols \\
      --query scan1.png scan2.png
  keras-meta train prototypical_network_glyphs --resume
  keras-meta export prototypical_network_omniglot served
  keras-meta plot prototypical_network_omniglot --output pictures
"""


# Verification pairs in a histogram of scores.
PAIRS = 2000


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: List of str; those of the process by default.

    Returns:
        Exit code: 0, or 1 after an error that is explained on standard
        error. Wrong usage exits with 2, an interrupt with 130.
    """
    options = _parser().parse_args(arguments)
    filter_startup_lines()
    try:
        options.command(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"keras-meta: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("keras-meta: interrupted", file=sys.stderr)
        return 130
    return 0


def _choose_threads(recipe):
    """Sets TensorFlow's threads as a recipe's model runs fastest, if any."""
    from keras_meta import threads

    if recipe is None or not recipe.side_by_side:
        return
    # In a process that has used TensorFlow before it is too late for a
    # faster run, and no reason not to run.
    with contextlib.suppress(RuntimeError):
        threads.set_threads(side_by_side=True)


def list_command(options):
    """Names, and for presets that were measured the first accuracy."""
    from zoo import recipes
    from zoo.evaluate import read_results

    shipped = zoo.list_presets()
    for name in sorted({*shipped, *recipes.RECIPES}):
        if name not in shipped:
            print(f"{name:42} recipe only: keras-meta train {name}")
            continue
        measured = read_results(zoo.PRESETS / name)
        print(f"{name:42} {_sentence(measured[0]) if measured else ''}")


def show_command(options):
    """The card of a preset, or the recipe of one that is not trained."""
    from zoo import recipes, train

    if options.name in recipes.RECIPES and (
        options.name not in zoo.list_presets()
    ):
        described = train.describe(recipes.find(options.name))
        print(json.dumps(described, indent=1))
        return
    directory = zoo.preset_directory(options.name)
    card = directory / "README.md"
    if not card.exists():
        raise ValueError(
            f"{options.name} has no card yet: measure it with "
            f"`keras-meta evaluate {options.name} --write`."
        )
    print(card.read_text(encoding="utf-8"))


def train_command(options):
    """Trains a recipe and writes the preset."""
    from zoo import recipes, train

    recipe = recipes.find(options.name)
    if options.seed is not None:
        recipe = dataclasses.replace(recipe, seed=options.seed)
    if options.steps is not None:
        each = min(options.steps, recipe.epoch_steps)
        whole = -(-options.steps // each) * each
        recipe = dataclasses.replace(recipe, steps=whole, epoch_steps=each)
    run_dir = options.run_dir or pathlib.Path("runs") / recipe.name
    output = options.output or run_dir / "preset"
    _choose_threads(recipe)
    model, state = train.train(
        recipe, run_dir, options.resume, options.tensorboard
    )
    train.write_preset(recipe, model, state, output)
    print(f"Trained: {output}\nMeasure it: keras-meta evaluate {output}")


def evaluate_command(options):
    """Runs the measurement of the flags, or all those of the recipe."""
    from zoo import evaluate, recipes

    directory = zoo.preset_directory(options.name)
    trained = _trained_recipe(directory)
    recipe = recipes.RECIPES.get(trained.get("name"))
    _choose_threads(recipe)
    model = zoo.load(options.name)
    flags = _given(options, recipes.Evaluation)
    if options.write and flags:
        raise ValueError(
            "`--write` stores the recipe's own measurements; leave out "
            f"{', '.join('--' + name.replace('_', '-') for name in flags)}."
        )
    evaluations = [_evaluation(model, trained, flags)]
    if recipe and not flags:
        evaluations = recipe.evaluations
    results = []
    for evaluation in evaluations:
        results.append(evaluate.evaluate(model, evaluation))
        if not options.json:
            print(_sentence(results[-1]), flush=True)
    if options.json:
        print(json.dumps(results, indent=1))
    if options.write:
        evaluate.write_results(directory, results)


def predict_command(options):
    """Learns the folders of pictures and classifies the files."""
    import keras_meta as km

    model = zoo.load(options.name)
    examples, labels = km.data.load_image_folder(options.support, size=28)
    pictures = [km.data.read_picture(file) for file in examples.pictures]
    classifier = km.FewShotClassifier(model).fit(pictures, labels)
    queries = [km.data.read_picture(file) for file in options.query]
    probabilities = classifier.predict_proba(queries)
    classes = classifier.classes_.tolist()
    rows = [
        {
            "file": str(file),
            "label": classes[int(row.argmax())],
            "probabilities": dict(zip(classes, map(float, row), strict=True)),
        }
        for file, row in zip(options.query, probabilities, strict=True)
    ]
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    print(_table(rows, classes))


def export_command(options):
    """Writes a SavedModel that learns new classes inside its graph."""
    zoo.load(options.name).export(options.directory)
    print(
        f"Wrote {options.directory}, with the signatures serving_default, "
        "adapt and infer"
    )


def plot_command(options):
    """Draws an episode, a map of embeddings and the learning curves."""
    import keras_meta as km
    from zoo import evaluate, pictures, recipes

    trained = _trained_recipe(zoo.preset_directory(options.name))
    _choose_threads(recipes.RECIPES.get(trained.get("name")))
    model = zoo.load(options.name)
    flags = {"episodes": 1, **_given(options, recipes.Evaluation)}
    evaluation = _evaluation(model, trained, flags)
    pairs = None
    if isinstance(model, km.models.SiameseNetwork):
        pairs = evaluate.evaluation_episodes(
            dataclasses.replace(evaluation, stream="pairs", episodes=PAIRS)
        )
    for path in pictures.draw(
        model,
        evaluate.evaluation_episodes(evaluation),
        options.output,
        trained.get("history"),
        options.method,
        pairs,
    ):
        print(path)


def _given(options, kind):
    """The fields of a dataclass for which a flag was given."""
    values = {
        field.name: getattr(options, field.name, None)
        for field in dataclasses.fields(kind)
    }
    return {name: value for name, value in values.items() if value is not None}


def _trained_recipe(directory):
    """The dict of `recipe.json`; empty if the preset has none."""
    path = directory / "recipe.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def _evaluation(model, trained, flags):
    """The measurement of the flags, by default on the data of training."""
    from zoo import recipes

    data = ("dataset", "rotations", "stream")
    usual = {key: trained[key] for key in data if key in trained}
    usual.update(way=model.fixed_way or 5, shot=1, statistics=model.statistics)
    if usual.get("stream") == "pairs":
        del usual["stream"]
    elif usual.get("stream") == "zero_shot":
        usual["shot"] = 0
    elif usual.get("stream") == "sinusoids":
        usual["shot"] = 10
    return recipes.Evaluation(**{**usual, **flags})


def _table(rows, classes):
    """Rows of predictions as aligned text."""
    shown = [name if len(name) <= 16 else name[:15] + "…" for name in classes]
    table = [["file", "label", *shown]]
    for row in rows:
        shares = [f"{row['probabilities'][name]:.1%}" for name in classes]
        table.append([row["file"], row["label"], *shares])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in table
    )


def _sentence(found):
    from zoo import cards

    percent = " %" if "accuracy" in found else ""
    return (
        f"{cards.measured(found)}{percent} {cards.setting(found)}, "
        f"{cards.data(found)}, batch norm: {found['statistics']}"
    )


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-meta",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name, command, summary):
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(command=command)
        return sub

    add("list", list_command, "list the presets and recipes of the zoo")

    sub = add("show", show_command, "print the card of a preset")
    sub.add_argument("name", metavar="NAME")

    sub = add("train", train_command, "train a recipe, with checkpoints")
    sub.add_argument("name", metavar="NAME", help="a recipe (see list)")
    sub.add_argument(
        "--resume",
        action="store_true",
        help="continue a stopped run from its last epoch",
    )
    sub.add_argument(
        "--run-dir",
        metavar="DIR",
        type=pathlib.Path,
        help="where checkpoints go (default: runs/NAME)",
    )
    sub.add_argument(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        help="where the preset goes (default: preset in the run folder)",
    )
    sub.add_argument(
        "--steps",
        type=_positive,
        metavar="N",
        help="instead of the recipe's; rounded up to whole epochs",
    )
    sub.add_argument(
        "--seed", type=int, metavar="N", help="instead of the recipe's"
    )
    sub.add_argument(
        "--tensorboard",
        action="store_true",
        help="write TensorBoard logs to the run folder",
    )

    sub = add(
        "evaluate",
        evaluate_command,
        "measure a model: by default all measurements of its recipe, with "
        "any of the flags that one",
    )
    sub.add_argument("name", metavar="NAME")
    _add_evaluation_flags(sub)
    sub.add_argument(
        "--episodes",
        type=_positive,
        metavar="N",
        help="how many (default: 1000)",
    )
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.add_argument(
        "--write",
        action="store_true",
        help="store the recipe's measurements and the card in the preset",
    )

    sub = add(
        "predict",
        predict_command,
        "learn classes from folders of pictures, then classify pictures",
    )
    sub.add_argument("name", metavar="NAME")
    sub.add_argument(
        "--support",
        metavar="DIR",
        required=True,
        help="one folder of pictures per class",
    )
    sub.add_argument(
        "--query",
        metavar="FILE",
        nargs="+",
        required=True,
        help="pictures to classify",
    )
    sub.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )

    sub = add(
        "export",
        export_command,
        "write a SavedModel that learns new classes inside its graph",
    )
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("directory", metavar="DIR", help="a new folder")

    sub = add(
        "plot",
        plot_command,
        "draw an episode, a map of embeddings and the learning curves",
    )
    sub.add_argument("name", metavar="NAME")
    _add_evaluation_flags(sub)
    sub.add_argument(
        "--method",
        choices=("pca", "tsne"),
        default="pca",
        help="how embeddings are mapped to the plane (default: pca)",
    )
    sub.add_argument(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("pictures"),
        help="where the PNG files go (default: pictures)",
    )
    return parser


def _positive(text):
    """A positive integer of the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def _add_evaluation_flags(sub):
    """Flags that choose episodes; None where they are not given."""
    sub.add_argument(
        "--dataset",
        metavar="NAME",
        help="omniglot, omniglot-lake, omniglot-random1200, glyphs, "
        "glyph-combinations or cub (default: what it was trained on)",
    )
    sub.add_argument("--split", help="train, validation or test (default)")
    for name, what in (
        ("way", "classes in an episode (default: 5)"),
        ("shot", "support examples per class (default: 1)"),
        ("queries", "queries per class (default: 15)"),
        ("seed", "which stream of episodes (default: 1)"),
    ):
        sub.add_argument(f"--{name}", type=int, metavar="N", help=what)
    sub.add_argument(
        "--statistics",
        choices=("running", "batch", "support", "support_plus_one"),
        help="batch-norm statistics (default: the model's own)",
    )
    sub.add_argument(
        "--inner-steps",
        type=int,
        metavar="N",
        help="gradient steps on the support (default: the model's own)",
    )
    sub.add_argument(
        "--within-groups",
        action="store_true",
        default=None,
        help="take the classes of an episode from one alphabet",
    )
    sub.add_argument(
        "--rotations",
        action=argparse.BooleanOptionalAction,
        help="whether turned characters are classes of their own (default: "
        "as in training)",
    )


if __name__ == "__main__":
    sys.exit(main())
