"""Tasks of vectors, and what a classifier that is fitted to them must keep."""

import keras
import numpy as np
from quadratic_tasks import close


def draw(tasks=2, support=7, dim=4, way=3):
    """Support, one-hot classes, each of which is there, and five queries."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(tasks, support, dim))
    y = np.eye(way)[rng.integers(0, way, (tasks, support))]
    y[:, :way] = np.eye(way)
    return x, y, rng.normal(size=(tasks, 5, dim))


def check_padding(model):
    """Padding and a class without examples change no prediction."""
    x, y, query_x = draw()
    expected = model.infer(model.adapt(x, y), query_x)
    x = np.pad(x, [(0, 0), (0, 3), (0, 0)], constant_values=9)
    y = np.pad(y, [(0, 0), (0, 3), (0, 1)])
    found = model.infer(model.adapt(x, y), query_x)
    close(found[..., :3], expected, 1e-5)
    assert np.all(found[..., 3] == -1e9)


def check_gradients(model):
    """A step of `fit` follows finite differences; for float64.

    Returns:
        How many variables it moves.
    """
    x, y, query_x = draw()
    episode = {"support_x": x, "support_y": y, "query_x": query_x}
    query_y = np.eye(3)[[[0, 1, 2, 0, 1]] * 2]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    model(episode)
    for variable in model.trainable_variables:
        before = np.array(variable)
        saved = model.get_weights()
        model.train_on_batch(episode, query_y)
        gradient = (before - np.array(variable)).ravel()[0]
        model.set_weights(saved)
        losses = []
        for sign in (1, -1):
            moved = before.copy()
            moved.flat[0] += sign * 1e-6
            variable.assign(moved)
            losses.append(float(loss(query_y, model(episode))))
        model.set_weights(saved)
        close(gradient, (losses[0] - losses[1]) / 2e-6, 1e-7)
    return len(model.trainable_variables)
