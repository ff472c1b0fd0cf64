"""A line on a terminal that says how far a long step is.

It is written to standard error, only where that is a terminal, and gone when
the step is over: what a command prints can be piped.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import keras

T = TypeVar("T")

# Cells of the bar.
CELLS = 24
# Seconds after which a step of unknown length says how long it takes.
PATIENCE = 3


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def write(text: str) -> None:
    """Replaces the line; one that wraps could not be replaced."""
    width = shutil.get_terminal_size().columns - 1
    sys.stderr.write("\r\x1b[K" + text[:width])
    sys.stderr.flush()


def show(title: str, done: int, total: int) -> None:
    """Draws the line of a step that is so far."""
    full = CELLS * done // total
    bar = "━" * full + " " * (CELLS - full)
    write(f"[{bar}] {done:,} of {total:,}  {title}")


@contextlib.contextmanager
def progress_bar(
    title: str, total: int, step: int
) -> Iterator[Sequence[keras.callbacks.Callback]]:
    """Shows the progress of `keras.Model.evaluate` on standard error.

    Args:
        title: What is measured.
        total: How many tasks.
        step: How many tasks a batch has.

    Yields:
        Sequence of callbacks for `evaluate`; none where standard error is no
        terminal. At the end of the block the line is gone.
    """
    if not on_terminal():
        yield ()
        return
    try:
        yield (ProgressBar(title, total, step),)
    finally:
        write("")


class ProgressBar(keras.callbacks.Callback):
    """Draws the line; the arguments are those of `progress_bar`."""

    def __init__(self, title: str, total: int, step: int) -> None:
        super().__init__()
        self.title, self.total, self.step = title, total, step

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        show(self.title, 0, self.total)

    def on_test_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        done = min(self.total, (batch + 1) * self.step)
        show(self.title, done, self.total)


def counted(title: str, items: Sequence[T]) -> Iterable[T]:
    """The items one after the other, with a line that says how many are done.

    Args:
        title: What is done with them.
        items: What is worked through.

    Returns:
        The items themselves where standard error is no terminal, otherwise
        an iterator over them.
    """
    return _counted(title, items) if on_terminal() else items


def _counted(title: str, items: Sequence[T]) -> Iterator[T]:
    try:
        for done, item in enumerate(items):
            show(title, done, len(items))
            yield item
    finally:
        write("")


@contextlib.contextmanager
def elapsed(title: str) -> Iterator[None]:
    """Says how long a step takes, if it is long.

    Args:
        title: What is done, such as `reading omniglot`.

    Yields:
        None. On a terminal the line has, from `PATIENCE` seconds on, the
        seconds since the beginning.
    """
    if not on_terminal():
        yield
        return
    over, shown = threading.Event(), []

    def count():
        seconds, wait = PATIENCE, PATIENCE
        while not over.wait(wait):
            shown.append(f"{title}: {seconds:.0f} s")
            write(shown[-1])
            seconds, wait = seconds + 1, 1

    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    try:
        yield
    finally:
        over.set()
        counting.join()
        if shown:
            write("")
