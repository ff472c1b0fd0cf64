"""Reptile on Omniglot."""

import dataclasses
import functools

import keras

import keras_meta as km
from zoo.recipes.gradient_based import (
    BY_ALPHABET,
    RANDOM_1200,
    omniglot_model,
)
from zoo.recipes.papers import NICHOL
from zoo.recipes.recipe import Recipe, compared_with_paper


def _reptile(way, **options):
    return omniglot_model(
        km.models.Reptile,
        way,
        encoder=functools.partial(km.encoders.conv4_strided, flatten=True),
        evaluation_inner_steps=50,
        name="reptile",
        **options,
    )


TURNED_TESTS = "test characters are turned as well"


def _changes(inner_steps, evaluation_steps, changed):
    """What a card says, with what all recipes of this file have in common."""
    return compared_with_paper(
        kept=(
            "10 examples of each class in training",
            inner_steps,
            "5 tasks in a step",
            "an outer step that falls from 1 to 0 along a line",
            evaluation_steps,
        ),
        changed=changed,
    )


def _reptile_5way_on(characters, rotations):
    """The 5-way recipe; `rotations` are those of the tests."""
    changed = ["30,000 steps instead of 100,000"]
    if rotations:
        changed.append(TURNED_TESTS)
    changed[-1] += characters.harder
    return Recipe(
        name=f"reptile_omniglot_5way{characters.suffix}",
        title=f"Reptile, strided Conv-4, trained on Omniglot, 5-way{characters.title}",
        paper=NICHOL,
        model=lambda: _reptile(
            5,
            inner_learning_rate=1e-3,
            inner_steps=5,
            inner_batch_size=10,
            evaluation_inner_batch_size=5,
        ),
        stream=characters.train(way=5, shot=10, queries=1),
        tasks=5,
        steps=30_000,
        epoch_steps=500,
        learning_rate=1.0,
        optimizer="sgd",
        side_by_side=True,
        changes=_changes(
            "5 steps of Adam without momentum on 10 images",
            "50 steps on 5 images in the tests",
            changed,
        ),
        evaluations=(
            *characters.tests(5, "batch", 97.7, 99.5, rotations=rotations),
            *characters.tests(
                5, "support_plus_one", 95.4, 98.9, rotations=rotations
            ),
        ),
    )


REPTILE_5WAY = _reptile_5way_on(BY_ALPHABET, rotations=True)
REPTILE_5WAY_RANDOM_1200 = _reptile_5way_on(RANDOM_1200, rotations=False)

STEPS_20WAY = 6_000
REPTILE_20WAY = dataclasses.replace(
    REPTILE_5WAY,
    name="reptile_omniglot_20way",
    title="Reptile, strided Conv-4, trained on Omniglot, 20-way",
    model=lambda: _reptile(
        20,
        # Four times the paper's rate learns more at first; the paper's is
        # that of the end.
        inner_learning_rate=keras.optimizers.schedules.PolynomialDecay(
            2e-3, STEPS_20WAY, 5e-4
        ),
        evaluation_inner_learning_rate=5e-4,
        inner_steps=10,
        inner_batch_size=20,
        evaluation_inner_batch_size=10,
    ),
    start=REPTILE_5WAY.name,
    stream=BY_ALPHABET.train(way=20, shot=10, queries=1),
    steps=STEPS_20WAY,
    changes=_changes(
        "10 steps of Adam without momentum on 20 images",
        "50 steps on 10 images in the tests",
        (
            f"its convolutions begin with the weights of `{REPTILE_5WAY.name}`, and {STEPS_20WAY:,} steps instead of 200,000",
            "a learning rate of the inner steps that falls from 0.002 to 0.0005 along a line instead of 0.0005 throughout",
            f"{TURNED_TESTS}{BY_ALPHABET.harder}",
        ),
    ),
    evaluations=(
        *BY_ALPHABET.tests(20, "batch", 89.4, 97.1),
        # These statistics need a pass over the support for each query, so
        # one query of each class has to do.
        *BY_ALPHABET.tests(20, "support_plus_one", 88.1, 96.7, queries=1),
    ),
)

RECIPES = (REPTILE_5WAY, REPTILE_20WAY, REPTILE_5WAY_RANDOM_1200)
