"""Times a training step of Prototypical Networks against PyTorch.

One step is forward, backward and Adam update of Conv4-64.
`benchmarks/README.md` is the manual.
"""

import itertools

from benchmarks import conv4
from benchmarks.conv4 import CONV4
from benchmarks.hyperparameters import USUAL
from benchmarks.matrix_product import measure_peak
from benchmarks.peers.torch_prototypical_network import torch_step
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

TARGETS = {"tuned": 1.4, "untuned": 1.6}
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
        compiled: Whether there are rows of `torch.compile`.
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

    The gradients of a convolution's weights and of its inputs take as many
    operations each as its forward pass. The first one's inputs are images,
    which need no gradient.
    """
    forward = conv4.convolution_flop()
    return setting.images * (3 * sum(forward) - forward[0])


def keras_model(layers, weights):
    """Our model with the given weights, built."""
    from keras_meta.models import PrototypicalNetwork

    filters = weights[0].shape[-1]
    model = PrototypicalNetwork(conv4.keras_encoder(layers, filters))
    build_keras_model(model)
    copy_to_keras(weights, model)
    return model


def keras_step(setting, layers):
    """Our training step."""
    import keras

    return keras_training_step(
        keras_model(layers, conv4.initial_weights(layers)),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras_batch(*make_episodes(setting)),
    )


def add_share_of_peak(setting, results, peak):
    """Adds each variant's speed as a share of the matrix product's."""
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
