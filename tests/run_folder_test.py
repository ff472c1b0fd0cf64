"""A run's folder: one run at a time, and no kill loses or leaves anything."""

import dataclasses
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta import presets
from keras_meta.callbacks import checkpoint
from zoo import preset_folder, recipes, run_folder, streams, train


@pytest.fixture
def recipe():
    network = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    return recipes.Recipe(
        name="tiny",
        title="A tiny recipe",
        paper="None",
        model=lambda: km.models.MAML(
            keras.models.clone_model(network), inner_loss="mean_squared_error"
        ),
        stream=streams.Sinusoids(shot=3, queries=2),
        steps=8,
        tasks=2,
        epoch_steps=2,
        loss="mean_squared_error",
    )


class Kill(BaseException):
    pass


# Where a save of an epoch can be cut off: what is replaced by a function that
# dies before or after it has done its work.
CUTS = {
    "the model": (keras.Model, "save"),
    "the member of the archive": (zipfile.ZipFile, "writestr"),
    "the replacement of files": (os, "replace"),
    "the copy of the state": (checkpoint, "write_json"),
}


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cut", CUTS)
def test_the_history_is_that_of_the_checkpoint(
    recipe, tmp_path, monkeypatch, cut, after, epoch
):
    """Wherever a save is cut off, the run goes on as if it had not been."""
    where, name = CUTS[cut]
    whole, calls = getattr(where, name), []

    def dies(*arguments, **options):
        # The model writes its own members.
        other = name == "writestr" and "state.json" not in arguments
        if not other:
            calls.append(name)
        # Two files are replaced in an epoch; and a save was tried before.
        epochs = len(calls) / (2 if name == "replace" else 1)
        epochs -= name in ("save", "writestr")
        if other or epochs <= epoch:
            return whole(*arguments, **options)
        if after:
            whole(*arguments, **options)
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(where, name, dies)
        with pytest.raises(Kill):
            train.train(recipe, tmp_path / "run", verbose=0)
    whole_model, expected = train.train(recipe, tmp_path / "whole", verbose=0)
    model, state = train.train(recipe, tmp_path / "run", True, verbose=0)
    assert state["epochs"] == 4
    assert state["history"].keys() == expected["history"].keys()
    np.testing.assert_allclose(
        state["history"]["loss"], expected["history"]["loss"], rtol=1e-4
    )
    for a, b in zip(model.weights, whole_model.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.keras",
        "state.json",
    ]


def test_the_copy_of_the_state_is_mended(recipe, tmp_path):
    train.train(recipe, tmp_path, verbose=0)
    copy = tmp_path / "state.json"
    text = copy.read_text()
    copy.unlink()
    train.train(recipe, tmp_path, resume=True, verbose=0)
    assert copy.read_text() == text


@pytest.mark.parametrize("kind", ["no archive", "no state"])
def test_a_checkpoint_of_something_else_is_an_error(recipe, tmp_path, kind):
    path = tmp_path / "checkpoint.keras"
    path.write_bytes(b"text")
    if kind == "no state":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="holds the state of its training"):
        train.train(recipe, tmp_path, resume=True, verbose=0)


def owner(**fields):
    me = {"pid": os.getpid(), "host": socket.gethostname(), "since": "noon"}
    _, started = run_folder._process(me["pid"])
    return json.dumps({**me, "started": started, **fields})


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "text, message",
    [
        (owner(), f"process {os.getpid()} on {socket.gethostname()} .*noon"),
        (owner(host="elsewhere"), "on elsewhere uses it since noon"),
        ("", "another process has begun"),
        ('{"pid": 1', "another process has begun"),
    ],
    ids=["this host", "another host", "empty", "cut"],
)
def test_a_folder_in_use_is_an_error(recipe, tmp_path, text, message):
    lock = tmp_path / "run.lock"
    lock.write_text(text)
    with pytest.raises(ValueError, match=f"is in use: .*{message}"):
        train.train(recipe, tmp_path, verbose=0)
    assert lock.read_text() == text
    assert not run_folder.holds_run(tmp_path)


