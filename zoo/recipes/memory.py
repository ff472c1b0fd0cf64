"""Memory-augmented networks on sequences of Omniglot characters."""

import dataclasses
from collections.abc import Callable

import keras

import keras_meta as km
from keras_meta.data import Affine
from keras_meta.sequence_losses import LETTERS
from zoo.recipes.papers import SANTORO
from zoo.recipes.recipe import Evaluation, Recipe, compared_with_paper
from zoo.streams import Sequences

# Each image of a sequence is turned and shifted on its own.
DISTORTION = Affine(
    rotation=180 / 16,
    shear=0.0,
    scale=(1.0, 1.0),
    translation=10 / 105,
    probability=1.0,
)
TASKS = 16
DRAWINGS_20 = km.Preprocessing(size=20, channels=1, ink=True)


@dataclasses.dataclass(frozen=True)
class Characters:
    """A split of Omniglot's characters; `suffix` marks the recipes on it."""

    dataset: str
    suffix: str = ""
    title: str = ""
    harder: tuple = ()


RANDOM_1200 = Characters("omniglot-random1200-20")
BY_ALPHABET = Characters(
    "omniglot-20",
    suffix="_vinyals",
    title=", split by alphabet",
    harder=("the split by alphabet, which is harder than the paper's",),
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A model of the family: its prefix in names, its title and its cell."""

    prefix: str
    title: str
    cell: Callable
    kept: tuple
    changed: tuple = ()


LRUA = Kind(
    "mann",
    "Memory-augmented network with LRUA",
    lambda: km.layers.LRUACell(
        units=200,
        memory_slots=128,
        memory_width=40,
        read_heads=4,
        gate="controller",
        written_content="separate_add",
    ),
    kept=("a memory of 128 rows of 40", "4 reads", "a controller of 200 units"),
    changed=(
        "the gate between the rows last read and least used is computed by the controller at each step, as in public codes, where the paper has one number",
        "what is written is a vector of the controller, as in public codes, where the paper writes the key",
    ),
)
NTM = Kind(
    "ntm",
    "Memory-augmented network with a Neural Turing Machine",
    lambda: km.layers.NTMCell(
        units=200, memory_slots=128, memory_width=40, read_heads=4
    ),
    kept=("a memory of 128 rows of 40", "4 reads", "a controller of 200 units"),
)
LSTM = Kind(
    "lstm",
    "LSTM without a memory, the baseline of memory-augmented networks",
    lambda: keras.layers.LSTMCell(200),
    kept=("200 units",),
)


def _recipe(
    kind,
    characters,
    way=5,
    encoding="one_hot",
    steps=32_000,
    learning_rate=2e-3,
    start=None,
    **settings,
):
    """A recipe on sequences that show each class ten times.

    Args:
        kind: `Kind`.
        characters: `Characters`.
        way: Classes in a sequence.
        encoding: How labels are written.
        steps: Outer steps, of `TASKS` sequences each.
        learning_rate: The first one of the cosine.
        start: Name of the preset that the training begins with.
        **settings: Of the recipe, and `published`, the paper's figures.
    """
    labels = way if encoding == "one_hot" else LETTERS**2
    stream = Sequences(
        characters.dataset,
        "trainval",
        way=way,
        length=10 * way,
        encoding=encoding,
    )
    measured = Evaluation(
        dataclasses.replace(stream, split="test"),
        published=settings.pop("published", None),
    )
    name = f"{kind.prefix}_omniglot_{way}way{characters.suffix}"
    title = f"{kind.title}, trained on Omniglot, {way}-way{characters.title}"
    if encoding == "letters" and way == 5:
        name, title = f"{name}_letters", f"{title}, labels of letters"
    return Recipe(
        name=name,
        title=title,
        paper=SANTORO,
        model=lambda: km.models.MemoryAugmentedNetwork(
            kind.cell(),
            labels=labels,
            encoding=encoding,
            preprocessing=DRAWINGS_20,
            name=kind.prefix,
        ),
        stream=stream,
        augmentation=DISTORTION,
        tasks=TASKS,
        steps=steps,
        learning_rate=learning_rate,
        start=start,
        epoch_steps=250,
        clip_norm=10.0,
        jit_compile=True,
        half_precision=True,
        changes=_changes(kind, characters, steps, learning_rate, start),
        evaluations=(measured,),
        **settings,
    )


def _changes(kind, characters, steps, learning_rate, start):
    """What a recipe keeps of the paper and what it changes."""
    return compared_with_paper(
        kept=(
            *kind.kept,
            f"{TASKS} sequences in a step",
            "each image turned and shifted on its own",
        ),
        changed=(
            *kind.changed,
            f"{TASKS * steps:,} sequences, Adam at {learning_rate} with cosine decay instead of RMSProp at 0.0001",
            *([f"it begins with the weights of `{start}`"] if start else []),
            *characters.harder,
            "weights stored as float16",
        ),
    )


def _five_way(characters):
    """The three recipes of 5 classes on one split of the characters."""
    names = [
        f"{kind.prefix}_omniglot_5way{characters.suffix}"
        for kind in (LRUA, LSTM, NTM)
    ]
    return tuple(
        _recipe(
            kind,
            characters,
            published=published,
            compared_with=tuple(other for other in names if other != name),
            steps=16_000
            if kind is NTM or characters is BY_ALPHABET
            else 32_000,
        )
        for name, kind, published in zip(
            names,
            (LRUA, LSTM, NTM),
            ("82.8 / 94.9 / 98.1", "49.5 / 63.6 / 62.5", None),
            strict=True,
        )
    )


FEW_LETTERS = _recipe(
    LRUA, RANDOM_1200, encoding="letters", loss="string_cross_entropy"
)

RECIPES = (
    *_five_way(RANDOM_1200),
    FEW_LETTERS,
    _recipe(
        LRUA,
        RANDOM_1200,
        way=15,
        encoding="letters",
        steps=12_000,
        learning_rate=1e-3,
        # From scratch, 15 classes are learned much later than 5.
        start=FEW_LETTERS.name,
        loss="string_cross_entropy",
        published="62.6 / 88.7 / 95.3",
    ),
    *_five_way(BY_ALPHABET),
)
