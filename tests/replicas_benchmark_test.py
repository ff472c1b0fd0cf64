"""The benchmark of replicas runs, and its model on paper adds up."""

import subprocess
import sys

import pytest

from benchmarks import replicas


def test_a_ring_sends_each_byte_twice_but_its_own_share():
    assert replicas.ring(1000, 1) == (0, 0)
    sent, seconds = replicas.ring(1000, 2, bandwidth=1000, latency=0.5)
    assert sent == 4000 and seconds == pytest.approx(4 + 2 * 0.5)
    sent, _ = replicas.ring(1_000_000, 64)
    assert sent == pytest.approx(2 * 63 / 64 * 4e6)


def test_gain_is_below_the_number_of_gpus():
    one = replicas.on_paper(100_000, 1, gpus=1)
    assert one["gain"] == one["efficiency"] == 1
    many = [replicas.on_paper(100_000, hosts) for hosts in (1, 2, 8)]
    gains = [found["gain"] for found in many]
    assert gains == sorted(gains) and gains[-1] < 64
    # Enough computation hides the sum.
    slow = replicas.on_paper(100_000, 8, step_seconds=100)
    assert slow["gain"] == pytest.approx(64, rel=1e-3)


def test_it_times_replicas_and_workers():
    found = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.replicas"),
            *("--quick", "--only", "prototypical_network"),
        ],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    for side in replicas.SIDES:
        assert side in found.stdout
