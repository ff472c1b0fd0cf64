"""Kills one of two workers at random moments: what becomes of the other.

    python tests/lost_workers.py --kills 10

Two processes of `keras-meta train` share the tasks of each step over
localhost. One of them gets SIGKILL at a random moment; the other has to end
by itself and to name it; then both go on with `--resume`. At the end the
weights are compared, bit by bit, with those of two workers that were left
alone. Each round is one line of the table.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import pathlib
import random
import signal
import socket
import sys
import tempfile
import time
import zipfile

import h5py

# The tasks of a step, which divide among two workers.
RECIPE, TASKS = "maml_sinusoid", 4
EPOCH_STEPS, EPOCHS = 20, 400
CHECKPOINT = "checkpoint.keras"
# What a worker may take to end once the other is gone.
LIMIT = 60


def train(arguments, tasks, epoch_steps, epochs, log):
    """A worker's process: the command, with a small recipe."""
    import dataclasses

    from zoo import __main__ as command_line
    from zoo import recipes

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    whole = recipes.find
    recipes.find = lambda name: dataclasses.replace(
        whole(name),
        tasks=tasks,
        epoch_steps=epoch_steps,
        steps=epochs * epoch_steps,
    )
    sys.exit(command_line.main(arguments))


class Cluster:
    """Two workers that train into a folder.

    Args:
        folder: `pathlib.Path`: the folder of the run.
        epochs: How many epochs they train.
    """

    def __init__(self, folder, epochs=EPOCHS):
        self.folder, self.epochs = folder, epochs
        folder.mkdir(parents=True, exist_ok=True)
        self.rounds = 0
        # Libraries are loaded once, and a worker is a fork.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["zoo.train"])

    def start(self):
        """Starts both; each writes what it says to a log of its own."""
        self.rounds += 1
        with contextlib.ExitStack() as stack:
            ports = [
                stack.enter_context(
                    socket.create_server(("localhost", 0))
                ).getsockname()[1]
                for _ in range(2)
            ]
        workers = ",".join(f"localhost:{port}" for port in ports)
        self.logs, self.processes = [], []
        for index in range(2):
            arguments = ["train", RECIPE, "--run-dir", str(self.folder)]
            arguments += ["--workers", workers, "--index", str(index)]
            arguments += ["--resume", "--save-steps", "7"]
            log = (
                self.folder.parent / f"{self.folder.name}-{self.rounds}-{index}"
            )
            process = self.context.Process(
                target=train,
                args=(arguments, TASKS, EPOCH_STEPS, self.epochs, log),
            )
            process.start()
            self.logs.append(log)
            self.processes.append(process)

    def wait_for_a_save(self, before):
        """Waits until a save is later than the time `before`."""
        checkpoint = self.folder / CHECKPOINT
        while all(process.is_alive() for process in self.processes):
            with contextlib.suppress(FileNotFoundError):
                if checkpoint.stat().st_mtime > before:
                    return
            time.sleep(0.05)
        raise RuntimeError(self.said(0) + self.said(1))

    def said(self, index):
        """What a worker wrote."""
        return self.logs[index].read_text()

    def finish(self, timeout=None):
        """Waits for the end of both; returns their exit codes."""
        for process in self.processes:
            process.join(timeout)
        return [process.exitcode for process in self.processes]


def kill_one(cluster, lost, delay):
    """Kills a worker, and waits for the end of the other.

    Args:
        cluster: `Cluster`.
        lost: 0 or 1: which worker.
        delay: Seconds between a first save and the kill.

    Returns:
        `(seconds, state, said)`: how long the other took to end, the saved
        state of the run, and what the other wrote.
    """
    before = time.time()
    cluster.start()
    cluster.wait_for_a_save(before)
    time.sleep(delay)
    os.kill(cluster.processes[lost].pid, signal.SIGKILL)
    began = time.monotonic()
    other = cluster.processes[1 - lost]
    other.join(2 * LIMIT)
    seconds = time.monotonic() - began
    if other.is_alive():
        other.kill()
        other.join()
    cluster.processes[lost].join()
    with zipfile.ZipFile(cluster.folder / CHECKPOINT) as archive:
        state = json.loads(archive.read("state.json"))
    return seconds, state, cluster.said(1 - lost)


def weights(folder):
    """The arrays of a run's checkpoint: weights and the optimizer's state."""
    found = {}

    def keep(name, value):
        # The running loss of the epoch is that of the worker that saved.
        if isinstance(value, h5py.Dataset) and "loss_tracker" not in name:
            found[name] = value[()]

    with zipfile.ZipFile(folder / CHECKPOINT) as archive:
        file = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(file) as arrays:
        arrays.visititems(keep)
    return found


def main(arguments=None):
    """Prints a line for each kill; returns 0 if all was as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    draws = random.Random(options.seed)
    right = True
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        broken = Cluster(folder / "broken", options.epochs)
        print("killed  ended after  named it  saved at", flush=True)
        for number in range(options.kills):
            # Each at least once.
            lost = number if number < 2 else draws.randrange(2)
            seconds, state, said = kill_one(broken, lost, draws.uniform(0, 3))
            named = f"lost worker {lost} (localhost:" in said
            right = right and named and seconds < LIMIT
            print(
                f"{lost:6}  {seconds:9.1f} s  {'yes' if named else 'NO':8}  "
                f"epoch {state['epochs']}, step {state['steps']}",
                flush=True,
            )
            if not named:
                print(said[-3000:])
        whole = Cluster(folder / "whole", options.epochs)
        for cluster in (broken, whole):
            cluster.start()
            if cluster.finish() != [0, 0]:
                print(cluster.said(0)[-3000:], cluster.said(1)[-3000:])
                return 1
        found, expected = (weights(c.folder) for c in (broken, whole))
        assert found.keys() == expected.keys()
        same = all((found[name] == expected[name]).all() for name in found)
        print(f"same weights as two workers left alone: {same}")
    return 0 if right and same else 1


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    sys.exit(main())
