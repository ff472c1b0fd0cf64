"""Tests of Baseline++ against NumPy and against finite differences."""

import keras
import numpy as np
import pytest
from quadratic_tasks import close

import keras_meta as km


def classifier(**kwargs):
    """Without an encoder: embeddings are the examples."""
    return km.models.BaselinePlusPlus(keras.layers.Identity(), **kwargs)


def draw(support=7, dim=4, way=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, support, dim))
    y = np.eye(way)[rng.integers(0, way, (2, support))]
    y[:, :way] = np.eye(way)
    return x, y, rng.normal(size=(2, 5, dim))


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
    losses = []
    for steps in (1, 10, 100):
        model = classifier(inner_steps=steps)
        predicted = model.infer(model.adapt(x, y), x)
        losses.append(
            float(
                keras.losses.CategoricalCrossentropy(from_logits=True)(
                    y, predicted
                )
            )
        )
    assert losses[0] > losses[1] > losses[2]


def test_padding_and_absent_classes_change_nothing():
    x, y, query_x = draw()
    model = classifier()
    expected = model.infer(model.adapt(x, y), query_x)
    x = np.pad(x, [(0, 0), (0, 3), (0, 0)], constant_values=9)
    y = np.pad(y, [(0, 0), (0, 3), (0, 1)])
    found = model.infer(model.adapt(x, y), query_x)
    close(found[..., :3], expected, 1e-5)
    assert np.all(found[..., 3] == -1e9)


def test_examples_of_opposite_directions_give_finite_predictions():
    """Their mean, where the classifier starts, has no direction."""
    x = np.array([[[1.0, 0], [-1, 0], [0, 1]]], "float32")
    y = np.eye(2, dtype="float32")[[[0, 0, 1]]]
    model = classifier()
    assert np.all(np.isfinite(model.infer(model.adapt(x, y), x)))


def test_fit_follows_the_gradient_through_the_steps(double):
    x, y, query_x = draw()
    episode = {"support_x": x, "support_y": y, "query_x": query_x}
    query_y = np.eye(3)[[[0, 1, 2, 0, 1]] * 2]
    dense = keras.layers.Dense(4, "tanh")
    model = km.models.BaselinePlusPlus(
        dense, scale=3.0, inner_learning_rate=0.8, inner_steps=3
    )
    measure = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), measure)
    model(episode)
    before = np.array(dense.kernel)
    saved = model.get_weights()
    model.train_on_batch(episode, query_y)
    gradient = (before - np.array(dense.kernel))[1, 2]
    model.set_weights(saved)
    losses = []
    for sign in (1, -1):
        moved = before.copy()
        moved[1, 2] += sign * 1e-6
        dense.kernel.assign(moved)
        losses.append(float(measure(query_y, model(episode))))
    close(gradient, (losses[0] - losses[1]) / 2e-6, 1e-7)


@pytest.mark.parametrize(
    "name", ["scale", "inner_learning_rate", "inner_steps"]
)
def test_numbers_that_are_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        classifier(**{name: 0})
