"""MAML and its first-order form on Omniglot."""

import dataclasses

import keras_meta as km
from zoo.recipes.gradient_based import (
    BY_ALPHABET,
    RANDOM_1200,
    omniglot_model,
)
from zoo.recipes.omniglot import DRAWING
from zoo.recipes.papers import FINN
from zoo.recipes.recipe import Recipe, compared_with_paper


def _maml(way, first_order=False, **options):
    return omniglot_model(
        km.models.MAML,
        way,
        first_order=first_order,
        name="fomaml" if first_order else "maml",
        **options,
    )


def _maml_5way(**options):
    return _maml(
        5,
        inner_learning_rate=0.4,
        inner_steps=1,
        evaluation_inner_steps=3,
        **options,
    )


def _maml_20way(**options):
    return _maml(20, inner_learning_rate=0.5, inner_steps=5, **options)


RATE_5WAY = "an inner learning rate of 0.4 for the mean loss, where the authors' 0.4 for a sum over classes is 2.0"
RATE_20WAY = "an inner learning rate of 0.5 for the mean loss, where the authors' 0.1 for a sum over classes is 2.0"
TASKS_5WAY = "16 tasks of 25 queries in a step instead of 32 of 5"
TASKS_20WAY = "6 tasks of 60 queries in a step instead of 16 of 20, 6,000 steps with cosine decay instead of 60,000"
DISTORTED = "classes and images are distorted"


def _changes(inner_steps, changed, characters):
    """What a card says, with what all recipes of this file have in common."""
    return compared_with_paper(
        kept=(inner_steps, "strided convolutions", "Adam at 0.001"),
        changed=(
            *changed,
            "scale and shift of batch norm take inner steps too",
            f"rotations as classes of their own{characters.harder}",
            "one set of weights, trained on one shot, for both shots",
        ),
    )


def _fomaml_5way_on(characters):
    return Recipe(
        name=f"fomaml_omniglot_5way{characters.suffix}",
        title=f"First-order MAML, strided Conv-4, trained on Omniglot, 5-way{characters.title}",
        paper=FINN,
        model=lambda: _maml_5way(first_order=True),
        stream=characters.train(way=5, shot=1, queries=5),
        tasks=16,
        steps=15_000,
        epoch_steps=500,
        side_by_side=True,
        changes="First order. "
        + _changes(
            "one inner step in training and three in the tests",
            (
                RATE_5WAY,
                f"{TASKS_5WAY}, 15,000 steps with cosine decay instead of 60,000",
            ),
            characters,
        ),
        evaluations=(
            *characters.tests(5, "batch", 98.3, 99.2),
            *characters.tests(5, "support"),
        ),
    )


def _maml_5way_on(characters, start):
    return dataclasses.replace(
        start,
        name=f"maml_omniglot_5way{characters.suffix}",
        title=f"MAML, strided Conv-4, trained on Omniglot, 5-way{characters.title}",
        model=_maml_5way,
        start=start.name,
        steps=12_000,
        augmentation=DRAWING,
        changes=_changes(
            "one inner step in training and three in the tests",
            (
                f"it begins with the weights of `{start.name}`, its first-order form",
                DISTORTED,
                "12,000 steps with cosine decay after the 15,000 of first order, instead of 60,000",
                RATE_5WAY,
                TASKS_5WAY,
            ),
            characters,
        ),
        evaluations=(
            *characters.tests(5, "batch", 98.7, 99.9),
            *characters.tests(5, "support"),
        ),
    )


FOMAML_5WAY = _fomaml_5way_on(BY_ALPHABET)
MAML_5WAY = _maml_5way_on(BY_ALPHABET, start=FOMAML_5WAY)
FOMAML_5WAY_RANDOM_1200 = _fomaml_5way_on(RANDOM_1200)
MAML_5WAY_RANDOM_1200 = _maml_5way_on(
    RANDOM_1200, start=FOMAML_5WAY_RANDOM_1200
)

FOMAML_20WAY = dataclasses.replace(
    FOMAML_5WAY,
    name="fomaml_omniglot_20way",
    title="First-order MAML, strided Conv-4, trained on Omniglot, 20-way",
    model=lambda: _maml_20way(first_order=True),
    start=FOMAML_5WAY.name,
    stream=BY_ALPHABET.train(way=20, shot=1, queries=3),
    tasks=6,
    steps=6_000,
    augmentation=DRAWING,
    changes="First order. "
    + _changes(
        "five inner steps in training and in the tests",
        (
            f"its convolutions begin with the weights of `{FOMAML_5WAY.name}`",
            DISTORTED,
            RATE_20WAY,
            TASKS_20WAY,
        ),
        BY_ALPHABET,
    ),
    evaluations=BY_ALPHABET.tests(20, "batch", 89.4, 97.9),
)

MAML_20WAY = dataclasses.replace(
    FOMAML_20WAY,
    name="maml_omniglot_20way",
    title="MAML, strided Conv-4, trained on Omniglot, 20-way",
    # A head of zeros makes all outputs alike until a task is learned; a
    # random one makes it matter which class gets which output. First order
    # learned worse with zeros.
    model=lambda: _maml_20way(head="zeros", evaluation_inner_steps=10),
    start=MAML_5WAY.name,
    changes=_changes(
        "five inner steps in training",
        (
            "ten inner steps in the tests, a number chosen on training characters",
            f"its convolutions begin with the weights of `{MAML_5WAY.name}`, its head with zeros",
            DISTORTED,
            RATE_20WAY,
            TASKS_20WAY,
        ),
        BY_ALPHABET,
    ),
    evaluations=BY_ALPHABET.tests(20, "batch", 95.8, 98.9),
)

RECIPES = (
    MAML_5WAY,
    MAML_20WAY,
    MAML_5WAY_RANDOM_1200,
    FOMAML_5WAY,
    FOMAML_20WAY,
    FOMAML_5WAY_RANDOM_1200,
)
