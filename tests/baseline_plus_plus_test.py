"""Tests of Baseline++ against NumPy and against finite differences."""

import keras
import numpy as np
import pytest
from quadratic_tasks import close
from vector_tasks import check_gradients, check_padding, draw

import keras_meta as km


def classifier(**kwargs):
    """Without an encoder: embeddings are the examples."""
    return km.models.BaselinePlusPlus(keras.layers.Identity(), **kwargs)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def logits(vectors, x, scale):
    """Of classifiers `(way, dim)` of any length."""
    return scale * unit(x) @ unit(vectors).T


def loss(vectors, x, y, scale):
    scores = logits(vectors, x, scale)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return -(y * logs).sum(-1).mean()


def fitted(x, y, scale, rate, steps):
    """The classifier of one task, with slopes of finite differences."""
    vectors = unit(y.T @ unit(x))
    for _ in range(steps):
        slopes = np.zeros_like(vectors)
        for place in np.ndindex(vectors.shape):
            moved = np.zeros_like(vectors)
            moved[place] = 1e-5
            slopes[place] = (
                loss(vectors + moved, x, y, scale)
                - loss(vectors - moved, x, y, scale)
            ) / 2e-5
        vectors = unit(vectors - rate * slopes)
    return vectors


@pytest.mark.parametrize("steps", [1, 6])
def test_predictions_are_those_of_gradient_descent(double, steps):
    x, y, query_x = draw()
    model = classifier(scale=3.0, inner_learning_rate=0.8, inner_steps=steps)
    found = model.infer(model.adapt(x, y), query_x)
    for task in range(2):
        vectors = fitted(x[task], y[task], 3.0, 0.8, steps)
        close(found[task], logits(vectors, query_x[task], 3.0), 1e-7)


def test_the_loss_of_the_support_falls():
    x, y, _ = draw(support=12)
    measure = keras.losses.CategoricalCrossentropy(from_logits=True)
    losses = []
    for steps in (1, 10, 100):
        model = classifier(inner_steps=steps)
        predicted = model.infer(model.adapt(x, y), x)
        losses.append(float(measure(y, predicted)))
    assert losses[0] > losses[1] > losses[2]


def test_padding_and_absent_classes_change_nothing():
    check_padding(classifier())


def test_examples_of_opposite_directions_give_finite_predictions():
    """Their mean, where the classifier starts, has no direction."""
    x = np.array([[[1.0, 0], [-1, 0], [0, 1]]], "float32")
    y = np.eye(2, dtype="float32")[[[0, 0, 1]]]
    model = classifier()
    assert np.all(np.isfinite(model.infer(model.adapt(x, y), x)))


def test_fit_follows_the_gradient_through_the_steps(double):
    model = km.models.BaselinePlusPlus(
        keras.layers.Dense(4, "tanh"),
        scale=3.0,
        inner_learning_rate=0.8,
        inner_steps=3,
    )
    # Kernel and bias.
    assert check_gradients(model) == 2


@pytest.mark.parametrize(
    "name", ["scale", "inner_learning_rate", "inner_steps"]
)
def test_numbers_that_are_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        classifier(**{name: 0})
