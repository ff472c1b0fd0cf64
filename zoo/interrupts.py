"""What a command does when it is stopped: Ctrl-C, SIGTERM, a closed pipe."""

import contextlib
import os
import shlex
import signal
import sys
import threading

from zoo import flags, run_folder

# What a shell reports of a process that a signal ended: 128 and its number.
INTERRUPTED = 130
TERMINATED = 143
NO_READER = 141


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where the program is, as Ctrl-C is."""


@contextlib.contextmanager
def told_how_to_resume(options, run_dir):
    """Lets an interrupt of a training say how it goes on.

    Args:
        options: The parsed flags of `train`.
        run_dir: Folder of the run.

    Raises:
        KeyboardInterrupt: For an interrupt in the block, with that text.
        ConnectionError: For a lost worker, likewise.
        Terminated: The same for SIGTERM.
    """
    with _sigterm_raises():
        try:
            yield
        except KeyboardInterrupt as stop:
            word = "interrupted"
            if isinstance(stop, Terminated):
                word = "terminated"
            text = f"{word} before the first checkpoint; nothing to resume"
            if run_folder.holds_run(run_dir):
                text = f"{word}; continue with\n{resume_line(options)}"
            raise type(stop)(text) from None
        except BrokenPipeError:
            # Nobody reads what is printed: no worker is lost.
            raise
        except ConnectionError as error:
            text = f"{error}\nOn this machine: {resume_line(options)}"
            raise ConnectionError(text) from error


@contextlib.contextmanager
def _sigterm_raises():
    """SIGTERM raises `Terminated` in the block."""
    # Python allows it nowhere else.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def discard_output():
    """Sends what is still to be written to standard output nowhere.

    Python writes it out when the process ends, and would report that nobody
    reads it.
    """
    with contextlib.suppress(OSError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def resume_line(options):
    """The command that continues an interrupted training.

    Args:
        options: The parsed flags of `train`.

    Returns:
        str, with the flags that were given and `--resume`.
    """
    words = ["keras-meta", "train", options.name]
    for name, value in vars(options).items():
        if name in ("name", "command", "resume"):
            continue
        if value is None or value is False:
            continue
        words.append(flags.spelled([name]))
        if value is not True:
            words.append(str(value))
    return shlex.join([*words, "--resume"])
