"""Trains a recipe; a stopped run continues where its last epoch ended."""

import importlib.util
import itertools
import os
import pathlib

import keras
import tensorflow as tf

import zoo
from keras_meta import presets, pretrained_weights
from keras_meta.callbacks import ResumableTraining, checkpoint
from keras_meta.data import worker_batches
from keras_meta.task_examples import build
from keras_meta.workers import this_worker
from zoo import preset_folder, run_folder
from zoo.model_digest import model_digest
from zoo.recipes.recipe import LOSSES, OPTIMIZERS
from zoo.wording import count


def train(
    recipe,
    run_dir,
    resume=False,
    tensorboard=False,
    verbose="auto",
    strategy=None,
    save_steps=None,
    save_minutes=None,
):
    """Trains the model of a recipe.

    `keras_meta.callbacks.ResumableTraining` keeps the run in its folder, after
    every epoch and, if asked, within one. Episode `i` depends on the recipe's
    seed and `i` alone, so a resumed run sees the episodes that an unbroken one
    sees. Of several workers each draws its own, and the first one writes.

    Args:
        recipe: A `zoo.recipes.Recipe`.
        run_dir: Folder of the run; all workers see it.
        resume: Whether to continue the run found there.
        tensorboard: Whether to write TensorBoard logs to the folder.
        verbose: As for `keras.Model.fit`.
        strategy: A `tf.distribute.Strategy`; TensorFlow's default one if it
            is None.
        save_steps, save_minutes: As for `ResumableTraining`.

    Returns:
        `(model, state)`: the trained model and the dict of `state.json`.

    Raises:
        ValueError: If another process trains in the folder, or it holds a
            run and `resume` is not set, or the run was made with another
            recipe or model, or `start` names a preset of which no layer
            fits, or the tasks of a step do not divide among the replicas.
        OSError: If the folder cannot be written, or a save fails.
        ConnectionError: If another worker is lost; it is named.
    """
    run_dir = pathlib.Path(run_dir)
    strategy = strategy or tf.distribute.get_strategy()
    _check_replicas(recipe, strategy.num_replicas_in_sync)
    if not this_worker(strategy).is_chief:
        return _trained(
            recipe, run_dir, True, strategy, [], 0, save_steps, save_minutes
        )
    with run_folder.locked(run_dir):
        callbacks = []
        if tensorboard:
            callbacks.append(_tensorboard(run_dir / "tensorboard"))
        model, state = _trained(
            recipe,
            run_dir,
            resume,
            strategy,
            callbacks,
            verbose,
            save_steps,
            save_minutes,
        )
        if not recipe.weights_from:
            # The copy of a run that was killed may be one save behind.
            presets.write_json(run_dir / run_folder.STATE, state)
        return model, state


def _trained(recipe, run_dir, resume, strategy, callbacks, verbose, *saves):
    """What `train` returns; the folder is this process' own, or a worker's."""
    holds_run = run_folder.holds_run(run_dir)
    if holds_run and not resume:
        raise ValueError(
            f"{str(run_dir)!r} holds a run already: continue it with "
            "--resume, or name another folder with --run-dir."
        )
    with strategy.scope():
        model = untrained_model(recipe)
    notes = {"recipe": recipe.record(), "model": model_digest(model)}
    if holds_run:
        _check_run(run_dir, notes)
    run = ResumableTraining(run_dir, recipe.tasks, *saves, notes=notes)
    if recipe.weights_from:
        build(model, model.preprocessing.shape)
        pretrained_weights.load_parts(model, recipe.weights_from)
    elif run.state["epochs"] >= _epochs(recipe):
        model = checkpoint.load_model(run_dir)
    else:
        with strategy.scope():
            compile_model(model, recipe, begins=not holds_run)
        _fit(recipe, model, run, strategy, callbacks, verbose)
    return model, run.state


