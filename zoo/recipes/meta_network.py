"""Meta Networks on Omniglot, with and without task-level fast weights.

A Prototypical Network of the same encoder, trained on the same episodes, shows
what the encoder does without fast weights.
"""

import keras_meta as km
from zoo.recipes.gradient_based import BY_ALPHABET, RANDOM_1200
from zoo.recipes.omniglot import DRAWINGS_28
from zoo.recipes.papers import MUNKHDALAI, SNELL
from zoo.recipes.recipe import Recipe, compared_with_paper

# Half of the paper's: a step takes 0.4 of the time.
FILTERS = 32
QUERIES = 10
# Of the gradient of the sum over the queries.
CLIP_NORM = 10
# 20 classes begin with the weights for 5.
STEPS = {5: 12_000, 20: 2_000}
# The paper's figures of one shot, on a random split of the characters.
PUBLISHED = {5: 98.95, 20: 97.0}


def _model(way, task_fast_weights):
    return km.models.MetaNetwork(
        encoder=km.encoders.augmented_conv5(FILTERS),
        base_learner=km.encoders.augmented_conv5(FILTERS, (FILTERS, way)),
        task_fast_weights=task_fast_weights,
        preprocessing=DRAWINGS_28,
        name="meta_network",
    )


def _prototypical_name(characters):
    return f"prototypical_network_conv5_omniglot{characters.suffix}"


def _prototypical(characters):
    """The recipe of a Prototypical Network with the encoder alone."""
    return Recipe(
        name=_prototypical_name(characters),
        title=f"Prototypical Network with the encoder of Meta Networks, trained on Omniglot, 5-way{characters.title}",
        paper=SNELL,
        model=lambda: km.models.PrototypicalNetwork(
            km.encoders.augmented_conv5(FILTERS),
            preprocessing=DRAWINGS_28,
            name="prototypical_network",
        ),
        stream=characters.train(way=5, shot=1, queries=QUERIES),
        steps=STEPS[5],
        epoch_steps=100,
        half_precision=True,
        changes=f"The encoder, the episodes and the number of steps of `meta_network_omniglot_5way{characters.suffix}`: five convolutions of {FILTERS} filters without batch norm, 5-way episodes of 10 queries per class. It is there to be compared with.",
        evaluations=(
            *characters.tests(5, "running"),
            *characters.tests(20, "running"),
        ),
    )


def _recipe(way, characters, task_fast_weights=True):
    """A recipe of one shot, measured with one and with five.

    Args:
        way: Classes in an episode.
        characters: `zoo.recipes.gradient_based.Characters`.
        task_fast_weights: Whether there is a `theta+`.
    """

    def name(way, task_fast_weights):
        ablated = "" if task_fast_weights else "_slow_encoder"
        return f"meta_network_omniglot_{way}way{ablated}{characters.suffix}"

    start = None if way == 5 else name(5, task_fast_weights)
    begins = (f"it begins with the weights of `{start}`",) if start else ()
    without = "" if task_fast_weights else " without task-level fast weights"
    return Recipe(
        name=name(way, task_fast_weights),
        title=f"Meta Network{without}, trained on Omniglot, {way}-way{characters.title}",
        paper=MUNKHDALAI,
        model=lambda: _model(way, task_fast_weights),
        stream=characters.train(way=way, shot=1, queries=QUERIES),
        steps=STEPS[way],
        epoch_steps=100,
        clip_norm=CLIP_NORM / (QUERIES * way),
        side_by_side=True,
        start=start,
        compared_with=(
            name(way, not task_fast_weights),
            _prototypical_name(characters),
        ),
        changes=compared_with_paper(
            kept=(
                "five convolutions in the encoder and in the base learner, all of them with fast weights, no batch norm",
                f"one task of {QUERIES} queries per class in a step",
                f"Adam at 0.001, the gradient of the sum of the query losses clipped to a norm of {CLIP_NORM}",
            ),
            changed=(
                f"{FILTERS} filters instead of 64",
                "the learning rate falls to zero along a cosine",
                "the mean loss of the queries instead of the sum, and the norm to clip to divided alike",
                *begins,
                f"rotations as classes of their own{characters.harder}",
            ),
        ),
        evaluations=characters.tests(
            way,
            "running",
            *(
                (PUBLISHED[way], None)
                if task_fast_weights and characters is RANDOM_1200
                else ()
            ),
        ),
    )


SPLITS = (RANDOM_1200, BY_ALPHABET)
RECIPES = (
    *(
        _recipe(way, characters, task_fast_weights)
        for characters in SPLITS
        for way in (5, 20)
        for task_fast_weights in (True, False)
    ),
    *map(_prototypical, SPLITS),
)
