"""Times training steps: episodes, our side, comparison of losses, tables.

All benchmarks but `benchmarks.episodes` build on it. `benchmarks/README.md`
is the manual.
"""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np

from benchmarks.hyperparameters import ADAM_EPSILON, LEARNING_RATE, SIZE
from benchmarks.workers import (
    KEEP_FREED_MEMORY,
    Step,
    Worker,
    interleave,
    print_table,
)

# The number of different batches of episodes that a worker cycles through.
BATCHES = 4
# The largest relative difference allowed between the losses of two sides, in
# the first step and in later ones. The first losses come from the same weights.
# Later weights differ: Adam's first steps move each weight by the sign of its
# gradient, also where the gradient is a rounding error.
LOSS_TOLERANCES = (1e-4, 2e-2)
TUNED = {"tuned": True, "untuned": False}


@dataclasses.dataclass(frozen=True)
class Setting:
    """The episodes of one step.

    Args:
        tasks: Episodes in a step.
        way: Classes of an episode.
        shot, queries: Support and query examples of a class.
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


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of the table.

    Args:
        side: `"ours"`, `"torch"` or another peer.
        layers: Name of the order of the layers; empty where all rows have
            the same.
        details: Anything else that tells it from other rows; may be empty.
        tuned: Whether glibc keeps freed memory.
        build: Function of module level that returns a `Step`. Its arguments
            are those given to `measure`, then `arguments`.
        arguments: Tuple.
        optional: Whether the run goes on without the row if it fails.
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


def make_episodes(setting, seed=0):
    """Episodes that resemble Omniglot: one picture per class, plus noise.

    Returns:
        `(support, query)`: float32 `(BATCHES, tasks, way, shot, 28, 28, 1)`
        and `(BATCHES, tasks, way, queries, 28, 28, 1)`, zeros and ones.
    """
    rng = np.random.default_rng(seed)
    shape = (BATCHES, setting.tasks, setting.way)
    size = (SIZE, SIZE, 1)
    pictures = rng.random((*shape, 1, *size)) < 0.2
    each = setting.shot + setting.queries
    noise = rng.random((*shape, each, *size)) < 0.2
    images = (pictures ^ noise).astype("float32")
    return images[:, :, :, : setting.shot], images[:, :, :, setting.shot :]


def keras_batch(support, query):
    """Turns images into our episodes.

    Args:
        support: `(..., way, shot, 28, 28, 1)`.
        query: `(..., way, queries, 28, 28, 1)`.

    Returns:
        `(episodes, query_y)`, as `episode_dataset` yields them.
    """
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


def build_keras_model(model):
    """Builds a model of images."""
    images = (None, None, SIZE, SIZE, 1)
    model.build(
        {
            "support_x": images,
            "support_y": (None, None, None),
            "query_x": images,
        }
    )


def copy_to_keras(weights, model):
    """Copies weights to the trainable ones of a built model."""
    for variable, weight in zip(
        model.trainable_variables, weights, strict=True
    ):
        variable.assign(weight)


def keras_training_step(
    model, loss, batches, clip_norm=None, optimizer=None, jit_compile="auto"
):
    """The step of `fit`, on a cached data set.

    Args:
        model: A built model.
        loss: For `compile`.
        batches: `(inputs, targets)`, arrays `(BATCHES, tasks, ...)`.
        clip_norm: Optional largest norm of the gradients of all weights.
        optimizer: Adam by default. `clip_norm` is for this default only.
        jit_compile: For `compile`: whether XLA compiles the step; by default
            it does not on the CPU.

    Returns:
        `Step`.
    """
    import keras
    import tensorflow as tf

    optimizer = optimizer or keras.optimizers.Adam(
        LEARNING_RATE, epsilon=ADAM_EPSILON, global_clipnorm=clip_norm
    )
    model.compile(optimizer, loss, jit_compile=jit_compile)
    dataset = tf.data.Dataset.from_tensor_slices(batches).cache().repeat()
    iterator = iter(dataset)
    model.make_train_function()

    def run():
        return model.train_function(iterator)["loss"]

    def reported_loss():
        # Keras reports the mean since the last reset.
        model.reset_metrics()
        return float(run())

    return Step(run, reported_loss)


def side_by_side(case, weights, build):
    """`build(case, weights)` with one thread for each operation.

    What does not depend on each other, tasks of a meta-batch say, then has a
    core each. It must run in a process in which TensorFlow has run no
    operation yet.
    """
    from keras_meta.threads import set_threads

    set_threads(side_by_side=True)
    return build(case, weights)


def measure(rows, given, rounds, seconds, tolerances=LOSS_TOLERANCES):
    """Times all variants of a setting.

    Args:
        rows: List of `Variant`.
        given: Tuple, the first arguments of each row's `build`.
        rounds, seconds: As for `interleave`.
        tolerances: As for `check_losses`.

    Returns:
        Dict from the variant to a dict of numbers.

    Raises:
        RuntimeError: If losses differ, or a variant fails that is not
            optional.
    """
    with contextlib.ExitStack() as stack:
        workers = {}
        for row in rows:
            environment = KEEP_FREED_MEMORY if row.tuned else {}
            arguments = (*given, *row.arguments)
            # TensorFlow imports JAX if it is installed, which takes 140 MiB.
            hidden = () if row.side == "jax" else ("jax",)
            try:
                worker = Worker(
                    str(row), row.build, arguments, environment, hidden
                )
            except RuntimeError as error:
                if not row.optional:
                    raise
                print(f"Left out: {str(error).strip().splitlines()[-1]}")
                continue
            workers[row] = stack.enter_context(worker)
        losses = {row: worker.losses for row, worker in workers.items()}
        check_losses(losses, tolerances)
        timings = interleave(list(workers.values()), rounds, seconds)
    results = {}
    for row, worker in workers.items():
        timing = timings[str(row)]
        results[row] = {
            "milliseconds": 1e3 * timing.seconds,
            "spread": timing.spread,
            "first_step_seconds": worker.first_step,
            "peak_memory_mib": worker.peak_memory,
            "step_memory_mib": worker.step_memory,
            "losses": worker.losses,
        }
    return results


def check_losses(losses, tolerances=LOSS_TOLERANCES):
    """Raises a RuntimeError if variants do not compute the same.

    Args:
        losses: Dict from the variant to the losses of its first steps.
        tolerances: The largest relative differences allowed from the losses
            of the first variant, in the first step and in later ones.
    """
    reference_name, reference = next(iter(losses.items()))
    for name, values in losses.items():
        tolerance = tolerances[0]
        for value, expected in zip(values, reference, strict=True):
            # `not <=` and not `>`, which would let NaN pass.
            if not abs(value - expected) <= tolerance * abs(expected):
                raise RuntimeError(
                    "The variants do not compute the same: from the same "
                    f"weights, {reference_name} has the losses {reference}, "
                    f"{name} {values}."
                )
            tolerance = tolerances[1]


def ratios(results, compared):
    """How many times faster ours (untuned) is than PyTorch.

    Args:
        results: Dict from variants to their numbers.
        compared: Dict from a text to the names of two orders of layers, ours
            and PyTorch's.

    Returns:
        Dict from a text to a dict with the ratios against `"tuned"` and
        `"untuned"` PyTorch. Each text of `compared` comes twice: with PyTorch
        in its own memory layout, and with its fastest row.
    """

    def fastest(side, layers, tuned, only_plain=False):
        return min(
            numbers["milliseconds"]
            for row, numbers in results.items()
            if (row.side, row.layers, row.tuned) == (side, layers, tuned)
            and not (only_plain and row.details)
        )

    return {
        f"{text}, {layout}": {
            name: fastest("torch", theirs, tuned, only_plain)
            / fastest("ours", ours, False)
            for name, tuned in TUNED.items()
        }
        for text, (ours, theirs) in compared.items()
        for layout, only_plain in (("own layout", True), ("fastest", False))
    }


def print_results(results, extra=None):
    """Prints a row for each variant.

    Args:
        results: Dict from variants to their numbers, as `measure` returns.
        extra: Optional dict from the header of a further column to a
            function from a variant's numbers to the text of its cell.
    """

    def memory(numbers):
        pair = numbers["peak_memory_mib"], numbers["step_memory_mib"]
        return "-" if None in pair else "{:.0f} ({:.0f})".format(*pair)

    columns = {
        "ms": lambda numbers: f"{numbers['milliseconds']:.1f}",
        "spread": lambda numbers: f"{numbers['spread']:.0%}",
        **(extra or {}),
        "first": lambda numbers: f"{numbers['first_step_seconds']:.1f}",
        "memory": memory,
        "loss": lambda numbers: f"{numbers['losses'][0]:.5f}",
    }
    rows = [
        [str(row), *(text(numbers) for text in columns.values())]
        for row, numbers in results.items()
    ]
    print_table(["variant", *columns], rows)
    print()


def print_ratios(found, targets=None):
    """Prints the result of `ratios`, and optional targets below."""
    found = {**found, "target": targets} if targets else found
    rows = [
        [text, *(f"{pair[name]:.2f}" for name in TUNED)]
        for text, pair in found.items()
    ]
    print_table(["times faster than PyTorch", *TUNED], rows)
    print(flush=True)


def print_targets(found, targets):
    """Prints the ratios of ours beside their targets.

    Args:
        found: Dict from a text to a ratio.
        targets: Dict from some of these texts to the target.
    """
    rows = [
        [
            text,
            f"{ratio:.2f}",
            f"{targets[text]:.2f}" if text in targets else "",
        ]
        for text, ratio in found.items()
    ]
    print_table(["ours", "ratio", "target"], rows)
    print(flush=True)


def make_parser(module, description):
    """The options that all of these benchmarks have.

    Args:
        module: Name of the benchmark's module.
        description: Its docstring.

    Returns:
        `argparse.ArgumentParser`, to which a benchmark adds its own options.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="length of a turn, about"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short turn of small episodes: a smoke test",
    )
    parser.add_argument("--json", metavar="FILE", help="where results go")
    return parser
