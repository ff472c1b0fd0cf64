"""Times a training step of the metric methods against PyTorch.

One step is forward, loss, backward and Adam update on images of 28 x 28 x 1,
for four models:

- Matching Network: Conv4-64, cosines scaled by 10, support and queries in one
  batch; one episode of 60-way 1-shot with 5 queries of each class;
- the same with full context embeddings: a bidirectional LSTM over the support
  (`nn.LSTM` in PyTorch) and 3 read steps of an attention LSTM
  (`nn.LSTMCell`); three episodes of 20-way 1-shot with 5 queries;
- Relation Network: 64 filters, mean squared error, gradients clipped to a
  norm of 0.5; one episode of 20-way 1-shot with 10 queries. PyTorch makes the
  4,000 pairs and runs the relation module on them, as the authors' code does;
  ours convolves classes and queries first, which is the same function;
- Siamese network: the small twin without batch norm, weighted L1 and binary
  cross-entropy; 256 pairs, half of them same.

Both sides get the same episodes and initial weights, and the run stops if
their losses differ.

- ours: the function that `fit` calls for each step (`model.train_function`)
  on the iterator of a cached data set, so Keras' own cost is included;
- PyTorch: the usual eager loop, in its own memory layout and in
  `channels_last`. Of several episodes only the encoder is a loop, since batch
  norm takes the moments of one episode. Each LSTM has one bias, as in Keras:
  PyTorch's second stays zero.

*Untuned* is as people run it; *tuned* tells glibc to keep freed memory
(`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`). The ratios are of ours
untuned.

Layers of PyTorch come in two orders that are the same function: `usual`, with
a bias before batch norm and max-pool after the ReLU, as nearly everyone writes
it; and `shipped`, without that bias and with max-pool before the ReLU, as in
`keras_meta.encoders` and in all rows of ours.

Every variant has a process of its own; they take turns, and the table shows
medians of the turns. `memory` is the most a process ever held, in MiB, its
libraries included, and in brackets what came after the model was built;
`first` the seconds of the first step, with tracing. Run it from the root of a
checkout, with the extra `bench` installed, on a machine that does nothing
else:

    python -m benchmarks.metric_family [--quick] [--json FILE] [--only NAME]
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.training_steps import (
    ADAM_EPSILON,
    FILTERS,
    LEARNING_RATE,
    USUAL,
    Setting,
    Variant,
    build_keras_model,
    copy_to_keras,
    copy_to_torch,
    keras_batch,
    keras_training_step,
    make_episodes,
    make_parser,
    measure,
    print_ratios,
    print_results,
    ratios,
    torch_block,
    torch_conv4,
    torch_images,
)
from benchmarks.workers import Step, machine, require_torch, write_json

SHIPPED = "shipped"
COMPARED = {
    "identical layers": (SHIPPED, SHIPPED),
    "shipped layers against usual": (SHIPPED, USUAL),
}
SCALE, READ_STEPS = 10.0, 3
RELATION_UNITS, TWIN_UNITS = 8, 256
# Added to the weights both sides start from, so that none of them is without
# effect on the losses: the first scores of a relation module are all alike.
WEIGHT_NOISE = 0.05


@dataclasses.dataclass(frozen=True)
class Case:
    """A model in both libraries, and what it is trained on.

    Args:
        name: What `--only` calls it.
        text: Layers and loss.
        setting: The episodes of one step.
        quick: The same for a smoke test.
        keras_model: Function `filters -> model`.
        keras_loss: Function that returns what `compile` takes.
        torch_network: Function `(filters, layers) -> network`.
        torch_loss: Function `(network, support, query) -> loss` of tensors
            `(tasks, way, shot, 1, 28, 28)` and the same with `queries`.
        torch_weights: Function from our weights, in our order, to those of
            the network with layers as shipped: in PyTorch's order, the
            arrays still as Keras has them.
        batches: Function `(support, query) -> (episodes, query_y)`, arrays.
        draw: Function `setting -> (support, query)`.
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
    """Cross-entropy of what `MatchingNetwork` returns."""
    import keras

    return keras.losses.CategoricalCrossentropy(from_logits=True)


def torch_matching_network(filters, layers):
    """The encoder of a Matching Network in PyTorch."""
    from torch import nn

    return nn.ModuleDict({"encoder": torch_conv4(filters, layers)})


def torch_context_network(filters, layers):
    """The same with the LSTMs of full context."""
    from torch import nn

    network = torch_matching_network(filters, layers)
    network["support_context"] = nn.LSTM(
        filters, filters, batch_first=True, bidirectional=True
    )
    # The query and what it reads come in beside each other.
    network["query_context"] = nn.LSTMCell(2 * filters, filters)
    for name, parameter in network.named_parameters():
        if "bias_hh" in name:
            parameter.requires_grad_(False)
    return network


