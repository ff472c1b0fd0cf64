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
ever held, its libraries included; `first` the seconds of the first step, with
tracing and compilation. Run it from the root of a checkout, with the extra
`bench` installed, on a machine that does nothing else:

    python -m benchmarks.prototypical_network [--quick] [--json FILE]
"""

import argparse
import contextlib
import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.workers import (
    KEEP_FREED_MEMORY,
    Step,
    Worker,
    interleave,
    machine,
    print_table,
    require_torch,
    write_json,
)

SIZE, FILTERS, BLOCKS = 28, 64, 4
LEARNING_RATE, ADAM_EPSILON, NORM_EPSILON = 1e-3, 1e-7, 1e-5
# Different batches of episodes, which a worker cycles through.
BATCHES = 4
MATRIX = 2048
# How far losses of two sides may differ, as a share: the first loss comes
# from the same weights, later ones from weights that Adam moved by signs of
# gradients, some of them rounding errors.
FIRST_LOSS_TOLERANCE, LATER_LOSS_TOLERANCE = 1e-4, 2e-2
TARGETS = {"tuned": 1.4, "untuned": 1.6}
USUAL, CONV4 = "usual", "conv4"


@dataclasses.dataclass(frozen=True)
class Setting:
    """The episodes of one step.

    Args:
        tasks: Episodes in a step.
        way, shot, queries: Classes of an episode, and examples of a class.
    """

    tasks: int
    way: int
    shot: int
    queries: int

    @property
    def images(self):
        """Images in a step."""
        return self.tasks * self.way * (self.shot + self.queries)

    def __str__(self):
        return (
            f"{self.tasks} x {self.way}-way {self.shot}-shot "
            f"{self.queries} queries"
        )


SETTINGS = (
    Setting(1, 60, 1, 5),
    Setting(1, 20, 5, 15),
    Setting(4, 20, 1, 5),
)
QUICK_SETTINGS = (Setting(1, 5, 1, 5), Setting(2, 5, 2, 3))


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of the table.

    Args:
        side: `"ours"` or `"torch"`.
        layers: `USUAL` or `CONV4`.
        details: What else tells it from others.
        tuned: Whether glibc keeps freed memory.
        build: Function `(setting, *arguments) -> Step`.
        arguments: The rest of its arguments.
        optional: Whether the run goes on without it if it fails.
    """

    side: str
    layers: str
    details: str
    tuned: bool
    build: Callable
    arguments: tuple
    optional: bool = False

    def __str__(self):
        tuned = "tuned" if self.tuned else "untuned"
        parts = [self.side, self.layers, self.details, tuned]
        return ", ".join(part for part in parts if part)


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


def make_episodes(setting, seed=0):
    """Episodes that resemble Omniglot: a picture for each class, with noise.

    Returns:
        `(support, query)`: float32 `(BATCHES, tasks, way, shot, 28, 28, 1)`
        and the same with `queries`.
    """
    rng = np.random.default_rng(seed)
    shape = (BATCHES, setting.tasks, setting.way)
    size = (SIZE, SIZE, 1)
    pictures = rng.random((*shape, 1, *size)) < 0.2
    each = setting.shot + setting.queries
    noise = rng.random((*shape, each, *size)) < 0.2
    images = (pictures ^ noise).astype("float32")
    return images[:, :, :, : setting.shot], images[:, :, :, setting.shot :]


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
    images = (None, None, SIZE, SIZE, 1)
    model.build(
        {
            "support_x": images,
            "support_y": (None, None, None),
            "query_x": images,
        }
    )
    for variable, weight in zip(
        model.trainable_variables, weights, strict=True
    ):
        variable.assign(weight)
    return model


def keras_batch(support, query):
    """Turns `(..., way, shot, 28, 28, 1)` and queries into our episodes."""
    way, shot = support.shape[-5:-3]
    queries = query.shape[-4]
    leading = support.shape[:-5]

    def flat(images):
        return images.reshape(*leading, -1, SIZE, SIZE, 1)

    def one_hot(each):
        rows = np.repeat(np.eye(way, dtype=support.dtype), each, axis=0)
        return np.broadcast_to(rows, (*leading, *rows.shape))

    episode = {
        "support_x": flat(support),
        "support_y": one_hot(shot),
        "query_x": flat(query),
    }
    return episode, one_hot(queries)


def keras_step(setting, layers):
    """Our training step."""
    import keras
    import tensorflow as tf

    model = keras_model(layers, initial_weights(layers))
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE, epsilon=ADAM_EPSILON),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    batches = keras_batch(*make_episodes(setting))
    dataset = tf.data.Dataset.from_tensor_slices(batches).cache().repeat()
    iterator = iter(dataset)
    model.make_train_function()

    def run():
        return model.train_function(iterator)["loss"]

    def loss():
        # What Keras reports is the mean since the last reset.
        model.reset_metrics()
        return float(run())

    return Step(run, loss)


