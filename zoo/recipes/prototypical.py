"""Prototypical Networks on Omniglot and on the embedded glyphs."""

import dataclasses

import keras_meta as km
from zoo.recipes.omniglot import (
    DISTORTION,
    DRAWING,
    DRAWINGS_28,
    four_settings,
)
from zoo.recipes.papers import SNELL
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper
from zoo.streams import Episodes


def _prototypical_network(wrap=lambda encoder: encoder):
    """The model of this file; `wrap` makes its encoder of Conv-4."""
    return km.models.PrototypicalNetwork(
        encoder=wrap(km.encoders.conv4(filters=64)),
        preprocessing=DRAWINGS_28,
        name="prototypical_network",
    )


def _test(dataset, way, shot, **fields):
    return Evaluation(
        Episodes(dataset, way=way, shot=shot, rotations=dataset != "glyphs"),
        **fields,
    )


OMNIGLOT = Recipe(
    name="prototypical_network_omniglot",
    title="Prototypical Network, Conv-4, trained on Omniglot",
    paper=SNELL,
    model=_prototypical_network,
    stream=Episodes("omniglot", "trainval", way=60, shot=1, queries=5),
    steps=24_000,
    restarts=1,
    augmentation=DRAWING,
    changes=compared_with_paper(
        kept=(
            "60-way episodes",
            "training on train and validation characters",
            "Adam at 0.001",
        ),
        changed=(
            "a fixed number of episodes with cosine decay and one warm restart instead of halving and early stopping",
            DISTORTION,
        ),
    ),
    evaluations=(
        *four_settings(98.8, 99.7, 96.0, 98.9),
        _test("omniglot", 20, 1, statistics="batch"),
        _test("omniglot", 20, 1, statistics="support"),
        _test("glyphs", 5, 1),
        _test("glyphs", 20, 1),
    ),
)

OMNIGLOT_RANDOM_1200 = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_omniglot_random1200",
    title="Prototypical Network, Conv-4, trained on Omniglot, random split of the characters",
    stream=dataclasses.replace(OMNIGLOT.stream, dataset="omniglot-random1200"),
    steps=6_000,
    restarts=0,
    changes=f"The recipe of `{OMNIGLOT.name}` on a random split of the characters, which is easier than the paper's by alphabet, and with fewer episodes. It is where gradient-based models of the same encoder and split begin.",
    evaluations=four_settings(dataset="omniglot-random1200"),
)

OMNIGLOT_LAKE = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_omniglot_lake",
    title="Prototypical Network, Conv-4, trained on Omniglot's background set",
    stream=dataclasses.replace(
        OMNIGLOT.stream, dataset="omniglot-lake", split="train"
    ),
    steps=3_000,
    restarts=0,
    changes=f"The recipe of {OMNIGLOT.name}, on the 30 background alphabets alone and with fewer episodes, so that Lake's evaluation alphabets are unseen.",
    evaluations=(
        _test("omniglot-lake", 5, 1),
        _test("omniglot-lake", 20, 1),
        Evaluation(
            Episodes(
                "omniglot-lake",
                way=20,
                shot=1,
                rotations=False,
                within_groups=True,
            )
        ),
    ),
)

_ONE_ALPHABET = Episodes(
    "omniglot",
    way=20,
    shot=1,
    # Each image is embedded eleven times.
    queries=5,
    rotations=False,
    within_groups=True,
)
OMNIGLOT_WITHIN = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_omniglot_within",
    title="Prototypical Network, Conv-4, trained on episodes of one alphabet each",
    model=lambda: _prototypical_network(km.layers.MeanOverViews),
    start=OMNIGLOT.name,
    stream=Episodes(
        "omniglot",
        "trainval",
        way=20,
        shot=1,
        queries=5,
        within_groups=True,
    ),
    steps=3_000,
    restarts=0,
    learning_rate=3e-4,
    compared_with=(OMNIGLOT.name,),
    changes=compared_with_paper(
        kept=("training on train and validation characters", "Adam"),
        changed=(
            f"it begins with the weights of `{OMNIGLOT.name}`",
            "3,000 episodes of 20 characters of one alphabet (turned by one angle or another) and a learning rate of 0.0003 with cosine decay",
            "an embedding is the mean over eleven views of an image, slightly shifted, turned, scaled and slanted, in tests alone",
            DISTORTION,
        ),
    ),
    evaluations=(
        Evaluation(_ONE_ALPHABET, published=86.3),
        Evaluation(_ONE_ALPHABET, statistics="batch"),
        _test("omniglot", 5, 1),
    ),
)

GLYPHS = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_glyphs",
    title="Prototypical Network, Conv-4, trained on the embedded glyphs",
    stream=dataclasses.replace(
        OMNIGLOT.stream, dataset="glyphs", split="train", rotations=False
    ),
    steps=3_000,
    restarts=0,
    changes=f"The recipe of {OMNIGLOT.name} on another data set, without rotations as classes (many letters look the same when they are turned) and with fewer episodes.",
    evaluations=(
        _test("glyphs", 5, 1),
        _test("glyphs", 5, 5),
        _test("glyphs", 20, 1),
        _test("glyphs", 20, 5),
        _test("omniglot", 5, 1),
        _test("omniglot", 20, 1),
    ),
)

RECIPES = (
    OMNIGLOT,
    OMNIGLOT_RANDOM_1200,
    OMNIGLOT_LAKE,
    OMNIGLOT_WITHIN,
    GLYPHS,
)
