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

    def place(item):
        file = files.setdefault(item.path, len(files))
        parameters = getattr(item, "callspec", None)
        case = parameters and parameters.params.get("case")
        return file, getattr(case, "name", "")

    items.sort(key=place)
    for item in filter(is_slow, items):
        item.add_marker("slow")


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
