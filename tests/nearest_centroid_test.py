"""Tests of nearest centroids of centred features against NumPy."""

import keras
import numpy as np
import pytest
from quadratic_tasks import close

from keras_meta.models import NearestCentroid


def test_predictions_are_those_of_the_equations():
    rng = np.random.default_rng(0)
    x, query_x = rng.normal(3, 1, size=(2, 2, 6, 4)).astype("float32")
    y = np.stack([np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]] * 2)
    base = rng.normal(2, 1, size=(600, 4)).astype("float32")
    model = NearestCentroid(keras.layers.Identity(), scale=2.0)
    # Of more examples than are embedded at once.
    model.centre(base)
    found = model.infer(model.adapt(x, y), query_x)

    def transformed(z):
        z = z - base.mean(0)
        return z / np.linalg.norm(z, axis=-1, keepdims=True)

    means = transformed(x).reshape(2, 2, 3, 4).mean(1)
    differences = transformed(query_x)[:, :, None] - means[:, None]
    close(found, -2 * (differences**2).sum(-1), 1e-5)


class Source:
    """An image source."""

    def __init__(self, images):
        self.images, self.shape = images, images.shape

    def __len__(self):
        return len(self.images)

    def take(self, rows):
        return self.images[np.asarray(rows)]


def test_the_centre_of_a_source_is_that_of_its_array(tmp_path):
    images = np.random.default_rng(0).random((5, 2, 2, 1)).astype("float32")
    models = [NearestCentroid(keras.layers.Flatten()) for _ in range(2)]
    for model, examples in zip(models, (images, Source(images)), strict=True):
        model.centre(examples)
        close(model.mean, images.reshape(5, -1).mean(0), 1e-6)
    models[0].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(loaded.mean, models[0].mean)


def test_an_embedding_at_the_centre_is_zero_and_finite():
    model = NearestCentroid(keras.layers.Identity())
    model.centre(np.ones((3, 2), "float32"))
    close(model.embed(np.ones((1, 1, 2), "float32")), np.zeros((1, 1, 2)))


def test_no_examples_and_a_bad_scale_are_refused():
    with pytest.raises(ValueError, match="`examples` must hold at least one"):
        NearestCentroid(keras.layers.Identity()).centre(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="`scale` must be"):
        NearestCentroid(keras.layers.Identity(), scale=-1)
