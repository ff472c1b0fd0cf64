"""Every recipe of the zoo on one page."""

import dataclasses
import difflib
from collections.abc import Callable

import keras

import keras_meta as km
from keras_meta.data import Affine, Chain

# What a preset can be trained and measured on, by name:
# (split, rotations) -> (examples, labels).
DATASETS = {
    "omniglot": lambda split, rotations: km.data.load_omniglot(
        split, "vinyals", rotations
    ),
    "omniglot-lake": lambda split, rotations: km.data.load_omniglot(
        split, "lake", rotations
    ),
    "omniglot-random1200": lambda split, rotations: km.data.load_omniglot(
        split, "random1200", rotations
    ),
    "glyphs": lambda split, rotations: km.data.load_glyphs(split, rotations),
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One measurement: which episodes, how many, with what statistics.

    `within_groups` takes all classes of an episode from one alphabet or
    script. `published` is the paper's accuracy in percent, if it has one.
    """

    way: int
    shot: int
    queries: int = 15
    dataset: str = "omniglot"
    split: str = "test"
    rotations: bool = True
    within_groups: bool = False
    statistics: str = "running"
    episodes: int = 1000
    seed: int = 1
    published: float | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a preset is trained and measured.

    Training draws `steps` meta-batches of `tasks` episodes; the learning
    rate of Adam falls from `learning_rate` to zero along a cosine. With
    `restarts` it does so again, each time from half as high in half as many
    steps. The model is saved every `epoch_steps` steps.
    """

    name: str
    title: str
    paper: str
    model: Callable
    dataset: str
    split: str
    way: int
    shot: int
    queries: int
    steps: int
    tasks: int = 1
    rotations: bool = True
    learning_rate: float = 1e-3
    restarts: int = 0
    epoch_steps: int = 200
    augmentation: object = None
    seed: int = 0
    changes: str = ""
    evaluations: tuple = ()


# A distortion shared by a class makes a new class of it; one of each image
# makes a class wider.
DRAWING = Chain(
    (
        Affine(
            rotation=20,
            shear=0.3,
            scale=(0.8, 1.2),
            translation=0.0,
            per_class=True,
            flips=True,
        ),
        Affine(rotation=10, shear=0.2, scale=(0.85, 1.15), translation=0.06),
    )
)

SNELL = "Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, NIPS 2017"


def _prototypical_network():
    return km.models.PrototypicalNetwork(
        encoder=km.encoders.conv4(filters=64),
        preprocessing=km.Preprocessing(size=28, channels=1, ink=True),
        name="prototypical_network",
    )


OMNIGLOT = Recipe(
    name="prototypical_network_omniglot",
    title="Prototypical Network, Conv-4, trained on Omniglot",
    paper=SNELL,
    model=_prototypical_network,
    dataset="omniglot",
    split="trainval",
    way=60,
    shot=1,
    queries=5,
    steps=24_000,
    restarts=1,
    augmentation=DRAWING,
    changes="As in the paper: 60-way episodes, training on train and validation characters, Adam at 0.001. "
    "Changed: a fixed number of episodes with cosine decay and one warm restart instead of halving and early stopping; affine distortion of classes and images.",
    evaluations=(
        Evaluation(way=5, shot=1, published=98.8),
        Evaluation(way=5, shot=5, published=99.7),
        Evaluation(way=20, shot=1, published=96.0),
        Evaluation(way=20, shot=5, published=98.9),
        Evaluation(way=20, shot=1, statistics="batch"),
        Evaluation(way=20, shot=1, statistics="support"),
        Evaluation(way=5, shot=1, dataset="glyphs", rotations=False),
        Evaluation(way=20, shot=1, dataset="glyphs", rotations=False),
    ),
)

OMNIGLOT_LAKE = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_omniglot_lake",
    title="Prototypical Network, Conv-4, trained on Omniglot's background set",
    dataset="omniglot-lake",
    split="train",
    steps=3_000,
    restarts=0,
    changes="The recipe of prototypical_network_omniglot, on the 30 background alphabets alone and with fewer episodes, so that Lake's evaluation alphabets are unseen.",
    evaluations=(
        Evaluation(way=5, shot=1, dataset="omniglot-lake"),
        Evaluation(way=20, shot=1, dataset="omniglot-lake"),
        Evaluation(
            way=20,
            shot=1,
            dataset="omniglot-lake",
            rotations=False,
            within_groups=True,
        ),
    ),
)

GLYPHS = dataclasses.replace(
    OMNIGLOT,
    name="prototypical_network_glyphs",
    title="Prototypical Network, Conv-4, trained on the embedded glyphs",
    dataset="glyphs",
    split="train",
    rotations=False,
    steps=3_000,
    restarts=0,
    changes="The recipe of prototypical_network_omniglot on another data set, without rotations as classes (many letters look the same when they are turned) and with fewer episodes.",
    evaluations=(
        Evaluation(way=5, shot=1, dataset="glyphs", rotations=False),
        Evaluation(way=5, shot=5, dataset="glyphs", rotations=False),
        Evaluation(way=20, shot=1, dataset="glyphs", rotations=False),
        Evaluation(way=20, shot=5, dataset="glyphs", rotations=False),
        Evaluation(way=5, shot=1),
        Evaluation(way=20, shot=1),
    ),
)

RECIPES = {recipe.name: recipe for recipe in (OMNIGLOT, OMNIGLOT_LAKE, GLYPHS)}


def find(name):
    """The recipe of a name.

    Raises:
        ValueError: For an unknown name; the nearest are listed.
    """
    if name not in RECIPES:
        raise ValueError(unknown("recipe", name, RECIPES))
    return RECIPES[name]


def unknown(what, name, names):
    """The text of an error about a name that is not there."""
    near = difflib.get_close_matches(name, names, 3, 0.4)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"There is no {what} {name!r}.{hint} All of them: {', '.join(sorted(names))}"


def load_split(dataset, split, rotations=True):
    """`(examples, labels)` of a data set of `DATASETS`.

    Raises:
        ValueError: For an unknown data set or split.
    """
    if dataset not in DATASETS:
        raise ValueError(unknown("data set", dataset, DATASETS))
    return DATASETS[dataset](split, rotations)


def loss():
    """What recipes minimise: the cross-entropy of the logits."""
    return keras.losses.CategoricalCrossentropy(from_logits=True)
