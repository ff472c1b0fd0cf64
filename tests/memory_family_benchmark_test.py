"""The benchmark of memory-augmented networks times the same on all sides."""

import importlib.util

import numpy as np
import pytest

from benchmarks import memory_cases, memory_family, training_steps, workers
from benchmarks.peers import jax_memory_family, torch_memory_family

# Steps on float32: the order of sums differs, and least used rows may tie.
TOLERANCE = dict(rtol=1e-4, atol=1e-6)


@pytest.fixture(params=memory_cases.CASES.values(), ids=lambda c: c.name)
def case(request):
    """A small step of each memory."""
    return request.param.quick()


def numpy_losses(step):
    return [step.loss() for _ in range(workers.LOSSES)]


def test_the_timed_steps_have_the_same_losses(case):
    weights = memory_family.initial_weights(case)
    steps = {
        name: memory_family.keras_step(case, weights, jit_compile)
        for name, jit_compile in (("XLA", True), ("graph", False))
    }
    if importlib.util.find_spec("torch"):
        steps["torch"] = torch_memory_family.torch_step(case, weights)
    if importlib.util.find_spec("jax"):
        steps["jax"] = jax_memory_family.jax_step(case, weights)
    losses = {name: numpy_losses(step) for name, step in steps.items()}
    for found in losses.values():
        np.testing.assert_allclose(found, losses["graph"], **TOLERANCE)
    # The steps train: the weights of the third are not those of the first.
    assert len(set(losses["graph"])) == workers.LOSSES


def test_the_ratios_are_of_ours_under_xla():
    rows = memory_family.variants()
    milliseconds = dict(
        zip(rows, (10.0, 9.0, 20.0, 18.0, 24.0, 13.0), strict=True)
    )
    results = {
        row: {"milliseconds": number} for row, number in milliseconds.items()
    }
    assert memory_family.ratios(results) == {
        memory_family.AGAINST_TUNED: 1.8,
        memory_family.AGAINST_UNTUNED: 2.4,
        memory_family.AGAINST_JAX: 1.3,
        memory_family.AGAINST_GRAPH: 2.0,
    }
    without = [row for row in rows if row.side != "jax"]
    assert memory_family.variants(absent=("jax",)) == without
    targets = memory_family.TARGETS[memory_cases.LRUA]
    assert set(targets) <= set(memory_family.ratios(results))


def test_sequences_show_the_label_of_the_step_before(case):
    images, previous_y, y = memory_cases.make_sequences(case)
    assert images.shape[:3] == y.shape[:3] == previous_y.shape[:3]
    assert images.shape[0] == training_steps.BATCHES
    assert not previous_y[:, :, 0].any()
    np.testing.assert_array_equal(previous_y[:, :, 1:], y[:, :, :-1])
