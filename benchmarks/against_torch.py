"""Comparisons of one of our training steps with PyTorch alone."""

from benchmarks.training_steps import (
    Variant,
    make_parser,
    measure,
    print_results,
    print_targets,
    side_by_side,
)
from benchmarks.workers import machine, require_torch, write_json

DEFAULT_THREADS = "default threads"
AGAINST_TUNED = "times faster than PyTorch, tuned"
AGAINST_UNTUNED = "times faster than PyTorch, untuned"
AGAINST_DEFAULT = "times faster than with default threads"
TARGETS = {AGAINST_TUNED: 1.5}


def variants(keras_step, torch_step):
    """All rows of the table.

    Args:
        keras_step: Builds our step.
        torch_step: Builds the step in PyTorch.
    """
    return [
        Variant("ours", "", "", False, side_by_side, (keras_step,)),
        Variant("ours", "", "", True, side_by_side, (keras_step,)),
        Variant("ours", "", DEFAULT_THREADS, False, keras_step, ()),
        Variant("torch", "", "", True, torch_step, ()),
        Variant("torch", "", "", False, torch_step, ()),
    ]


def ratios(results):
    """How ours (untuned, with its threads set) compares with the other rows.

    Args:
        results: Dict from variants to their numbers.

    Returns:
        Dict from a text to a ratio.
    """
    found = {
        (row.side, row.details, row.tuned): numbers["milliseconds"]
        for row, numbers in results.items()
    }
    others = {
        AGAINST_TUNED: ("torch", "", True),
        AGAINST_UNTUNED: ("torch", "", False),
        AGAINST_DEFAULT: ("ours", DEFAULT_THREADS, False),
    }
    ours = found["ours", "", False]
    return {text: found[row] / ours for text, row in others.items()}


def run(name, documentation, case, initial_weights, rows, arguments):
    """Times all rows, prints them and writes them to a file.

    Args:
        name, documentation: Of the benchmark, for its help.
        case: The setting; its `quick()` is a small one.
        initial_weights: Function of the setting.
        rows: List of `Variant`, as from `variants`.
        arguments: Of the command line; by default those of the process.
    """
    options = make_parser(name, documentation).parse_args(arguments)
    require_torch()
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        case = case.quick()
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"\n{case}\n", flush=True)
    given = (case, initial_weights(case))
    results = measure(rows, given, options.rounds, options.seconds)
    print_results(results)
    found = ratios(results)
    print_targets(found, TARGETS)
    stored = {
        "case": str(case),
        "variants": {str(row): value for row, value in results.items()},
        "ratios": found,
        "targets": TARGETS,
    }
    write_json(options.json, {"machine": facts, **stored})
