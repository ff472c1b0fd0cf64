"""What a measurement does with gradient-based models."""

import keras
import numpy as np
import pytest

import keras_meta as km
from zoo import evaluate, measures, streams
from zoo.recipes import Evaluation


def regressor():
    network = keras.Sequential(
        [keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    return km.models.MAML(network, 0.05, inner_loss="mean_squared_error")


def sinusoids(**fields):
    return Evaluation(
        streams.Sinusoids(shot=10, queries=20),
        statistics="batch",
        episodes=30,
        **fields,
    )


def test_the_squared_error_of_sinusoids_is_that_of_each_task():
    model = regressor()
    found = evaluate.evaluate(model, sinusoids()).numbers
    tasks = km.data.sinusoid_dataset(shot=10, queries=20, seed=1).take(30)
    errors = []
    for episode, query_y in tasks.batch(1):
        values = model.predict(episode, verbose=0)
        errors.append(np.mean((values - query_y) ** 2))
    interval = 1.96 * np.std(errors) / 30**0.5
    np.testing.assert_allclose(
        [found["mean_squared_error"], found["interval"]],
        [np.mean(errors), interval],
        rtol=1e-3,
    )
    assert "accuracy" not in found


@pytest.mark.parametrize("fails", [False, True])
def test_inner_steps_and_statistics_are_those_of_before(fails, monkeypatch):
    model = regressor()
    model.statistics = "support"
    if fails:
        monkeypatch.setattr(model, "evaluate", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate.evaluate(model, sinusoids(inner_steps=4))
    else:
        more = evaluate.evaluate(model, sinusoids(inner_steps=20))
        none = evaluate.evaluate(model, sinusoids(inner_steps=0))
        change = [found.numbers["mean_squared_error"] for found in (more, none)]
        assert abs(change[0] - change[1]) > 1e-2
    assert model.evaluation_inner_steps == 1
    assert model.statistics == "support"


def test_a_measurement_says_its_queries_and_inner_steps_in_words():
    assert sinusoids(inner_steps=0).setting == "10-shot, no inner steps"
    assert sinusoids().setting == "10-shot"
    episodes = Evaluation(streams.Episodes(way=5, shot=1), inner_steps=1)
    assert episodes.setting == "5-way 1-shot, 1 inner step"
    for queries, words in (
        (15, "5-way 1-shot"),
        (5, "5-way 1-shot, 5 queries of each class"),
        (1, "5-way 1-shot, 1 query of each class"),
    ):
        stream = streams.Episodes(way=5, shot=1, queries=queries)
        assert Evaluation(stream).setting == words


def test_inner_steps_of_a_model_without_them_are_an_error():
    model = km.models.PrototypicalNetwork(km.encoders.conv4(filters=4))
    asked = Evaluation(streams.Episodes(way=5, shot=1), inner_steps=3)
    with pytest.raises(ValueError, match="`inner_steps` .* must be left out"):
        evaluate.evaluate(model, asked)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"statistics": "batch"}, "`statistics` .* must be 'running'"),
        ({"inner_steps": 2}, "`inner_steps` .* must be left out"),
    ],
)
def test_a_plain_keras_model_is_measured_as_it_is(fields, message):
    model = keras.Sequential([keras.Input((None, 5)), keras.layers.Dense(3)])
    asked = Evaluation(streams.Copies(length=2, bits=3), episodes=2, **fields)
    with pytest.raises(ValueError, match=message):
        evaluate.evaluate(model, asked)


def test_the_accuracy_of_pairs_counts_both_kinds_of_errors():
    metric = measures.PairAccuracy(name="accuracy")
    same = np.array([1, 1, 0, 0], "float32")[:, None, None]
    scores = np.array([0.9, 0.2, 0.8, 0.1], "float32")[:, None, None]
    metric.update_state(same, scores)
    found = {key: float(value) for key, value in metric.result().items()}
    interval = 1.96 * (0.5 * 0.5 / 4) ** 0.5
    assert found["accuracy"] == 0.5
    assert found["accuracy_interval"] == pytest.approx(interval)