def torch_context_weights(weights):
    """The LSTMs' weights, with the second biases that PyTorch has."""
    *encoder, kernel, recurrent, bias = weights
    encoder, support = encoder[:-6], encoder[-6:]
    dim = len(kernel)
    # Ours keeps the rows of what is read with those of the state.
    query = [
        np.concatenate([kernel, recurrent[dim:]]),
        recurrent[:dim],
        bias,
    ]
    lstms = []
    for start, *rest, bias in (support[:3], support[3:], query):
        lstms += [start, *rest, bias, np.zeros_like(bias)]
    return [*encoder, *lstms]


def torch_matching_loss(network, support, query):
    """Cross-entropy of the attention over the support set."""
    import torch
    from torch.nn import functional

    tasks, way, shot = support.shape[:3]
    embeddings = torch.stack(
        [
            network["encoder"](torch.cat([s.flatten(0, 1), q.flatten(0, 1)]))
            for s, q in zip(support, query, strict=True)
        ]
    )
    supports = embeddings[:, : way * shot]
    queries = embeddings[:, way * shot :]
    if "support_context" in network:
        supports, queries = torch_contexts(network, supports, queries)
    similarities = (
        functional.normalize(queries, dim=-1)
        @ functional.normalize(supports, dim=-1).mT
    )
    attention = (SCALE * similarities).softmax(-1)
    classes = torch.eye(way, dtype=attention.dtype)
    probabilities = attention @ classes.repeat_interleave(shot, 0)
    labels = torch.arange(way).repeat_interleave(query.shape[2]).repeat(tasks)
    return functional.nll_loss(probabilities.log().flatten(0, 1), labels)


def torch_contexts(network, supports, queries):
    """Full context embeddings of `(tasks, n, dim)` and `(tasks, m, dim)`."""
    import torch

    states, _ = network["support_context"](supports)
    forward, backward = states.chunk(2, dim=-1)
    supports = supports + forward + backward
    hidden = cell = torch.zeros_like(queries)
    for _ in range(READ_STEPS):
        attention = (hidden @ supports.mT).softmax(-1)
        seen = torch.cat([queries, attention @ supports], dim=-1)
        hidden, cell = (
            state.view_as(queries)
            for state in network["query_context"](
                seen.flatten(0, 1),
                (hidden.flatten(0, 1), cell.flatten(0, 1)),
            )
        )
        hidden = hidden + queries
    return supports, hidden


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


def torch_relation_network(filters, layers):
    """Embedding and relation module in PyTorch."""
    from torch import nn

    encoder = [
        *torch_block(1, filters, layers, padding=0),
        *torch_block(filters, filters, layers, padding=0),
        *torch_block(filters, filters, layers, pool=False),
        *torch_block(filters, filters, layers, pool=False),
    ]
    relation = [
        *torch_block(2 * filters, filters, layers),
        *torch_block(filters, filters, layers),
        nn.Flatten(),
        nn.Linear(filters, RELATION_UNITS),
        nn.ReLU(),
        nn.Linear(RELATION_UNITS, 1),
    ]
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(*encoder),
            "relation": nn.Sequential(*relation),
        }
    )


def torch_relation_loss(network, support, query):
    """Mean squared error of the scores of one episode."""
    import torch
    from torch.nn import functional

    (support,), (query,) = support, query
    way, shot = support.shape[:2]
    support_maps = network["encoder"](support.flatten(0, 1))
    class_maps = support_maps.unflatten(0, (way, shot)).sum(1)
    query_maps = network["encoder"](query.flatten(0, 1))
    pairs = torch_pairs(class_maps, query_maps)
    scores = network["relation"](pairs).sigmoid().view(-1, way)
    same = torch.eye(way, dtype=scores.dtype)
    return functional.mse_loss(
        scores, same.repeat_interleave(query.shape[1], 0)
    )


def torch_pairs(class_maps, query_maps):
    """Maps of each query and each class, beside each other.

    Args:
        class_maps: `(way, channels, height, width)`.
        query_maps: `(query, channels, height, width)`.

    Returns:
        Tensor `(query * way, 2 * channels, height, width)`; in
        `channels_last` if the maps are, so that nothing is copied twice.
    """
    import torch

    axis = 1
    if query_maps.is_contiguous(memory_format=torch.channels_last):
        axis = -1
        class_maps = class_maps.movedim(1, -1)
        query_maps = query_maps.movedim(1, -1)
    way, query = len(class_maps), len(query_maps)
    pairs = torch.cat(
        [
            class_maps[None].expand(query, -1, -1, -1, -1),
            query_maps[:, None].expand(-1, way, -1, -1, -1),
        ],
        dim=2 if axis == 1 else -1,
    )
    return pairs.flatten(0, 1).movedim(axis, 1)


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
    """Pairs as 1-way episodes; those of odd number are of two classes."""
    support, query = make_episodes(setting)
    query = query.copy()
    query[:, 1::2] = np.roll(query, 1, axis=1)[:, 1::2]
    return support, query


