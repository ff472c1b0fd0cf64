"""Every recipe of the zoo on one page."""

import dataclasses
import difflib
from collections.abc import Callable

import keras

import keras_meta as km
from keras_meta.data import Affine, Chain
from keras_meta.data.cache import cache_folder

# What a preset can be trained and measured on, by name:
# (split, rotations) -> (examples, labels).
DATASETS = {
    "omniglot": lambda split, rotations: km.data.load_omniglot(
        split, "vinyals", rotations
    ),
    "omniglot-105": lambda split, rotations: km.data.load_omniglot(
        split, "vinyals", rotations, size=105
    ),
    "omniglot-lake": lambda split, rotations: km.data.load_omniglot(
        split, "lake", rotations
    ),
    "omniglot-random1200": lambda split, rotations: km.data.load_omniglot(
        split, "random1200", rotations
    ),
    "glyphs": lambda split, rotations: km.data.load_glyphs(split, rotations),
    "glyph-combinations": lambda split, rotations: km.data.load_glyphs(
        split, rotations, protocol="combinations"
    ),
    # The files of `load_cub`; there are no rotations of features.
    "cub": lambda split, _: km.data.load_cub(cub_folder(), split),
}
# The metadata of their classes, for zero-shot learning: labels -> dict.
DESCRIPTIONS = {
    "glyphs": km.data.describe_glyphs,
    "glyph-combinations": km.data.describe_glyphs,
    "cub": lambda _: km.data.cub_attributes(cub_folder()),
}


def cub_folder():
    """Where the files of CUB-200-2011 are looked for."""
    return cache_folder().parent / "datasets" / "CUB_200_2011"


