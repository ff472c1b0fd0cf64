"""Verbs as graphs of open shapes are the verbs, and are traced once."""

import numpy as np
import pytest
from served_models import built

import keras_meta as km
from keras_meta.models.open_verbs import compile_verbs


def maml():
    network = km.encoders.mlp((3,))
    return km.models.MAML(network, inner_learning_rate=0.1, inner_steps=2)


MODELS = {
    "prototypical": lambda: km.models.PrototypicalNetwork(
        km.encoders.mlp((4,))
    ),
    "full context": lambda: km.models.MatchingNetwork(
        km.encoders.mlp((4,)), full_context=True
    ),
    "maml": maml,
}


def episode(rng, way, shot, queries):
    rows = rng.random((way * shot + queries, 6), "float32")
    codes = np.arange(way * shot) % way
    support = rows[: way * shot][None], np.eye(way, dtype="float32")[codes]
    return support[0], support[1][None], rows[way * shot :][None]


@pytest.mark.parametrize("name", MODELS)
def test_they_are_the_verbs_for_every_shape(name):
    rng = np.random.default_rng(0)
    # The network of MAML has three outputs.
    ways = (3,) if name == "maml" else (2, 3, 5)
    episodes = [
        episode(rng, way, shot, queries)
        for way in ways
        for shot, queries in ((1, 1), (2, 3), (3, 2))
    ]
    model = built(MODELS[name](), (6,))

    def predict():
        return [
            np.asarray(model.infer(model.adapt(x, y), queries))
            for x, y, queries in episodes
        ]

    expected = predict()
    calls = []
    adapt = model.adapt
    model.adapt = lambda *given: (calls.append(1), adapt(*given))[1]
    assert compile_verbs(model) is model
    for found, other in zip(predict(), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)
    assert len(calls) == 1


def test_a_classifier_takes_them():
    rng = np.random.default_rng(0)
    images, labels = rng.random((6, 6)), list("aabbcc")
    model = built(MODELS["prototypical"](), (6,))
    before = km.FewShotClassifier(model).fit(images, labels, calibrate=True)
    expected = before.predict_proba(images)
    after = km.FewShotClassifier(compile_verbs(model))
    after.fit(images, labels, calibrate=True)
    np.testing.assert_allclose(after.predict_proba(images), expected, rtol=1e-4)
