"""oneDNN is on where `keras_meta` is imported first; in own processes."""

import os
import pathlib
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILE = ROOT / "keras_meta" / "onednn.py"
ENABLED = """
import keras_meta
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""


@pytest.mark.parametrize("wanted", [None, "0"])
def test_it_is_on_unless_the_environment_says_otherwise(wanted):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if wanted is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = wanted
    result = subprocess.run(
        [sys.executable, "-c", ENABLED],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == str(wanted is None), result.stderr


def test_it_says_when_it_comes_too_late(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    # TensorFlow is loaded in this process.
    assert runpy.run_path(FILE)["prefer_onednn"]() is False
    assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ
