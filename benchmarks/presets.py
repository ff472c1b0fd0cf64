"""Measures how long each preset takes to learn a task, and to predict.

One task of the preset's first measurement is learned by `adapt`, then one query
is predicted by `infer`, both inside graphs, as a SavedModel runs them. The site
shows the numbers in the table of the zoo. `benchmarks/README.md` is the manual.
"""

import argparse
import json
import pathlib
import statistics
import time

from benchmarks import workers

# What the table of the zoo reads.
STORED = pathlib.Path(__file__).with_suffix(".json")
# Turns of each function, at least.
LEAST = 5


def seconds_of(function, length):
    """The median time of a call.

    Args:
        function: Called without arguments; it returns when its work is done.
        length: Seconds that all calls take together, about.

    Returns:
        float.
    """
    function()
    function()
    times, end = [], time.perf_counter() + length
    while len(times) < LEAST or time.perf_counter() < end:
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def noise(model, evaluation, rng):
    """A task of the size of a measurement, and one query.

    Args:
        model: An `EpisodicModel` with weights.
        evaluation: A `zoo.recipes.Evaluation`.
        rng: `numpy.random.Generator`.

    Returns:
        `(support_x, support_y, query_x)`: tensors of one task. A sequence has
        no shots: it is one of each class.
    """
    import numpy as np
    import tensorflow as tf

    settings = evaluation.record()
    way, shot = settings["way"], settings.get("shot") or 1
    shapes = model.example_shapes
    support_x = rng.random((1, way * shot, *shapes["support_x"]))
    support_y = np.tile(np.eye(way), (shot, 1))[None]
    query_x = rng.random((1, 1, *shapes["query_x"]))
    return [
        tf.constant(array, "float32")
        for array in (support_x, support_y, query_x)
    ]


def measure(name, length):
    """The milliseconds of a preset.

    Args:
        name: The preset's.
        length: Seconds that each of the two functions is measured, about.

    Returns:
        Dict `adapt` and `infer`, in milliseconds; None for a model that does
        not learn from a support.

    Raises:
        ValueError: If an extra with the weights is not installed.
    """
    import numpy as np
    import tensorflow as tf

    import zoo
    from keras_meta.models import EpisodicModel
    from zoo import evaluate, preset_folder

    model = zoo.load(name)
    if not isinstance(model, EpisodicModel):
        return None
    results = preset_folder.read_results(zoo.preset_directory(name))
    evaluation = results.evaluations[0].evaluation
    support_x, support_y, query_x = noise(
        model, evaluation, np.random.default_rng(0)
    )
    with evaluate.as_asked(model, evaluation):
        adapt = tf.function(model.adapt, autograph=False)
        infer = tf.function(model.infer, autograph=False)
        task = adapt(support_x, support_y)
        seconds = {
            "adapt": seconds_of(
                lambda: wait(adapt(support_x, support_y)), length
            ),
            "infer": seconds_of(lambda: wait(infer(task, query_x)), length),
        }
    return {key: round(1000 * value, 3) for key, value in seconds.items()}


def wait(outputs):
    """Returns when a tensor, or each of a dict of tensors, is there."""
    parts = outputs.values() if isinstance(outputs, dict) else [outputs]
    for part in parts:
        part.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", nargs="+")
    text = "of each of the two functions (default: %(default)s)"
    parser.add_argument("--seconds", type=float, default=0.5, help=text)
    text = "where the numbers are stored (default: %(default)s)"
    parser.add_argument("--json", type=pathlib.Path, default=STORED, help=text)
    options = parser.parse_args()
    import zoo

    machine, found = workers.machine(), {}
    if options.json.exists() and stored(options.json)["machine"] == machine:
        # What this run does not measure keeps its numbers.
        found = stored(options.json)["milliseconds"]
    for name in options.only or zoo.list_presets():
        try:
            milliseconds = measure(name, options.seconds)
        except ValueError as error:
            print(f"{name}: {error}")
            continue
        if milliseconds is None:
            continue
        found[name] = milliseconds
        # A run that is stopped keeps what it measured.
        workers.write_json(
            options.json,
            {"machine": machine, "milliseconds": dict(sorted(found.items()))},
        )
    rows = [
        [name, *(f"{value:.2f}" for value in numbers.values())]
        for name, numbers in found.items()
    ]
    workers.print_table(["preset", "adapt, ms", "infer, ms"], rows)


def stored(path=STORED):
    """The results of the last run that was kept.

    Args:
        path: The file of the option `--json`.

    Returns:
        Dict: `machine`, and `milliseconds` by preset.
    """
    return json.loads(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