STREAMS = ("episodes", "pairs", "zero_shot", "sinusoids")
# What recipes minimise, by name.
LOSSES = {
    "cross_entropy": lambda: keras.losses.CategoricalCrossentropy(
        from_logits=True
    ),
    "binary_cross_entropy": keras.losses.BinaryCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One measurement: which episodes, how many, with what statistics.

    `stream` is `"episodes"`, `"zero_shot"` (the shot is 0) or `"sinusoids"`
    (shot and queries are points, and the squared error is measured).
    `within_groups` takes all classes of an episode from one alphabet or
    script. `inner_steps` are those of a gradient-based model's evaluation,
    by default its own. `published` is the paper's accuracy in percent, or
    its squared error, if it has one.
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
    stream: str = "episodes"
    inner_steps: int | None = None
    published: float | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a preset is trained and measured.

    Training draws `steps` meta-batches of `tasks` elements of a `stream`:
    `"episodes"`, `"pairs"` (way, shot and queries are then 1), `"zero_shot"`
    (the shot is 0) or `"sinusoids"` (the way is 1, shot and queries are
    points). With `within_groups` all classes of an episode or pair come from
    one alphabet. The `loss` is one of `LOSSES`.

    The `optimizer` is `"adam"`, whose learning rate falls from
    `learning_rate` to zero along a cosine, or `"sgd"`, where it falls along
    a line, as in Reptile. With `restarts` the cosine does so again, each time
    from half as high in half as many steps. Gradients are scaled to a norm
    of `clip_norm` at most. The model is saved every `epoch_steps` steps.

    Training begins with the network of the preset `start`, if one is named;
    layers whose weights have other shapes there keep their random ones. It
    must be trained on the same split.

    With `side_by_side` tasks are computed side by side, each on one core:
    how fast a training is, not what comes out.
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
    optimizer: str = "adam"
    restarts: int = 0
    epoch_steps: int = 200
    start: str | None = None
    augmentation: object = None
    seed: int = 0
    stream: str = "episodes"
    within_groups: bool = False
    loss: str = "cross_entropy"
    clip_norm: float | None = None
    side_by_side: bool = False
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

DRAWINGS_28 = km.Preprocessing(size=28, channels=1, ink=True)

KOCH = "Koch, Zemel and Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition, ICML Deep Learning Workshop 2015"
VINYALS = "Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra, Matching Networks for One Shot Learning, NIPS 2016"
SUNG = "Sung, Yang, Zhang, Xiang, Torr and Hospedales, Learning to Compare: Relation Network for Few-Shot Learning, CVPR 2018"
FINN = "Finn, Abbeel and Levine, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, ICML 2017"
NICHOL = "Nichol, Achiam and Schulman, On First-Order Meta-Learning Algorithms, arXiv 1803.02999, 2018"
SNELL = "Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, NIPS 2017"


def _prototypical_network():
    return km.models.PrototypicalNetwork(
        encoder=km.encoders.conv4(filters=64),
        preprocessing=DRAWINGS_28,
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


# The four settings that every paper reports.
def _four_settings(*published, **fields):
    settings = ((5, 1), (5, 5), (20, 1), (20, 5))
    return tuple(
        Evaluation(way=way, shot=shot, published=accuracy, **fields)
        for (way, shot), accuracy in zip(settings, published, strict=True)
    )


def _matching_network(full_context=False):
    return km.models.MatchingNetwork(
        encoder=km.encoders.conv4(filters=64),
        scale=10.0,
        learnable_scale=True,
        full_context=full_context,
        preprocessing=DRAWINGS_28,
        name="matching_network",
    )


MATCHING = dataclasses.replace(
    OMNIGLOT,
    name="matching_network_omniglot",
    title="Matching Network, Conv-4, trained on Omniglot",
    paper=VINYALS,
    model=_matching_network,
    steps=6_000,
    restarts=0,
    changes="The paper gives no optimizer. 60-way episodes whatever the way of the test, Adam with cosine decay, a learned scale of the cosines that starts at 10, affine distortion of classes and images; one set of weights for all settings, and no fine-tuning.",
    evaluations=(
        *_four_settings(98.1, 98.9, 93.8, 98.5),
        Evaluation(way=20, shot=1, statistics="batch"),
    ),
)

MATCHING_FCE = dataclasses.replace(
    MATCHING,
    name="matching_network_fce_omniglot",
    title="Matching Network with full context embeddings, Conv-4, trained on Omniglot",
    model=lambda: _matching_network(full_context=True),
    way=20,
    tasks=3,
    steps=4_000,
    changes="The recipe of matching_network_omniglot with full context embeddings (3 read steps), and three 20-way episodes in a step instead of one 60-way: the context should be as large as in the tests.",
    evaluations=_four_settings(98.1, 98.9, 93.8, 98.5),
)


def _relation_network():
    return km.models.RelationNetwork(
        encoder=km.encoders.relation_encoder(filters=64),
        # For one shot the same as the paper's sum; trained so, a sum of five
        # maps is five times what the relation module knows.
        aggregation="mean",
        preprocessing=DRAWINGS_28,
        name="relation_network",
    )


RELATION = dataclasses.replace(
    OMNIGLOT,
    name="relation_network_omniglot",
    title="Relation Network, trained on Omniglot",
    paper=SUNG,
    model=_relation_network,
    way=20,
    queries=10,
    steps=16_000,
    restarts=0,
    loss="mean_squared_error",
    clip_norm=0.5,
    changes="As in the paper: mean squared error, Adam at 0.001, gradients clipped to a norm of 0.5 (of all weights instead of each module), 20-way episodes with 10 queries, batch norm with the moments of each pass. Changed: the split by alphabet, which is harder; 16,000 episodes with cosine decay instead of a million; affine distortion of classes and images; one set of weights, trained on one shot, for all settings, which takes the mean of the maps of a class instead of their sum (with the sum, 5-way 5-shot was 80.63).",
    evaluations=(
        *_four_settings(99.6, 99.8, 97.6, 99.1, statistics="batch"),
        *_four_settings(None, None, None, None),
    ),
)


def _siamese_network():
    return km.models.SiameseNetwork(
        encoder=km.encoders.koch_small(filters=64, units=256),
        preprocessing=DRAWINGS_28,
        name="siamese_network",
    )


SIAMESE = dataclasses.replace(
    OMNIGLOT,
    name="siamese_network_omniglot",
    title="Convolutional Siamese network, a small twin, trained on Omniglot",
    paper=KOCH,
    model=_siamese_network,
    way=40,
    queries=8,
    steps=8_000,
    restarts=0,
    within_groups=True,
    loss="binary_cross_entropy",
    changes="As in the paper: a weighted L1 distance, binary cross-entropy on pairs of one alphabet, no batch norm. Changed: a small twin for 28 x 28 images instead of 105 x 105; each query is paired with the examples of 40 characters, so one pair in 40 is the same, where the paper has one in two; Adam with cosine decay instead of a searched SGD; rotations as classes, and distortion of classes as well as of images.",
    evaluations=(
        *_four_settings(96.7, 98.4, 88.0, 96.5),
        Evaluation(
            way=20,
            shot=1,
            queries=1,
            rotations=False,
            within_groups=True,
            published=92.0,
        ),
        Evaluation(
            way=1,
            shot=1,
            queries=1,
            rotations=False,
            stream="pairs",
            within_groups=True,
            episodes=10_000,
        ),
    ),
)

SIAMESE_105 = dataclasses.replace(
    SIAMESE,
    name="siamese_network_omniglot_105",
    title="Convolutional Siamese network of the paper, for images of 105 x 105",
    model=lambda: km.models.SiameseNetwork(
        encoder=km.encoders.koch(convolution_l2=2e-4, dense_l2=1e-3),
        preprocessing=km.Preprocessing(size=105, channels=1, ink=True),
        name="siamese_network",
    ),
    dataset="omniglot-105",
    rotations=False,
    way=1,
    queries=1,
    tasks=32,
    steps=40_000,
    learning_rate=6e-5,
    stream="pairs",
    augmentation=Affine(),
    changes="For a GPU: the weights take 156 MB. As in the paper: the encoder, pairs of one alphabet, half of them the same, each image distorted on its own, a penalty of the weights. Changed: Adam at 0.00006 with batches of 32, which others found to work, instead of a searched SGD; the split of Matching Networks.",
    evaluations=(
        Evaluation(
            way=20,
            shot=1,
            queries=1,
            dataset="omniglot-105",
            rotations=False,
            within_groups=True,
            published=92.0,
        ),
        Evaluation(
            way=1,
            shot=1,
            queries=1,
            dataset="omniglot-105",
            rotations=False,
            stream="pairs",
            within_groups=True,
            episodes=10_000,
            published=93.42,
        ),
    ),
)


def _zero_shot_glyphs():
    return km.models.ZeroShotPrototypicalNetwork(
        encoder=keras.Sequential(
            [km.encoders.conv4(filters=64), keras.layers.Dense(128)]
        ),
        metadata_encoder=keras.layers.Dense(128),
        preprocessing=DRAWINGS_28,
        name="zero_shot_prototypical_network",
    )


ZERO_SHOT_GLYPHS = Recipe(
    name="zero_shot_prototypical_network_glyphs",
    title="Zero-shot Prototypical Network: letters recognised from the words of their names",
    paper=SNELL,
    model=_zero_shot_glyphs,
    dataset="glyph-combinations",
    split="train",
    rotations=False,
    stream="zero_shot",
    way=60,
    shot=0,
    queries=5,
    steps=2_000,
    augmentation=Affine(
        rotation=8, shear=0.15, scale=(0.85, 1.15), translation=0.05
    ),
    changes="As in the paper: a linear map of the metadata, prototypes of unit length. Changed: letters and the words of their Unicode names instead of birds and their attributes, a Conv-4 that is trained with the rest instead of ready features, cosine decay.",
    evaluations=tuple(
        Evaluation(
            way=way,
            shot=0,
            dataset="glyph-combinations",
            rotations=False,
            stream="zero_shot",
        )
        for way in (5, 20, 103)
    ),
)


def _zero_shot_cub():
    return km.models.ZeroShotPrototypicalNetwork(
        encoder=keras.layers.Dense(1024),
        metadata_encoder=keras.layers.Dense(1024),
        name="zero_shot_prototypical_network",
    )


ZERO_SHOT_CUB = Recipe(
    name="zero_shot_prototypical_network_cub",
    title="Zero-shot Prototypical Network: birds recognised from their attributes",
    paper=SNELL,
    model=_zero_shot_cub,
    dataset="cub",
    split="trainval",
    rotations=False,
    stream="zero_shot",
    way=50,
    shot=0,
    queries=10,
    steps=20_000,
    learning_rate=1e-4,
    changes="Needs the files of keras_meta.data.load_cub in datasets/CUB_200_2011 of Keras' folder. As in the paper: linear maps of image features and attributes to 1024 dimensions, 50-way episodes with 10 queries, Adam at 0.0001, training on train and validation classes. Changed: whatever network made the features; cosine decay and a fixed number of episodes instead of weight decay and early stopping.",
    evaluations=(
        Evaluation(
            way=50,
            shot=0,
            queries=10,
            dataset="cub",
            rotations=False,
            stream="zero_shot",
            published=54.6,
        ),
    ),
)


def _gradient_based(kind, way, flatten=False, head="glorot_uniform", **options):
    """A gradient-based model with the papers' network for Omniglot."""
    network = keras.Sequential(
        [
            km.encoders.conv4_strided(filters=64, flatten=flatten),
            keras.layers.Dense(way, kernel_initializer=head),
        ]
    )
    return kind(network, preprocessing=DRAWINGS_28, **options)


# Ways in which a recipe is harder than its paper.
HARDER_SPLIT = ", and the split by alphabet, which is harder than the paper's"
TURNED_TESTS = "; test characters are turned as well"


def _episode_settings(way, statistics, *published):
    """Measurements of one and five shots, with what the paper reports."""
    return tuple(
        Evaluation(way, shot, published=figure, statistics=statistics)
        for shot, figure in zip((1, 5), published or (None, None), strict=True)
    )


def _on_random_1200(recipe, start=None, rotations=True):
    """The recipe on the papers' random split of Omniglot's characters."""
    dataset = "omniglot-random1200"
    changes = recipe.changes.replace(HARDER_SPLIT, "")
    if start:
        changes = changes.replace(recipe.start, start)
    if not rotations:
        changes = changes.replace(TURNED_TESTS, "")
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}_random1200",
        title=f"{recipe.title}, random split of the characters",
        dataset=dataset,
        start=start,
        changes=changes,
        evaluations=tuple(
            dataclasses.replace(
                evaluation, dataset=dataset, rotations=rotations
            )
            for evaluation in recipe.evaluations
        ),
    )


