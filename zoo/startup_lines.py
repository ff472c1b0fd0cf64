"""Keeps TensorFlow's start-up lines out of the command line's errors."""

import atexit
import os
import re
import threading

# Lines that TensorFlow's C++ libraries write when they are loaded and first
# used; they say nothing about the command.
NOISE = re.compile(
    rb"^[IWE]0000 00:00:"
    rb"|^WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|^To enable the following instructions: "
)


def filter_startup_lines():
    """Drops TensorFlow's start-up lines from standard error from now on.

    The lines come from C++, so the filter sits behind file descriptor 2: a
    thread passes on all that is written there, except those lines. It ends
    when the process does.
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
        # The last writer is gone, so the thread meets the end of the pipe.
        os.dup2(terminal, 2)
        thread.join(timeout=5)

    atexit.register(end)


def _pass_on(reader, terminal):
    pending = b""
    while data := os.read(reader, 65536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            if not NOISE.match(line):
                os.write(terminal, line + b"\n")
        # A progress bar ends without a newline and should show at once; a
        # start-up line arrives whole.
        if pending.startswith(b"\r"):
            os.write(terminal, pending)
            pending = b""
    if pending and not NOISE.match(pending):
        os.write(terminal, pending)