def _epochs(recipe):
    """How many epochs a recipe has."""
    return -(-recipe.steps // recipe.epoch_steps)


def _check_replicas(recipe, replicas):
    """Raises a ValueError if replicas cannot share the tasks of a step."""
    if recipe.tasks % replicas:
        raise ValueError(
            f"A step of {recipe.name} has {count(recipe.tasks, 'task')}, which "
            f"{replicas} replicas cannot share alike: use a number of devices "
            f"that divides {recipe.tasks}."
        )


def _fit(recipe, model, run, strategy, callbacks, verbose):
    """Trains the epochs that are left."""
    # A version that saved at the end of epochs alone did not count.
    done = run.episodes or (
        run.state["epochs"] * recipe.epoch_steps * recipe.tasks
    )
    elements = recipe.stream.elements(recipe.seed, done, recipe.augmentation)
    batches = worker_batches(elements, recipe.tasks, strategy)
    model.fit(
        batches,
        steps_per_epoch=recipe.epoch_steps,
        # Keras warns that it cannot shuffle a data set.
        shuffle=False,
        epochs=_epochs(recipe),
        callbacks=[run, *callbacks],
        verbose=verbose,
    )


def _check_run(run_dir, notes):
    """Raises a ValueError if a run was made with another recipe or model."""
    state = checkpoint.read_state(run_dir)
    if state["recipe"] != notes["recipe"]:
        raise ValueError(
            f"The run in {str(run_dir)!r} was made with another recipe of "
            "this name; name another folder with --run-dir."
        )
    # An older version of the zoo wrote no digest.
    if state.get("model") != notes["model"]:
        raise ValueError(
            f"The run in {str(run_dir)!r} was made with another model than "
            "the recipe's; name another folder with --run-dir."
        )


def _tensorboard(folder):
    """The callback of TensorBoard.

    Raises:
        ValueError: If TensorBoard is missing, which TensorFlow would report
            only in the first epoch, and not by its name.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "TensorBoard is not installed: pip install "
            "'keras-meta[tensorboard]', or leave out --tensorboard."
        )
    return keras.callbacks.TensorBoard(folder)


def untrained_model(recipe):
    """The model of a recipe, with random weights or none yet."""
    keras.utils.set_random_seed(recipe.seed)
    return recipe.model()


def compile_model(model, recipe, begins=True):
    """Gives a model its first weights, optimizer, loss and metrics.

    Args:
        model: The untrained model of the recipe.
        recipe: A `zoo.recipes.Recipe`.
        begins: Whether its training begins; one that goes on has weights.

    Raises:
        ValueError: If no layer of the preset `start` fits the model.
    """
    if recipe.start and begins:
        _start_from(model, recipe.start)
    optimizer = getattr(keras.optimizers, OPTIMIZERS[recipe.optimizer])
    name, arguments = LOSSES[recipe.loss]
    loss = keras.saving.get_registered_object(name) or getattr(
        keras.losses, name
    )
    stream, steps = recipe.stream, 1
    # Keras cannot run several steps in one go on several workers.
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        steps = stream.steps_per_execution(recipe.epoch_steps)
    model.compile(
        optimizer(schedule(recipe), global_clipnorm=recipe.clip_norm),
        loss(**arguments),
        weighted_metrics=stream.training_metrics(),
        steps_per_execution=steps,
        # Keras' own choice uses XLA on GPUs only.
        jit_compile=recipe.jit_compile or "auto",
    )


def _start_from(model, start):
    """Gives a model the weights of a preset, layer by layer.

    The parts of both (an encoder, a network) are paired in their order, and
    so are their layers; one part may have more, as a network has that is an
    encoder and a head. A layer whose weights have other shapes in the preset
    keeps its own.
    """
    other = zoo.load(start)
    if not _build_like(model, other) or not sum(
        _take_weights(part, source)
        for part, source in zip(model.layers, other.layers, strict=False)
    ):
        raise ValueError(
            "`start` must name a preset with layers like those of the "
            f"recipe's model. Received: start={start!r}, of which none fits "
            f"{model.name!r}"
        )


def _build_like(model, other):
    """Builds a model for the examples of another; whether it takes them."""
    shapes = {
        key: (None, None, *shape) for key, shape in other.example_shapes.items()
    }
    try:
        # As for episodes, which every model takes.
        model.build({**shapes, "support_y": (None, None, None)})
    except ValueError:
        return False
    return True


def _take_weights(part, source):
    """Copies the weights of the layers that fit; returns how many do."""
    layers, sources = (
        # The path of a weight is that of its layer, and its name.
        [
            list(weights)
            for _, weights in itertools.groupby(
                layer.weights, lambda weight: weight.path.rpartition("/")[0]
            )
        ]
        for layer in (part, source)
    )
    taken = 0
    for own, others in zip(layers, sources, strict=False):
        if [w.shape for w in own] == [w.shape for w in others]:
            taken += 1
            for weight, other in zip(own, others, strict=True):
                weight.assign(other)
    return taken


def schedule(recipe):
    """The learning rate of a recipe, step by step."""
    if recipe.optimizer == "sgd":
        return keras.optimizers.schedules.PolynomialDecay(
            recipe.learning_rate, recipe.steps, 0.0
        )
    cycles = sum(0.5**cycle for cycle in range(recipe.restarts + 1))
    return keras.optimizers.schedules.CosineDecayRestarts(
        recipe.learning_rate, recipe.steps / cycles, t_mul=0.5, m_mul=0.5
    )


def write_preset(recipe, model, state, directory):
    """Writes a trained model as a preset that is not measured yet.

    Args:
        recipe: The recipe.
        model: The trained model.
        state: The dict of `state.json`.
        directory: Folder of the preset.
    """
    preset_folder.write_trained(
        directory,
        model,
        {
            **recipe.record(),
            "seconds": round(state["seconds"]),
            "cpus": os.cpu_count(),
            "parameters": model.count_params(),
            "history": {
                key: [float(f"{value:.4g}") for value in values]
                for key, values in state["history"].items()
            },
        },
        recipe.half_precision,
        recipe.weights_from,
    )
