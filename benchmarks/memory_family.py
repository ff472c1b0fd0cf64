"""Times a training step of memory-augmented networks against peers.

The memories are LRUA and that of the Neural Turing Machine; the peers are an
eager loop over steps in PyTorch and `lax.scan` in JAX. `benchmarks/README.md`
is the manual.
"""

import importlib.util

import numpy as np

from benchmarks.memory_cases import (
    CASES,
    LRUA,
    make_sequences,
)
from benchmarks.peers.jax_memory_family import jax_step
from benchmarks.peers.jax_updates import JAX_ADVICE
from benchmarks.peers.torch_memory_family import torch_step
from benchmarks.training_steps import (
    Variant,
    copy_to_keras,
    keras_training_step,
    make_parser,
    measure,
    print_results,
    print_targets,
)
from benchmarks.workers import machine, require_torch, write_json

# Standard deviation of noise on the initial weights. It lets every weight act
# on the losses, biases and the gates of LRUA too, which start at zero.
WEIGHT_NOISE = 0.05

XLA, GRAPH = "jit_compile=True", "jit_compile=False"
DEFAULT_MEMORY = f"{XLA}, default memory"
AGAINST_TUNED = "times faster than PyTorch, tuned"
AGAINST_UNTUNED = "times faster than PyTorch, untuned"
AGAINST_JAX = "times faster than JAX"
AGAINST_GRAPH = "times faster than with jit_compile=False"
AGAINST_DEFAULT_MEMORY = "times faster than without keep_freed_memory()"
TARGETS = {LRUA: {AGAINST_TUNED: 1.8, AGAINST_JAX: 1.25}}


def variants(absent=()):
    """All rows of a table.

    Args:
        absent: Sides that are left out.
    """
    rows = [
        Variant("ours", "", XLA, False, keras_step, (True,)),
        Variant("ours", "", DEFAULT_MEMORY, False, keras_step, (True, False)),
        Variant("ours", "", GRAPH, False, keras_step, (False,)),
        Variant("torch", "", "", True, torch_step, ()),
        Variant("torch", "", "", False, torch_step, ()),
        Variant("jax", "", "", False, jax_step, (), optional=True),
    ]
    return [row for row in rows if row.side not in absent]


def keras_model(case):
    """Our model, built."""
    from keras_meta.layers import LRUACell, NTMCell
    from keras_meta.models import MemoryAugmentedNetwork

    cell = LRUACell if case.memory == LRUA else NTMCell
    model = MemoryAugmentedNetwork(
        cell(case.units, case.slots, case.width, case.read_heads), case.labels
    )
    model.build(
        {
            "sequence_x": (None, None, case.size, case.size, 1),
            "previous_y": (None, None, case.labels),
        }
    )
    return model


def initial_weights(case, noise=WEIGHT_NOISE, seed=1):
    """The weights that all sides start from: Keras' own, plus noise.

    Args:
        case: The setting.
        noise: Standard deviation of the noise.
        seed: Integer.

    Returns:
        List of float32 arrays, in the order of our trainable weights.
    """
    import keras

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    return [
        (weight + noise * rng.normal(size=weight.shape)).astype("float32")
        for weight in map(
            keras.ops.convert_to_numpy, keras_model(case).trainable_variables
        )
    ]


def keras_step(case, weights, jit_compile, keep_memory=True):
    """Our training step, as `keras-meta train` runs it unless told otherwise.

    Args:
        case, weights: The setting and its initial weights.
        jit_compile: Whether XLA compiles the step.
        keep_memory: Whether `keep_freed_memory` is called first.
    """
    import keras

    from keras_meta.allocator import keep_freed_memory

    if keep_memory:
        keep_freed_memory()
    model = keras_model(case)
    copy_to_keras(weights, model)
    images, previous_y, y = make_sequences(case)
    return keras_training_step(
        model,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        ({"sequence_x": images, "previous_y": previous_y}, y),
        jit_compile=jit_compile,
    )


def ratios(results):
    """How ours (untuned, under XLA, memory kept) compares with other rows.

    Args:
        results: Dict from variants to their numbers.

    Returns:
        Dict from a text to a ratio, of the rows that were measured.
    """
    found = {
        (row.side, row.details, row.tuned): numbers["milliseconds"]
        for row, numbers in results.items()
    }
    ours = found["ours", XLA, False]
    others = {
        AGAINST_TUNED: ("torch", "", True),
        AGAINST_UNTUNED: ("torch", "", False),
        AGAINST_JAX: ("jax", "", False),
        AGAINST_GRAPH: ("ours", GRAPH, False),
        AGAINST_DEFAULT_MEMORY: ("ours", DEFAULT_MEMORY, False),
    }
    return {
        text: found[row] / ours for text, row in others.items() if row in found
    }


def main(arguments=None):
    parser = make_parser("memory_family", __doc__)
    parser.add_argument(
        "--only", choices=CASES, nargs="+", help="these memories, not all"
    )
    options = parser.parse_args(arguments)
    require_torch()
    cases = [CASES[name] for name in options.only or CASES]
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        cases = [case.quick() for case in cases]
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    absent = ()
    if importlib.util.find_spec("jax") is None:
        print(JAX_ADVICE)
        absent = ("jax",)
    stored = {}
    for case in cases:
        print(f"\n{case}\n", flush=True)
        given = (case, initial_weights(case))
        results = measure(
            variants(absent), given, options.rounds, options.seconds
        )
        print_results(results)
        found, targets = ratios(results), TARGETS.get(case.memory, {})
        print_targets(found, targets)
        stored[case.name] = {
            "case": str(case),
            "variants": {str(row): value for row, value in results.items()},
            "ratios": found,
            "targets": targets,
        }
    write_json(options.json, {"machine": facts, "cases": stored})


if __name__ == "__main__":
    main()
