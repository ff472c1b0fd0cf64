"""What the gradient-based recipes on Omniglot share."""

import dataclasses

import keras

import keras_meta as km
from zoo.recipes.omniglot import DRAWINGS_28
from zoo.recipes.recipe import Evaluation
from zoo.streams import Episodes


@dataclasses.dataclass(frozen=True)
class Characters:
    """A split of Omniglot's characters.

    `suffix` and `title` mark the recipes on it; `harder` is what the last
    clause about data says if it is harder than the paper's.
    """

    dataset: str
    suffix: str = ""
    title: str = ""
    harder: str = ""

    def train(self, **fields):
        """The stream of training; `fields` are those of `Episodes`."""
        return Episodes(self.dataset, "trainval", **fields)

    def tests(self, way, statistics, *published, **fields):
        """Measurements of one and of five shots.

        Args:
            way: Classes in an episode.
            statistics: Batch-norm statistics.
            *published: What the paper reports for both; none if it has no
                such figures.
            **fields: Others of `Episodes`.
        """
        return tuple(
            Evaluation(
                Episodes(self.dataset, way=way, shot=shot, **fields),
                statistics=statistics,
                published=figure,
            )
            for shot, figure in zip(
                (1, 5), published or (None, None), strict=True
            )
        )


BY_ALPHABET = Characters(
    "omniglot",
    harder=", and the split by alphabet, which is harder than the paper's",
)
RANDOM_1200 = Characters(
    "omniglot-random1200",
    suffix="_random1200",
    title=", random split of the characters",
)


def omniglot_model(
    kind,
    way,
    encoder=km.encoders.conv4_strided,
    head="glorot_uniform",
    head_kept=False,
    **options,
):
    """A gradient-based model with the papers' network for Omniglot.

    Args:
        kind: Class of the model.
        way: Classes in an episode.
        encoder: Function `(filters=...) -> encoder`.
        head: Initializer of the last layer's kernel.
        head_kept: Whether each task begins with the zeros of a new last
            layer, and the outer loop learns none.
        **options: Other arguments of the class.
    """
    # A norm of zero at most undoes each outer step of them, not inner ones.
    zeros = keras.constraints.MaxNorm(0) if head_kept else None
    network = keras.Sequential(
        [
            encoder(filters=64),
            keras.layers.Dense(
                way,
                kernel_initializer=head,
                kernel_constraint=zeros,
                bias_constraint=zeros,
            ),
        ]
    )
    return kind(network, preprocessing=DRAWINGS_28, **options)
