"""Worker processes that take turns at being timed.

Each side of a comparison runs in a process of its own, so that libraries,
thread pools and allocators do not meet. The workers take turns: one computes
while the others wait, round after round, so that a change of the machine's
speed meets all of them.
"""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from unittest import mock

# Makes glibc keep freed memory. By default it returns large blocks to the
# system and fetches them page by page in the next step. 1 GiB is more than any
# tensor here.
KEEP_FREED_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# What `import keras_meta` sets where it comes before Keras.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# The number of first steps whose losses are compared.
LOSSES = 3


@dataclasses.dataclass(frozen=True)
class Step:
    """The work that a worker times.

    Args:
        run: Function without arguments that makes one step.
        loss: Function without arguments that makes one step and returns its
            loss as a float; None if a step has no loss.
    """

    run: Callable
    loss: Callable | None = None


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of a step.

    Args:
        seconds: Median of the turns.
        spread: Slowest minus fastest turn, as a share of `seconds`.
    """

    seconds: float
    spread: float


class Worker:
    """A process that builds a step and runs it when asked.

    Args:
        name: Its name in tables and errors.
        build: Function of module level that returns a `Step`.
        arguments: Its arguments.
        environment: Dict of environment variables of the process.
        hidden: Names of modules that cannot be imported in the process.

    Raises:
        RuntimeError: With the worker's own traceback, if it fails.

    Attributes:
        losses: Of the first steps; empty if the step has no loss.
        first_step: Seconds of the first step, with tracing and compilation.
        peak_memory: MiB, the most the process ever held; None before the
            first `time`, and on systems without `/proc`.
        step_memory: `peak_memory` minus the memory held after `build`, which
            is that of libraries and model.
    """

    def __init__(self, name, build, arguments=(), environment=None, hidden=()):
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, build, arguments, hidden)
        )
        onednn = {ONEDNN: os.environ.get(ONEDNN, "1")}
        inherited = {**QUIET, **onednn, **(environment or {})}
        with mock.patch.dict(os.environ, inherited):
            self._process.start()
        theirs.close()
        try:
            first = self._receive()
        except RuntimeError:
            self.close()
            raise
        self.losses = first["losses"]
        self.first_step = first["first_step"]
        self._built_memory = first["built_memory"]
        self.peak_memory = self.step_memory = None

    def time(self, count):
        """Runs `count` steps; returns the seconds of each."""
        self._connection.send(count)
        answer = self._receive()
        self.peak_memory = answer["peak_memory"]
        if self.peak_memory is not None:
            self.step_memory = self.peak_memory - self._built_memory
        return answer["seconds"]

    def close(self):
        """Ends the process."""
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self):
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"The worker {self.name!r} ended with exit code "
                f"{self._process.exitcode}, perhaps for lack of memory."
            ) from None
        if "error" in answer:
            raise RuntimeError(
                f"The worker {self.name!r} failed:\n{answer['error']}"
            )
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _serve(connection, build, arguments, hidden):
    """The life of a worker: build, take the first steps, then time."""
    # Silences the libraries; failures travel through the connection.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # None in `sys.modules` makes the import of a module fail.
    sys.modules.update(dict.fromkeys(hidden))
    try:
        step = build(*arguments)
        built_memory = held_memory("VmRSS")
        begin = time.perf_counter()
        losses = [step.loss()] if step.loss else []
        if not step.loss:
            step.run()
        first_step = time.perf_counter() - begin
        if step.loss:
            losses += [step.loss() for _ in range(LOSSES - 1)]
        connection.send(
            {
                "losses": losses,
                "first_step": first_step,
                "built_memory": built_memory,
            }
        )
        while True:
            count = connection.recv()
            seconds = [_seconds(step.run) for _ in range(count)]
            connection.send(
                {"seconds": seconds, "peak_memory": held_memory("VmHWM")}
            )
    except (EOFError, BrokenPipeError):
        return
    except Exception:
        with contextlib.suppress(OSError):
            connection.send({"error": traceback.format_exc()})


def _seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def held_memory(field):
    """MiB this process holds (`"VmRSS"`) or held at most (`"VmHWM"`).

    None where there is no `/proc`.
    """
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024


def interleave(workers, rounds, seconds, average=statistics.median):
    """Times workers in turn.

    Args:
        workers: List of `Worker`.
        rounds: How many times each has its turn.
        seconds: Length of a turn, about.
        average: Function from the seconds of a turn's steps to their
            average. Use the mean if a worker prepares steps ahead: then only
            the sum of a turn counts.

    Returns:
        Dict from the worker's name to its `Timing`.
    """
    counts = {}
    for worker in workers:
        worker.time(1)
        once = max(average(worker.time(3)), 1e-6)
        counts[worker.name] = max(1, round(seconds / once))
    turns = {worker.name: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            turns[worker.name].append(average(worker.time(counts[worker.name])))
    return {name: summarize(values) for name, values in turns.items()}


def summarize(turns):
    """The `Timing` of the seconds of all turns."""
    middle = statistics.median(turns)
    return Timing(middle, (max(turns) - min(turns)) / middle)


def require_torch():
    """Ends the script with advice if PyTorch is not installed.

    Raises:
        SystemExit: With the advice.
    """
    if not has_torch():
        raise SystemExit(
            "The peer of this benchmark, PyTorch, is not installed. "
            "Install the extra `bench`: pip install 'keras-meta[bench]', "
            "or in a checkout pip install -e '.[bench]'"
        )


def has_torch():
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def machine():
    """Versions, processor and cores, on which the numbers depend.

    Returns:
        Dict; libraries that are not installed are left out.
    """
    versions = {"python": platform.python_version()}
    for name in ("tensorflow", "keras", "numpy", "torch", "jax"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {**versions, "processor": processor(), "cores": os.cpu_count()}


def processor():
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def print_table(header, rows, texts=1):
    """Prints rows of strings under a header.

    Args:
        header: List of strings.
        rows: List of such lists.
        texts: The number of first columns that are aligned to the left; the
            rest are numbers, aligned to the right.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if number < texts else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ]
        print("  ".join(cells).rstrip())


def write_json(path, results):
    """Stores the results of a run, if a path is given."""
    if path is not None:
        text = json.dumps(results, indent=2) + "\n"
        pathlib.Path(path).write_text(text, encoding="utf-8")
