"""Times a training step of Prototypical Networks against PyTorch.

One step is forward, backward and Adam update of Conv4-64 on images of
28 x 28 x 1, for three settings: one episode of 60-way 1-shot with 5 queries
of each class, one of 20-way 5-shot with 15, and four of 20-way 1-shot with 5
in one step. Both sides get the same episodes and initial weights, and the run
stops if their losses differ.

- ours: the function that `fit` calls for each step (`model.train_function`)
  on the iterator of a cached data set, so Keras' own cost is included;
- PyTorch: the usual eager loop, in its own memory layout and in
  `channels_last`, and with `--compile` also through `torch.compile`. Several
  episodes are a loop that accumulates gradients, since batch norm takes the
  moments of one episode.

*Untuned* is as people run it; *tuned* tells glibc to keep freed memory
(`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`). The ratios are of ours
untuned.

Layers of a block come in two orders that are the same function:

- `usual`: convolution with bias, batch norm, ReLU, max-pool, as in the code
  of the paper and nearly every PyTorch implementation;
- `conv4`: convolution, batch norm, max-pool, ReLU, as in
  `keras_meta.encoders.conv4`.

Every variant has a process of its own; they take turns, and the table shows
medians of the turns. `peak` is the share of the fastest float32 matrix
product (2048) of either library in the same run; `memory` the most a process
ever held, in MiB, its libraries included, and in brackets what came after the
model was built; `first` the seconds of the first step, with tracing and
compilation. Run it from the root of a checkout, with the extra `bench`
installed, on a machine that does nothing else:

    python -m benchmarks.prototypical_network [--quick] [--json FILE]
"""

import contextlib
import itertools

import numpy as np

from benchmarks.training_steps import (
    ADAM_EPSILON,
    FILTERS,
    LEARNING_RATE,
    NORM_EPSILON,
    SIZE,
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
    torch_conv4,
    torch_images,
)
from benchmarks.workers import (
    Step,
    Worker,
    interleave,
    machine,
    require_torch,
    write_json,
)

BLOCKS = 4
MATRIX = 2048
TARGETS = {"tuned": 1.4, "untuned": 1.6}
CONV4 = "conv4"
COMPARED = {
    "identical layers, usual": (USUAL, USUAL),
    "identical layers, conv4": (CONV4, CONV4),
    "shipped conv4 against usual": (CONV4, USUAL),
}

SETTINGS = (
    Setting(1, 60, 1, 5),
    Setting(1, 20, 5, 15),
    Setting(4, 20, 1, 5),
)
QUICK_SETTINGS = (Setting(1, 5, 1, 5), Setting(2, 5, 2, 3))


def variants(compiled=False):
    """All rows of the table.

    Args:
        compiled: Whether PyTorch is compiled too.
    """
    rows = [
        Variant("ours", layers, "", tuned, keras_step, (layers,))
        for layers, tuned in [(CONV4, False), (USUAL, False), (CONV4, True)]
    ]
    for layers, tuned, channels_last in itertools.product(
        (USUAL, CONV4), (True, False), (False, True)
    ):
        details = "channels_last" if channels_last else ""
        arguments = (layers, channels_last)
        rows.append(
            Variant("torch", layers, details, tuned, torch_step, arguments)
        )
        if compiled and tuned:
            rows.append(
                Variant(
                    "torch",
                    layers,
                    f"{details} compile".strip(),
                    tuned,
                    torch_step,
                    (*arguments, True),
                    optional=True,
                )
            )
    return rows


def step_flop(setting):
    """Floating point operations of the convolutions of one step.

    A convolution of `p` positions, 3 x 3 and `i` to `o` channels takes
    `2 * 9 * p * i * o` for each image; in the backward pass its weights'
    gradient takes as much again, and so does its inputs', which the first
    convolution does not need. All else is left out: below 1%.
    """
    forward = []
    size, channels = SIZE, 1
    for _ in range(BLOCKS):
        forward.append(2 * 9 * size * size * channels * FILTERS)
        size, channels = size // 2, FILTERS
    return setting.images * (3 * sum(forward) - forward[0])


def initial_weights(layers, filters=FILTERS, seed=1):
    """The weights both sides start from, in the order of the layers.

    Returns:
        List of arrays: of each block the kernel `(3, 3, in, out)`, with the
        usual layers the bias, then scale and shift of batch norm.
    """
    rng = np.random.default_rng(seed)
    weights, channels = [], 1
    for _ in range(BLOCKS):
        scale = np.sqrt(2 / (9 * (channels + filters)))
        weights.append(scale * rng.normal(size=(3, 3, channels, filters)))
        if layers == USUAL:
            weights.append(np.zeros(filters))
        # Not from `rng`: both kinds of layers must get the same kernels.
        weights.append(np.linspace(0.8, 1.2, filters))
        weights.append(np.linspace(-0.2, 0.2, filters))
        channels = filters
    return [weight.astype("float32") for weight in weights]


