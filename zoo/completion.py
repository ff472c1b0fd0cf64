"""Completion of `keras-meta` by the shell: commands, flags, models, files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

SHELLS = ("bash", "zsh")
# A function of bash that prints the models that begin with a word, and folders.
BASH_MODELS = """\
_keras_meta_models() {{
  compgen -W "{names}" -- "$1"
  compgen -d -- "$1"
}}
"""


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--print-completion SHELL` to the parser of the command line."""
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a script by which the shell completes the command",
    )


class PrintCompletion(argparse.Action):
    """Prints the script for a shell and ends the program."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            print(script(parser, str(values)))
        except ValueError as error:
            parser.exit(1, f"keras-meta: error: {error}\n")
        parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script by which a shell completes a command.

    Args:
        parser: The parser of the command line.
        shell: One of `SHELLS`.

    Returns:
        Source of the shell. It completes a NAME by the models that the zoo
        has now, and by folders; a DIR by folders and a FILE by files.

    Raises:
        ValueError: If shtab, which writes it, is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise ValueError(
            "`--print-completion` needs the package shtab: install "
            '"keras-meta[completion]".'
        ) from error
    import zoo
    from zoo import recipes

    names = " ".join(sorted({*zoo.list_presets(), *recipes.NAMES}))
    words = {
        "NAME": {"bash": "_keras_meta_models", "zsh": f"({names})"},
        "DIR": shtab.DIRECTORY,
        "FILE": shtab.FILE,
    }
    for action in _arguments(parser):
        if action.metavar in words:
            action.complete = words[action.metavar]  # type: ignore[attr-defined]
    preamble = BASH_MODELS.format(names=names) if shell == "bash" else ""
    return shtab.complete(parser, shell=shell, preamble=preamble)


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of all commands."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found += _arguments(command)
        else:
            found.append(action)
    return found