def torch_network(layers, weights, channels_last=False):
    """The same encoder in PyTorch."""
    import torch
    from torch import nn

    modules, channels = [], 1
    filters = weights[0].shape[-1]
    for _ in range(BLOCKS):
        modules += [
            nn.Conv2d(channels, filters, 3, padding=1, bias=layers == USUAL),
            nn.BatchNorm2d(filters, eps=NORM_EPSILON),
        ]
        last = [nn.ReLU(), nn.MaxPool2d(2)]
        modules += last if layers == USUAL else last[::-1]
        channels = filters
    network = nn.Sequential(*modules, nn.Flatten())
    with torch.no_grad():
        for parameter, weight in zip(
            network.parameters(), weights, strict=True
        ):
            if weight.ndim == 4:
                weight = weight.transpose(3, 2, 0, 1)
            parameter.copy_(torch.from_numpy(weight.copy()))
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


def torch_images(images):
    """`(..., height, width, 1)` as a tensor `(..., 1, height, width)`."""
    import torch

    return torch.from_numpy(np.moveaxis(images, -1, -3).copy())


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


def measure(setting, rows, peak, rounds, seconds):
    """Times all variants of a setting.

    Returns:
        Dict from the variant to a dict of numbers.

    Raises:
        RuntimeError: If losses differ, or a variant fails that must not.
    """
    with contextlib.ExitStack() as stack:
        workers = {}
        for row in rows:
            environment = KEEP_FREED_MEMORY if row.tuned else {}
            arguments = (setting, *row.arguments)
            try:
                worker = Worker(str(row), row.build, arguments, environment)
            except RuntimeError as error:
                if not row.optional:
                    raise
                print(f"Left out: {str(error).strip().splitlines()[-1]}")
                continue
            workers[row] = stack.enter_context(worker)
        check_losses({row: worker.losses for row, worker in workers.items()})
        timings = interleave(list(workers.values()), rounds, seconds)
    results = {}
    for row, worker in workers.items():
        timing = timings[str(row)]
        results[row] = {
            "milliseconds": 1e3 * timing.seconds,
            "spread": timing.spread,
            "share_of_peak": step_flop(setting) / timing.seconds / peak,
            "first_step_seconds": worker.first_step,
            "peak_memory_mib": worker.peak_memory,
            "losses": worker.losses,
        }
    return results


def check_losses(losses):
    """Raises a RuntimeError if variants do not compute the same.

    Args:
        losses: Dict from the variant to the losses of its first steps.
    """
    reference_name, reference = next(iter(losses.items()))
    for name, values in losses.items():
        tolerance = FIRST_LOSS_TOLERANCE
        for value, expected in zip(values, reference, strict=True):
            # Written so that NaN fails.
            if not abs(value - expected) <= tolerance * abs(expected):
                raise RuntimeError(
                    "The variants do not compute the same: from the same "
                    f"weights, {reference_name} has the losses {reference}, "
                    f"{name} {values}."
                )
            tolerance = LATER_LOSS_TOLERANCE


def ratios(results):
    """How many times faster ours (untuned) is than PyTorch.

    Args:
        results: Dict from variants to their numbers.

    Returns:
        Dict from what is compared to the ratios against tuned and untuned
        PyTorch: in its own memory layout, and in the fastest of all.
    """
    compared = {
        "identical layers, usual": (USUAL, USUAL),
        "identical layers, conv4": (CONV4, CONV4),
        "shipped conv4 against usual": (CONV4, USUAL),
    }

    def fastest(side, layers, tuned, only_plain=False):
        return min(
            numbers["milliseconds"]
            for row, numbers in results.items()
            if (row.side, row.layers, row.tuned) == (side, layers, tuned)
            and not (only_plain and row.details)
        )

    return {
        f"{text}, {layout}": {
            name: fastest("torch", theirs, name == "tuned", only_plain)
            / fastest("ours", ours, False)
            for name in TARGETS
        }
        for text, (ours, theirs) in compared.items()
        for layout, only_plain in (("own layout", True), ("fastest", False))
    }


def report(setting, results):
    """Prints the table and the ratios of a setting."""
    flop = step_flop(setting)
    print(f"\n{setting}: {setting.images} images, {flop / 1e9:.1f} GFLOP\n")
    rows = []
    for row, numbers in results.items():
        memory = numbers["peak_memory_mib"]
        rows.append(
            [
                str(row),
                f"{numbers['milliseconds']:.1f}",
                f"{numbers['spread']:.0%}",
                f"{numbers['share_of_peak']:.0%}",
                f"{numbers['first_step_seconds']:.1f}",
                "-" if memory is None else f"{memory:.0f}",
                f"{numbers['losses'][0]:.5f}",
            ]
        )
    header = ["variant", "ms", "spread", "peak", "first", "memory", "loss"]
    print_table(header, rows)
    print()
    rows = [
        [text, *(f"{pair[name]:.2f}" for name in TARGETS)]
        for text, pair in ratios(results).items()
    ]
    rows.append(["target", *(f"{value:.2f}" for value in TARGETS.values())])
    header = ["times faster than PyTorch", *TARGETS]
    print_table(header, rows)
    print(flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prototypical_network",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="length of a turn, about"
    )
    parser.add_argument(
        "--compile", action="store_true", help="PyTorch compiled as well"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short turn of small episodes: a smoke test",
    )
    parser.add_argument("--json", metavar="FILE", help="where results go")
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
            setting,
            variants(options.compile),
            peak,
            options.rounds,
            options.seconds,
        )
        report(setting, results)
        stored[str(setting)] = {
            "gflop": step_flop(setting) / 1e9,
            "variants": {str(row): value for row, value in results.items()},
            "times_faster": ratios(results),
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
