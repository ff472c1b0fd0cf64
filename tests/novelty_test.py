"""None of these: novelty, and what is refused."""

import keras
import numpy as np
import pytest
from scan_tasks import fitted

import keras_meta as km
from keras_meta.novelty import Novelty

RNG = np.random.default_rng(0)
CODES = np.array([0, 0, 0, 1, 1, 2])
ROWS = RNG.normal(size=(6, 4)) + 5 * np.eye(4)[CODES]


def identity(kind, **kwargs):
    return kind(keras.layers.Identity(), **kwargs)


def slow_novelty(support, codes, row, left_out=None):
    """The formula, one example at a time."""
    kept = [i for i in range(len(codes)) if i != left_out]
    means = [
        np.mean([support[i] for i in kept if codes[i] == k], axis=0)
        for k in range(3)
    ]
    squares = []
    for i in range(len(codes)):
        others = [support[j] for j in range(6) if codes[j] == codes[i]]
        if len(others) > 1 and i != left_out:
            rest = (np.sum(others, axis=0) - support[i]) / (len(others) - 1)
            squares.append(np.sum((support[i] - rest) ** 2))
    distances = [np.linalg.norm(row - mean) for mean in means]
    return min(distances) / np.sqrt(np.mean(squares))


def test_novelty_is_the_distance_in_units_of_the_spread():
    classifier = km.FewShotClassifier(
        identity(km.models.PrototypicalNetwork)
    ).fit(ROWS, CODES)
    queries = RNG.normal(size=(5, 4))
    expected = [slow_novelty(ROWS, CODES, row) for row in queries]
    np.testing.assert_allclose(classifier.novelty(queries), expected, 1e-4)
    # A support example is scored as if it had not been learned.
    measure = Novelty.fit(ROWS, CODES)
    expected = [slow_novelty(ROWS, CODES, ROWS[i], i) for i in range(5)]
    np.testing.assert_allclose(measure.left_out, expected)
    assert classifier.novelty([]).shape == (0,)


def test_the_share_asked_for_is_refused_of_what_is_left_out():
    codes = np.repeat(np.arange(4), 50)
    measure = Novelty.fit(RNG.normal(size=(200, 3)), codes)
    for share in (0.05, 0.5):
        refused = np.mean(measure.left_out > measure.threshold(share))
        assert refused == pytest.approx(share)


def test_strangers_are_refused_and_classes_kept():
    codes = np.repeat([7, 8, 9], 20)
    rows = RNG.normal(size=(60, 5)) + 9 * np.eye(5)[codes - 7]
    classifier = km.FewShotClassifier(
        identity(km.models.PrototypicalNetwork)
    ).fit(rows, codes)
    queries = RNG.normal(size=(200, 5)) + 9 * np.eye(5)[0]
    strangers = RNG.normal(size=(50, 5)) + 9 * np.eye(5)[4]
    found = classifier.predict(queries, unknown=0.1)
    assert found.dtype == object
    assert set(found) == {7, None}
    assert 0.03 < np.mean(found == None) < 0.25  # noqa: E711
    found = classifier.predict(strangers, 0.1, unknown_label="none of these")
    assert set(found) == {"none of these"}
    # A class that is learned is no stranger.
    classifier.add_class(strangers[:20], 10)
    found = classifier.predict(strangers[20:], unknown=0.1)
    assert np.mean(found == 10) > 0.7
    assert classifier.predict(strangers).dtype == codes.dtype


def test_directions_are_compared_where_the_model_compares_them():
    longer = ROWS * np.array([1, 2, 3, 4, 5, 6])[:, None]
    for kind, kwargs in (
        (km.models.MatchingNetwork, {}),
        (km.models.PrototypicalNetwork, {"distance": "cosine"}),
    ):
        classifier = km.FewShotClassifier(identity(kind, **kwargs))
        found = [
            classifier.fit(rows, CODES).novelty(ROWS[:2])
            for rows in (ROWS, longer)
        ]
        np.testing.assert_allclose(*found, rtol=1e-4)


def test_feature_maps_serve_a_model_without_vectors():
    net = km.models.RelationNetwork(km.encoders.relation_encoder(4))
    images = RNG.random((6, 28, 28, 1))
    classifier = km.FewShotClassifier(net).fit(images, CODES)
    found = classifier.novelty(images)
    maps = np.array(net.feature_maps(images[None].astype("float32")))[0]
    vectors = maps.reshape(6, -1).astype("float64")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [slow_novelty(vectors, CODES, row) for row in vectors]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_what_cannot_be_told_is_an_error():
    network = keras.Sequential([keras.layers.Dense(3)])
    classifier = km.FewShotClassifier(km.models.MAML(network, 0.1))
    classifier.fit(ROWS, CODES)
    with pytest.raises(ValueError, match="embeds examples.*a MAML"):
        classifier.predict(ROWS, unknown=0.05)
    alone = km.FewShotClassifier(identity(km.models.PrototypicalNetwork))
    alone.fit(ROWS[[0, 3, 5]], CODES[[0, 3, 5]])
    with pytest.raises(ValueError, match="a class with two examples"):
        alone.novelty(ROWS)
    scans = fitted()
    for share in (0, 1, 5, "0.1", True, np.nan):
        with pytest.raises(ValueError, match=r"`unknown` must be a share"):
            scans.predict([np.zeros((9, 9))], unknown=share)
    with pytest.raises(ValueError, match="`unknown_label` must not be"):
        scans.predict([np.zeros((9, 9))], 0.1, unknown_label="bar")


def test_equal_examples_have_no_spread():
    classifier = km.FewShotClassifier(identity(km.models.PrototypicalNetwork))
    classifier.fit(np.eye(3)[[0, 0, 1, 1]], list("aabb"))
    found = classifier.predict(np.eye(3), unknown=0.05)
    assert found.tolist() == ["a", "b", None]
