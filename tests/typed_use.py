"""The library as a caller with mypy sees it; `make lint` checks the types.

Nothing here runs. A comment `type: ignore` stands where mypy must find the
error that it names: one that finds none is an error too.
"""

import pathlib
from typing import assert_type

import numpy as np

import keras_meta as km
import zoo
from keras_meta.data import EncodedImages


def classifies(model: km.models.EpisodicModel, images: np.ndarray) -> None:
    classifier = km.FewShotClassifier(model).fit(images, ["cat", "dog"])
    assert_type(classifier, km.FewShotClassifier)
    assert_type(classifier.predict(images, unknown=0.05), np.ndarray)
    assert_type(classifier.score(images, [1, 2]), float)
    assert_type(km.FewShotClassifier.load("mine"), km.FewShotClassifier)
    classifier.fit(images)  # type: ignore[call-arg]
    classifier.predict(images, unknown="a few")  # type: ignore[arg-type]


def makes_models() -> None:
    model = km.models.MAML(km.encoders.mlp((8,)), inner_learning_rate=0.4)
    assert_type(model, km.models.MAML)
    assert_type(model.statistics, str)
    assert_type(model.preprocessing, km.Preprocessing | None)
    assert_type(
        km.models.PrototypicalNetwork.from_preset(pathlib.Path("mine")),
        km.models.PrototypicalNetwork,
    )
    km.models.MAML(km.encoders.mlp(), inner_steps="five")  # type: ignore[arg-type]


def loads_data() -> None:
    assert_type(km.data.load_glyphs("test"), tuple[np.ndarray, np.ndarray])
    assert_type(
        km.data.load_image_folder("pictures", size=(84, 84)),
        tuple[EncodedImages, np.ndarray],
    )
    assert_type(km.Preprocessing(28)(np.zeros((1, 9, 9))), np.ndarray)
    km.data.load_omniglot(28)  # type: ignore[arg-type]
    examples, labels = km.data.load_glyphs("train")
    km.data.episode_dataset(
        examples,
        labels,
        way=(5, 20),
        shot=1,
        queries="many",  # type: ignore[arg-type]
        seed=0,
    )


def asks_the_zoo() -> None:
    assert_type(zoo.list_presets(), list[str])
    assert_type(zoo.preset_directory("maml_sinusoid"), pathlib.Path)
    zoo.load(5)  # type: ignore[arg-type]
