"""What the recipes on drawn characters share."""

import keras_meta as km
from keras_meta.data import Affine, Chain
from zoo.recipes.recipe import Evaluation
from zoo.streams import Episodes

DRAWINGS_28 = km.Preprocessing(size=28, channels=1, ink=True)

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
# Clauses about them.
DISTORTION = "affine distortion of classes and images"


def four_settings(*published, statistics="running", dataset="omniglot"):
    """The four settings that every paper reports.

    Args:
        published: The paper's accuracies 5-way 1-shot, 5-way 5-shot, 20-way
            1-shot and 20-way 5-shot; none if it has no such table.
        statistics: The batch-norm statistics of all four.
        dataset: Whose test characters; a name of `zoo.datasets`.
    """
    settings = ((5, 1), (5, 5), (20, 1), (20, 5))
    return tuple(
        Evaluation(
            Episodes(dataset, way=way, shot=shot),
            statistics=statistics,
            published=accuracy,
        )
        for (way, shot), accuracy in zip(
            settings, published or (None,) * 4, strict=True
        )
    )
