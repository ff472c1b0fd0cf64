"""Tests of R2-D2 against the ridge regression that it solves."""

import keras
import numpy as np
import pytest
from quadratic_tasks import close
from vector_tasks import check_gradients, check_padding, draw

from keras_meta.models import RidgeRegressionLearner


def learner(**kwargs):
    """Without an encoder: embeddings are the examples."""
    return RidgeRegressionLearner(keras.layers.Identity(), **kwargs)


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
    check_padding(learner())


def test_all_that_is_learned_gets_the_gradient_of_finite_differences(double):
    model = RidgeRegressionLearner(keras.layers.Dense(4, "tanh"))
    # Kernel, bias, regularization, scale, offset.
    assert check_gradients(model) == 5


@pytest.mark.parametrize("name", ["regularization", "scale"])
def test_numbers_that_are_not_positive_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        learner(**{name: 0})
