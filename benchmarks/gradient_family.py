"""Times an outer step of MAML, first-order MAML and Reptile against peers.

The peers are PyTorch (a loop over tasks, and `torch.func`), learn2learn and
JAX. `benchmarks/README.md` is the manual.
"""

import importlib.util
import itertools

from benchmarks import conv4
from benchmarks.gradient_cases import (
    CASES,
    FOMAML,
    MAML,
    REPTILE,
    initial_weights,
    step_flop,
)
from benchmarks.hyperparameters import (
    INNER_LEARNING_RATE,
    REPTILE_LEARNING_RATE,
    USUAL,
)
from benchmarks.matrix_product import measure_peak
from benchmarks.peers.jax_maml import jax_maml_task
from benchmarks.peers.jax_outer_step import jax_step
from benchmarks.peers.jax_reptile import jax_reptile_task
from benchmarks.peers.jax_updates import JAX_ADVICE
from benchmarks.peers.learn2learn_maml import (
    LEARN2LEARN_ADVICE,
    learn2learn_folder,
    learn2learn_loop,
)
from benchmarks.peers.torch_func_maml import torch_functional
from benchmarks.peers.torch_maml import torch_loop
from benchmarks.peers.torch_outer_step import torch_step
from benchmarks.peers.torch_reptile import torch_reptile
from benchmarks.training_steps import (
    Variant,
    build_keras_model,
    copy_to_keras,
    keras_batch,
    keras_training_step,
    make_episodes,
    make_parser,
    measure,
    print_results,
    print_targets,
    side_by_side,
)
from benchmarks.workers import machine, require_torch, write_json

# Wider than `training_steps.LOSS_TOLERANCES`: at the kinks of ReLU and max-pool
# rounding errors decide the derivatives, and inner steps enlarge the
# difference. The tests compare the gradients themselves, in float64.
TOLERANCES = (5e-3, 0.3)
# The first one is wider still: ours draws its mini-batches itself, and the
# peers have other ones.
REPTILE_TOLERANCES = (0.1, 0.3)

AGAINST_TUNED = "times faster than the fastest PyTorch, tuned"
AGAINST_UNTUNED = "times faster than the fastest PyTorch, untuned"
AGAINST_LEARN2LEARN = "times faster than learn2learn, untuned"
AGAINST_JAX = "times faster than JAX"
MEMORY = {
    "memory as a share of torch.func's, untuned": "peak_memory_mib",
    "the same without libraries and model": "step_memory_mib",
}
TARGETS = {
    MAML: {AGAINST_TUNED: 1.8, AGAINST_LEARN2LEARN: 2.2},
    FOMAML: {AGAINST_TUNED: 1.6, AGAINST_LEARN2LEARN: 2.0},
    REPTILE: {AGAINST_TUNED: 1.6, AGAINST_UNTUNED: 2.0},
}
# The peers that a run can go without.
ADVICE = {"learn2learn": LEARN2LEARN_ADVICE, "jax": JAX_ADVICE}


def torch_peers(case):
    """Rows of PyTorch and learn2learn.

    Returns:
        List of `(side, details, (method, channels_last))`, for `torch_step`.
    """
    if case.method == REPTILE:
        return [
            ("torch", "loop", (torch_reptile, False)),
            ("torch", "loop, channels_last", (torch_reptile, True)),
        ]
    return [
        ("torch", "loop", (torch_loop, False)),
        ("torch", "loop, channels_last", (torch_loop, True)),
        ("torch", "torch.func", (torch_functional, False)),
        ("learn2learn", "", (learn2learn_loop, False)),
    ]


def variants(case, absent=()):
    """All rows of a table.

    Args:
        case: The setting.
        absent: Sides that are left out.
    """
    rows = [
        Variant("ours", "", "", tuned, side_by_side, (keras_step,))
        for tuned in (False, True)
    ]
    rows.append(Variant("ours", "", "default threads", False, keras_step, ()))
    rows += [
        Variant(
            side,
            "",
            details,
            tuned,
            torch_step,
            arguments,
            optional=side == "learn2learn",
        )
        for tuned, (side, details, arguments) in itertools.product(
            (True, False), torch_peers(case)
        )
    ]
    task = jax_reptile_task if case.method == REPTILE else jax_maml_task
    rows.append(Variant("jax", "", "", False, jax_step, (task,), optional=True))
    return [row for row in rows if row.side not in absent]


def absent_peers():
    """Sides that cannot be measured here."""
    absent = []
    if not learn2learn_folder():
        absent.append("learn2learn")
    if importlib.util.find_spec("jax") is None:
        absent.append("jax")
    return absent