def _maml(way, first_order=False, **options):
    return _gradient_based(
        km.models.MAML,
        way,
        first_order=first_order,
        name="fomaml" if first_order else "maml",
        **options,
    )


def _maml_5way(**options):
    return _maml(
        5,
        inner_learning_rate=0.4,
        inner_steps=1,
        evaluation_inner_steps=3,
        **options,
    )


FOMAML_5WAY = Recipe(
    name="fomaml_omniglot_5way",
    title="First-order MAML, strided Conv-4, trained on Omniglot, 5-way",
    paper=FINN,
    model=lambda: _maml_5way(first_order=True),
    dataset="omniglot",
    split="trainval",
    way=5,
    shot=1,
    queries=5,
    tasks=16,
    steps=15_000,
    epoch_steps=500,
    side_by_side=True,
    changes="First order. As in the paper: one inner step in training and three in the tests, strided convolutions, Adam at 0.001. "
    f"Changed: an inner learning rate of 0.4 for the mean loss, where the authors' 0.4 for a sum over classes is 2.0; 16 tasks of 25 queries in a step instead of 32 of 5, 15,000 steps with cosine decay instead of 60,000; scale and shift of batch norm take inner steps too; rotations as classes of their own{HARDER_SPLIT}; one set of weights, trained on one shot, for both shots.",
    evaluations=(
        *_episode_settings(5, "batch", 98.3, 99.2),
        *_episode_settings(5, "support"),
    ),
)