def pair_batch(support, query):
    """Turns what `draw_pairs` returned into what `pair_dataset` yields."""
    episodes, query_y = keras_batch(support, query)
    same = query_y.copy()
    same[..., 1::2, :, :] = 0
    return episodes, same


def torch_siamese_network(filters, layers):
    """Twin and output unit in PyTorch."""
    from torch import nn

    blocks = [
        *torch_block(1, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False),
        *torch_block(filters, filters, layers, norm=False, pool=False),
    ]
    # Of 28 x 28, 3 x 3 are left.
    dense = nn.Linear(9 * filters, TWIN_UNITS)
    twin = nn.Sequential(*blocks, nn.Flatten(), dense, nn.ReLU())
    output = nn.Linear(TWIN_UNITS, 1)
    return nn.ModuleDict({"twin": twin, "output": output})


def torch_siamese_weights(weights):
    """The dense layer sees channels first in PyTorch."""
    *convolutions, kernel, bias, output, output_bias = weights
    units = kernel.shape[-1]
    maps = kernel.reshape(3, 3, -1, units)
    kernel = maps.transpose(2, 0, 1, 3).reshape(-1, units)
    return [*convolutions, kernel, bias, output, output_bias]


def torch_siamese_loss(network, support, query):
    """Binary cross-entropy of pairs; those of even number are same."""
    import torch
    from torch.nn import functional

    one = network["twin"](support.flatten(0, 2))
    other = network["twin"](query.flatten(0, 2))
    logits = network["output"]((one - other).abs()).squeeze(1)
    same = (torch.arange(len(logits)) % 2 == 0).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, same)


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
            torch_network=torch_matching_network,
            torch_loss=torch_matching_loss,
        ),
        Case(
            name="matching_context",
            text="Matching Network, Conv4-64, cosine scaled by 10, full "
            "context with 3 read steps",
            setting=Setting(3, 20, 1, 5),
            quick=Setting(2, 5, 1, 3),
            keras_model=context_network,
            keras_loss=cross_entropy,
            torch_network=torch_context_network,
            torch_loss=torch_matching_loss,
            torch_weights=torch_context_weights,
        ),
        Case(
            name="relation",
            text="Relation Network, 64 filters, relation module of 64 filters "
            "and 8 units, mean squared error, clipped to 0.5",
            setting=Setting(1, 20, 1, 10),
            quick=Setting(1, 5, 2, 3),
            keras_model=relation_network,
            keras_loss=mean_squared_error,
            torch_network=torch_relation_network,
            torch_loss=torch_relation_loss,
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
            torch_network=torch_siamese_network,
            torch_loss=torch_siamese_loss,
            torch_weights=torch_siamese_weights,
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
            Variant("torch", layers, details, tuned, torch_step, arguments)
        )
    return rows


def initial_weights(case, noise=WEIGHT_NOISE, seed=1):
    """The weights both sides start from: ours, and noise.

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


def weights_for_torch(case, weights, layers):
    """Our weights for the network in PyTorch, or our gradients.

    Args:
        case: Which model.
        weights: List of arrays, in our order.
        layers: Those of the network; the usual ones have more biases.
    """
    found = []
    for weight in case.torch_weights(weights):
        found.append(weight)
        # Without batch norm the bias is there already.
        if layers == USUAL and weight.ndim == 4 and case.norm:
            found.append(np.zeros_like(weight, shape=weight.shape[-1]))
    return found


def filled_network(case, weights, layers, channels_last):
    """The network in PyTorch with the given weights of ours."""
    import torch

    network = case.torch_network(case.filters, layers)
    copy_to_torch(weights_for_torch(case, weights, layers), network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_step(case, weights, layers, channels_last):
    """PyTorch's training step."""
    import torch

    network = filled_network(case, weights, layers, channels_last)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE, eps=ADAM_EPSILON)
    support, query = map(torch_images, case.draw(case.setting))
    batches = itertools.cycle(list(zip(support, query, strict=True)))

    def run():
        optimizer.zero_grad()
        loss = case.torch_loss(network, *next(batches))
        loss.backward()
        if case.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(trained, case.clip_norm)
        optimizer.step()
        return loss.detach()

    return Step(run, lambda: float(run()))


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
