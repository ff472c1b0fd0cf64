"""The LSTM meta-learner on Omniglot."""

import keras

import keras_meta as km
from zoo.recipes.gradient_based import BY_ALPHABET
from zoo.recipes.omniglot import DRAWINGS_28
from zoo.recipes.papers import RAVI
from zoo.recipes.recipe import Recipe, compared_with_paper

INNER_STEPS = 12
FILTERS = 32


def _model(way):
    network = keras.Sequential(
        # The share that a step leaves of batch norm's averages, at one shot.
        [km.encoders.conv4(FILTERS, momentum=0.1), keras.layers.Dense(way)]
    )
    return km.models.MetaLSTM(
        network,
        inner_steps=INNER_STEPS,
        preprocessing=DRAWINGS_28,
        name="meta_lstm",
    )


def _recipe(way, steps, **options):
    """A recipe of one shot, measured with one and with five.

    Args:
        way: Classes in an episode.
        steps: Outer steps.
        **options: Others of the recipe.
    """
    return Recipe(
        name=f"meta_lstm_omniglot_{way}way",
        title=f"LSTM meta-learner, Conv-4 of {FILTERS} filters, trained on Omniglot, {way}-way",
        paper=RAVI,
        model=lambda: _model(way),
        stream=BY_ALPHABET.train(way=way, shot=1, queries=15),
        steps=steps,
        epoch_steps=250,
        clip_norm=0.25,
        changes=compared_with_paper(
            kept=(
                f"{INNER_STEPS} inner steps on the whole support of one shot",
                "one task of 15 queries per class in a step",
                "Adam at 0.001, gradients clipped to a norm of 0.25",
            ),
            changed=(
                "Omniglot, of which the paper has no figure, instead of mini-ImageNet",
                f"{steps:,} steps with cosine decay instead of 75,000",
                "one set of weights, trained on one shot, for both shots",
            ),
        ),
        evaluations=(
            *BY_ALPHABET.tests(way, "running"),
            *BY_ALPHABET.tests(way, "batch"),
        ),
        **options,
    )


META_LSTM_5WAY = _recipe(
    5,
    steps=8_000,
    # Under the same protocol.
    compared_with=("fomaml_omniglot_5way",),
)
META_LSTM_20WAY = _recipe(20, steps=2_000, start=META_LSTM_5WAY.name)

RECIPES = (META_LSTM_5WAY, META_LSTM_20WAY)
