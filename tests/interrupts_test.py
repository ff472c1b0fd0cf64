"""A command that is stopped: by Ctrl-C, by SIGTERM, by a closed pipe."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import pytest

from keras_meta.callbacks import ResumableTraining, checkpoint
from zoo import __main__ as command_line
from zoo import flags, interrupts

NAME = "reptile_sinusoid"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A process that a shell began in the background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop_after(monkeypatch, number, epochs):
    """Sends a signal to this process when so many epochs have been saved."""
    whole = ResumableTraining.on_epoch_end

    def stops(self, epoch, logs=None):
        if epoch == epochs:
            os.kill(os.getpid(), number)
        whole(self, epoch, logs)

    monkeypatch.setattr(ResumableTraining, "on_epoch_end", stops)


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--run-dir", "my runs/a'b", "--seed", "3"],
        ["--output", "here", "--run-dir", "runs/x"],
    ],
)
def test_an_interrupted_training_says_how_it_goes_on(
    monkeypatch, capsys, number, code, given
):
    before = signal.getsignal(number)
    command = ["train", NAME, "--steps", "2000", *given]
    with monkeypatch.context() as patch:
        stop_after(patch, number, epochs=1)
        assert command_line.main(command) == code
    assert signal.getsignal(number) == before
    first, line, rest = capsys.readouterr().err.split("\n")
    assert first.endswith("; continue with") and rest == ""
    program, *again = shlex.split(line)
    assert program == "keras-meta"
    assert sorted(again) == sorted([*command, "--resume"])
    assert command_line.main(again) == 0
    options = flags.parser(command_line.COMMANDS).parse_args(again)
    folder = options.run_dir or f"runs/{NAME}"
    state = checkpoint.read_state(pathlib.Path(folder))
    assert state["epochs"] == len(state["history"]["loss"]) == 2


def test_nothing_can_be_resumed_before_the_first_checkpoint(
    monkeypatch, capsys
):
    stop_after(monkeypatch, signal.SIGINT, epochs=0)
    assert command_line.main(["train", NAME, "--steps", "2"]) == 130
    err = capsys.readouterr().err
    assert "nothing to resume" in err and "--resume" not in err


def test_a_lost_worker_says_how_it_goes_on():
    parser = flags.parser(command_line.COMMANDS)
    options = parser.parse_args(["train", NAME, "--workers", "a:1,b:1"])
    message = "lost worker 1.\nOn this machine: keras-meta train .* --resume$"
    with pytest.raises(ConnectionError, match=message):
        with interrupts.told_how_to_resume(options, pathlib.Path("run")):
            raise ConnectionError("lost worker 1.")
    # A reader that has gone is no worker.
    with pytest.raises(BrokenPipeError):
        with interrupts.told_how_to_resume(options, pathlib.Path("run")):
            raise BrokenPipeError


def test_the_line_repeats_every_flag_of_train():
    parser = flags.parser(command_line.COMMANDS)
    words = (
        "train a --run-dir b --output c --steps 4 --seed 0 --tensorboard "
        "--save-steps 3 --save-minutes 2.5 --strategy mirrored "
        "--workers a:1,b:1 --index 0"
    )
    for given in (words, words + " --resume"):
        line = interrupts.resume_line(parser.parse_args(given.split()))
        assert line == f"keras-meta {words} --resume"


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", NAME], ["--help"], ["train", "--help"]],
    ids=" ".join,
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_ends_a_command_quietly(arguments, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "zoo", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writer)
    assert result.stderr == b""
    # `--help` of Python's parser passes over an error of writing.
    quiet = (141, 0) if "--help" in arguments else (141,)
    assert result.returncode in quiet


@pytest.mark.parametrize("arguments", [["list"], ["show", NAME]])
def test_a_full_disk_is_an_error_of_one_line(arguments):
    if not os.path.exists("/dev/full"):
        pytest.skip("the system has no full device")
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 1
    assert re.fullmatch("keras-meta: error: .*No space.*\n", result.stderr)
