"""A classifier as a LiteRT file predicts what the classifier does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_meta as km

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*tf.lite.Interpreter is deprecated"
)


def encoder(*last):
    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, padding="same"),
            km.layers.EpisodicBatchNormalization(),
            keras.layers.MaxPooling2D(),
            keras.layers.ReLU(),
            *last,
        ]
    )


def vectors():
    return encoder(keras.layers.Flatten())


def prototypical(**kwargs):
    kwargs = {"preprocessing": km.Preprocessing(8), **kwargs}
    return km.models.PrototypicalNetwork(vectors(), **kwargs)


PREPARE = dict(preprocessing=km.Preprocessing(8))
MODELS = {
    "squared_euclidean": prototypical,
    "euclidean": lambda: prototypical(distance="euclidean"),
    "cosine": lambda: prototypical(distance="cosine"),
    "support": lambda: prototypical(statistics="support"),
    "colour": lambda: prototypical(
        preprocessing=km.Preprocessing(
            8, channels=3, interpolation="bicubic", value_range=(-1, 1)
        )
    ),
    "ink": lambda: prototypical(preprocessing=km.Preprocessing(8, ink=True)),
    "matching": lambda: km.models.MatchingNetwork(vectors(), **PREPARE),
    "full_context": lambda: km.models.MatchingNetwork(
        vectors(), full_context=True, **PREPARE
    ),
    "siamese": lambda: km.models.SiameseNetwork(vectors(), **PREPARE),
    "relation": lambda: km.models.RelationNetwork(
        encoder(),
        km.layers.RelationHead(filters=4),
        statistics="running",
        **PREPARE,
    ),
    # One class more than there are.
    "maml": lambda: km.models.MAML(
        encoder(keras.layers.Flatten(), keras.layers.Dense(4)),
        inner_steps=2,
        statistics="support",
        **PREPARE,
    ),
}


def fitted(model, calibrate=False):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 10, 12, 3), "uint8")
    # Classes of different brightness, so that predictions differ.
    images //= np.repeat([[[[1]]], [[[2]]], [[[4]]]], 3, axis=0).astype("uint8")
    labels = np.repeat(["bright", "grey", "dark"], 3)
    return km.FewShotClassifier(model).fit(images, labels, calibrate)


def predict(path, image):
    phone = tf.lite.Interpreter(str(path)).get_signature_runner()
    return phone(image=image)["probabilities"]


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_predicts_as_the_classifier(name, calibrate, tmp_path):
    classifier = fitted(MODELS[name](), calibrate)
    # Of another size than the model's, or of its own.
    size, shape = ((11, 18), (11, 18)) if calibrate else (None, (8, 8))
    path = tmp_path / "phone" / "mine.tflite"
    classifier.export_tflite(path, size)
    assert {file.name for file in path.parent.iterdir()} == {
        "mine.labels.txt",
        "mine.tflite",
    }
    rng = np.random.default_rng(1)
    for scale in (1, 3):
        image = rng.integers(0, 256, (1, *shape, 3), "uint8") // scale
        found = predict(path, image)
        expected = classifier.predict_proba(image)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_labels_are_lines_in_the_order_of_the_probabilities(tmp_path):
    classifier = fitted(prototypical())
    classifier.export_tflite(tmp_path / "mine.tflite")
    text = (tmp_path / "mine.labels.txt").read_text("utf-8")
    assert text == "bright\ndark\ngrey\n"
    assert text.splitlines() == [*classifier.classes_]


def test_half_precision_halves_the_file(tmp_path):
    big = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(500)])
    model = km.models.PrototypicalNetwork(big, **PREPARE)
    classifier = fitted(model)
    sizes = []
    image = np.full((1, 8, 8, 3), 90, "uint8")
    for half in (False, True):
        path = tmp_path / f"{half}.tflite"
        classifier.export_tflite(path, half_precision=half)
        sizes.append(path.stat().st_size)
        np.testing.assert_allclose(
            predict(path, image), classifier.predict_proba(image), atol=2e-3
        )
    assert sizes[1] < 0.6 * sizes[0]


@km.register
def determinant_distance(x, y):
    """What LiteRT has no operation for."""
    products = x[..., :, None, None, :] @ y[..., None, :, :, None]
    return ops.det(products)


class TestErrors:
    def test_predictions_must_not_depend_on_each_other(self, tmp_path):
        classifier = fitted(prototypical(statistics="batch"))
        with pytest.raises(ValueError, match="statistics='batch'"):
            classifier.export_tflite(tmp_path / "mine.tflite")
        assert [*tmp_path.iterdir()] == []

    def test_large_drawings_would_need_cleaning(self, tmp_path):
        classifier = fitted(MODELS["ink"]())
        with pytest.raises(ValueError, match="at most 32 pixels"):
            classifier.export_tflite(tmp_path / "mine.tflite", 33)

    @pytest.mark.parametrize("size", [0, (8,), "large", 8.5])
    def test_a_size_is_one_or_two_integers(self, size, tmp_path):
        with pytest.raises(ValueError, match="`size` must be a positive"):
            fitted(prototypical()).export_tflite(tmp_path / "a", size)

    def test_a_model_needs_a_preprocessing(self, tmp_path):
        model = km.models.PrototypicalNetwork(vectors())
        classifier = km.FewShotClassifier(model)
        images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
        classifier.fit(images, [0, 0, 1, 1])
        with pytest.raises(ValueError, match="preprocessing=None"):
            classifier.export_tflite(tmp_path / "mine.tflite")

    @pytest.mark.parametrize("name", ["mine.tflite", "mine.labels.txt"])
    def test_nothing_is_overwritten(self, name, tmp_path):
        (tmp_path / name).write_text("precious")
        with pytest.raises(ValueError, match="nothing is overwritten"):
            fitted(prototypical()).export_tflite(tmp_path / "mine.tflite")
        assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]

    def test_a_label_is_one_line(self, tmp_path):
        images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
        classifier = km.FewShotClassifier(prototypical())
        classifier.fit(images, ["a\nb", "a\nb", "c", "c"])
        with pytest.raises(ValueError, match="one line of text each"):
            classifier.export_tflite(tmp_path / "mine.tflite")

    def test_other_operations_are_named(self, tmp_path):
        classifier = fitted(prototypical(distance=determinant_distance))
        with pytest.raises(ValueError, match="operations that LiteRT has"):
            classifier.export_tflite(tmp_path / "mine.tflite")
        assert [*tmp_path.iterdir()] == []

    def test_an_unfitted_classifier_has_no_classes(self, tmp_path):
        with pytest.raises(ValueError, match="knows no classes yet"):
            km.FewShotClassifier(prototypical()).export_tflite(tmp_path / "a")
