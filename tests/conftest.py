"""Settings and fixtures of the whole suite."""

import gc
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from slow_tests import is_slow

import keras_meta

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
    """Frees the models of a file or case, which are cycles, at its end."""
    result = yield
    ends_file = nextitem is None or item.path != nextitem.path
    if ends_file or _case(item) != _case(nextitem):
        gc.collect()
    if ends_file:
        # What is left stays. Looking through all of it took the collector
        # seconds at the end of each file. (Models that tests of one file
        # share are left after each case.)
        gc.freeze()
    return result


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
