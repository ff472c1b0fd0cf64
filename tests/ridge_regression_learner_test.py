"""Tests of R2-D2 against the ridge regression that it solves."""

import keras
import numpy as np
import pytest
from quadratic_tasks import close

from keras_meta.models import RidgeRegressionLearner


def learner(**kwargs):
    """Without an encoder: embeddings are the examples."""
    return RidgeRegressionLearner(keras.layers.Identity(), **kwargs)


def draw(tasks=2, support=7, dim=4, way=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(tasks, support, dim))
    y = np.eye(way)[rng.integers(0, way, (tasks, support))]
    y[:, :way] = np.eye(way)
    return x, y, rng.normal(size=(tasks, 5, dim))


def with_ones(x):
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], -1)


@pytest.mark.parametrize("support", [3, 9])
def test_the_kernel_minimizes_the_penalized_squares(double, support):
    """The primal solution, for fewer and for more examples than numbers."""
    x, y, query_x = draw(support=support)
    model = learner(regularization=0.7, scale=3.0)
    task = model.adapt(x, y)
    ones = with_ones(x)
    moments = ones.swapaxes(1, 2) @ ones + 0.7 * np.eye(5)
    expected = np.linalg.solve(moments, ones.swapaxes(1, 2) @ y)
    close(task["kernel"], expected)
    model.offset.assign(0.25)
    logits = 3 * with_ones(query_x) @ expected + 0.25
    close(model.infer(task, query_x), logits)


def test_padding_and_absent_classes_change_nothing():
    x, y, query_x = draw()
    model = learner()
    expected = model.infer(model.adapt(x, y), query_x)
    x = np.pad(x, [(0, 0), (0, 3), (0, 0)], constant_values=9)
    y = np.pad(y, [(0, 0), (0, 3), (0, 1)])
    found = model.infer(model.adapt(x, y), query_x)
    close(found[..., :3], expected, 1e-5)
    assert np.all(found[..., 3] == -1e9)


def test_all_that_is_learned_gets_the_gradient_of_finite_differences(double):
    x, y, query_x = draw()
    episode = {"support_x": x, "support_y": y, "query_x": query_x}
    query_y = np.eye(3)[[[0, 1, 2, 0, 1]] * 2]
    model = RidgeRegressionLearner(keras.layers.Dense(4, "tanh"))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    model(episode)
    # Kernel, bias, regularization, scale, offset.
    assert len(model.trainable_variables) == 5
    for variable in model.trainable_variables:
        before = np.array(variable)
        saved = model.get_weights()
        model.train_on_batch(episode, query_y)
        gradient = (before - np.array(variable)).ravel()[0]
        model.set_weights(saved)
        losses = []
        for sign in (1, -1):
            moved = before.copy()
            moved.ravel()[0] += sign * 1e-6
            if not moved.shape:
                moved = before + sign * 1e-6
            variable.assign(moved)
            losses.append(float(loss(query_y, model(episode))))
        model.set_weights(saved)
        close(gradient, (losses[0] - losses[1]) / 2e-6, 1e-7)


@pytest.mark.parametrize("name", ["regularization", "scale"])
def test_numbers_that_are_not_positive_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        learner(**{name: 0})
