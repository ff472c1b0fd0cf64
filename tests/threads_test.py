"""Tests of TensorFlow's thread settings.

Nothing can be set in the process of the tests, where TensorFlow runs already;
a process of its own shows that it can before.
"""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_meta.threads import available_cores, set_threads

ROOT = pathlib.Path(__file__).parents[1]

# More cores than there are: settings that TensorFlow does not choose itself.
EARLY = """
import keras_meta as km
import tensorflow as tf

def settings():
    return (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )

cores = km.threads.available_cores()
km.threads.set_threads(side_by_side=False)
assert settings() == (cores, cores), settings()
km.threads.set_threads(side_by_side=True, cores=cores + 2)
assert settings() == (1, cores + 2), settings()
tf.linalg.matmul(tf.ones((2, 2)), tf.ones((2, 2)))
km.threads.set_threads(side_by_side=True, cores=cores + 2)
try:
    km.threads.set_threads(side_by_side=False, cores=cores)
except RuntimeError as error:
    print(error)
assert settings() == (1, cores + 2), settings()
"""


@pytest.fixture
def running():
    """TensorFlow has run an operation, with the threads it chose itself."""
    tf.ones(()).numpy()
    if tf.config.threading.get_inter_op_parallelism_threads():
        pytest.skip("the tests run with threads that were set")


def test_threads_are_set_before_the_first_operation():
    result = subprocess.run(
        [sys.executable, "-c", EARLY],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    cores = available_cores()
    assert "comes too late" in result.stdout
    assert f"intra_op = 1 and inter_op = {cores + 2} threads" in result.stdout
    assert f"intra_op = {cores} and inter_op = {cores} are w" in result.stdout


def test_too_late_says_what_is_in_force_and_what_to_do(running, monkeypatch):
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    cores = available_cores()
    message = (
        f"too late.*with intra_op = {cores} and inter_op = {cores} threads.*"
        f"intra_op = 1 and inter_op = {cores + 1} are wanted.*top of the "
        f"program.*Received: side_by_side=True, cores={cores + 1}"
    )
    with pytest.raises(RuntimeError, match=message):
        set_threads(side_by_side=True, cores=cores + 1)


def test_what_is_in_force_already_is_no_error(running, monkeypatch):
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    set_threads(side_by_side=False)
    set_threads(side_by_side=False, cores=available_cores())
    # TensorFlow reads these when it starts.
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "7")
    set_threads(side_by_side=True, cores=7)
    with pytest.raises(
        RuntimeError, match="with intra_op = 1 and inter_op = 7"
    ):
        set_threads(side_by_side=False, cores=7)


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False
    )
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    assert available_cores() == 9
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side_by_side": 1}, "`side_by_side` must be True or.*side_by_side=1"),
        ({"cores": 0}, "`cores` must be at least 1.*Received: cores=0"),
        ({"cores": 2.0}, "`cores` must be an integer.*Received: cores=2.0"),
        ({"cores": True}, "`cores` must be an integer.*Received: cores=True"),
    ],
)
def test_errors_say_what_was_expected(options, message):
    with pytest.raises(ValueError, match=message):
        set_threads(**{"side_by_side": True, **options})
