"""scikit-learn's verbs over any episodic model, with the user's labels."""

import keras
import numpy as np
import pytest
from scan_tasks import KINDS, fitted, model, pictures

import keras_meta as km


def test_it_predicts_the_users_labels():
    classifier = fitted()
    assert classifier.classes_.tolist() == ["bar", "box", "dash"]
    for kind in KINDS:
        predicted = classifier.predict(pictures(kind, 5, seed=1))
        assert predicted.dtype == object
        assert predicted.tolist() == [kind] * 5
    queries = np.concatenate([pictures(kind, 4, seed=2) for kind in KINDS])
    assert classifier.score(queries, np.repeat(KINDS, 4)) == 1


@pytest.mark.parametrize(
    "labels", [[7, 7, -2, -2], [True, True, False, False], list("bbaa")]
)
def test_labels_keep_their_kind(labels):
    images = np.concatenate([pictures("bar", 2), pictures("box", 2)])
    classifier = km.FewShotClassifier(model()).fit(images, labels)
    predicted = classifier.predict(pictures("bar", 1, seed=3))
    assert predicted.tolist() == labels[:1]


def test_probabilities_are_those_of_the_model():
    classifier = fitted()
    query = pictures("dash", 3, seed=4)
    found = classifier.predict_proba(query)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    prepare = classifier.model.preprocessing
    support = np.concatenate([pictures(kind, 2) for kind in KINDS])
    codes = [0, 0, 2, 2, 1, 1]
    episode = {
        "support_x": prepare(support)[None],
        "support_y": np.eye(3, dtype="float32")[codes][None],
        "query_x": prepare(query)[None],
    }
    expected = classifier.model.probabilities(classifier.model(episode))[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scans_of_any_size_kind_and_polarity_mean_the_same():
    classifier = fitted()
    scan = pictures("box", 1, seed=5)[0]
    colour = np.repeat(scan[..., None], 3, axis=-1)
    large = np.kron(scan, np.ones((2, 2), "uint8"))
    unit = scan / 255.0
    images = [scan, colour, large, unit, 1 - unit, unit.astype("float32")]
    assert classifier.predict(images).tolist() == ["box"] * 6
    found = classifier.predict_proba(images)
    np.testing.assert_allclose(found, found[:1].repeat(6, 0), atol=1e-3)


def test_classes_come_and_go():
    classifier = fitted()
    classifier.add_class(pictures("blank", 1) * 0 + 255, "empty")
    assert classifier.classes_.tolist() == ["bar", "box", "dash", "empty"]
    assert classifier.predict(np.full((1, 9, 9), 255)).tolist() == ["empty"]
    assert classifier.predict(pictures("bar", 1, 7)).tolist() == ["bar"]
    classifier.remove_class("bar")
    assert classifier.classes_.tolist() == ["box", "dash", "empty"]
    # More pictures of a known class are more shots of it.
    classifier.add_class(pictures("box", 3, 8), "box")
    assert classifier.classes_.tolist() == ["box", "dash", "empty"]


def test_a_failed_change_leaves_the_old_classes_in_force():
    classifier = fitted()
    with pytest.raises(ValueError):
        classifier.add_class(np.full((1, 8, 8), np.nan), "nan")
    with pytest.raises(ValueError, match="one kind"):
        classifier.add_class(pictures("box", 1), 3)
    assert classifier.classes_.tolist() == ["bar", "box", "dash"]
    assert classifier.predict(pictures("bar", 1, 9)).tolist() == ["bar"]


@pytest.mark.parametrize("labels", [KINDS, [1, 2, 3], [0.5, 1.5, 2.5]])
def test_a_saved_classifier_comes_back(labels, tmp_path):
    images = np.concatenate([pictures(kind, 1) for kind in KINDS])
    classifier = km.FewShotClassifier(model()).fit(images, labels)
    classifier.save(tmp_path / "mine")
    loaded = km.FewShotClassifier.load(tmp_path / "mine")
    assert loaded.classes_.tolist() == classifier.classes_.tolist()
    query = pictures("dash", 2, seed=6)
    np.testing.assert_allclose(
        loaded.predict_proba(query), classifier.predict_proba(query), atol=1e-6
    )


def test_a_damaged_classifier_is_not_loaded(tmp_path):
    fitted().save(tmp_path)
    path = tmp_path / "support.npz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="support.npz' is damaged"):
        km.FewShotClassifier.load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="without support.npz"):
        km.FewShotClassifier.load(tmp_path)


def test_many_queries_are_predicted_in_chunks(monkeypatch):
    classifier = fitted()
    queries = np.concatenate([pictures(kind, 3, 1) for kind in KINDS])
    whole = classifier.predict_proba(queries)
    monkeypatch.setattr(km.few_shot_classifier, "CHUNK", 2)
    np.testing.assert_allclose(
        classifier.predict_proba(queries), whole, atol=1e-6
    )
    assert classifier.predict_proba(np.zeros((0, 8, 8))).shape == (0, 3)
    assert classifier.predict([]).shape == (0,)


def test_a_model_without_preprocessing_takes_its_own_shape():
    images = np.concatenate([pictures(kind, 1, size=8) for kind in KINDS[:1]])
    images = np.stack([images[0], 255 - images[0]])[..., None]
    classifier = km.FewShotClassifier(model(preprocessing=None))
    assert classifier.fit(images, [0, 1]).predict(images).tolist() == [0, 1]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((3, 8, 8)), ["a", "b"], "one label for each image"),
        (np.zeros((2, 8, 8)), ["a", "a"], "at least two classes"),
        ([], [], "at least two classes"),
        (np.full((2, 8, 8), np.nan), ["a", "b"], "NaN"),
        (np.full((2, 8, 8), 3.0), ["a", "b"], r"values in \[0, 1\]"),
        (np.zeros((2, 8)), ["a", "b"], "must have the shape"),
        (np.zeros((2, 8, 8)), np.eye(2), "argmax"),
        (np.zeros((2, 8, 8)), ["a", 1], "one kind"),
    ],
)
def test_bad_input_is_named(images, labels, message):
    with pytest.raises(ValueError, match=message):
        km.FewShotClassifier(model()).fit(images, labels)


def test_verbs_before_fit_and_unknown_labels_are_errors():
    with pytest.raises(ValueError, match="call `fit"):
        km.FewShotClassifier(model()).predict(pictures("bar", 1))
    with pytest.raises(ValueError, match="must be one of"):
        fitted().remove_class("circle")


def test_a_zero_shot_model_is_an_error():
    model = km.models.ZeroShotPrototypicalNetwork(
        km.encoders.mlp((4,)), keras.layers.Dense(4)
    )
    model.build(
        {
            "support_x": (None, None, 5),
            "support_y": (None, None, None),
            "query_x": (None, None, 8, 8, 1),
        }
    )
    with pytest.raises(ValueError, match="`model` must learn from examples"):
        km.FewShotClassifier(model)
