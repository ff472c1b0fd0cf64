"""Tests of MAML++: rates for each layer and step, a loss for each step."""

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
from quadratic_tasks import close

from keras_meta.models import MAML, MAMLPlusPlus


def learned(model):
    return flat(map(np.array, model.learned_variables))


def compiled(**kwargs):
    """A built model that takes SGD steps of the rate 1, and its tasks."""
    keras.utils.set_random_seed(0)
    model = MAMLPlusPlus(smooth_network(), 0.3, **kwargs)
    episode, query_y = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    model.compile(keras.optimizers.SGD(1.0), logits_loss())
    return model, episode, query_y


def gradient_of(model, episode, query_y):
    before = learned(model)
    model.train_on_batch(episode, query_y)
    return before - learned(model)


def test_equal_rates_adapt_as_maml_does():
    episode, _ = picture_episode()
    network = smooth_network()
    models = [kind(network, 0.2, 2) for kind in (MAML, MAMLPlusPlus)]
    close(*[model.predict(episode, verbose=0) for model in models], 1e-6)


def test_each_step_has_rates_of_its_own():
    """With those of the first step alone, it is one step; and so on."""
    episode, _ = picture_episode()
    model, *_ = compiled(inner_steps=2)
    one = MAML(model.network, 0.3, 1).predict(episode, verbose=0)
    two = MAML(model.network, 0.3, 2).predict(episode, verbose=0)
    for rate in model.learned_rates:
        rate.assign([0.3, 0.0])
    close(model.predict(episode, verbose=0), one, 1e-6)
    for rate in model.learned_rates:
        rate.assign([0.0, 0.3])
    model.evaluation_inner_steps = 3
    close(model.predict(episode, verbose=0), two, 1e-6)


def test_importance_goes_from_all_steps_to_the_last():
    model, *_ = compiled(inner_steps=4, multi_step_updates=100)
    close(model.importance(0), [0.25] * 4, 1e-6)
    close(model.importance(50), [0.125] * 3 + [0.625], 1e-6)
    least = 0.03 / 4
    close(model.importance(1000), [least] * 3 + [1 - 3 * least], 1e-6)


@pytest.mark.parametrize("multi_step_updates", [0, 10])
def test_the_meta_gradient_is_that_of_finite_differences(
    double, multi_step_updates
):
    """Of the weights and of the rates, with a loss after one or both steps."""
    model, episode, query_y = compiled(
        inner_steps=2, multi_step_updates=multi_step_updates
    )
    before = learned(model)
    gradient = gradient_of(model, episode, query_y)

    def loss_after(steps):
        model.inner_steps = steps
        found = float(logits_loss()(query_y, model(episode, training=True)))
        model.inner_steps = 2
        return found

    def loss(values):
        set_values(model.learned_variables, values)
        if not multi_step_updates:
            return loss_after(2)
        return (loss_after(1) + loss_after(2)) / 2

    weights = sum(v.numpy().size for v in model.network.trainable_variables)
    rng = np.random.default_rng(1)
    for part in (slice(0, weights), slice(weights, None)):
        direction = np.zeros_like(before)
        direction[part] = rng.normal(size=direction[part].shape)
        assert np.abs(gradient[part]).max() > 1e-4
        check_slope(loss, before, gradient, direction)


def test_derivatives_are_of_first_order_at_the_beginning(double):
    first, second, annealed = (
        compiled(inner_steps=2, **order)[0]
        for order in (
            {"first_order": True},
            {},
            {"first_order_updates": 1},
        )
    )
    episode, query_y = picture_episode()
    start = learned(first)
    for expected in (first, second):
        set_values(annealed.learned_variables, start)
        found = gradient_of(annealed, episode, query_y)
        close(found, gradient_of(expected, episode, query_y), 1e-9)


def test_it_is_saved_with_its_rates(tmp_path):
    model, episode, query_y = compiled(inner_steps=2, multi_step_updates=5)
    model.train_on_batch(episode, query_y)
    expected = model.predict(episode, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.multi_step_updates == 5
    close(loaded.predict(episode, verbose=0), expected, 1e-6)


def test_negative_updates_are_refused():
    with pytest.raises(ValueError, match="multi_step_updates"):
        MAMLPlusPlus(smooth_network(), multi_step_updates=-1)
