"""`evaluate` shows its progress on a terminal, and only there."""

import io
import os
import pty
import subprocess
import sys
import threading

from zoo import progress

NAME = "prototypical_network_glyphs"
COMMAND = [sys.executable, "-m", "zoo", "evaluate", NAME]
FLAGS = "--dataset glyphs --way 5 --queries 15 --episodes 120".split()


def run(*flags):
    """Runs `evaluate` with a terminal as its standard error.

    Returns:
        What the terminal showed and what went to standard output.
    """
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *FLAGS, *flags], stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    # A terminal that nobody writes to any more is an error on Linux.
    try:
        while data := os.read(screen, 4096):
            shown += data
    except OSError:
        pass
    os.close(screen)
    out, _ = process.communicate()
    assert process.returncode == 0, shown
    return shown.decode(), out.decode()


def test_a_terminal_shows_how_far_the_measurement_is():
    shown, out = run()
    assert "\x1b" not in out and "5-way 1-shot" in out
    # A slow machine shows how long the data set takes, too.
    states = [state for state in shown.split("\r\x1b[K") if "] " in state]
    counts = [state.split("] ")[1].split("  ")[0] for state in states]
    assert counts == ["0 of 120", "50 of 120", "100 of 120", "120 of 120"]
    # The line is gone when the result is printed.
    assert shown.endswith("\r\x1b[K")


def test_json_comes_without_progress():
    shown, out = run("--json")
    assert "] " not in shown and out.startswith("[")


def test_a_pipe_gets_no_progress():
    result = subprocess.run([*COMMAND, *FLAGS], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1


class Terminal(io.StringIO):
    """A standard error that is a terminal, and tells when it is written to."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        super().write(text)
        self.written.set()
        return len(text)


def open_terminal(monkeypatch):
    """Called by a test: pytest's own standard error is back after fixtures."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_items_are_counted_on_a_terminal(monkeypatch):
    terminal = open_terminal(monkeypatch)
    assert list(progress.counted("pictures read", ["a", "b"])) == ["a", "b"]
    shown = terminal.getvalue().split("\r\x1b[K")
    assert [state.partition("] ")[2] for state in shown[1:]] == [
        "0 of 2  pictures read",
        "1 of 2  pictures read",
        "",
    ]


def test_a_long_step_says_how_long_it_takes(monkeypatch):
    terminal = open_terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.001)
    with progress.elapsed("reading"):
        assert terminal.written.wait(timeout=60)
    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown[1] == "reading: 0 s" and shown[-1] == ""


def test_a_short_step_and_a_pipe_show_nothing(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with progress.elapsed("reading"):
        pass
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with progress.elapsed("reading"):
        items = progress.counted("read", [1, 2])
    assert items == [1, 2] and sys.stderr.getvalue() == ""
