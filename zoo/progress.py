"""A line on a terminal that says how far a measurement is."""

import contextlib
import shutil
import sys

import keras

# Cells of the bar.
CELLS = 24


@contextlib.contextmanager
def progress_bar(title, total, step):
    """Shows the progress of `keras.Model.evaluate` on standard error.

    Args:
        title: str: what is measured.
        total: Integer: how many tasks.
        step: Integer: how many tasks a batch has.

    Yields:
        Sequence of callbacks for `evaluate`; none where standard error is no
        terminal. At the end of the block the line is gone.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield ()
        return
    bar = ProgressBar(title, total, step)
    try:
        yield (bar,)
    finally:
        bar.write("")


class ProgressBar(keras.callbacks.Callback):
    """Draws the line; the arguments are those of `progress_bar`."""

    def __init__(self, title, total, step):
        super().__init__()
        self.title, self.total, self.step = title, total, step

    def on_test_begin(self, logs=None):
        self.show(0)

    def on_test_batch_end(self, batch, logs=None):
        self.show(min(self.total, (batch + 1) * self.step))

    def show(self, done):
        """Draws the line for so many tasks."""
        full = CELLS * done // self.total
        bar = "━" * full + " " * (CELLS - full)
        self.write(f"[{bar}] {done:,} of {self.total:,}  {self.title}")

    def write(self, text):
        """Replaces the line; one that wraps could not be replaced."""
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r\x1b[K" + text[:width])
        sys.stderr.flush()
