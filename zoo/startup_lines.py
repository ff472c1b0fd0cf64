"""Keeps TensorFlow's start-up lines out of the command line's errors."""

import contextlib
import os
import re
import signal
import sys
import tempfile
import threading

# What TensorFlow's C++ libraries write when they are loaded and first look for
# a GPU, on a machine where nothing is wrong. Every other line is shown.
STARTUP_LINES = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are "
    rb"written to STDERR$"
    rb"|To enable the following instructions: [\w ]+, in other operations, "
    rb"rebuild TensorFlow with the appropriate compiler flags\.$"
    rb"|[IWE]0000 00:00:[\d.]+ +\d+ (?:"
    rb"port\.cc:\d+\] oneDNN custom operations are on\."
    rb"|cudart_stub\.cc:\d+\] Could not find cuda drivers on your machine"
    rb"|cpu_feature_guard\.cc:\d+\] This TensorFlow binary is optimized "
    # No driver, or no GPU: a faulty GPU has other errors.
    rb"|cuda_platform\.cc:\d+\] failed call to cuInit: INTERNAL: CUDA error: "
    rb"Failed call to cuInit: (?:UNKNOWN ERROR \(303\)|CUDA_ERROR_NO_DEVICE)"
    rb")"
)


def filter_startup_lines():
    """Starts TensorFlow without the lines that it writes when all is well.

    C++ writes them to file descriptor 2 and not to `sys.stderr`. That
    descriptor is a file while TensorFlow is imported and looks for devices;
    then it is what it was before, and gets the lines of the file but the
    known ones. From then on TensorFlow's warnings and errors arrive at once.
    The threads can still be set afterwards.
    """
    if "tensorflow" in sys.modules:
        return
    # Read when TensorFlow is loaded: its progress reports (I) stay away, its
    # warnings and errors do not.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Bars of downloads would also be written to a pipe; on a terminal the
    # command line has a line of its own: see `zoo.progress`.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # Read then as well. TensorFlow switches its fast operations on by itself
    # only on processors with instructions such as AVX-512 VNNI.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with held_back(STARTUP_LINES):
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def held_back(known):
    """Holds back what is written to file descriptor 2, then passes it on.

    Args:
        known: Pattern of bytes; lines that begin with it are dropped. All
            others are passed on when the block ends, also if it raises. If
            the process dies inside the block, all lines are passed on.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        # Standard error is closed.
        yield
        return
    with tempfile.TemporaryFile() as lines, _passed_on_at_death(lines):
        _flush()
        os.dup2(lines.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            lines.seek(0)
            _write(b"".join(line for line in lines if not known.match(line)))


@contextlib.contextmanager
def _passed_on_at_death(lines):
    """Passes a file on to file descriptor 2 if this process dies meanwhile.

    What a process has last written tells why it aborts. A process that has
    aborted cannot write, so another one waits for its end. A process with
    threads, which must not be forked, does without.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1:
        yield
        return
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _wait_and_pass_on(reader, writer, lines)
    os.close(reader)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.write(writer, b"alive")
        os.close(writer)
        with contextlib.suppress(OSError):
            os.waitpid(child, 0)


def _wait_and_pass_on(reader, writer, lines):
    """What the other process does; it never returns."""
    try:
        # Ctrl-C reaches both processes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(writer)
        # The pipe ends without a word if the first process has died.
        if not os.read(reader, 1):
            # The position in the file is common to both processes.
            _write(
                os.pread(lines.fileno(), os.fstat(lines.fileno()).st_size, 0)
            )
    finally:
        os._exit(0)


def _write(data):
    """Writes bytes to file descriptor 2, as many as it takes."""
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(2, data) :]


def _flush():
    """Writes out what Python holds back of standard error."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
