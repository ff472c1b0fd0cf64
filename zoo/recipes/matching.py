"""Matching Networks, with and without full context embeddings."""

import dataclasses

import keras_meta as km
from zoo.recipes.omniglot import (
    DISTORTION,
    DRAWING,
    DRAWINGS_28,
    four_settings,
)
from zoo.recipes.papers import VINYALS
from zoo.recipes.recipe import Evaluation, Recipe
from zoo.streams import Episodes


def _matching_network(full_context=False):
    return km.models.MatchingNetwork(
        encoder=km.encoders.conv4(filters=64),
        scale=10.0,
        learnable_scale=True,
        full_context=full_context,
        preprocessing=DRAWINGS_28,
        name="matching_network",
    )


MATCHING = Recipe(
    name="matching_network_omniglot",
    title="Matching Network, Conv-4, trained on Omniglot",
    paper=VINYALS,
    model=_matching_network,
    stream=Episodes("omniglot", "trainval", way=60, shot=1, queries=5),
    steps=6_000,
    augmentation=DRAWING,
    changes=f"The paper gives no optimizer. 60-way episodes whatever the way of the test, Adam with cosine decay, a learned scale of the cosines that starts at 10, {DISTORTION}; one set of weights for all settings, and no fine-tuning.",
    evaluations=(
        *four_settings(98.1, 98.9, 93.8, 98.5),
        Evaluation(Episodes("omniglot", way=20, shot=1), statistics="batch"),
    ),
)

FULL_CONTEXT = dataclasses.replace(
    MATCHING,
    name="matching_network_fce_omniglot",
    title="Matching Network with full context embeddings, Conv-4, trained on Omniglot",
    model=lambda: _matching_network(full_context=True),
    stream=dataclasses.replace(MATCHING.stream, way=20),
    tasks=3,
    steps=4_000,
    changes=f"The recipe of {MATCHING.name} with full context embeddings (3 read steps), and three 20-way episodes in a step instead of one 60-way: the context should be as large as in the tests.",
    evaluations=four_settings(98.1, 98.9, 93.8, 98.5),
)

RECIPES = (MATCHING, FULL_CONTEXT)
