"""Measures models; the only source of the numbers in `results.json`."""

from __future__ import annotations

import contextlib
import importlib.metadata
from typing import TYPE_CHECKING

import numpy as np

from keras_meta.models import EpisodicModel
from zoo import cards, preset_folder
from zoo.results import Result, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    import keras
    import tensorflow as tf

    from keras_meta.typing import Path
    from zoo.recipes.recipe import Evaluation


def evaluation_episodes(
    evaluation: Evaluation,
    elements: Callable[..., tf.data.Dataset] | None = None,
) -> tf.data.Dataset:
    """The tasks of a measurement.

    Args:
        evaluation: A `zoo.recipes.Evaluation`.
        elements: What draws them; the stream's own by default.

    Returns:
        A finite, batched `tf.data.Dataset`.
    """
    elements = (elements or evaluation.stream.elements)(evaluation.seed)
    tasks = tasks_at_once(evaluation)
    return elements.take(evaluation.episodes).batch(tasks).prefetch(2)


def tasks_at_once(evaluation: Evaluation) -> int:
    """How many tasks of a measurement go through the model at once."""
    stream = evaluation.stream
    return max(1, stream.examples_at_once // stream.examples_per_task)


def evaluate(
    model: keras.Model,
    evaluation: Evaluation,
    verbose: int = 0,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> Result:
    """Runs one measurement.

    Args:
        model: A Keras model with weights; it may be compiled anew.
        evaluation: A `zoo.recipes.Evaluation`.
        verbose, callbacks: As for `keras.Model.evaluate`.

    Returns:
        The `zoo.results.Result`, with the numbers of the stream's measure.

    Raises:
        ValueError: If the model has no such statistics or no inner steps.
    """
    measure = evaluation.stream.measure
    with as_asked(model, evaluation):
        measured, elements = evaluation.stream.prepared(model)
        # Keras wants a loss; this one fits predictions of any kind.
        measured.compile(
            loss="mse", weighted_metrics=[measure.metric(name=measure.key)]
        )
        logs = measured.evaluate(
            evaluation_episodes(evaluation, elements),
            return_dict=True,
            verbose=verbose,
            callbacks=list(callbacks),
        )
    return Result(evaluation, measure.numbers(logs))


def as_asked(
    model: keras.Model, evaluation: Evaluation
) -> AbstractContextManager[None]:
    """Gives a model the statistics and inner steps of a measurement.

    Args:
        model: An `EpisodicModel`, or another Keras model, which has its
            moving averages and no inner steps.
        evaluation: A `zoo.recipes.Evaluation`.

    Returns:
        Context manager; at its end the model has its own again.

    Raises:
        ValueError: If the model has no such statistics or no inner steps.
    """
    values: dict[str, Any] = {"statistics": evaluation.statistics}
    if evaluation.inner_steps is not None:
        if getattr(model, "evaluation_inner_steps", None) is None:
            raise ValueError(
                "`inner_steps` (`--inner-steps`) must be left out for a model "
                "that takes no gradient steps on the support. Received: "
                f"inner_steps={evaluation.inner_steps} for the model "
                f"{model.name!r}"
            )
        values["evaluation_inner_steps"] = evaluation.inner_steps
    if not isinstance(model, EpisodicModel):
        if evaluation.statistics != "running":
            raise ValueError(
                "`statistics` (`--statistics`) must be 'running' for a plain "
                "Keras model. Received: "
                f"statistics={evaluation.statistics!r} for the model "
                f"{model.name!r}"
            )
        return contextlib.nullcontext()
    return with_attributes(model, values)


@contextlib.contextmanager
def with_attributes(
    model: keras.Model, values: Mapping[str, Any]
) -> Iterator[None]:
    """Gives a model other values of its attributes for a while.

    Args:
        model: Any object.
        values: Dict of the values by name.
    """
    before = {name: getattr(model, name) for name in values}
    try:
        for name, value in values.items():
            setattr(model, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(model, name, value)


def sample_probabilities(model: keras.Model) -> list:
    """What a model makes of one small made-up task.

    The numbers are stored with the results, so that a later version of the
    library can show that it computes the same. A gradient-based model takes
    one inner step, since ten make rounding errors visible.

    Args:
        model: A built `EpisodicModel`, or another Keras model with outputs
            `(batch, steps, size)`.

    Returns:
        Nested list `(query, way)`: the probabilities of 4 queries of noise,
        from 2 shots of noise of each of 3 classes, or of as many as the
        model has outputs; or `(4, size)`: what another model gives for 4
        steps of noise.
    """
    rng = np.random.RandomState(0)
    if not isinstance(model, EpisodicModel):
        noise = rng.random_sample((1, 4, *model.input_shape[2:]))
        outputs = model(noise.astype("float32"))
        return np.round(np.array(outputs)[0], 6).tolist()
    shape = model.example_shapes["query_x"]
    support_shape = model.example_shapes["support_x"]
    way = model.fixed_way or 3
    steps = {}
    if model.evaluation_inner_steps is not None:
        steps["evaluation_inner_steps"] = 1
    with with_attributes(model, steps):
        task = model.adapt(
            rng.random_sample((1, 2 * way, *support_shape)).astype("float32"),
            np.tile(np.eye(way, dtype="float32"), (2, 1))[None],
        )
    query_x = rng.random_sample((1, 4, *shape)).astype("float32")
    probabilities = model.probabilities(model.infer(task, query_x))
    return np.round(np.array(probabilities)[0], 6).tolist()


def write_results(directory: Path, results: list[Result]) -> None:
    """Writes `results.json` of a preset, its card and its sums.

    Args:
        directory: Folder of the preset.
        results: List of what `evaluate` returned.
    """
    model = preset_folder.read_model(directory)
    versions = {
        name: importlib.metadata.version(name)
        for name in ("keras", "tensorflow", "numpy")
    }
    preset_folder.write_results(
        directory, Results(results, sample_probabilities(model), versions)
    )
    cards.write(directory)