MAML_5WAY = dataclasses.replace(
    FOMAML_5WAY,
    name="maml_omniglot_5way",
    title="MAML, strided Conv-4, trained on Omniglot, 5-way",
    model=_maml_5way,
    start=FOMAML_5WAY.name,
    steps=12_000,
    augmentation=DRAWING,
    changes="As in the paper: one inner step in training and three in the tests, strided convolutions, Adam at 0.001. "
    f"Changed: it begins with the weights of `fomaml_omniglot_5way`, its first-order form; classes and images are distorted; 12,000 steps with cosine decay after the 15,000 of first order, instead of 60,000; an inner learning rate of 0.4 for the mean loss, where the authors' 0.4 for a sum over classes is 2.0; 16 tasks of 25 queries in a step instead of 32 of 5; scale and shift of batch norm take inner steps too; rotations as classes of their own{HARDER_SPLIT}; one set of weights, trained on one shot, for both shots.",
    evaluations=(
        *_episode_settings(5, "batch", 98.7, 99.9),
        *_episode_settings(5, "support"),
    ),
)


def _maml_20way(**options):
    return _maml(20, inner_learning_rate=0.5, inner_steps=5, **options)


FOMAML_20WAY = dataclasses.replace(
    FOMAML_5WAY,
    name="fomaml_omniglot_20way",
    title="First-order MAML, strided Conv-4, trained on Omniglot, 20-way",
    model=lambda: _maml_20way(first_order=True),
    start=FOMAML_5WAY.name,
    way=20,
    queries=3,
    tasks=6,
    steps=6_000,
    augmentation=DRAWING,
    changes="First order. As in the paper: five inner steps in training and in the tests, strided convolutions, Adam at 0.001. "
    f"Changed: its convolutions begin with the weights of `fomaml_omniglot_5way`; classes and images are distorted; an inner learning rate of 0.5 for the mean loss, where the authors' 0.1 for a sum over classes is 2.0; 6 tasks of 60 queries in a step instead of 16 of 20, 6,000 steps with cosine decay instead of 60,000; scale and shift of batch norm take inner steps too; rotations as classes of their own{HARDER_SPLIT}; one set of weights, trained on one shot, for both shots.",
    evaluations=_episode_settings(20, "batch", 89.4, 97.9),
)

