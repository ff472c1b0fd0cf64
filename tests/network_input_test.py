"""A network behind a preprocessing sees the images that it was made for."""

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta.preprocessing import Preprocessing

IMAGENET = dict(mean=[0.485, 0.456, 0.406], variance=[0.053, 0.05, 0.051])


def sequential(*first, size=8):
    """A colour encoder that begins with some layers."""
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *first,
            keras.layers.Conv2D(2, 3),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def functional(*first):
    """The same, as models of `keras.applications` are made."""
    inputs = outputs = keras.Input((None, None, 3))
    for layer in first:
        outputs = layer(outputs)
    outputs = keras.layers.Conv2D(2, 3)(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(inputs, outputs)


def nested(*first):
    return keras.Sequential([functional(*first), keras.layers.Dense(2)])


def efficientnet():
    """The first layers of `keras.applications.EfficientNetB0`."""
    return (
        keras.layers.Rescaling(1 / 255),
        keras.layers.Normalization(**IMAGENET),
        keras.layers.Rescaling(2.09),
    )


def mobilenet_v3():
    return (keras.layers.Rescaling(1 / 127.5, offset=-1),)


def lite0():
    """The first layer of `efficientnet_lite0`, which takes `[0, 1]`."""
    return (keras.layers.Rescaling(255 / 128, -127 / 128),)


def built(encoder, **preprocessing):
    """A model that was built for colour images, or grey ones."""
    model = km.models.PrototypicalNetwork(
        encoder,
        preprocessing=Preprocessing(8, **{"channels": 3, **preprocessing}),
    )
    shape = (None, None, *model.preprocessing.shape)
    model.build(
        {"support_x": shape, "support_y": (None,) * 3, "query_x": shape}
    )
    return model


@pytest.mark.parametrize("kind", [sequential, functional, nested])
@pytest.mark.parametrize(
    "first, right, wrong",
    [
        (efficientnet, (0, 255), (0, 1)),
        (mobilenet_v3, (0, 255), (0, 1)),
        (mobilenet_v3, (0, 255), (-1, 1)),
        (lite0, (0, 1), (0, 255)),
    ],
)
def test_values_that_a_network_was_not_made_for(kind, first, right, wrong):
    with pytest.raises(ValueError) as error:
        built(kind(*first()), value_range=wrong)
    assert f"use Preprocessing(..., value_range={right})" in str(error.value)
    assert f"Received: value_range={wrong}" in str(error.value)
    built(kind(*first()), value_range=right)


def test_a_network_that_rescales_nothing_takes_any_values():
    built(sequential(), value_range=(0, 255))
    # What is inside is not at the input.
    built(sequential(keras.layers.ReLU(), *mobilenet_v3()))
    # Not adapted yet.
    built(sequential(keras.layers.Normalization()))


@pytest.mark.parametrize("kind", [sequential, functional, nested])
def test_grey_images_for_a_colour_network(kind):
    with pytest.raises(ValueError, match=r"use Preprocessing\(..., channels=3"):
        built(kind(), channels=1)


def test_a_preprocessing_that_is_given_later_is_checked_too():
    model = built(sequential(*lite0()))
    with pytest.raises(ValueError, match="channels=1 for an input"):
        model.preprocessing = Preprocessing(8)
    model.preprocessing = None


def test_gradient_based_and_memory_models_are_checked():
    model = km.models.MAML(
        functional(*mobilenet_v3()), preprocessing=Preprocessing(8, 3)
    )
    images = np.zeros((2, 8, 8, 3), "uint8")
    with pytest.raises(ValueError, match="that `network` was made for"):
        km.FewShotClassifier(model).fit(images, ["a", "b"])


def test_a_classifier_learns_and_comes_back_with_its_range(tmp_path):
    encoder = sequential(*mobilenet_v3())
    model = km.models.PrototypicalNetwork(
        encoder, preprocessing=Preprocessing(8, 3, value_range=(0, 255))
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3), "uint8")
    classifier = km.FewShotClassifier(model).fit(images, list("aabb"))
    classifier.save(tmp_path)
    loaded = km.FewShotClassifier.load(tmp_path)
    np.testing.assert_allclose(
        loaded.predict_proba(images), classifier.predict_proba(images)
    )
