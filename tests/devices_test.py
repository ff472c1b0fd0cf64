"""The flags of several devices and machines, and which worker one is."""

import argparse
import json

import pytest
import tensorflow as tf

from zoo import __main__ as command_line
from zoo import devices, flags

TWO = ("--workers", "one:2222,two:2222")


def parsed(*arguments):
    parser = flags.parser(command_line.COMMANDS)
    return parser.parse_args(["train", "maml_sinusoid", *arguments])


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--index", "1"], "`index` .* needs `--workers"),
        (TWO, "`index` .*0 to 1. Received: index=None"),
        ([*TWO, "--index", "2"], "0 to 1. Received: index=2"),
        ([*TWO, "--index", "-1"], "0 to 1. Received: index=-1"),
        (["--workers", "one", "--index", "0"], "host:port .*'one'"),
        (["--workers", "one:x", "--index", "0"], "host:port .*'one:x'"),
        (["--workers", "a:1,a:1", "--index", "0"], "each worker once"),
        ([*TWO, "--index", "0", "--strategy", "mirrored"], "leave out"),
        (["--save-minutes", "0"], "`save_minutes` .*positive"),
        (["--save-steps", "0"], "`save_steps` .*at least 1"),
    ],
)
def test_flags_that_do_not_fit_are_an_error(capsys, arguments, message):
    given = ["train", "maml_sinusoid", *arguments]
    assert command_line.main(given) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-meta: error: ")
    with pytest.raises(ValueError, match=message):
        options = parsed(*arguments)
        flags.check_ranges(options)
        devices.check(options)


def cluster(kind, index, **jobs):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


def test_both_ways_at_once_are_an_error(monkeypatch):
    options = parsed(*TWO, "--index", "0")
    devices.check(options)
    monkeypatch.setenv("TF_CONFIG", cluster("worker", 0, worker=["a:1"]))
    with pytest.raises(ValueError, match="both name workers"):
        devices.check(options)


@pytest.mark.parametrize(
    "text, expected",
    [
        (cluster("worker", 1, worker=["a:1", "b:1"]), (1, 2)),
        (cluster("chief", 0, chief=["a:1"], worker=["b:1"]), (0, 2)),
        (cluster("worker", 0, chief=["a:1"], worker=["b:1"]), (1, 2)),
        (cluster("worker", "1", worker=["a:1", "b:1"]), (1, 2)),
        (cluster("worker", 0, worker=["a:1"]), (0, 1)),
        ("{}", (0, 1)),
    ],
)
def test_a_cluster_says_who_is_who(monkeypatch, text, expected):
    monkeypatch.setenv("TF_CONFIG", text)
    assert devices.worker(parsed()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        cluster("worker", 2, worker=["a:1", "b:1"]),
        cluster("ps", 0, ps=["c:1"], worker=["a:1", "b:1"]),
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
    ],
)
def test_a_cluster_without_this_worker_is_an_error(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must name the workers"):
        devices.worker(parsed())


def test_the_flags_make_the_strategy(monkeypatch):
    made = []
    for name in ("MirroredStrategy", "MultiWorkerMirroredStrategy"):
        monkeypatch.setattr(
            tf.distribute, name, lambda *given, n=name: made.append((n, *given))
        )
    assert devices.strategy(parsed()) is tf.distribute.get_strategy()
    assert not made
    devices.strategy(parsed("--strategy", "mirrored"))
    ((name, devices_of_it),) = made
    # This suite has two logical CPUs.
    assert name == "MirroredStrategy" and len(devices_of_it) >= 2
    monkeypatch.setenv("TF_CONFIG", "")
    devices.strategy(parsed(*TWO, "--index", "1"))
    assert made[1] == ("MultiWorkerMirroredStrategy",)
    assert json.loads(devices.os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": ["one:2222", "two:2222"]},
        "task": {"type": "worker", "index": 1},
    }


def test_a_preset_that_could_not_be_written_is_said_at_once(tmp_path, capsys):
    (tmp_path / "file").touch()
    given = ["--run-dir", f"{tmp_path}/run", "--output", f"{tmp_path}/file/x"]
    assert command_line.main(["train", "maml_sinusoid", *given]) == 1
    assert "must be a folder that can be written" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert isinstance(parsed(*given), argparse.Namespace)
