"""Keeps TensorFlow's start-up lines out of the command line's errors."""

import atexit
import os
import re
import threading

# What TensorFlow's C++ libraries write when they are loaded and first used;
# none of it is about the command.
NOISE = re.compile(
    rb"^[IWE]0000 00:00:"
    rb"|^WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|^To enable the following instructions: "
)


def filter_startup_lines():
    """Drops TensorFlow's start-up lines from standard error from now on.

    C++ writes them to file descriptor 2 and not to `sys.stderr`. A thread
    therefore passes on what is written to that descriptor, without those
    lines, until the process ends.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    thread = threading.Thread(
        target=_pass_on, args=(reader, terminal), daemon=True
    )
    thread.start()

    def end():
        # This closes the last writer of the pipe, so the thread ends.
        os.dup2(terminal, 2)
        thread.join(timeout=5)

    atexit.register(end)


def _pass_on(reader, terminal):
    """Copies what arrives at a pipe, without TensorFlow's lines.

    Args:
        reader, terminal: File descriptors to read from and to write to.
    """
    pending = b""
    while data := os.read(reader, 65536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            if not NOISE.match(line):
                os.write(terminal, line + b"\n")
        # A progress bar has no newline and must show at once. It begins with
        # a carriage return, which no start-up line does.
        if pending.startswith(b"\r"):
            os.write(terminal, pending)
            pending = b""
    if pending and not NOISE.match(pending):
        os.write(terminal, pending)
