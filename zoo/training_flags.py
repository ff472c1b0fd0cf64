"""The flags of `keras-meta train`."""

import pathlib


def add_flags(command):
    """Adds the flags.

    Args:
        command: `argparse.ArgumentParser` of `train`.
    """
    command.add_argument("name", metavar="NAME", help="a recipe (see list)")
    command.add_argument(
        "--resume",
        action="store_true",
        help="continue a stopped run from its last save",
    )
    command.add_argument(
        "--run-dir",
        metavar="DIR",
        type=pathlib.Path,
        help="where checkpoints go (default: runs/NAME)",
    )
    command.add_argument(
        "--output",
        metavar="DIR",
        type=pathlib.Path,
        help="where the preset goes (default: preset in the run folder)",
    )
    command.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="instead of the recipe's; rounded up to whole epochs",
    )
    command.add_argument(
        "--seed", type=int, metavar="N", help="instead of the recipe's"
    )
    command.add_argument(
        "--tensorboard",
        action="store_true",
        help="write TensorBoard logs to the run folder",
    )
    _add_saves(command)
    _add_devices(command)


def _add_saves(command):
    """Flags of when a run is saved within an epoch."""
    command.add_argument(
        "--save-steps",
        type=int,
        metavar="N",
        help="save every N steps too, not only after each epoch",
    )
    command.add_argument(
        "--save-minutes",
        type=float,
        metavar="M",
        help="save every M minutes too",
    )


def _add_devices(command):
    """Flags of several GPUs and machines; see `zoo.devices`."""
    command.add_argument(
        "--strategy",
        choices=("mirrored",),
        help="share the tasks of a step among all GPUs of this machine",
    )
    command.add_argument(
        "--workers",
        metavar="HOST:PORT,...",
        help="share them among machines, each of which runs this command with "
        "its own --index (or TF_CONFIG says so); the first one writes, and "
        "all must see the run folder",
    )
    command.add_argument(
        "--index",
        type=int,
        metavar="I",
        help="the place of this machine in --workers, from 0",
    )
