"""Compares training in `mixed_bfloat16` with training in float32.

Both train the same methods from the same weights on the same episodes, and
are evaluated on the same validation episodes. `benchmarks/README.md` is the
manual.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

from benchmarks.workers import machine, print_table, write_json

POLICIES = ("float32", "mixed_bfloat16")
WAY, QUERIES = 5, 5
FILTERS = 32
ACCURACY = "val_task_accuracy"
INTERVAL = "val_task_accuracy_interval"


@dataclasses.dataclass(frozen=True)
class Method:
    """A method and how it is trained.

    Args:
        model: Function `() -> model`, called under the policy.
        tasks: Tasks of a training step.
        steps: Training steps.
        way: Classes of a training episode.
        learning_rate: Of Adam.
        length: Examples of a training sequence; None if it is trained on
            episodes.
        jit_compile: For `compile`.
    """

    model: Callable
    tasks: int
    steps: int
    way: int = WAY
    learning_rate: float = 1e-3
    length: int | None = None
    jit_compile: bool | str = "auto"


def prototypical_network():
    """A Prototypical Network."""
    import keras_meta as km

    return km.models.PrototypicalNetwork(km.encoders.conv4_strided(FILTERS))


def matching_network():
    """A Matching Network with cosines scaled by 10."""
    import keras_meta as km

    encoder = km.encoders.conv4_strided(FILTERS)
    return km.models.MatchingNetwork(encoder, scale=10.0)


def maml():
    """Second-order MAML."""
    import keras

    import keras_meta as km

    network = keras.Sequential(
        [
            km.encoders.conv4_strided(FILTERS),
            # Treats all classes alike before the first step.
            keras.layers.Dense(WAY, kernel_initializer="zeros"),
        ]
    )
    return km.models.MAML(network, inner_learning_rate=1.0)


def proto_maml():
    """Second-order Proto-MAML."""
    import keras_meta as km

    encoder = km.encoders.conv4_strided(FILTERS)
    return km.models.ProtoMAML(encoder, inner_learning_rate=0.1)


def memory_augmented_network():
    """A memory-augmented network with LRUA, which sees images at half size."""
    import keras

    import keras_meta as km

    cell = km.layers.LRUACell(
        100,
        memory_slots=32,
        memory_width=24,
        read_heads=2,
        gate="controller",
        written_content="separate_add",
    )
    half_size = keras.Sequential(
        [keras.layers.AveragePooling2D(2), keras.layers.Flatten()]
    )
    return km.models.MemoryAugmentedNetwork(cell, WAY, encoder=half_size)


METHODS = {
    "prototypical": Method(prototypical_network, tasks=1, steps=300, way=20),
    "matching": Method(matching_network, tasks=1, steps=300, way=20),
    "maml": Method(maml, tasks=4, steps=300),
    "proto_maml": Method(proto_maml, tasks=4, steps=200),
    "mann": Method(
        memory_augmented_network,
        tasks=16,
        steps=2000,
        # With 0.002 it was at chance for 1,800 steps, on Omniglot.
        learning_rate=5e-3,
        length=50,
        jit_compile=True,
    ),
}


def training_stream(method, images, labels, seed):
    """The endless batches that a method is trained on."""
    from keras_meta.data import episode_dataset, sequence_dataset

    if method.length:
        elements = sequence_dataset(images, labels, WAY, method.length, seed)
    else:
        elements = episode_dataset(images, labels, method.way, 1, QUERIES, seed)
    return elements.batch(method.tasks, drop_remainder=True).prefetch(8)


def validation_episodes(images, labels, episodes):
    """The 5-way 1-shot episodes that all are evaluated on."""
    from keras_meta.data import episode_dataset

    elements = episode_dataset(images, labels, WAY, 1, QUERIES, seed=1)
    return elements.take(episodes).batch(20, drop_remainder=True).cache()


def train(method, policy, splits, points, episodes, seed, share=1.0):
    """Trains a method under a policy.

    Args:
        method: `Method`.
        policy: Name of a dtype policy of Keras.
        splits: Dict of `"train"` and `"validation"` to `(images, labels)`.
        points: How many times it is evaluated.
        episodes: Validation episodes, a multiple of 20.
        seed: Of weights and training episodes.
        share: Of the method's steps that are made.

    Returns:
        Dict of the lists `step`, `accuracy` and `interval`, and of `seconds`.
    """
    import keras

    import keras_meta as km

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        # Weights are float32 under both policies, so the same are drawn.
        keras.utils.set_random_seed(seed)
        model = method.model()
        model.compile(
            keras.optimizers.Adam(method.learning_rate, global_clipnorm=10.0),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[km.metrics.AccuracyInterval()],
            jit_compile=method.jit_compile,
        )
        between = max(1, round(share * method.steps / points))
        start = time.perf_counter()
        history = model.fit(
            training_stream(method, *splits["train"], seed),
            steps_per_epoch=between,
            epochs=points,
            validation_data=validation_episodes(
                *splits["validation"], episodes
            ),
            verbose=0,
        ).history
    finally:
        keras.config.set_dtype_policy(before)
    return {
        "step": [between * (point + 1) for point in range(points)],
        "accuracy": [float(value) for value in history[ACCURACY]],
        "interval": [float(value) for value in history[INTERVAL]],
        "seconds": time.perf_counter() - start,
    }


def agrees(curves):
    """Whether the last accuracies agree.

    Args:
        curves: Dict of policies to what `train` returned.

    Returns:
        bool: whether that of bfloat16 lies in the 95% interval of float32's,
        or above it.
    """
    exact, half = (curves[policy] for policy in POLICIES)
    shortfall = exact["accuracy"][-1] - half["accuracy"][-1]
    return shortfall <= exact["interval"][-1]


def report(name, curves):
    """Prints both curves of a method."""
    rows = []
    for point, step in enumerate(curves[POLICIES[0]]["step"]):
        cells = [
            f"{100 * found['accuracy'][point]:.1f} ± "
            f"{100 * found['interval'][point]:.1f}"
            for found in curves.values()
        ]
        rows.append([name, str(step), *cells])
    print_table(["method", "step", *curves], rows)
    verdict = "agree" if agrees(curves) else "DIFFER"
    seconds = ", ".join(f"{found['seconds']:.0f}" for found in curves.values())
    print(f"{name}: the last accuracies {verdict}; {seconds} s\n", flush=True)


def draw(results, path):
    """Draws the curves of all methods, a panel for each.

    Args:
        results: Dict of methods to dicts of policies to what `train`
            returned.
        path: File to write; its ending says in which format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(results), 2.8), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for panel, (name, curves) in zip(panels, results.items(), strict=True):
        for policy, found in curves.items():
            panel.errorbar(
                found["step"],
                [100 * value for value in found["accuracy"]],
                [100 * value for value in found["interval"]],
                label=policy,
                capsize=2,
            )
        panel.set(title=name, xlabel="step", ylabel="validation accuracy, %")
    panels[0].legend()
    figure.savefig(path)


