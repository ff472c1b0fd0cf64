"""Standard error keeps all but the known lines of TensorFlow's start."""

import os
import signal
import subprocess
import sys

import pytest

from zoo.startup_lines import STARTUP_LINES

STAMP = "0000 00:00:1795616341.194351   24486 "
KNOWN = [
    "WARNING: All log messages before absl::InitializeLog() is called are "
    "written to STDERR",
    f"I{STAMP}port.cc:153] oneDNN custom operations are on. You may see "
    "slightly different numerical results.",
    f"I{STAMP}cudart_stub.cc:31] Could not find cuda drivers on your machine, "
    "GPU will not be used.",
    f"I{STAMP}cpu_feature_guard.cc:227] This TensorFlow binary is optimized to "
    "use available CPU instructions in performance-critical operations.",
    "To enable the following instructions: AVX2 AVX512F FMA, in other "
    "operations, rebuild TensorFlow with the appropriate compiler flags.",
    f"E{STAMP}cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error:"
    " Failed call to cuInit: UNKNOWN ERROR (303)",
]
SHOWN = [
    f"E{STAMP}cuda_executor.cc:1] CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    f"E{STAMP}cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error:"
    " Failed call to cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)",
    f"F{STAMP}cpu_feature_guard.cc:61] The TensorFlow library was compiled to "
    "use AVX instructions, but these aren't available on your machine.",
    f"W{STAMP}bfc_allocator.cc:501] Allocator (GPU_0_bfc) ran out of memory",
    "WARNING: something else",
    "a line without an end",
]
SCRIPT = """
import os, sys
from zoo import startup_lines
lines = sys.stdin.buffer.read()
try:
    with startup_lines.held_back(startup_lines.STARTUP_LINES):
        os.write(2, lines)
        print("from Python", file=sys.stderr)
        {ending}
except ImportError:
    pass
os.write(2, lines)
os.abort()
"""


def standard_error(ending, lines):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(ending=ending)],
        input="\n".join(lines).encode() + b"\n",
        capture_output=True,
    )
    return result.returncode, result.stderr.decode()


@pytest.mark.parametrize("line", KNOWN)
def test_a_startup_line_is_known(line):
    assert STARTUP_LINES.match(line.encode() + b"\n")


@pytest.mark.parametrize("line", SHOWN)
def test_a_line_that_tells_something_is_not(line):
    assert not STARTUP_LINES.match(line.encode() + b"\n")


@pytest.mark.parametrize("ending", ["pass", "raise ImportError"])
def test_only_known_lines_are_dropped_and_only_at_the_start(ending):
    """What comes later arrives as it is, up to the last line of an abort."""
    lines = [*KNOWN, *SHOWN]
    code, found = standard_error(ending, lines)
    assert code == -signal.SIGABRT
    assert found.splitlines() == [*SHOWN, "from Python", *lines]


@pytest.mark.parametrize("ending", ["os.abort()", "os.kill(os.getpid(), 9)"])
def test_a_death_at_the_start_loses_no_line(ending):
    code, found = standard_error(ending, SHOWN)
    assert code < 0
    assert found.splitlines()[: len(SHOWN)] == SHOWN


@pytest.mark.parametrize("line", [SHOWN[0], KNOWN[-1]])
def test_tensorflow_writes_to_standard_error_itself(line):
    """After the start nobody stands between: not even a known line is lost."""
    script = f"""
import os, threading
from zoo.startup_lines import filter_startup_lines
before = os.fstat(2)
filter_startup_lines()
assert os.path.samestat(before, os.fstat(2))
assert threading.active_count() == 1
os.write(2, {line!r}.encode())
os.abort()
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k[:6] != "TF_CPP"},
    )
    assert (result.returncode, result.stderr) == (-signal.SIGABRT, line)
