"""Settings and fixtures of the whole suite."""

import gc
import importlib.util
import math
import os
import pathlib

if importlib.util.find_spec("torch"):
    # Its compiler, which optimizers load, crashes after TensorFlow.
    import torch._dynamo  # noqa: F401

import keras
import numpy as np
import pytest
import tensorflow as tf
from slow_tests import is_slow

import keras_meta

# Bytes by which a process may grow between two collections of garbage.
GROWTH = 200e6
_held = {"bytes": 0.0}

# All this must come before TensorFlow's first operation.
# A process of `pytest -n` has one core; two operations at once, as replicas
# wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
# XLA's code need not be fast here, and compiles in less time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
)
# Two logical CPUs, so that replicas run on any machine.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks slow tests; puts tests of one case together: they share its models.

    `--dist worksteal` gives a process tests that follow each other.
    """
    files = {}
    for item in items:
        files.setdefault(item.path, len(files))
    items.sort(key=lambda item: (files[item.path], _case(item)))
    for item in filter(is_slow, items):
        item.add_marker("slow")


def _case(item):
    """The name of the case that a test is of, or an empty string."""
    parameters = getattr(item, "callspec", None)
    case = parameters and parameters.params.get("case")
    return getattr(case, "name", "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Frees the models of files and cases, which are cycles, at their ends.

    The collector looks at all that there is, which takes seconds late in a
    run, so it waits until the process has grown.
    """
    result = yield
    ends = nextitem is None or (item.path, _case(item)) != (
        nextitem.path,
        _case(nextitem),
    )
    if ends and _resident() >= _held["bytes"] + GROWTH:
        gc.collect()
        _held["bytes"] = _resident()
    return result


def _resident():
    """The bytes of memory that this process holds."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        # Another system than Linux: the collector never waits.
        return math.inf
    return pages * os.sysconf("SC_PAGE_SIZE")


def pytest_collection_finish():
    """Spares the garbage collector what was imported, which stays anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope="session")
def strategy():
    """The one strategy of the suite: a second in a process aborts."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(autouse=True)
def _fresh_state():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def float64():
    """Layers made in the test compute in float64."""
    keras.config.set_dtype_policy("float64")


@pytest.fixture
def double(float64):
    """Layers and losses compute in float64."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    """The names that the docstrings of the package use."""
    doctest_namespace["np"] = np
    doctest_namespace["keras_meta"] = keras_meta
