"""Tests of Proto-MAML, whose head begins as prototypes."""

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

from keras_meta.models import ProtoMAML, PrototypicalNetwork
from keras_meta.models.proto_maml import prototype_head


def learned(model):
    return flat(map(np.array, model.learned_variables))


def built(model, episode):
    model.build({key: value.shape for key, value in episode.items()})
    return model


def linear_encoder(dim=3):
    """Without bias: an encoder whose inner steps can be written in NumPy."""
    return keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(dim, use_bias=False)]
    )


def test_the_head_has_the_logits_of_squared_distances():
    rng = np.random.default_rng(0)
    embeddings, queries = rng.normal(size=(2, 6, 4)).astype("float32")
    support_y = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    kernel, bias = map(np.array, prototype_head(embeddings, support_y))
    means = np.stack([embeddings[k::3].mean(0) for k in range(3)])
    distances = ((queries[:, None] - means) ** 2).sum(-1)
    norms = (queries**2).sum(-1, keepdims=True)
    close(queries @ kernel + bias, norms - distances, 1e-5)


def test_without_steps_it_is_a_prototypical_network():
    encoder = smooth_network()
    episode, _ = picture_episode()
    ours = ProtoMAML(encoder, evaluation_inner_steps=0)
    theirs = PrototypicalNetwork(encoder, statistics="batch")
    found, expected = (
        model.probabilities(model.predict(episode, verbose=0))
        for model in (ours, theirs)
    )
    close(found, expected, 1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_inner_steps_are_those_of_numpy(double, steps):
    rng = np.random.default_rng(0)
    rate, way = 0.05, 3
    support_x = rng.normal(size=(1, 5, 2, 2, 1))
    support_y = np.eye(way)[[0, 1, 2, 2, 1]][None]
    query_x = rng.normal(size=(1, 4, 2, 2, 1))
    model = ProtoMAML(linear_encoder(), rate, inner_steps=steps)
    found = model.infer(model.adapt(support_x, support_y), query_x)
    w = np.array(model.encoder.trainable_variables[0])
    x, y = support_x.reshape(5, -1), support_y[0]
    means = (y.T @ (x @ w)) / y.sum(0)[:, None]
    kernel, bias = 2 * means.T, -(means**2).sum(-1)
    for _ in range(steps):
        z = x @ w
        p = np.exp(z @ kernel + bias)
        error = (p / p.sum(-1, keepdims=True) - y) / len(y)
        w, kernel, bias = (
            w - rate * x.T @ (error @ kernel.T),
            kernel - rate * z.T @ error,
            bias - rate * error.sum(0),
        )
    close(found[0], query_x.reshape(4, -1) @ w @ kernel + bias)


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_meta_gradient_is_that_of_finite_differences(double, inner_steps):
    """It goes through the steps and through the prototypes."""
    episode, query_y = picture_episode()
    model = ProtoMAML(
        smooth_network(), inner_learning_rate=0.1, inner_steps=inner_steps
    )
    built(model, episode)
    model.compile(keras.optimizers.SGD(1.0), logits_loss())
    before = learned(model)
    model.train_on_batch(episode, query_y)
    gradient = before - learned(model)

    def loss(values):
        set_values(model.learned_variables, values)
        return float(logits_loss()(query_y, model(episode, training=True)))

    direction = np.random.default_rng(1).normal(size=before.shape)
    check_slope(loss, before, gradient, direction)


def test_first_order_leaves_second_derivatives_out(double):
    """At the rate 0 nothing is left out, at others something is."""
    episode, query_y = picture_episode()
    gradients = {}
    for rate in (1e-9, 0.1):
        for first_order in (False, True):
            keras.utils.set_random_seed(0)
            model = ProtoMAML(smooth_network(), rate, first_order=first_order)
            built(model, episode)
            model.compile(keras.optimizers.SGD(1.0), logits_loss())
            before = learned(model)
            model.train_on_batch(episode, query_y)
            gradients[rate, first_order] = before - learned(model)
    close(gradients[1e-9, True], gradients[1e-9, False], 1e-7)
    assert np.abs(gradients[0.1, True] - gradients[0.1, False]).max() > 1e-4


def test_any_way_is_served_and_absent_classes_are_not_predicted():
    episode, _ = picture_episode()
    model = ProtoMAML(smooth_network())
    expected = model.predict(episode, verbose=0)
    support_y = np.pad(episode["support_y"], [(0, 0), (0, 0), (0, 2)])
    task = model.adapt(episode["support_x"], support_y)
    found = model.infer(task, episode["query_x"])
    close(found[..., :-2], expected, 1e-5)
    assert np.all(found[..., -2:] <= -9e8)


def test_it_is_saved_with_its_encoder(tmp_path):
    episode, _ = picture_episode()
    model = ProtoMAML(smooth_network(), first_order=True, inner_steps=2)
    expected = model.predict(episode, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(loaded.predict(episode, verbose=0), expected, 1e-6)
    assert loaded.first_order and loaded.inner_steps == 2


def test_an_encoder_of_maps_is_refused_by_name():
    encoder = keras.Sequential([keras.layers.Conv2D(2, 3)])
    episode, _ = picture_episode()
    with pytest.raises(ValueError, match="`encoder` must return a vector"):
        ProtoMAML(encoder)(episode)
