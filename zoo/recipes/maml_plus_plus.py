"""MAML with a learned rate for each layer and inner step, 20-way Omniglot."""

import dataclasses

import keras_meta as km
from zoo.recipes.gradient_based import (
    BY_ALPHABET,
    RANDOM_1200,
    omniglot_model,
)
from zoo.recipes.maml import (
    DISTORTED,
    FOMAML_5WAY,
    FOMAML_20WAY,
    MAML_5WAY,
    MAML_5WAY_RANDOM_1200,
    MAML_20WAY,
)
from zoo.recipes.papers import ANTONIOU
from zoo.recipes.recipe import compared_with_paper


def _model(**options):
    return omniglot_model(
        km.models.MAMLPlusPlus,
        20,
        head="zeros",
        inner_learning_rate=1.0,
        inner_steps=5,
        evaluation_inner_steps=10,
        **options,
    )


def _changes(start, steps, characters, *changed):
    """What a card says, with what all recipes of this file have in common."""
    return compared_with_paper(
        kept=(
            "a learned inner rate for each layer and step, from 1.0 for the mean loss",
            "five inner steps in training",
            "Adam at 0.001 with cosine decay",
        ),
        changed=(
            f"its convolutions begin with the weights of `{start.name}`, its head with zeros",
            f"{steps:,} steps of 6 tasks of 60 queries",
            *changed,
            "ten inner steps in the tests",
            "strided convolutions, batch norm with the moments of each batch and one scale and shift for all steps",
            "the loss after the last step alone",
            "one set of weights instead of the mean of five",
            DISTORTED,
            f"one set of weights, trained on one shot, for both shots{characters.harder}",
        ),
    )


def _second_order_on(characters, start, steps, compared_with=()):
    return dataclasses.replace(
        MAML_20WAY,
        name=f"maml_plus_plus_omniglot_20way{characters.suffix}",
        title=f"MAML++ (learned inner rates), strided Conv-4, trained on Omniglot, 20-way{characters.title}",
        paper=ANTONIOU,
        model=lambda: _model(name="maml_plus_plus"),
        start=start.name,
        stream=characters.train(way=20, shot=1, queries=3),
        steps=steps,
        epoch_steps=100,
        compared_with=compared_with,
        changes=_changes(
            start, steps, characters, "second order from the first step"
        ),
        evaluations=characters.tests(20, "batch", 97.65, 99.33),
    )


SECOND_ORDER = _second_order_on(
    BY_ALPHABET, MAML_5WAY, steps=6_000, compared_with=(MAML_20WAY.name,)
)
SECOND_ORDER_RANDOM_1200 = _second_order_on(
    RANDOM_1200, MAML_5WAY_RANDOM_1200, steps=2_000
)

FIRST_ORDER = dataclasses.replace(
    SECOND_ORDER,
    name="fomaml_plus_plus_omniglot_20way",
    title="First-order MAML with learned inner rates, strided Conv-4, trained on Omniglot, 20-way",
    # With a head that is learned, first order does worse from zeros than
    # from random weights; with zeros for each task it does better than both.
    model=lambda: _model(
        head_kept=True, first_order=True, name="fomaml_plus_plus"
    ),
    start=FOMAML_5WAY.name,
    steps=6_000,
    compared_with=(FOMAML_20WAY.name,),
    changes="First order. "
    + _changes(
        FOMAML_5WAY,
        6_000,
        BY_ALPHABET,
        "first order throughout",
        "each task begins with a head of zeros, which the outer loop does not learn",
    ),
    evaluations=BY_ALPHABET.tests(20, "batch"),
)

RECIPES = (SECOND_ORDER, SECOND_ORDER_RANDOM_1200, FIRST_ORDER)
