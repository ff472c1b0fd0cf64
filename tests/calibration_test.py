"""Confidence: temperature, left-out examples and the calibration error."""

import keras
import numpy as np
import pytest
from scan_tasks import KINDS, fitted, model, pictures

import keras_meta as km
from keras_meta import calibration
from keras_meta.left_out import left_out

RNG = np.random.default_rng(0)


def noisy_rows(per_class, way=3, seed=0):
    """Rows `(n, 6)` of classes that overlap, in random order."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(way), per_class))
    rows = rng.normal(size=(len(codes), 6))
    rows[:, 0] += 2 * codes
    return rows.astype("float32"), codes


def test_the_error_is_that_of_the_paper():
    """Equations 3 and 5, one prediction at a time."""
    probabilities = RNG.dirichlet(np.ones(4), 200)
    labels = RNG.integers(0, 4, 200)
    bins = {}
    for row, label in zip(probabilities, labels, strict=True):
        number = next(m for m in range(15) if row.max() <= (m + 1) / 15)
        bins.setdefault(number, []).append((row.max(), row.argmax() == label))
    expected = sum(
        len(pairs) / 200 * abs(np.mean(pairs, axis=0)[1] - np.mean(pairs, 0)[0])
        for pairs in bins.values()
    )
    found = calibration.expected_calibration_error(probabilities, labels)
    assert found == pytest.approx(expected)
    named = np.array(list("dcba"))
    assert found == calibration.expected_calibration_error(
        probabilities, named[labels], classes=named
    )


@pytest.mark.parametrize(
    "probabilities, labels, classes, message",
    [
        ([[2.0, -1.0]], [0], None, r"from 0 that sum to 1.*row 0"),
        ([[1, 0], [np.nan, 1]], [0, 0], None, "row 1"),
        ([0.5, 0.5], [0], None, r"shape \(n, way\)"),
        ([[0.5, 0.5]], [0, 1], None, "a label for each row"),
        ([[0.5, 0.5]], [2], None, "`labels` must be among"),
        ([[0.5, 0.5]], ["a"], ["a", "b", "c"], "one for each column"),
    ],
)
def test_what_is_no_prediction_is_named(
    probabilities, labels, classes, message
):
    with pytest.raises(ValueError, match=message):
        calibration.expected_calibration_error(
            probabilities, labels, classes=classes
        )


def test_the_temperature_has_the_least_cross_entropy():
    logs = RNG.normal(size=(40, 5))
    codes = np.argmax(logs + RNG.normal(size=(40, 5)), axis=1)
    logs = 7 * logs
    best = calibration.fit_temperature(logs, codes)

    def loss(temperature):
        found = calibration.tempered(logs, temperature)
        surprise = -np.sum(np.log(found[np.arange(40), codes]))
        return surprise + min(np.log(temperature), 0) ** 2 / 8

    # The search is as fine as this.
    assert loss(best) < min(loss(best * 0.999), loss(best / 0.999))
    assert calibration.fit_temperature(30 * logs, codes) == pytest.approx(
        30 * best, rel=1e-3
    )
    # All right: surer, but not certain.
    logs, codes = logs / 70, logs.argmax(axis=1)
    best = calibration.fit_temperature(logs, codes)
    assert 0.001 < best < 0.1
    assert loss(best) < min(loss(best * 0.999), loss(best / 0.999))


def shots_that_differ():
    codes = np.array([0, 1, 1, 1, 2, 2])
    return RNG.normal(size=(6, 8, 8, 1)).astype("float32"), codes


@pytest.mark.parametrize("way", [3, 4])
def test_each_example_is_predicted_without_itself(way):
    """Against one task at a time, for one of three shots and four outputs."""
    images, codes = shots_that_differ()
    bare = model(preprocessing=None)
    found, true = left_out(bare, images, codes, way)
    assert true.tolist() == [1, 1, 2, 1, 2]
    # Rounds 0 and 1 leave out one of each class of several, round 2 one.
    rounds = [[1, 4], [2, 5], [3]]
    expected = {}
    for out in rounds:
        kept = np.setdiff1d(np.arange(6), out)
        targets = np.eye(way, dtype="float32")[codes[kept]]
        task = bare.adapt(images[None, kept], targets[None])
        logits = np.array(bare.infer(task, images[None, out]))[0, :, :3]
        for example, row in zip(out, logits, strict=True):
            expected[example] = row - np.log(np.exp(row).sum())
    order = [3, 1, 4, 2, 5]
    np.testing.assert_allclose(
        found, [expected[example] for example in order], rtol=1e-4, atol=1e-4
    )


def test_probabilities_become_as_sure_as_they_are_right(monkeypatch):
    rows, codes = noisy_rows(15)
    queries, true = noisy_rows(200, seed=1)
    net = km.models.PrototypicalNetwork(keras.layers.Rescaling(30.0))
    raw = km.FewShotClassifier(net).fit(rows, codes)
    sure = km.FewShotClassifier(net).fit(rows, codes, calibrate=True)
    assert raw.temperature_ is None and sure.temperature_ > 10
    errors = [
        calibration.expected_calibration_error(
            classifier.predict_proba(queries), true
        )
        for classifier in (raw, sure)
    ]
    assert errors[0] > 0.2 and errors[1] < 0.1
    assert (raw.predict(queries) == sure.predict(queries)).all()
    # softmax(logits / T), in however many tasks at once.
    task = net.adapt(rows[None], np.eye(3, dtype="float32")[None, codes])
    logits = net.infer(task, queries[None])[0] / sure.temperature_
    np.testing.assert_allclose(
        sure.predict_proba(queries), keras.ops.softmax(logits), atol=1e-5
    )
    monkeypatch.setattr(km.left_out, "EXAMPLES", 1)
    again = km.FewShotClassifier(net).fit(rows, codes, calibrate=True)
    assert again.temperature_ == pytest.approx(sure.temperature_, rel=1e-4)


def test_scores_are_calibrated_by_the_logs_of_their_shares():
    rows, codes = noisy_rows(5)
    net = km.models.SiameseNetwork(keras.layers.Identity())
    classifier = km.FewShotClassifier(net).fit(rows, codes)
    shares = classifier.predict_proba(rows).astype("float64")
    classifier.fit(rows, codes, calibrate=True)
    powers = shares ** (1 / classifier.temperature_)
    np.testing.assert_allclose(
        classifier.predict_proba(rows),
        powers / powers.sum(axis=1, keepdims=True),
        rtol=1e-3,
        atol=1e-6,
    )


def test_the_temperature_is_kept_and_fitted_again(tmp_path):
    images = np.concatenate([pictures(kind, 3) for kind in KINDS])
    labels = np.repeat(KINDS, 3)
    classifier = km.FewShotClassifier(model())
    classifier.fit(images, labels, calibrate=True).save(tmp_path)
    loaded = km.FewShotClassifier.load(tmp_path)
    assert loaded.temperature_ == classifier.temperature_
    np.testing.assert_allclose(
        loaded.predict_proba(images),
        classifier.predict_proba(images),
        atol=1e-6,
    )
    loaded.remove_class("box").add_class(pictures("box", 3), "box")
    assert loaded.temperature_ == pytest.approx(classifier.temperature_)
    loaded.fit(images, labels).save(tmp_path)
    assert km.FewShotClassifier.load(tmp_path).temperature_ is None


def test_one_example_of_each_class_cannot_be_left_out():
    images = np.concatenate([pictures(kind, 1) for kind in KINDS])
    with pytest.raises(ValueError, match="`calibrate` must be False unless"):
        km.FewShotClassifier(model()).fit(images, KINDS, calibrate=True)
    classifier = fitted().add_class(pictures("bar", 1), "bar")
    classifier.fit([*images, images[0]], [*KINDS, "bar"], calibrate=True)
    # A change that cannot be calibrated is not made.
    with pytest.raises(ValueError, match="`calibrate` must be False unless"):
        classifier.remove_class("bar")
    assert len(classifier.classes_) == 3


def test_a_regression_model_is_not_calibrated():
    network = keras.Sequential([keras.layers.Dense(3)])
    net = km.models.MAML(network, 0.1, inner_loss="mean_squared_error")
    rows, codes = noisy_rows(2)
    with pytest.raises(ValueError, match="are probabilities.*inner_loss="):
        km.FewShotClassifier(net).fit(rows, codes, calibrate=True)
