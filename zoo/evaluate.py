"""Measures models; the only source of the numbers in `results.json`."""

import contextlib
import dataclasses
import importlib.metadata
import json
import pathlib

import keras
import numpy as np

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
    episodes = recipes.stream(evaluation)
    each = evaluation.way * (evaluation.shot + evaluation.queries)
    tasks = max(1, EXAMPLES_AT_ONCE // each)
    return episodes.take(evaluation.episodes).batch(tasks).prefetch(2)


def evaluate(model, evaluation, verbose=0):
    """Runs one measurement.

    The accuracy is the mean over episodes, or the share of pairs whose score
    is on the right side of 1/2. For sinusoids it is the squared error.

    Args:
        model: An `EpisodicModel` with weights; it is compiled anew.
        evaluation: A `zoo.recipes.Evaluation`.
        verbose: As for `keras.Model.evaluate`.

    Returns:
        Dict of the fields of `evaluation` with `accuracy`, in percent, or
        `mean_squared_error`; and `interval`, the half width of its 95%
        interval.
    """
    settings = {"statistics": evaluation.statistics}
    if evaluation.inner_steps is not None:
        settings["evaluation_inner_steps"] = evaluation.inner_steps
    measure = _squared_error if evaluation.stream == "sinusoids" else _accuracy
    with _attributes(model, settings):
        found = measure(model, evaluation, verbose)
    return {**dataclasses.asdict(evaluation), **found}


@contextlib.contextmanager
def _attributes(model, values):
    """Gives a model other values of its attributes for a while."""
    before = {name: getattr(model, name) for name in values}
    try:
        for name, value in values.items():
            setattr(model, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(model, name, value)


def _accuracy(model, evaluation, verbose):
    """Accuracy and interval in percent."""
    if evaluation.stream == "pairs":
        metric = keras.metrics.BinaryAccuracy(name="accuracy")
    else:
        metric = km.metrics.AccuracyInterval(name="accuracy")
    # Keras wants a loss; this one fits predictions of any kind.
    model.compile(loss="mse", metrics=[metric])
    logs = model.evaluate(
        evaluation_episodes(evaluation), return_dict=True, verbose=verbose
    )
    accuracy = float(logs["accuracy"])
    # A pair is right or wrong, so its variance is known.
    binomial = 1.96 * (accuracy * (1 - accuracy) / evaluation.episodes) ** 0.5
    interval = float(logs.get("accuracy_interval", binomial))
    return {
        "accuracy": round(100 * accuracy, 3),
        "interval": round(100 * interval, 3),
    }


def _squared_error(model, evaluation, verbose):
    """Mean over tasks of the squared error of their queries."""
    tasks = evaluation_episodes(evaluation)
    found = model.predict(tasks, verbose=verbose)
    wanted = np.concatenate([query_y.numpy() for _, query_y in tasks])
    errors = np.mean((found - wanted) ** 2, axis=(1, 2))
    interval = 1.96 * errors.std() / len(errors) ** 0.5
    return {
        "mean_squared_error": round(float(errors.mean()), 4),
        "interval": round(float(interval), 4),
    }


def sample_probabilities(model):
    """What a model makes of one small made-up task.

    The number is stored with the results, so that a later version of the
    library can show that it computes the same. An inner loop takes one step,
    since ten of them make rounding errors visible.

    Args:
        model: A built `EpisodicModel`.

    Returns:
        Nested list `(query, way)`: 4 queries of noise and 2 shots of it, of
        3 classes or as many as the model has outputs.
    """
    rng = np.random.RandomState(0)
    shape = model.example_shapes["query_x"]
    support_shape = model.example_shapes["support_x"]
    way = model.fixed_way or 3
    one_step = hasattr(model, "evaluation_inner_steps")
    with _attributes(model, {"evaluation_inner_steps": 1} if one_step else {}):
        task = model.adapt(
            rng.random_sample((1, 2 * way, *support_shape)).astype("float32"),
            np.tile(np.eye(way, dtype="float32"), (2, 1))[None],
        )
    query_x = rng.random_sample((1, 4, *shape)).astype("float32")
    probabilities = model.probabilities(model.infer(task, query_x))
    return np.round(np.array(probabilities)[0], 6).tolist()


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
        directory / RESULTS,
        {
            "evaluations": results,
            "sample_probabilities": sample_probabilities(
                presets.load(directory)
            ),
            "versions": versions,
        },
    )
    cards.write(directory)


def read_results(directory):
    """The list of measurements of a preset; empty if there are none."""
    path = pathlib.Path(directory) / RESULTS
    if not path.exists():
        return []
    return json.loads(path.read_text(encoding="utf-8"))["evaluations"]
