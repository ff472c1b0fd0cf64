"""Measures models; the only source of the numbers in `results.json`."""

import dataclasses
import importlib.metadata
import json
import pathlib

import keras_meta as km
from keras_meta import presets
from zoo import recipes

RESULTS = "results.json"
# Examples that go through the encoder at once.
EXAMPLES_AT_ONCE = 4000


def evaluation_episodes(evaluation):
    """The episodes of a measurement.

    Args:
        evaluation: A `zoo.recipes.Evaluation`.

    Returns:
        A finite, batched `tf.data.Dataset`.
    """
    examples, labels = recipes.load_split(
        evaluation.dataset, evaluation.split, evaluation.rotations
    )
    groups = km.data.label_groups(labels) if evaluation.within_groups else None
    episodes = km.data.episode_dataset(
        examples,
        labels,
        way=evaluation.way,
        shot=evaluation.shot,
        queries=evaluation.queries,
        seed=evaluation.seed,
        groups=groups,
    )
    each = evaluation.way * (evaluation.shot + evaluation.queries)
    tasks = max(1, EXAMPLES_AT_ONCE // each)
    return episodes.take(evaluation.episodes).batch(tasks).prefetch(2)


def evaluate(model, evaluation, verbose=0):
    """Runs one measurement.

    Args:
        model: An `EpisodicModel` with weights.
        evaluation: A `zoo.recipes.Evaluation`.
        verbose: As for `keras.Model.evaluate`.

    Returns:
        Dict of the fields of `evaluation` with `accuracy` and `interval`,
        the half width of the 95% interval over episodes, both in percent.
    """
    model.statistics = evaluation.statistics
    model.compile(metrics=[km.metrics.AccuracyInterval(name="accuracy")])
    logs = model.evaluate(
        evaluation_episodes(evaluation), return_dict=True, verbose=verbose
    )
    return {
        **dataclasses.asdict(evaluation),
        "accuracy": round(100 * float(logs["accuracy"]), 3),
        "interval": round(100 * float(logs["accuracy_interval"]), 3),
    }


def write_results(directory, results):
    """Writes `results.json` of a preset, its card and its sums.

    Args:
        directory: Folder of the preset.
        results: List of what `evaluate` returned.
    """
    from zoo import cards

    directory = pathlib.Path(directory)
    versions = {
        name: importlib.metadata.version(name)
        for name in ("keras", "tensorflow", "numpy")
    }
    presets.write_json(
        directory / RESULTS, {"evaluations": results, "versions": versions}
    )
    cards.write(directory)


def read_results(directory):
    """The list of measurements of a preset; empty if there are none."""
    path = pathlib.Path(directory) / RESULTS
    if not path.exists():
        return []
    return json.loads(path.read_text(encoding="utf-8"))["evaluations"]
