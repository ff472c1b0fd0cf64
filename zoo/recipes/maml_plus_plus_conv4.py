"""MAML with learned inner rates and a max-pool Conv-4 on Omniglot."""

import keras_meta as km
from zoo.recipes.gradient_based import BY_ALPHABET, omniglot_model
from zoo.recipes.maml import DISTORTED, MAML_5WAY, MAML_20WAY
from zoo.recipes.omniglot import DRAWING
from zoo.recipes.papers import ANTONIOU
from zoo.recipes.prototypical import OMNIGLOT as PROTOTYPICAL
from zoo.recipes.recipe import Recipe, compared_with_paper


def _recipe(
    way, queries, tasks, steps, rate, inner_steps, published, compared_with
):
    return Recipe(
        name=f"maml_plus_plus_conv4_omniglot_{way}way",
        title=f"MAML++ (learned inner rates), max-pool Conv-4, trained on Omniglot, {way}-way",
        paper=ANTONIOU,
        model=lambda: omniglot_model(
            km.models.MAMLPlusPlus,
            way,
            encoder=km.encoders.conv4,
            head="zeros",
            inner_learning_rate=rate,
            inner_steps=inner_steps,
            evaluation_inner_steps=2 * inner_steps,
            name="maml_plus_plus",
        ),
        start=PROTOTYPICAL.name,
        stream=BY_ALPHABET.train(way=way, shot=1, queries=queries),
        tasks=tasks,
        steps=steps,
        epoch_steps=50,
        augmentation=DRAWING,
        side_by_side=True,
        half_precision=True,
        compared_with=(compared_with, PROTOTYPICAL.name),
        changes=compared_with_paper(
            kept=(
                "max-pool Conv-4",
                f"a learned inner rate for each layer and step, from {rate} for the mean loss",
                "Adam at 0.001 with cosine decay",
            ),
            changed=(
                f"its convolutions begin with the weights of `{PROTOTYPICAL.name}`, its head with zeros",
                f"{steps:,} steps of {tasks} tasks of {way * queries} queries",
                "second order from the first step",
                f"{inner_steps} inner steps in training and {2 * inner_steps} in the tests",
                "batch norm with the moments of each batch and one scale and shift for all steps",
                "the loss after the last step alone",
                "one set of weights instead of the mean of five",
                DISTORTED,
                f"one set of weights, trained on one shot, for both shots{BY_ALPHABET.harder}",
            ),
        ),
        evaluations=BY_ALPHABET.tests(way, "batch", *published),
    )


RECIPES = (
    _recipe(
        way=20,
        queries=3,
        tasks=4,
        steps=1_000,
        rate=0.4,
        inner_steps=5,
        published=(97.65, 99.33),
        compared_with=MAML_20WAY.name,
    ),
    _recipe(
        way=5,
        queries=5,
        tasks=8,
        steps=1_000,
        rate=0.2,
        inner_steps=3,
        # Sources disagree about five shots.
        published=(99.47, None),
        compared_with=MAML_5WAY.name,
    ),
)
