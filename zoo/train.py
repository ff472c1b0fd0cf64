"""Trains a recipe; a stopped run continues where its last epoch ended."""

import importlib.util
import itertools
import os
import pathlib
import time

import keras

import zoo
from keras_meta import pretrained_weights
from keras_meta.task_examples import build
from zoo import preset_folder, run_folder
from zoo.model_digest import model_digest
from zoo.recipes.recipe import LOSSES, OPTIMIZERS


def train(recipe, run_dir, resume=False, tensorboard=False, verbose="auto"):
    """Trains the model of a recipe.

    After every epoch the run folder holds the model with its optimizer, the
    number of epochs, the seconds spent and the history (`checkpoint.keras`;
    `state.json` repeats all but the model). Episode `i` depends on the
    recipe's seed and `i` alone, so a resumed run sees the episodes that an
    unbroken one sees.

    Args:
        recipe: A `zoo.recipes.Recipe`.
        run_dir: Folder of the run.
        resume: Whether to continue the run found there.
        tensorboard: Whether to write TensorBoard logs to the folder.
        verbose: As for `keras.Model.fit`.

    Returns:
        `(model, state)`: the trained model and the dict of `state.json`.

    Raises:
        ValueError: If another process trains in the folder, or it holds a
            run and `resume` is not set, or the run was made with another
            recipe or model, or `start` names a preset of which no layer
            fits.
    """
    run_dir = pathlib.Path(run_dir)
    with run_folder.locked(run_dir):
        model, state = _begun(recipe, run_dir, resume)
        if state["epochs"] < _epochs(recipe):
            _fit(recipe, model, state, run_dir, tensorboard, verbose)
    return model, state


def _begun(recipe, run_dir, resume):
    """The compiled model and the state with which a training begins."""
    if run_folder.holds_run(run_dir):
        if not resume:
            raise ValueError(
                f"{str(run_dir)!r} holds a run already: continue it with "
                "--resume, or name another folder with --run-dir."
            )
        return _resumed(recipe, run_dir)
    model = untrained_model(recipe)
    state = {
        "recipe": recipe.record(),
        "model": model_digest(model),
        "epochs": 0,
        "seconds": 0.0,
        "history": {},
    }
    if recipe.weights_from:
        build(model, model.preprocessing.shape)
        pretrained_weights.load_parts(model, recipe.weights_from)
    else:
        compile_model(model, recipe)
    return model, state


def _epochs(recipe):
    """How many epochs a recipe has."""
    return -(-recipe.steps // recipe.epoch_steps)


def _fit(recipe, model, state, run_dir, tensorboard, verbose):
    """Trains the epochs that are left; the state is kept up to date."""
    done = state["epochs"] * recipe.epoch_steps * recipe.tasks
    elements = recipe.stream.elements(recipe.seed, done, recipe.augmentation)
    callbacks = [SaveEpoch(run_dir, state)]
    if tensorboard:
        callbacks.append(_tensorboard(run_dir / "tensorboard"))
    model.fit(
        elements.batch(recipe.tasks, drop_remainder=True).prefetch(8),
        steps_per_epoch=recipe.epoch_steps,
        initial_epoch=state["epochs"],
        epochs=_epochs(recipe),
        callbacks=callbacks,
        verbose=verbose,
        # Keras warns that it shuffles no data set.
        shuffle=False,
    )


def _resumed(recipe, run_dir):
    """The model and the state of a stopped run.

    Raises:
        ValueError: If the run was made with another recipe or model.
    """
    state = run_folder.read_state(run_dir)
    if state["recipe"] != recipe.record():
        raise ValueError(
            f"The run in {str(run_dir)!r} was made with another recipe of "
            "this name; name another folder with --run-dir."
        )
    # An older version of the zoo wrote no digest.
    if state.get("model") != model_digest(untrained_model(recipe)):
        raise ValueError(
            f"The run in {str(run_dir)!r} was made with another model than "
            "the recipe's; name another folder with --run-dir."
        )
    # The copy of a run that was killed may be one epoch behind.
    run_folder.write_state(run_dir, state)
    return run_folder.load_model(run_dir), state


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


def compile_model(model, recipe):
    """Gives a model its first weights, optimizer, loss and metrics.

    Args:
        model: The untrained model of the recipe.
        recipe: A `zoo.recipes.Recipe`.

    Raises:
        ValueError: If no layer of the preset `start` fits the model.
    """
    if recipe.start:
        _start_from(model, recipe.start)
    optimizer = getattr(keras.optimizers, OPTIMIZERS[recipe.optimizer])
    name, arguments = LOSSES[recipe.loss]
    loss = keras.saving.get_registered_object(name) or getattr(
        keras.losses, name
    )
    stream = recipe.stream
    model.compile(
        optimizer(schedule(recipe), global_clipnorm=recipe.clip_norm),
        loss(**arguments),
        weighted_metrics=stream.training_metrics(),
        steps_per_execution=stream.steps_per_execution(recipe.epoch_steps),
        # Keras' own choice uses XLA on GPUs only.
        jit_compile=recipe.jit_compile or "auto",
    )


def _start_from(model, start):
    """Gives a model the weights of a preset, layer by layer.

    The parts of both (an encoder, a network) are paired in their order. A
    layer whose weights have other shapes in the preset keeps its own.
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
    if len(layers) == len(sources):
        for own, others in zip(layers, sources, strict=True):
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


class SaveEpoch(keras.callbacks.Callback):
    """Saves model and state after each epoch."""

    def __init__(self, run_dir, state):
        super().__init__()
        self.run_dir, self.state = run_dir, state

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.state["epochs"] = epoch + 1
        self.state["seconds"] += time.monotonic() - self.began
        for key, value in (logs or {}).items():
            self.state["history"].setdefault(key, []).append(float(value))
        run_folder.save(self.run_dir, self.model, self.state)


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
