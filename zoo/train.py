"""Trains a recipe; a stopped run continues where its last epoch ended."""

import importlib.util
import json
import os
import pathlib
import time

import keras

import zoo
from keras_meta import presets
from zoo import preset_folder
from zoo.recipes.recipe import LOSSES

CHECKPOINT = "checkpoint.keras"
STATE = "state.json"


def train(recipe, run_dir, resume=False, tensorboard=False, verbose="auto"):
    """Trains the model of a recipe.

    After every epoch the run folder holds the model with its optimizer
    (`checkpoint.keras`), and the number of epochs, the seconds spent and the
    history (`state.json`). Episode `i` depends on the recipe's seed and `i`
    alone, so a resumed run sees the episodes that an unbroken one sees.

    Args:
        recipe: A `zoo.recipes.Recipe`.
        run_dir: Folder of the run.
        resume: Whether to continue the run found there.
        tensorboard: Whether to write TensorBoard logs to the folder.
        verbose: As for `keras.Model.fit`.

    Returns:
        `(model, state)`: the trained model and the dict of `state.json`.

    Raises:
        ValueError: If the folder holds a run and `resume` is not set, or
            the run was made with another recipe.
    """
    run_dir = pathlib.Path(run_dir)
    described = recipe.record()
    if (run_dir / STATE).exists():
        if not resume:
            raise ValueError(
                f"{str(run_dir)!r} holds a run already: continue it with "
                "--resume, or name another folder with --run-dir."
            )
        state = json.loads((run_dir / STATE).read_text(encoding="utf-8"))
        if state["recipe"] != described:
            raise ValueError(
                f"The run in {str(run_dir)!r} was made with another recipe "
                "of this name; name another folder with --run-dir."
            )
        model = keras.saving.load_model(run_dir / CHECKPOINT)
        # A run stopped between the two files is one epoch further.
        done = int(model.optimizer.iterations) // recipe.epoch_steps
        state["epochs"] = done
    else:
        run_dir.mkdir(parents=True, exist_ok=True)
        state = {"recipe": described, "epochs": 0, "seconds": 0.0}
        state["history"] = {}
        model = compiled_model(recipe)
    done = state["epochs"] * recipe.epoch_steps * recipe.tasks
    elements = recipe.stream.elements(recipe.seed, done, recipe.augmentation)
    callbacks = [SaveEpoch(run_dir, state)]
    if tensorboard:
        callbacks.append(_tensorboard(run_dir / "tensorboard"))
    epochs = -(-recipe.steps // recipe.epoch_steps)
    if state["epochs"] < epochs:
        model.fit(
            elements.batch(recipe.tasks, drop_remainder=True).prefetch(8),
            steps_per_epoch=recipe.epoch_steps,
            initial_epoch=state["epochs"],
            epochs=epochs,
            callbacks=callbacks,
            verbose=verbose,
        )
    return model, state


def _tensorboard(folder):
    """The callback; TensorFlow would fail only in the first epoch."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError(
            "TensorBoard is not installed: pip install "
            "'keras-meta[tensorboard]', or leave out --tensorboard."
        )
    return keras.callbacks.TensorBoard(folder)


def compiled_model(recipe):
    """The untrained model of a recipe, compiled."""
    keras.utils.set_random_seed(recipe.seed)
    model = recipe.model()
    if recipe.start:
        _start_from(model, zoo.load(recipe.start))
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    model.compile(
        optimizers[recipe.optimizer](
            schedule(recipe), global_clipnorm=recipe.clip_norm
        ),
        LOSSES[recipe.loss](),
        metrics=recipe.stream.training_metrics(),
        steps_per_execution=recipe.stream.steps_per_execution(
            recipe.epoch_steps
        ),
    )
    return model


def _start_from(model, other):
    """Gives a gradient-based model the layers of another's network."""
    model.network.build(other.network.input_shape)
    for layer, start in zip(
        model.network.layers, other.network.layers, strict=True
    ):
        weights = start.get_weights()
        if [w.shape for w in weights] == [w.shape for w in layer.weights]:
            layer.set_weights(weights)


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
    """Saves model and state after each epoch, each file as a whole."""

    def __init__(self, run_dir, state):
        super().__init__()
        self.run_dir, self.state = run_dir, state

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        part = self.run_dir / ("part_" + CHECKPOINT)
        self.model.save(part)
        os.replace(part, self.run_dir / CHECKPOINT)
        self.state["epochs"] = epoch + 1
        self.state["seconds"] += time.monotonic() - self.began
        for key, value in (logs or {}).items():
            self.state["history"].setdefault(key, []).append(float(value))
        presets.write_json(self.run_dir / STATE, self.state)


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
    )
