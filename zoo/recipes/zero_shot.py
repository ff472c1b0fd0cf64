"""Zero-shot Prototypical Networks: classes known by descriptions alone."""

import keras

import keras_meta as km
from keras_meta.data import Affine
from zoo.recipes.omniglot import DRAWINGS_28
from zoo.recipes.papers import SNELL
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper
from zoo.streams import ZeroShot


def _glyph_model():
    return km.models.ZeroShotPrototypicalNetwork(
        encoder=keras.Sequential(
            [km.encoders.conv4(filters=64), keras.layers.Dense(128)]
        ),
        metadata_encoder=keras.layers.Dense(128),
        preprocessing=DRAWINGS_28,
        name="zero_shot_prototypical_network",
    )


GLYPHS = Recipe(
    name="zero_shot_prototypical_network_glyphs",
    title="Zero-shot Prototypical Network: letters recognised from the words of their names",
    paper=SNELL,
    model=_glyph_model,
    stream=ZeroShot(
        "glyph-combinations", "train", way=60, queries=5, rotations=False
    ),
    steps=2_000,
    augmentation=Affine(
        rotation=8, shear=0.15, scale=(0.85, 1.15), translation=0.05
    ),
    changes=compared_with_paper(
        kept=(
            "a linear map of the metadata",
            "prototypes of unit length",
        ),
        changed=(
            "letters and the words of their Unicode names instead of birds and their attributes, a Conv-4 that is trained with the rest instead of ready features, cosine decay",
        ),
    ),
    evaluations=tuple(
        Evaluation(ZeroShot("glyph-combinations", way=way, rotations=False))
        for way in (5, 20, 103)
    ),
)


def _bird_model():
    return km.models.ZeroShotPrototypicalNetwork(
        encoder=keras.layers.Dense(1024),
        metadata_encoder=keras.layers.Dense(1024),
        name="zero_shot_prototypical_network",
    )


CUB = Recipe(
    name="zero_shot_prototypical_network_cub",
    title="Zero-shot Prototypical Network: birds recognised from their attributes",
    paper=SNELL,
    model=_bird_model,
    stream=ZeroShot("cub", "trainval", way=50, queries=10, rotations=False),
    steps=20_000,
    learning_rate=1e-4,
    changes="Needs the files of keras_meta.data.load_cub in datasets/CUB_200_2011 of Keras' folder. "
    + compared_with_paper(
        kept=(
            "linear maps of image features and attributes to 1024 dimensions",
            "50-way episodes with 10 queries",
            "Adam at 0.0001",
            "training on train and validation classes",
        ),
        changed=(
            "whatever network made the features",
            "cosine decay and a fixed number of episodes instead of weight decay and early stopping",
        ),
    ),
    evaluations=(
        Evaluation(
            ZeroShot("cub", way=50, queries=10, rotations=False),
            published=54.6,
        ),
    ),
)

RECIPES = (GLYPHS, CUB)
