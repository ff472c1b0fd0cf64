"""The folder of a training run: what it holds, and its lock."""

import contextlib
import json
import os
import pathlib
import socket
import tempfile
import time

from zoo import leftovers

# As `keras_meta.callbacks` calls them, whose import brings in TensorFlow.
CHECKPOINT = "checkpoint.keras"
BEST = "best.keras"
STATE = "state.json"
LOCK = "run.lock"
# Seconds after which a lock that names no process was not just being written.
UNWRITTEN = 10


def holds_run(folder):
    """Whether a folder holds a run that can be continued."""
    return (pathlib.Path(folder) / CHECKPOINT).is_file()


def check_writable(folder):
    """Tries to write where a folder is, or would be made.

    Args:
        folder: `pathlib.Path`.

    Raises:
        OSError: If that fails; the folder is named.
    """
    above = (folder, *folder.absolute().parents)
    try:
        with tempfile.TemporaryFile(dir=next(p for p in above if p.exists())):
            pass
    except OSError as error:
        raise OSError(
            f"{str(folder)!r} must be a folder that can be written: {error}"
        ) from error


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes out of the folder of a run, which is made.

    The lock of a process of this machine that has ended is taken over.

    Args:
        folder: `pathlib.Path` of the run.

    Raises:
        ValueError: If another run uses the folder; it is named.
        OSError: If the folder cannot be written.
    """
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "started": _process(os.getpid())[1],
    }
    _take(path, json.dumps(owner))
    try:
        leftovers.remove(folder, (CHECKPOINT, BEST, STATE, LOCK))
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path, text):
    """Makes the lock file, whose text names its owner."""
    while True:
        try:
            lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            _remove_if_stale(path)
            continue
        try:
            os.write(lock, text.encode())
        finally:
            os.close(lock)
        return


def _remove_if_stale(path):
    """Removes the lock of a process that has ended.

    Raises:
        ValueError: If the process still runs, or may do so elsewhere.
    """
    try:
        text = path.read_text()
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return
    try:
        owner = json.loads(text)
        words = "process {pid} on {host} uses it since {since}".format(**owner)
        stale = owner["host"] == socket.gethostname() and not _runs(owner)
    except (ValueError, KeyError, TypeError):
        words = "another process has begun to use it"
        stale = age > UNWRITTEN
    if not stale:
        raise ValueError(
            f"The run folder {str(path.parent)!r} is in use: {words}. Wait "
            "for it, stop it, or name another folder with --run-dir; if it no "
            f"longer runs, remove {str(path)!r}."
        )
    # Two processes may find the same stale lock. Only one can move it away,
    # and what it has moved tells whether the other has made a new one.
    grave = path.with_name(leftovers.part_names(LOCK)[0])
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, grave)
        if grave.read_text() != text:
            os.rename(grave, path)
        grave.unlink(missing_ok=True)


def _runs(owner):
    """Whether the process that made a lock of this machine still runs."""
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state, started = _process(owner["pid"])
    # A zombie has ended; and numbers of processes are used again.
    return state != "Z" and started == owner.get("started")


def _process(pid):
    """What Linux tells of a process: its state, and when it was started.

    Args:
        pid: Number of a process.

    Returns:
        Pair of a letter and a number as text; of None on other systems.
    """
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None, None
    # The name in brackets may hold spaces.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
