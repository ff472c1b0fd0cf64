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


def drawings():
    """Eight random images of each of six classes."""
    images = np.random.default_rng(0).random((48, 28, 28, 1), "float32")
    return images, np.repeat(np.arange(6), 8)


@pytest.mark.parametrize("name", precision.METHODS)
def test_every_method_predicts_validation_episodes(name):
    episodes = precision.validation_episodes(*drawings(), 20)
    inputs, targets = next(iter(episodes))
    model = precision.METHODS[name].model()
    assert model(inputs).shape == targets.shape


@pytest.mark.parametrize("length, examples", [(None, 30), (12, 12)])
def test_a_method_trains_on_episodes_or_sequences(length, examples):
    method = precision.Method(None, tasks=2, steps=1, way=5, length=length)
    stream = precision.training_stream(method, *drawings(), seed=0)
    inputs, _ = next(iter(stream))
    images = [value for key, value in inputs.items() if key.endswith("x")]
    assert sum(value.shape[1] for value in images) == examples


def test_both_policies_start_from_the_same_weights_and_episodes():
    splits = dict.fromkeys(("train", "validation"), drawings())
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
