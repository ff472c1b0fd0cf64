"""Wording that several texts of the zoo share."""

import difflib
from collections.abc import Collection


def count(number: int, noun: str) -> str:
    """A number of things: `no warm restarts`, `1 episode`, `4 episodes`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def unknown(what: str, name: str, names: Collection[str]) -> str:
    """The text of an error about an unknown name.

    Args:
        what: What the name should stand for, such as `"recipe"`.
        name: What was passed.
        names: Collection of the names that exist.

    Returns:
        str, with the nearest names and a list of all.
    """
    near = difflib.get_close_matches(name, names, 3, 0.4)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return (
        f"There is no {what} {name!r}.{hint} All of them: "
        f"{', '.join(sorted(names))}"
    )
