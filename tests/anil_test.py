"""Tests of ANIL, whose inner loop adapts the head alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from picture_tasks import (
    check_slope,
    flat,
    logits_loss,
    picture_episode,
    set_flat,
    smooth_network,
)
from quadratic_tasks import close

from keras_meta.models import ANIL, MAML


def nested():
    """The body and the head are models of their own."""
    *body, head = smooth_network().layers
    return keras.Sequential([keras.Sequential(body), keras.Sequential([head])])


def functional():
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(4, "tanh")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="classes")(x))


@pytest.mark.parametrize("network", [smooth_network, nested, functional])
def test_a_task_is_the_head_and_the_body_stays(network):
    model = ANIL(network(), inner_learning_rate=0.3)
    episode, _ = picture_episode()
    task = model.adapt(episode["support_x"], episode["support_y"])
    weights = model.network.trainable_variables
    last = len(weights) - 1
    assert set(task) == {f"weight_{last - 1}", f"weight_{last}"}
    assert task[f"weight_{last}"].shape == (2, 3)
    assert np.abs(task[f"weight_{last}"][0] - weights[last]).max() > 1e-4
    # All the same, the outer loop learns the body.
    model.compile("sgd", logits_loss())
    before = [np.array(w) for w in weights]
    model.train_on_batch(episode, np.tile(np.eye(3, dtype="f"), (2, 2, 1)))
    assert all(
        np.abs(old - new).max() > 0
        for old, new in zip(before, map(np.array, weights), strict=True)
    )


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_the_meta_gradient_is_that_of_finite_differences(statistics, double):
    model = ANIL(smooth_network(), 0.4, inner_steps=2, statistics=statistics)
    episode, query_y = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    model.compile(keras.optimizers.SGD(1.0), logits_loss())
    rng = np.random.default_rng(1)
    theta = flat(map(np.array, model.network.trainable_variables))
    theta = theta + rng.normal(0, 0.1, theta.shape)
    set_flat(model.network, theta)
    model.train_on_batch(episode, query_y)
    gradient = theta - flat(map(np.array, model.network.trainable_variables))

    def loss(theta):
        set_flat(model.network, theta)
        return float(logits_loss()(query_y, model(episode, training=True)))

    for _ in range(3):
        check_slope(loss, theta, gradient, rng.normal(size=theta.shape))


def test_it_is_maml_when_the_network_is_a_head():
    episode, _ = picture_episode()
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    anil, maml = (
        kind(network, inner_steps=2).predict(episode, verbose=0)
        for kind in (ANIL, MAML)
    )
    close(anil, maml, 1e-6)


def convolutions_of_a_step(kind):
    """Gradients of filters in the graph of `adapt` with one inner step."""
    model = kind(smooth_network())
    episode, _ = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    graph = (
        tf.function(model.adapt)
        .get_concrete_function(episode["support_x"], episode["support_y"])
        .graph.as_graph_def()
    )
    nodes = [
        *graph.node,
        *(n for f in graph.library.function for n in f.node_def),
    ]
    return sum(node.op == "Conv2DBackpropFilter" for node in nodes)


def test_gradients_of_fixed_weights_are_not_computed():
    # One for each layer, and one for the patches of the first.
    assert convolutions_of_a_step(MAML) == 3
    assert convolutions_of_a_step(ANIL) == 0


def test_a_head_that_is_fixed_leaves_nothing_to_adapt():
    network = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(3),
            keras.layers.LayerNormalization(),
        ]
    )
    model = ANIL(network, adapt_normalization=False, first_order=True)
    episode, _ = picture_episode()
    with pytest.raises(ValueError, match="weights that the inner loop adapts"):
        model.adapt(episode["support_x"], episode["support_y"])