def keras_model(layers, weights):
    """Our model with the given weights, built."""
    import keras

    from keras_meta.encoders import conv4
    from keras_meta.layers import EpisodicBatchNormalization
    from keras_meta.models import PrototypicalNetwork

    filters = weights[0].shape[-1]
    if layers == CONV4:
        encoder = conv4(filters)
    else:
        blocks = []
        for _ in range(BLOCKS):
            blocks += [
                keras.layers.Conv2D(filters, 3, padding="same"),
                EpisodicBatchNormalization(epsilon=NORM_EPSILON),
                keras.layers.ReLU(),
                keras.layers.MaxPooling2D(),
            ]
        encoder = keras.Sequential([*blocks, keras.layers.Flatten()])
    model = PrototypicalNetwork(encoder)
    build_keras_model(model)
    copy_to_keras(weights, model)
    return model


def keras_step(setting, layers):
    """Our training step."""
    import keras

    return keras_training_step(
        keras_model(layers, initial_weights(layers)),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras_batch(*make_episodes(setting)),
    )


def torch_network(layers, weights, channels_last=False):
    """The same encoder in PyTorch."""
    import torch

    network = torch_conv4(weights[0].shape[-1], layers)
    copy_to_torch(weights, network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_loss(network, support, query):
    """The loss of one episode.

    Args:
        network: Maps images `(batch, 1, height, width)` to `(batch, dim)`.
        support: `(way, shot, 1, height, width)`.
        query: `(way, queries, 1, height, width)`.
    """
    import torch

    way, shot = support.shape[:2]
    images = torch.cat([support.flatten(0, 1), query.flatten(0, 1)])
    embeddings = network(images)
    prototypes = embeddings[: way * shot].view(way, shot, -1).mean(1)
    queries = embeddings[way * shot :]
    distances = (queries[:, None] - prototypes).square().sum(-1)
    labels = torch.arange(way).repeat_interleave(query.shape[1])
    return torch.nn.functional.cross_entropy(-distances, labels)


def torch_step(setting, layers, channels_last, compiled=False):
    """PyTorch's training step."""
    import torch

    network = torch_network(layers, initial_weights(layers), channels_last)
    optimizer = torch.optim.Adam(
        network.parameters(), LEARNING_RATE, eps=ADAM_EPSILON
    )
    episode_loss = torch.compile(torch_loss) if compiled else torch_loss
    support, query = map(torch_images, make_episodes(setting))
    batches = itertools.cycle(list(zip(support, query, strict=True)))

    def run():
        optimizer.zero_grad()
        total = 0
        for episode in zip(*next(batches), strict=True):
            loss = episode_loss(network, *episode) / setting.tasks
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return Step(run, lambda: float(run()))


def keras_product():
    """TensorFlow's float32 matrix product."""
    import tensorflow as tf

    a = tf.random.normal((MATRIX, MATRIX))
    return Step(tf.function(lambda: tf.matmul(a, a)))


def torch_product():
    """PyTorch's float32 matrix product."""
    import torch

    a = torch.randn(MATRIX, MATRIX)
    return Step(lambda: a @ a)


def measure_peak(rounds, seconds):
    """Operations per second of the faster matrix product."""
    products = {"TensorFlow": keras_product, "PyTorch": torch_product}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(name, build))
            for name, build in products.items()
        ]
        timings = interleave(workers, rounds, seconds)
    return 2 * MATRIX**3 / min(t.seconds for t in timings.values())


def add_share_of_peak(setting, results, peak):
    """Adds what part of the matrix product's speed each variant has."""
    for numbers in results.values():
        seconds = numbers["milliseconds"] / 1e3
        numbers["share_of_peak"] = step_flop(setting) / seconds / peak


def report(setting, results):
    """Prints the table and the ratios of a setting."""
    flop = step_flop(setting)
    print(f"\n{setting}: {setting.images} images, {flop / 1e9:.1f} GFLOP\n")
    shares = {"peak": lambda numbers: f"{numbers['share_of_peak']:.0%}"}
    print_results(results, shares)
    print_ratios(ratios(results, COMPARED), TARGETS)


def main(arguments=None):
    parser = make_parser("prototypical_network", __doc__)
    parser.add_argument(
        "--compile", action="store_true", help="PyTorch compiled as well"
    )
    options = parser.parse_args(arguments)
    require_torch()
    settings = SETTINGS
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        settings = QUICK_SETTINGS
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    peak = measure_peak(options.rounds, options.seconds)
    print(f"float32 matrix product: {peak / 1e9:.0f} GFLOP/s", flush=True)
    stored = {}
    for setting in settings:
        results = measure(
            variants(options.compile),
            (setting,),
            options.rounds,
            options.seconds,
        )
        add_share_of_peak(setting, results, peak)
        report(setting, results)
        stored[str(setting)] = {
            "gflop": step_flop(setting) / 1e9,
            "variants": {str(row): value for row, value in results.items()},
            "times_faster": ratios(results, COMPARED),
        }
    write_json(
        options.json,
        {
            "machine": facts,
            "peak_gflop_per_second": peak / 1e9,
            "targets": TARGETS,
            "settings": stored,
        },
    )


if __name__ == "__main__":
    main()
