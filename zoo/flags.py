"""The flags of the command line: what each command takes."""

import argparse
import math
import pathlib

from zoo import completion, server_flags, training_flags
from zoo.version import version

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
  keras-meta fit prototypical_network_omniglot --support my_symbols \\
      --output mine
  keras-meta predict mine --query scans --top 3 --unknown 0.05
  keras-meta train prototypical_network_glyphs --resume
  keras-meta export prototypical_network_omniglot served
  keras-meta plot prototypical_network_omniglot --output pictures
"""
# An example of each command.
ARGUMENTS = {
    "list": "",
    "show": "maml_omniglot_5way",
    "train": "prototypical_network_glyphs --resume",
    "evaluate": "prototypical_network_omniglot --way 20 --shot 1",
    "fit": "prototypical_network_omniglot --support my_symbols --output mine",
    "predict": "mine --query scans --top 3 --unknown 0.05",
    "demo": "prototypical_network_photos",
    "serve": "mine --port 8000",
    "export": "prototypical_network_omniglot served",
    "plot": "prototypical_network_omniglot --output pictures",
}
# Flags that choose the tasks of a measurement, by the stream's fields; None
# where they are not given.
STREAM_FLAGS = (
    "dataset",
    "split",
    "way",
    "shot",
    "queries",
    "length",
    "encoding",
    "within_groups",
    "rotations",
)
# Flags that choose how it is made, by the evaluation's fields.
EVALUATION_FLAGS = ("seed", "statistics", "inner_steps", "episodes")
# The numbers that flags may have: the least and the largest.
RANGES = {
    "way": (2, math.inf),
    "shot": (1, math.inf),
    "queries": (1, math.inf),
    "length": (2, math.inf),
    "episodes": (1, math.inf),
    "inner_steps": (0, math.inf),
    "steps": (1, math.inf),
    "save_steps": (1, math.inf),
    "top": (1, math.inf),
    **server_flags.RANGES,
    # Keras and NumPy take no others.
    "seed": (0, 2**32 - 1),
}


def parser(commands):
    """The parser of the command line.

    Args:
        commands: Dict of the functions to run, by the name of the command;
            `parse_args` puts the chosen one into `options.command`.

    Returns:
        `argparse.ArgumentParser`.
    """
    parser = argparse.ArgumentParser(
        prog="keras-meta",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"keras-meta {version()}"
    )
    completion.add_flag(parser)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (summary, add_flags) in COMMANDS.items():
        command = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example: keras-meta {name} {ARGUMENTS[name]}".rstrip(),
        )
        command.set_defaults(command=commands[name])
        add_flags(command)
    return parser


def given(options, names):
    """The flags that were given.

    Args:
        options: What `parse_args` returned.
        names: Which flags, with underscores.

    Returns:
        Dict of their values.
    """
    values = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def check_ranges(options):
    """Checks the numbers of the flags that were given.

    Args:
        options: What `parse_args` returned.

    Raises:
        ValueError: For a number out of its range; the flag is named.
    """
    for name, number in given(options, RANGES).items():
        least, largest = RANGES[name]
        if not least <= number <= largest:
            wanted = f"at least {least}"
            if largest != math.inf:
                wanted = f"{least} to {largest}"
            raise ValueError(
                f"`{name}` (`{spelled([name])}`) must be {wanted}. "
                f"Received: {name}={number}"
            )
    minutes = getattr(options, "save_minutes", None)
    if minutes is not None and not 0 < minutes < math.inf:
        raise ValueError(
            "`save_minutes` (`--save-minutes`) must be a positive number. "
            f"Received: save_minutes={minutes}"
        )
    share = getattr(options, "unknown", None)
    if share is not None and not 0 < share < 1:
        raise ValueError(
            "`unknown` (`--unknown`) must be a share between 0 and 1, such as "
            f"0.05. Received: unknown={share}"
        )


def spelled(names):
    """Flags as they are typed, such as `--way, --inner-steps`."""
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _list(command):
    """`list` has no flags."""


def _show(command):
    command.add_argument("name", metavar="NAME")


def _evaluate(command):
    command.add_argument("name", metavar="NAME")
    _choice_of_episodes(command)
    command.add_argument(
        "--episodes",
        type=int,
        metavar="N",
        help="how many (default: 1000)",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--write",
        action="store_true",
        help="store the recipe's measurements and the card in the preset",
    )


def _fit(command):
    command.add_argument("name", metavar="NAME")
    _support(command, required=True)
    command.add_argument(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        required=True,
        help="where the classifier goes, for `predict`",
    )


def _predict(command):
    command.add_argument(
        "name", metavar="NAME", help="a preset, or a folder that `fit` wrote"
    )
    _support(command, required=False)
    command.add_argument(
        "--query",
        metavar="FILE",
        nargs="+",
        required=True,
        help="pictures to classify, or folders of them",
    )
    command.add_argument(
        "--top",
        type=int,
        metavar="N",
        help="name the N most probable classes of each picture, not all",
    )
    command.add_argument(
        "--unknown",
        type=float,
        metavar="SHARE",
        help="refuse pictures that are none of the classes, and about this "
        "share of those that are, such as 0.05",
    )
    command.add_argument(
        "--csv",
        metavar="FILE",
        type=pathlib.Path,
        help="write the table to a file",
    )
    command.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )


def _support(command, required):
    """Flags of what is learned, which `fit` and `predict` share."""
    command.add_argument(
        "--support",
        metavar="DIR",
        required=required,
        help="one folder of pictures per class, named for it",
    )
    command.add_argument(
        "--calibrate",
        action="store_true",
        help="make probabilities as sure as they are right; it takes two "
        "pictures of a class at least",
    )
    command.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="name files that are no pictures and go on without them, "
        "instead of stopping",
    )


def _export(command):
    command.add_argument("name", metavar="NAME")
    command.add_argument(
        "directory", metavar="DIR", help="a new folder, or a new LiteRT file"
    )
    command.add_argument(
        "--format",
        choices=("tf_saved_model", "litert"),
        default="tf_saved_model",
        help="a SavedModel (default), or a LiteRT file for phones",
    )
    command.add_argument(
        "--preprocessing",
        action="store_true",
        help="take uint8 pictures of any size and prepare them in the graph",
    )


def _plot(command):
    command.add_argument("name", metavar="NAME")
    _choice_of_episodes(command)
    command.add_argument(
        "--method",
        choices=("pca", "tsne"),
        default="pca",
        help="how embeddings are mapped to the plane (default: pca)",
    )
    command.add_argument(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("pictures"),
        help="where the PNG files go (default: pictures)",
    )


def _choice_of_episodes(command):
    """Flags of a measurement that `evaluate` and `plot` share."""
    command.add_argument(
        "--dataset",
        metavar="NAME",
        help="omniglot, omniglot-lake, omniglot-random1200, glyphs, "
        "glyph-combinations or cub; omniglot-20 and omniglot-random1200-20 "
        "have images of 20 x 20 (default: what it was trained on)",
    )
    command.add_argument("--split", help="train, validation or test (default)")
    for name, what in (
        ("way", "classes in an episode (default: 5)"),
        ("shot", "support examples per class (default: 1)"),
        ("queries", "queries per class (default: 15)"),
        ("length", "examples in a sequence (default: as in training)"),
        ("seed", "which stream of episodes (default: 1)"),
    ):
        command.add_argument(f"--{name}", type=int, metavar="N", help=what)
    command.add_argument(
        "--encoding",
        choices=("one_hot", "letters"),
        help="how the labels of a sequence are written (default: as in "
        "training)",
    )
    command.add_argument(
        "--statistics",
        choices=("running", "batch", "support", "support_plus_one"),
        help="batch-norm statistics (default: the model's own)",
    )
    command.add_argument(
        "--inner-steps",
        type=int,
        metavar="N",
        help="gradient steps on the support (default: the model's own)",
    )
    command.add_argument(
        "--within-groups",
        action="store_true",
        default=None,
        help="take the classes of an episode from one alphabet",
    )
    command.add_argument(
        "--rotations",
        action=argparse.BooleanOptionalAction,
        help="whether turned characters are classes of their own (default: "
        "as in training)",
    )


# By name: the summary, and the function that adds the flags.
COMMANDS = {
    "list": ("list the presets and recipes of the zoo", _list),
    "show": ("print the card of a preset", _show),
    "train": ("train a recipe, with checkpoints", training_flags.add_flags),
    "evaluate": (
        "measure a model: by default all measurements of its recipe, with "
        "any of the flags that one",
        _evaluate,
    ),
    "fit": (
        "learn classes from folders of pictures and keep the classifier",
        _fit,
    ),
    "predict": (
        "classify pictures, after folders of pictures or by a classifier "
        "that `fit` kept",
        _predict,
    ),
    "demo": ("teach a classifier in the browser", server_flags.add_demo_flags),
    "serve": ("answer requests over HTTP", server_flags.add_serve_flags),
    "export": (
        "write a SavedModel or a LiteRT file that learns new classes inside "
        "its graph",
        _export,
    ),
    "plot": (
        "draw an episode, a map of embeddings and the learning curves",
        _plot,
    ),
}
