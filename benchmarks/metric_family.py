"""Times a training step of the metric methods against PyTorch.

One step is forward, loss, backward and Adam update of a Matching Network,
without and with full context, a Relation Network or a Siamese network.
`benchmarks/README.md` is the manual.
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.hyperparameters import (
    FILTERS,
    READ_STEPS,
    RELATION_UNITS,
    SCALE,
    TWIN_UNITS,
    USUAL,
)
from benchmarks.peers import torch_metric_family as peer
from benchmarks.training_steps import (
    Setting,
    Variant,
    build_keras_model,
    copy_to_keras,
    keras_batch,
    keras_training_step,
    make_episodes,
    make_parser,
    measure,
    print_ratios,
    print_results,
    ratios,
)
from benchmarks.workers import machine, require_torch, write_json

# The order of layers of `keras_meta.encoders`.
SHIPPED = "shipped"
COMPARED = {
    "identical layers": (SHIPPED, SHIPPED),
    "shipped layers against usual": (SHIPPED, USUAL),
}
# Standard deviation of noise on the initial weights. It lets every weight act
# on the losses: without it, the first scores of a relation module are alike.
WEIGHT_NOISE = 0.05


@dataclasses.dataclass(frozen=True)
class Case:
    """A model in both libraries, and what it is trained on.

    Args:
        name: The name for `--only`.
        text: Layers and loss.
        setting: The episodes of one step.
        quick: Smaller episodes, for a smoke test.
        keras_model: Function `filters -> model`.
        keras_loss: Function `() -> loss`, for `compile`.
        torch_network: Function `(filters, layers) -> network`.
        torch_loss: Function `(network, support, query) -> loss` of tensors
            `(tasks, way, shot, 1, 28, 28)` and
            `(tasks, way, queries, 1, 28, 28)`.
        torch_weights: Function from the list of our weights to that of the
            network whose layers are `SHIPPED`: in PyTorch's order, each array
            still in Keras' layout.
        batches: Function `(support, query) -> (episodes, query_y)`, arrays.
        draw: Function `setting -> (support, query)`, arrays.
        clip_norm: Optional largest norm of the gradients of all weights.
        norm: Whether batch norm follows the convolutions.
        filters: Channels of the convolutions.
    """

    name: str
    text: str
    setting: Setting
    quick: Setting
    keras_model: Callable
    keras_loss: Callable
    torch_network: Callable
    torch_loss: Callable
    torch_weights: Callable = list
    batches: Callable = keras_batch
    draw: Callable = make_episodes
    clip_norm: float | None = None
    norm: bool = True
    filters: int = FILTERS

    def __str__(self):
        return f"{self.text}; {self.setting}, {self.setting.images} images"


# Matching Networks, with and without full context.


def matching_network(filters, full_context=False):
    """Our Matching Network."""
    from keras_meta.encoders import conv4
    from keras_meta.models import MatchingNetwork

    return MatchingNetwork(
        conv4(filters),
        scale=SCALE,
        full_context=full_context,
        read_steps=READ_STEPS,
    )


def context_network(filters):
    """Our Matching Network with full context embeddings."""
    return matching_network(filters, full_context=True)


def cross_entropy():
    """The loss of the log-probabilities of `MatchingNetwork`."""
    import keras

    return keras.losses.CategoricalCrossentropy(from_logits=True)


# Relation Networks.


def relation_network(filters):
    """Our Relation Network."""
    from keras_meta.encoders import relation_encoder
    from keras_meta.layers import RelationHead
    from keras_meta.models import RelationNetwork

    head = RelationHead(filters, RELATION_UNITS)
    return RelationNetwork(relation_encoder(filters), head)


def mean_squared_error():
    """The loss of the scores of `RelationNetwork`."""
    import keras

    return keras.losses.MeanSquaredError()


# Siamese networks.


def siamese_network(filters):
    """Our Siamese network."""
    from keras_meta.encoders import koch_small
    from keras_meta.models import SiameseNetwork

    return SiameseNetwork(koch_small(filters, TWIN_UNITS))


def binary_cross_entropy():
    """The loss of the scores of `SiameseNetwork`."""
    import keras

    return keras.losses.BinaryCrossentropy()


def draw_pairs(setting):
    """Pairs as 1-way episodes; those of odd index are of two classes."""
    support, query = make_episodes(setting)
    query = query.copy()
    query[:, 1::2] = np.roll(query, 1, axis=1)[:, 1::2]
    return support, query


def pair_batch(support, query):
    """Turns the arrays of `draw_pairs` into elements of `pair_dataset`."""
    episodes, query_y = keras_batch(support, query)
    same = query_y.copy()
    same[..., 1::2, :, :] = 0
    return episodes, same


CASES = {
    case.name: case
    for case in (
        Case(
            name="matching",
            text="Matching Network, Conv4-64, cosine scaled by 10, joint batch",
            setting=Setting(1, 60, 1, 5),
            quick=Setting(1, 5, 2, 3),
            keras_model=matching_network,
            keras_loss=cross_entropy,
            torch_network=peer.torch_matching_network,
            torch_loss=peer.torch_matching_loss,
        ),
        Case(
            name="matching_context",
            text="Matching Network, Conv4-64, cosine scaled by 10, full "
            "context with 3 read steps",
            setting=Setting(3, 20, 1, 5),
            quick=Setting(2, 5, 1, 3),
            keras_model=context_network,
            keras_loss=cross_entropy,
            torch_network=peer.torch_context_network,
            torch_loss=peer.torch_matching_loss,
            torch_weights=peer.torch_context_weights,
        ),
        Case(
            name="relation",
            text="Relation Network, 64 filters, relation module of 64 filters "
            "and 8 units, mean squared error, clipped to 0.5",
            setting=Setting(1, 20, 1, 10),
            quick=Setting(1, 5, 2, 3),
            keras_model=relation_network,
            keras_loss=mean_squared_error,
            torch_network=peer.torch_relation_network,
            torch_loss=peer.torch_relation_loss,
            clip_norm=0.5,
        ),
        Case(
            name="siamese",
            text="Siamese network, small twin of 64 filters and 256 units, no "
            "batch norm, weighted L1, binary cross-entropy",
            setting=Setting(256, 1, 1, 1),
            quick=Setting(6, 1, 1, 1),
            keras_model=siamese_network,
            keras_loss=binary_cross_entropy,
            torch_network=peer.torch_siamese_network,
            torch_loss=peer.torch_siamese_loss,
            torch_weights=peer.torch_siamese_weights,
            batches=pair_batch,
            draw=draw_pairs,
            norm=False,
        ),
    )
}


def variants():
    """All rows of a table."""
    rows = [
        Variant("ours", SHIPPED, "", tuned, keras_step, ())
        for tuned in (False, True)
    ]
    for layers, tuned, channels_last in itertools.product(
        (USUAL, SHIPPED), (True, False), (False, True)
    ):
        details = "channels_last" if channels_last else ""
        arguments = (layers, channels_last)
        rows.append(
            Variant("torch", layers, details, tuned, peer.torch_step, arguments)
        )
    return rows


def initial_weights(case, noise=WEIGHT_NOISE, seed=1):
    """The weights that all sides start from: Keras' own, plus noise.

    Args:
        case: `Case`.
        noise: Standard deviation of the noise.
        seed: Integer.

    Returns:
        List of float32 arrays, in the order of our trainable weights.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = case.keras_model(case.filters)
    build_keras_model(model)
    rng = np.random.default_rng(seed)
    return [
        (weight + noise * rng.normal(size=weight.shape)).astype("float32")
        for weight in map(keras.ops.convert_to_numpy, model.trainable_variables)
    ]


def built_model(case, weights):
    """Our model with the given weights."""
    model = case.keras_model(case.filters)
    build_keras_model(model)
    copy_to_keras(weights, model)
    return model


def keras_step(case, weights):
    """Our training step."""
    return keras_training_step(
        built_model(case, weights),
        case.keras_loss(),
        case.batches(*case.draw(case.setting)),
        case.clip_norm,
    )


def main(arguments=None):
    parser = make_parser("metric_family", __doc__)
    parser.add_argument(
        "--only", choices=CASES, nargs="+", help="these models, not all"
    )
    options = parser.parse_args(arguments)
    require_torch()
    cases = [CASES[name] for name in options.only or CASES]
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        cases = [dataclasses.replace(c, setting=c.quick) for c in cases]
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    stored = {}
    for case in cases:
        print(f"\n{case}\n", flush=True)
        given = (case, initial_weights(case))
        results = measure(variants(), given, options.rounds, options.seconds)
        print_results(results)
        faster = ratios(results, COMPARED)
        print_ratios(faster)
        stored[case.name] = {
            "case": str(case),
            "variants": {str(row): value for row, value in results.items()},
            "times_faster": faster,
        }
    write_json(options.json, {"machine": facts, "cases": stored})


if __name__ == "__main__":
    main()
