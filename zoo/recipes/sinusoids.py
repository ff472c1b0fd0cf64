"""MAML and Reptile on the regression of sinusoids."""

import dataclasses

import keras

import keras_meta as km
from zoo.recipes.papers import FINN, NICHOL
from zoo.recipes.recipe import Evaluation, Recipe
from zoo.streams import Sinusoids


def _tests(*inner_steps):
    return tuple(
        Evaluation(
            Sinusoids(shot=10, queries=100),
            statistics="batch",
            inner_steps=steps,
        )
        for steps in inner_steps
    )


def _network(units, activation):
    return keras.Sequential(
        [
            keras.layers.Dense(units, activation),
            keras.layers.Dense(units, activation),
            keras.layers.Dense(1),
        ]
    )


MAML = Recipe(
    name="maml_sinusoid",
    title="MAML, two layers of 40 units, regression of sinusoids",
    paper=FINN,
    model=lambda: km.models.MAML(
        _network(40, "relu"),
        inner_learning_rate=0.01,
        inner_loss="mean_squared_error",
        name="maml",
    ),
    stream=Sinusoids(shot=10, queries=10),
    tasks=25,
    steps=70_000,
    epoch_steps=2_000,
    loss="mean_squared_error",
    side_by_side=True,
    changes="As in the paper: 10 points of a sinusoid, one inner step of 0.01 in training, 70,000 steps of Adam at 0.001. As in the authors' code: 25 tasks in a step. Changed: cosine decay.",
    evaluations=_tests(1, 10, 0),
)

REPTILE = dataclasses.replace(
    MAML,
    name="reptile_sinusoid",
    title="Reptile, two layers of 64 units, regression of sinusoids",
    paper=NICHOL,
    model=lambda: km.models.Reptile(
        _network(64, "tanh"),
        inner_learning_rate=0.02,
        inner_steps=5,
        inner_batch_size=10,
        evaluation_inner_steps=32,
        evaluation_inner_batch_size=10,
        inner_optimizer="sgd",
        inner_loss="mean_squared_error",
        name="reptile",
    ),
    stream=Sinusoids(shot=50, queries=10),
    tasks=1,
    steps=30_000,
    epoch_steps=1_000,
    learning_rate=0.1,
    optimizer="sgd",
    changes="As in the authors' example: 50 points of a sinusoid in training, 5 steps of SGD at 0.02 on 10 of them, one task in a step, an outer step that falls from 0.1 to 0 along a line, 30,000 steps, 32 steps in the tests. Changed: the sinusoids of MAML, whose phases span half a turn.",
    evaluations=_tests(1, 10, 32, 0),
)

RECIPES = (MAML, REPTILE)
