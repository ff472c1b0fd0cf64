"""Proto-MAML on Omniglot, one set of weights for any way."""

import keras_meta as km
from zoo.recipes.gradient_based import BY_ALPHABET
from zoo.recipes.omniglot import (
    DISTORTION,
    DRAWING,
    DRAWINGS_28,
    four_settings,
)
from zoo.recipes.papers import TRIANTAFILLOU
from zoo.recipes.prototypical import OMNIGLOT as PROTOTYPICAL
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper
from zoo.streams import Episodes

OMNIGLOT = Recipe(
    name="proto_maml_omniglot",
    title="Proto-MAML, Conv-4, trained on Omniglot",
    paper=TRIANTAFILLOU,
    model=lambda: km.models.ProtoMAML(
        km.encoders.conv4(filters=64),
        inner_learning_rate=0.01,
        inner_steps=1,
        preprocessing=DRAWINGS_28,
        name="proto_maml",
    ),
    start=PROTOTYPICAL.name,
    stream=BY_ALPHABET.train(way=20, shot=1, queries=5),
    tasks=4,
    steps=1_000,
    learning_rate=3e-4,
    epoch_steps=100,
    augmentation=DRAWING,
    side_by_side=True,
    half_precision=True,
    compared_with=(PROTOTYPICAL.name,),
    changes=compared_with_paper(
        kept=(
            "the head begins as prototypes, through which the gradient goes",
            "the encoder begins with trained weights",
        ),
        changed=(
            f"those are of `{PROTOTYPICAL.name}`, and not of a classifier",
            "second order, one inner step, 20-way 1-shot episodes of one size",
            DISTORTION,
        ),
    ),
    evaluations=(
        *four_settings(statistics="batch"),
        Evaluation(
            Episodes("glyphs", way=5, shot=1, rotations=False),
            statistics="batch",
        ),
        *(
            Evaluation(
                Episodes("omniglot", way=way, shot=1), statistics="support"
            )
            for way in (5, 20)
        ),
        Evaluation(
            Episodes(
                "omniglot",
                way=20,
                shot=1,
                rotations=False,
                within_groups=True,
            ),
            statistics="batch",
        ),
    ),
)

RECIPES = (OMNIGLOT,)