def keras_model(case, weights):
    """Our model with the given weights, built."""
    import keras

    from keras_meta import models

    encoder = conv4.keras_encoder(USUAL, case.filters)
    head = keras.layers.Dense(case.setting.way)
    network = keras.Sequential([encoder, head])
    if case.method == REPTILE:
        model = models.Reptile(
            network,
            inner_learning_rate=REPTILE_LEARNING_RATE,
            inner_steps=case.inner_steps,
            inner_batch_size=case.inner_batch_size,
        )
    else:
        model = models.MAML(
            network,
            inner_learning_rate=INNER_LEARNING_RATE,
            inner_steps=case.inner_steps,
            first_order=case.first_order,
        )
    build_keras_model(model)
    copy_to_keras(weights, model)
    return model


def keras_step(case, weights):
    """Our outer step, with TensorFlow's default threads."""
    import keras

    optimizer = keras.optimizers.SGD(1.0) if case.method == REPTILE else None
    return keras_training_step(
        keras_model(case, weights),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras_batch(*make_episodes(case.setting)),
        optimizer=optimizer,
    )


def ratios(results):
    """How ours (untuned, with its threads set) compares with the peers.

    Args:
        results: Dict from variants to their numbers.

    Returns:
        Dict from a text to a ratio, of the comparisons whose peers were
        measured.
    """
    ours = next(
        numbers
        for row, numbers in results.items()
        if row.side == "ours" and not row.tuned and not row.details
    )

    def measured(sides, tuned, details=None):
        return [
            numbers
            for row, numbers in results.items()
            if row.side in sides
            and row.tuned == tuned
            and details in (None, row.details)
        ]

    # learn2learn is PyTorch too.
    peers = {
        AGAINST_TUNED: measured(("torch", "learn2learn"), True),
        AGAINST_UNTUNED: measured(("torch", "learn2learn"), False),
        AGAINST_LEARN2LEARN: measured(("learn2learn",), False),
        AGAINST_JAX: measured(("jax",), False),
    }
    found = {
        text: min(numbers["milliseconds"] for numbers in rows)
        / ours["milliseconds"]
        for text, rows in peers.items()
        if rows
    }
    for numbers in measured(("torch",), False, "torch.func"):
        for text, key in MEMORY.items():
            if numbers[key] is not None:
                found[text] = ours[key] / numbers[key]
    return found


def run_case(case, absent, peak, rounds, seconds):
    """Measures and prints one case.

    Args:
        case: The setting.
        absent: Sides that are left out.
        peak: Floating point operations per second of the fastest matrix
            product.
        rounds, seconds: As for `measure`.

    Returns:
        Dict for the JSON file.
    """
    flop = step_flop(case)
    print(f"\n{case}, {flop / 1e9:.1f} GFLOP\n", flush=True)
    tolerances = TOLERANCES
    if case.method == REPTILE:
        tolerances = REPTILE_TOLERANCES
        print(
            "Ours and the peers draw different mini-batches, so the loss of "
            f"the first step may differ by {tolerances[0]:.0%}.\n"
        )
    results = measure(
        variants(case, absent),
        (case, initial_weights(case)),
        rounds,
        seconds,
        tolerances,
    )
    for numbers in results.values():
        seconds_of_step = numbers["milliseconds"] / 1e3
        numbers["share_of_peak"] = flop / seconds_of_step / peak
    shares = {"peak": lambda numbers: f"{numbers['share_of_peak']:.0%}"}
    print_results(results, shares)
    found = ratios(results)
    print_targets(found, TARGETS[case.method])
    return {
        "case": str(case),
        "gflop": flop / 1e9,
        "variants": {str(row): value for row, value in results.items()},
        "ratios": found,
        "targets": TARGETS[case.method],
    }


def main(arguments=None):
    parser = make_parser("gradient_family", __doc__)
    parser.add_argument(
        "--only", choices=CASES, nargs="+", help="these settings, not all"
    )
    parser.add_argument(
        "--without",
        choices=ADVICE,
        nargs="+",
        default=[],
        help="peers to leave out; JAX takes minutes in the larger settings",
    )
    # There are many rows, and a step may take more than a second.
    parser.set_defaults(rounds=5, seconds=1.0)
    options = parser.parse_args(arguments)
    require_torch()
    cases = {name: CASES[name] for name in options.only or CASES}
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        cases = {name: case.quick() for name, case in cases.items()}
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    absent = absent_peers()
    for side in set(absent).difference(options.without):
        print(ADVICE[side])
    absent += options.without
    rounds, seconds = options.rounds, options.seconds
    peak = measure_peak(rounds, seconds)
    print(f"float32 matrix product: {peak / 1e9:.0f} GFLOP/s", flush=True)
    stored = {
        name: run_case(case, absent, peak, rounds, seconds)
        for name, case in cases.items()
    }
    write_json(
        options.json,
        {
            "machine": facts,
            "peak_gflop_per_second": peak / 1e9,
            "cases": stored,
        },
    )


if __name__ == "__main__":
    main()