@pytest.mark.parametrize("kind", ["ended", "other with its number", "cut off"])
def test_the_lock_of_a_process_that_ended_is_taken_over(recipe, tmp_path, kind):
    lock = tmp_path / "run.lock"
    text = {
        "ended": owner(pid=ended_process()),
        "other with its number": owner(started="1"),
        "cut off": "",
    }[kind]
    lock.write_text(text)
    if kind == "cut off":
        os.utime(lock, (0, 0))
    elif kind != "ended" and not pathlib.Path("/proc/self/stat").exists():
        pytest.skip("the system does not tell when a process was started")
    train.train(recipe, tmp_path, verbose=0)
    assert not lock.exists()


def test_the_lock_goes_with_the_run(recipe, tmp_path):
    with run_folder.locked(tmp_path):
        with pytest.raises(ValueError, match="is in use"):
            train.train(recipe, tmp_path, verbose=0)
    with pytest.raises(Kill):
        with run_folder.locked(tmp_path):
            raise Kill
    train.train(recipe, tmp_path, verbose=0)
    with pytest.raises(ValueError, match="--resume"):
        train.train(recipe, tmp_path, verbose=0)
    train.train(recipe, tmp_path, resume=True, verbose=0)


def test_a_killed_process_is_no_owner(tmp_path):
    script = """
import os, pathlib, sys
from zoo import run_folder
with run_folder.locked(pathlib.Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    with pytest.raises(ValueError, match=f"process {process.pid} on"):
        with run_folder.locked(tmp_path):
            pass
    process.kill()
    # Also while its parent has not asked how it ended.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with run_folder.locked(tmp_path):
        pass
    process.communicate()


def test_what_a_killed_run_left_is_removed(recipe, tmp_path):
    left = ["part_checkpoint.keras", "state.json.part", "run.lock.part"]
    for name in [*left, "tmpabcd1234"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.part").write_text("not ours")
    (tmp_path / "tmpnotes123").write_text("nor this")
    train.train(recipe, tmp_path, verbose=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.keras",
        "notes.part",
        "state.json",
        "tmpnotes123",
    ]


@pytest.mark.parametrize("count", range(1, 6))
def test_what_a_killed_writing_of_a_preset_left_is_removed(
    recipe, tmp_path, count
):
    """The process is killed before its n-th replacement of a file."""
    model, state = train.train(recipe, tmp_path / "run", verbose=0)
    replace, calls = os.replace, []
    preset = tmp_path / "preset"

    def dies(*paths):
        calls.append(paths)
        if len(calls) == count:
            # What a kill leaves, since nothing is tidied up after one.
            shutil.copytree(tmp_path / "whole", preset)
        replace(*paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", dies)
        train.write_preset(recipe, model, state, tmp_path / "whole")
    assert len(calls) >= count
    left = (".part", presets.TEMPORARY)
    assert any(part in name for name in os.listdir(preset) for part in left)
    (preset / "notes.txt").write_text("a file of the user")
    train.write_preset(recipe, model, state, preset)
    assert {path.name for path in preset.iterdir()} == {
        "SHA256SUMS",
        "config.json",
        "model.weights.h5",
        "notes.txt",
        "recipe.json",
    }
    sums = (preset / "SHA256SUMS").read_text().splitlines()
    # Those of the three files of the library.
    assert len(sums) == 3
    assert preset_folder.read_model(preset).built


def test_a_run_of_another_recipe_is_still_told_apart(recipe, tmp_path):
    train.train(recipe, tmp_path, verbose=0)
    other = dataclasses.replace(recipe, steps=10)
    with pytest.raises(ValueError, match="another recipe"):
        train.train(other, tmp_path, resume=True, verbose=0)
    assert not (tmp_path / "run.lock").exists()
