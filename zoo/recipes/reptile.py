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


def _falling(first, last, steps):
    """Rates of the inner steps that fall along a line; a model's arguments.

    Four times the paper's rate learns more at first; the paper's is that of
    the end, and of the tests.
    """
    return {
        "inner_learning_rate": keras.optimizers.schedules.PolynomialDecay(
            first, steps, last
        ),
        "evaluation_inner_learning_rate": last,
    }


def _falls(first, last):
    """What a card says about `_falling`."""
    return f"a learning rate of the inner steps that falls from {first} to {last} along a line instead of {last} throughout"


STEPS_5WAY, STEPS_20WAY = 30_000, 20_000
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


def _reptile_5way_on(characters, turned, more=()):
    """The 5-way recipe.

    Args:
        characters: `zoo.recipes.gradient_based.Characters`.
        turned: Whether test characters are turned as well.
        more: Measurements besides the usual ones.
    """
    changed = [
        f"{STEPS_5WAY:,} steps instead of 100,000",
        _falls(0.004, 0.001),
    ]
    if turned:
        changed.append(TURNED_TESTS)
    changed[-1] += characters.harder
    return Recipe(
        name=f"reptile_omniglot_5way{characters.suffix}",
        title=f"Reptile, strided Conv-4, trained on Omniglot, 5-way{characters.title}",
        paper=NICHOL,
        model=lambda: _reptile(
            5,
            **_falling(4e-3, 1e-3, STEPS_5WAY),
            inner_steps=5,
            inner_batch_size=10,
            evaluation_inner_batch_size=5,
        ),
        stream=characters.train(way=5, shot=10, queries=1),
        tasks=5,
        steps=STEPS_5WAY,
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
            *characters.tests(5, "batch", 97.7, 99.5, rotations=turned),
            *characters.tests(
                5, "support_plus_one", 95.4, 98.9, rotations=turned
            ),
            *more,
        ),
    )


REPTILE_5WAY = _reptile_5way_on(BY_ALPHABET, turned=True)
REPTILE_5WAY_RANDOM_1200 = _reptile_5way_on(
    RANDOM_1200,
    turned=False,
    # The paper asks for one query of each class, all at once.
    more=RANDOM_1200.tests(5, "batch", 97.7, 99.5, rotations=False, queries=1),
)

REPTILE_20WAY = dataclasses.replace(
    REPTILE_5WAY,
    name="reptile_omniglot_20way",
    title="Reptile, strided Conv-4, trained on Omniglot, 20-way",
    model=lambda: _reptile(
        20,
        **_falling(2e-3, 5e-4, STEPS_20WAY),
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
            _falls(0.002, 0.0005),
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
