"""`evaluate` shows its progress on a terminal, and only there."""

import os
import pty
import subprocess
import sys

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
    states = [state for state in shown.split("\r\x1b[K") if state]
    counts = [state.split("] ")[1].split("  ")[0] for state in states]
    assert counts == ["0 of 120", "50 of 120", "100 of 120", "120 of 120"]
    # The line is gone when the result is printed.
    assert shown.endswith("\r\x1b[K")


def test_json_comes_without_progress():
    shown, out = run("--json")
    assert shown == "" and out.startswith("[")


def test_a_pipe_gets_no_progress():
    result = subprocess.run([*COMMAND, *FLAGS], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