MAML_20WAY = dataclasses.replace(
    FOMAML_20WAY,
    name="maml_omniglot_20way",
    title="MAML, strided Conv-4, trained on Omniglot, 20-way",
    # From zeros no output differs from another until a task is learned; from
    # others it matters which class gets which. First order learned worse so.
    model=lambda: _maml_20way(head="zeros", evaluation_inner_steps=10),
    start=MAML_5WAY.name,
    changes=FOMAML_20WAY.changes.replace("First order. ", "")
    .replace(
        f"`{FOMAML_20WAY.start}`", f"`{MAML_5WAY.name}`, its head with zeros"
    )
    .replace(
        "steps in training and in the tests, strided convolutions, Adam at 0.001. Changed:",
        "steps in training, strided convolutions, Adam at 0.001. Changed: ten inner steps in the tests, a number chosen on training characters;",
    ),
    evaluations=_episode_settings(20, "batch", 95.8, 98.9),
)


def _reptile(way, **options):
    return _gradient_based(
        km.models.Reptile,
        way,
        flatten=True,
        evaluation_inner_steps=50,
        name="reptile",
        **options,
    )


REPTILE_5WAY = Recipe(
    name="reptile_omniglot_5way",
    title="Reptile, strided Conv-4, trained on Omniglot, 5-way",
    paper=NICHOL,
    model=lambda: _reptile(
        5,
        inner_learning_rate=1e-3,
        inner_steps=5,
        inner_batch_size=10,
        evaluation_inner_batch_size=5,
    ),
    dataset="omniglot",
    split="trainval",
    way=5,
    shot=10,
    queries=1,
    tasks=5,
    steps=30_000,
    epoch_steps=500,
    learning_rate=1.0,
    optimizer="sgd",
    side_by_side=True,
    changes=f"As in the paper: 10 examples of each class in training, 5 steps of Adam without momentum on 10 images, 5 tasks in a step, an outer step that falls from 1 to 0 along a line, 50 steps on 5 images in the tests. Changed: 30,000 steps instead of 100,000{TURNED_TESTS}{HARDER_SPLIT}.",
    evaluations=(
        *_episode_settings(5, "batch", 97.7, 99.5),
        *_episode_settings(5, "support_plus_one", 95.4, 98.9),
    ),
)

