"""The LSTM meta-learner on Omniglot and on mini-ImageNet."""

import dataclasses

import keras

import keras_meta as km
from zoo.recipes.gradient_based import BY_ALPHABET
from zoo.recipes.omniglot import DRAWINGS_28
from zoo.recipes.papers import RAVI
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper
from zoo.streams import Episodes

PHOTOGRAPHS_84 = km.Preprocessing(size=84, channels=3)

FILTERS = 32
# Of a measurement, as in the paper: each takes a third of a second.
EPISODES = 600


def _model(way, shot, preprocessing):
    """The authors' network and numbers for one shot or for five."""
    # The share that a step leaves of batch norm's averages.
    momentum = 0.1 if shot == 1 else 0.05
    network = keras.Sequential(
        [km.encoders.conv4(FILTERS, momentum), keras.layers.Dense(way)]
    )
    return km.models.MetaLSTM(
        network,
        inner_steps=12 if shot == 1 else 8,
        inner_batch_size=None if shot == 1 else 25,
        preprocessing=preprocessing,
        name="meta_lstm",
    )


def _kept(shot):
    steps = (
        "12 inner steps on the whole support"
        if shot == 1
        else "8 inner steps on 25 examples each"
    )
    return (
        steps,
        "one task of 15 queries per class in a step",
        "Adam at 0.001, gradients clipped to a norm of 0.25",
    )


def _omniglot(way, steps, start=None, **options):
    """A recipe of one shot, measured with one and with five.

    Args:
        way: Classes in an episode.
        steps: Outer steps.
        start: Name of the preset that the training begins with.
        **options: Others of the recipe.
    """
    begins = (f"it begins with the weights of `{start}`",) if start else ()
    return Recipe(
        name=f"meta_lstm_omniglot_{way}way",
        title=f"LSTM meta-learner, Conv-4 of {FILTERS} filters, trained on Omniglot, {way}-way",
        paper=RAVI,
        model=lambda: _model(way, 1, DRAWINGS_28),
        stream=BY_ALPHABET.train(way=way, shot=1),
        steps=steps,
        start=start,
        epoch_steps=250,
        clip_norm=0.25,
        changes=compared_with_paper(
            kept=_kept(1),
            changed=(
                "Omniglot, of which the paper has no figure, instead of mini-ImageNet",
                *begins,
                f"{steps:,} steps with cosine decay instead of 75,000",
                "one set of weights, trained on one shot, for both shots",
            ),
        ),
        evaluations=tuple(
            dataclasses.replace(evaluation, episodes=EPISODES)
            for statistics in ("running", "batch")
            for evaluation in BY_ALPHABET.tests(way, statistics)
        ),
        **options,
    )


def _mini_imagenet(shot, steps, published):
    """A recipe of the paper, on photographs that you bring.

    Args:
        shot: Support examples of a class.
        steps: Outer steps.
        published: The accuracy of the paper.
    """
    stream = Episodes(
        "mini-imagenet", "train", way=5, shot=shot, rotations=False
    )
    return Recipe(
        name=f"meta_lstm_mini_imagenet_5way_{shot}shot",
        title=f"LSTM meta-learner, Conv-4 of {FILTERS} filters, trained on mini-ImageNet, 5-way {shot}-shot",
        paper=RAVI,
        model=lambda: _model(5, shot, PHOTOGRAPHS_84),
        stream=stream,
        steps=steps,
        epoch_steps=1000,
        clip_norm=0.25,
        changes="Needs the photographs of keras_meta.data.load_mini_imagenet in datasets/mini_imagenet of Keras' folder. "
        + compared_with_paper(
            kept=(*_kept(shot), f"{steps:,} steps"),
            changed=(
                "the learning rate falls to zero along a cosine",
                "the last weights instead of those that did best in validation",
            ),
        ),
        evaluations=(
            Evaluation(
                dataclasses.replace(stream, split="test"),
                episodes=EPISODES,
                published=published,
            ),
        ),
    )


META_LSTM_5WAY = _omniglot(
    5,
    steps=5_000,
    # Under the same protocol.
    compared_with=("fomaml_omniglot_5way",),
)
META_LSTM_20WAY = _omniglot(20, steps=2_000, start=META_LSTM_5WAY.name)

RECIPES = (
    META_LSTM_5WAY,
    META_LSTM_20WAY,
    _mini_imagenet(1, steps=75_000, published=43.44),
    _mini_imagenet(5, steps=50_000, published=60.60),
)
