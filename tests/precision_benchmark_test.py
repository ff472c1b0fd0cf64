"""The benchmark of half precision compares what it says."""

import keras
import numpy as np
import pytest

from benchmarks import precision


def curves(exact, half, interval=0.02):
    """Curves that end at these accuracies."""
    return {
        policy: {"accuracy": [0.2, last], "interval": [0.01, interval]}
        for policy, last in zip(precision.POLICIES, (exact, half), strict=True)
    }


@pytest.mark.parametrize(
    "half, expected",
    [(0.9, True), (0.885, True), (0.95, True), (0.875, False)],
)
def test_accuracies_agree_above_the_end_of_the_interval(half, expected):
    assert precision.agrees(curves(0.9, half)) is expected


def test_both_policies_start_from_the_same_weights_and_episodes():
    images = np.random.default_rng(0).random((48, 28, 28, 1), "float32")
    labels = np.repeat(np.arange(6), 8)
    splits = dict.fromkeys(("train", "validation"), (images, labels))
    started = {}

    def model():
        made = precision.prototypical_network()
        made.build(
            {key: (None, None, 28, 28, 1) for key in ("support_x", "query_x")}
            | {"support_y": (None, None, None)}
        )
        started[keras.config.dtype_policy().name] = made.get_weights()
        return made

    method = precision.Method(model, tasks=1, steps=2)
    for policy in precision.POLICIES:
        found = precision.train(method, policy, splits, 2, 20, seed=0)
        assert found["step"] == [1, 2]
        assert np.isfinite(found["accuracy"]).all()
    assert keras.config.dtype_policy().name == "float32"
    for one, other in zip(*started.values(), strict=True):
        np.testing.assert_array_equal(one, other)
