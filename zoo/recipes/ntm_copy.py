"""The Neural Turing Machine that copies sequences."""

import keras

import keras_meta as km
from zoo.copies import Copies
from zoo.recipes.papers import GRAVES
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper

BITS = 8
# Those of training reach to 20.
LENGTHS = (10, 20, 30, 50, 120)


def _model():
    cell = km.layers.NTMCell(
        units=100, memory_slots=128, memory_width=20, controller="dense"
    )
    return keras.Sequential(
        [
            keras.Input((None, BITS + 2)),
            keras.layers.RNN(cell, return_sequences=True),
            keras.layers.Dense(BITS, "sigmoid"),
        ],
        name="ntm",
    )


RECIPES = (
    Recipe(
        name="ntm_copy",
        title="Neural Turing Machine, trained to copy sequences of bits",
        paper=f"{GRAVES}, section 4.1",
        model=_model,
        stream=Copies(length=20, shortest=1, bits=BITS),
        tasks=8,
        steps=5_000,
        epoch_steps=250,
        learning_rate=3e-3,
        clip_norm=1.0,
        loss="binary_cross_entropy",
        jit_compile=True,
        changes=compared_with_paper(
            kept=(
                "1 to 20 vectors of 8 bits",
                "a memory of 128 rows of 20",
                "a feedforward controller of 100 units",
                "one head to read and one to write",
            ),
            changed=(
                "Adam at 0.003 with cosine decay instead of RMSProp at 0.0001",
                "8 sequences in a step",
                "a second delimiter, before the sequence",
            ),
        ),
        evaluations=tuple(
            Evaluation(Copies(length=length, bits=BITS)) for length in LENGTHS
        ),
    ),
)