def load(data):
    """Dict of splits to `(images, labels)` of a data set."""
    import keras_meta as km

    loader = {
        "glyphs": km.data.load_glyphs,
        "omniglot": km.data.load_omniglot,
    }[data]
    return {split: loader(split)[:2] for split in ("train", "validation")}


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.precision", description=__doc__
    )
    parser.add_argument("--only", choices=METHODS, nargs="+", help="not all")
    parser.add_argument(
        "--data", choices=("glyphs", "omniglot"), default="glyphs"
    )
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a few steps: a smoke test"
    )
    parser.add_argument("--figure", metavar="FILE", help="where curves go")
    parser.add_argument("--json", metavar="FILE", help="where results go")
    return parser


def main(arguments=None):
    options = make_parser().parse_args(arguments)
    share = 1.0
    if options.quick:
        options.episodes, options.points, share = 20, 2, 0.02
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    splits = load(options.data)
    results = {}
    for name in options.only or METHODS:
        results[name] = {
            policy: train(
                METHODS[name],
                policy,
                splits,
                options.points,
                options.episodes,
                options.seed,
                share,
            )
            for policy in POLICIES
        }
        report(name, results[name])
    if options.figure:
        draw(results, options.figure)
    write_json(options.json, {"machine": facts, "methods": results})


if __name__ == "__main__":
    main()