REPTILE_20WAY = dataclasses.replace(
    REPTILE_5WAY,
    name="reptile_omniglot_20way",
    title="Reptile, strided Conv-4, trained on Omniglot, 20-way",
    model=lambda: _reptile(
        20,
        inner_learning_rate=5e-4,
        inner_steps=10,
        inner_batch_size=20,
        evaluation_inner_batch_size=10,
    ),
    start=REPTILE_5WAY.name,
    way=20,
    steps=4_000,
    changes=f"As in the paper: 10 examples of each class in training, 10 steps of Adam without momentum on 20 images, 5 tasks in a step, an outer step that falls from 1 to 0 along a line, 50 steps on 10 images in the tests. Changed: its convolutions begin with the weights of `reptile_omniglot_5way`, and 4,000 steps instead of 200,000{TURNED_TESTS}{HARDER_SPLIT}.",
    evaluations=(
        *_episode_settings(20, "batch", 89.4, 97.1),
        # A pass over the support for each query: one of each class is enough.
        *(
            dataclasses.replace(evaluation, queries=1)
            for evaluation in _episode_settings(
                20, "support_plus_one", 88.1, 96.7
            )
        ),
    ),
)

FOMAML_5WAY_RANDOM_1200 = _on_random_1200(FOMAML_5WAY)
MAML_5WAY_RANDOM_1200 = _on_random_1200(
    MAML_5WAY, start=FOMAML_5WAY_RANDOM_1200.name
)
REPTILE_5WAY_RANDOM_1200 = _on_random_1200(REPTILE_5WAY, rotations=False)


def _sinusoid_evaluations(*inner_steps):
    return tuple(
        Evaluation(
            way=1,
            shot=10,
            queries=100,
            dataset="sinusoids",
            split="all",
            rotations=False,
            statistics="batch",
            stream="sinusoids",
            inner_steps=steps,
        )
        for steps in inner_steps
    )


def _sinusoid_network(units, activation):
    return keras.Sequential(
        [
            keras.layers.Dense(units, activation),
            keras.layers.Dense(units, activation),
            keras.layers.Dense(1),
        ]
    )


MAML_SINUSOID = Recipe(
    name="maml_sinusoid",
    title="MAML, two layers of 40 units, regression of sinusoids",
    paper=FINN,
    model=lambda: km.models.MAML(
        _sinusoid_network(40, "relu"),
        inner_learning_rate=0.01,
        inner_loss="mean_squared_error",
        name="maml",
    ),
    dataset="sinusoids",
    split="all",
    rotations=False,
    stream="sinusoids",
    way=1,
    shot=10,
    queries=10,
    tasks=25,
    steps=70_000,
    epoch_steps=2_000,
    loss="mean_squared_error",
    side_by_side=True,
    changes="As in the paper: 10 points of a sinusoid, one inner step of 0.01 in training, 70,000 steps of Adam at 0.001. As in the authors' code: 25 tasks in a step. Changed: cosine decay.",
    evaluations=_sinusoid_evaluations(1, 10, 0),
)

