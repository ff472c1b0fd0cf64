"""Tests of Meta-SGD, whose inner learning rates are learned."""

import keras
import numpy as np
import pytest
from picture_tasks import (
    check_slope,
    flat,
    logits_loss,
    picture_episode,
    set_values,
    smooth_network,
)
from quadratic_tasks import Point, close, quadratic, vector

from keras_meta.models import MAML, MetaSGD


def learned(model):
    return flat(map(np.array, model.learned_variables))


def test_the_network_comes_first_in_what_is_learned():
    model = MetaSGD(smooth_network(), inner_learning_rate=0.3)
    episode, _ = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    weights = model.network.trainable_variables
    assert model.learned_variables[: len(weights)] == weights
    rates = model.learned_variables[len(weights) :]
    for rate, weight in zip(rates, weights, strict=True):
        np.testing.assert_array_equal(rate, np.full(weight.shape, 0.3, "f"))


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_meta_gradient_is_that_of_finite_differences(double, inner_steps):
    """Of the weights and of the rates, which differ from each other."""
    model = MetaSGD(smooth_network(), inner_steps=inner_steps)
    episode, query_y = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    model.compile(keras.optimizers.SGD(1.0), logits_loss())
    rng = np.random.default_rng(1)
    before = learned(model)
    before = before + rng.normal(0, 0.1, before.shape)
    set_values(model.learned_variables, before)
    model.train_on_batch(episode, query_y)
    gradient = before - learned(model)

    def loss(values):
        set_values(model.learned_variables, values)
        return float(logits_loss()(query_y, model(episode, training=True)))

    weights = sum(v.numpy().size for v in model.network.trainable_variables)
    for part in (slice(0, weights), slice(weights, None), slice(None)):
        direction = np.zeros_like(before)
        direction[part] = rng.normal(size=direction[part].shape)
        assert np.abs(gradient[part]).max() > 1e-4
        check_slope(loss, before, gradient, direction)


def test_the_gradient_of_the_rates_on_quadratics(double):
    """With one step it is `-grad L1(theta') * grad L0(theta)`."""
    inputs = {
        k: np.array(v) for k, v in vector("maml_quadratic")["inputs"].items()
    }
    hessians, minima = (
        [inputs[f"{name}_{kind}"] for kind in ("support", "query")]
        for name in ("H", "m")
    )
    support, query = (
        np.concatenate([hessian, minimum[:, None]], axis=1)
        for hessian, minimum in zip(hessians, minima, strict=True)
    )
    theta, rates = inputs["theta"], np.array([0.1, -0.2, 0.05, 0.3])
    expected = []
    for task in range(3):
        g0 = hessians[0][task] @ (theta - minima[0][task])
        moved = theta - rates * g0
        expected.append(-(hessians[1][task] @ (moved - minima[1][task])) * g0)
    x = np.zeros((3, 5, 1))
    episode = {"support_x": x, "support_y": support, "query_x": x}
    model = MetaSGD(Point(4), inner_loss=quadratic)
    model.compile(
        keras.optimizers.SGD(1.0), lambda y, out: quadratic(y[0], out[0])
    )
    model.build({key: value.shape for key, value in episode.items()})
    set_values(model.learned_variables, np.concatenate([theta, rates]))
    model.train_on_batch(episode, query)
    close(rates - learned(model)[4:], np.mean(expected, axis=0))


def test_equal_rates_adapt_as_maml_does():
    episode, _ = picture_episode()
    network = smooth_network()
    models = [
        kind(network, inner_learning_rate=0.2, inner_steps=2)
        for kind in (MAML, MetaSGD)
    ]
    found = [model.predict(episode, verbose=0) for model in models]
    close(*found, 1e-6)


def test_fixed_weights_have_no_rate():
    model = MetaSGD(smooth_network(), adapt_normalization=False)
    episode, query_y = picture_episode()
    model.compile("sgd", logits_loss())
    model.train_on_batch(episode, query_y)
    # Of eight weights, four are scales and shifts of batch norm.
    assert len(model.network.trainable_variables) == 8
    assert len(model.learned_rates) == len(model.adapted_positions) == 4


def test_the_rates_are_trained_saved_and_exported(tmp_path):
    model = MetaSGD(smooth_network())
    model.compile(keras.optimizers.Adam(0.01), logits_loss())
    episode, query_y = picture_episode(tasks=4)
    losses = [float(model.train_on_batch(episode, query_y)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert all(np.ptp(rate) > 1e-3 for rate in model.learned_rates)
    expected = model.predict(episode, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(loaded.predict(episode, verbose=0), expected, 1e-6)
    # Training goes on from the same rates and the optimizer's state of them.
    again = [m.train_on_batch(episode, query_y) for m in (model, loaded)]
    close(*again, 1e-5)
    close(learned(model), learned(loaded), 1e-6)