REPTILE_SINUSOID = dataclasses.replace(
    MAML_SINUSOID,
    name="reptile_sinusoid",
    title="Reptile, two layers of 64 units, regression of sinusoids",
    paper=NICHOL,
    model=lambda: km.models.Reptile(
        _sinusoid_network(64, "tanh"),
        inner_learning_rate=0.02,
        inner_steps=5,
        inner_batch_size=10,
        evaluation_inner_steps=32,
        evaluation_inner_batch_size=10,
        inner_optimizer="sgd",
        inner_loss="mean_squared_error",
        name="reptile",
    ),
    shot=50,
    tasks=1,
    steps=30_000,
    epoch_steps=1_000,
    learning_rate=0.1,
    optimizer="sgd",
    changes="As in the authors' example: 50 points of a sinusoid in training, 5 steps of SGD at 0.02 on 10 of them, one task in a step, an outer step that falls from 0.1 to 0 along a line, 30,000 steps, 32 steps in the tests. Changed: the sinusoids of MAML, whose phases span half a turn.",
    evaluations=_sinusoid_evaluations(1, 10, 32, 0),
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

RECIPES = {
    recipe.name: recipe
    for recipe in (
        OMNIGLOT,
        OMNIGLOT_LAKE,
        GLYPHS,
        ZERO_SHOT_GLYPHS,
        ZERO_SHOT_CUB,
        MATCHING,
        MATCHING_FCE,
        RELATION,
        SIAMESE,
        SIAMESE_105,
        MAML_5WAY,
        MAML_20WAY,
        MAML_5WAY_RANDOM_1200,
        FOMAML_5WAY,
        FOMAML_20WAY,
        FOMAML_5WAY_RANDOM_1200,
        REPTILE_5WAY,
        REPTILE_20WAY,
        REPTILE_5WAY_RANDOM_1200,
        MAML_SINUSOID,
        REPTILE_SINUSOID,
    )
}


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


def stream(settings, start=0, augmentation=None):
    """What a recipe trains on, or an evaluation measures.

    Args:
        settings: A `Recipe` or an `Evaluation`.
        start: How many elements to leave out.
        augmentation: As for `episode_dataset`.

    Returns:
        An endless `tf.data.Dataset`, not batched.

    Raises:
        ValueError: For an unknown data set or stream, or one that has no
            descriptions of its classes.
    """
    dataset, kind = settings.dataset, settings.stream
    if kind not in STREAMS:
        raise ValueError(unknown("stream", kind, STREAMS))
    if kind == "sinusoids":
        return km.data.sinusoid_dataset(
            shot=settings.shot,
            queries=settings.queries,
            seed=settings.seed,
            start=start,
        )
    examples, labels = load_split(dataset, settings.split, settings.rotations)
    options = dict(seed=settings.seed, start=start, augmentation=augmentation)
    if kind == "zero_shot":
        if dataset not in DESCRIPTIONS:
            raise ValueError(
                unknown("data set with descriptions", dataset, DESCRIPTIONS)
            )
        return km.data.zero_shot_dataset(
            examples,
            labels,
            DESCRIPTIONS[dataset](labels),
            way=settings.way,
            queries=settings.queries,
            **options,
        )
    if settings.within_groups:
        options["groups"] = km.data.label_groups(labels)
    if kind == "pairs":
        return km.data.pair_dataset(examples, labels, **options)
    return km.data.episode_dataset(
        examples,
        labels,
        way=settings.way,
        shot=settings.shot,
        queries=settings.queries,
        **options,
    )
