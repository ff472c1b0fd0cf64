"""A training that a stop, whatever its reason, does not lose."""

import contextlib
import json
import os
import pathlib
import time
import warnings
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_meta.callbacks import checkpoint
from keras_meta.checks import check_choice, check_integer, check_positive
from keras_meta.typing import Path
from keras_meta.workers import summed, this_worker

Logs: TypeAlias = dict[str, Any] | None
# How many steps of several workers pass between two looks at the clock, which
# all of them must take together.
CLOCK_STEPS = 10


class ResumableTraining(keras.callbacks.Callback):
    """Saves a training, and goes on from the last save.

    `fit` with this callback first restores what the folder holds: the weights,
    the optimizer, the epoch and the step within it, the metrics of that epoch,
    the best score and the history. Episode `i` of a stream depends on its seed
    and `i` alone, so a stream that begins at `episodes` goes on where the last
    save was made, and the result is that of a training without a stop.

    The folder gets `checkpoint.keras`, the model with its optimizer and the
    state of the training in one file that is replaced as a whole, whenever the
    process is killed; `state.json`, a copy of the state for people; and with
    `monitor` also `best.keras`, the model with the best score. Both are models
    for `keras.saving.load_model`.

    With several workers the chief alone writes, and all of them must see the
    folder. A run may go on with another number of workers or replicas.

    Args:
        directory: The folder of the run; it is made if it is missing.
        tasks: Integer, at least 1: how many tasks a step draws, over all
            workers: what `.batch(tasks)` makes.
        save_steps: After how many steps a save is made within an epoch;
            None for none. One is made after each epoch in any case.
        save_minutes: After how many minutes one is made within an epoch.
        monitor: The metric to keep the best model by, such as
            `"val_task_accuracy"`; None for none.
        mode: `"auto"`, `"min"` or `"max"`: the better direction of it.
        notes: Optional dict that JSON can hold: what the run is of, such as
            its hyperparameters. It is saved with the state.

    Attributes:
        state: Dict of all that is saved beside the model: `epochs` that are
            over, `steps` of the one after them, `episodes`, `seconds` of
            training, `history` (a list for each metric), `best`, and the
            `notes`.

    Raises:
        ValueError: If a number is out of range, or the folder holds a run of
            other notes, or of another model (when `fit` begins).
        OSError: From `fit`: before the first step, if a save would fail, for
            lack of space or permission; and if one fails later. The last save
            is then kept.

    Example:

    >>> import tempfile
    >>> import keras
    >>> def run(folder, epochs):
    ...     training = keras_meta.callbacks.ResumableTraining(folder, tasks=2)
    ...     stream = keras_meta.data.sinusoid_dataset(start=training.episodes)
    ...     network = keras.Sequential([keras.layers.Dense(1)])
    ...     model = keras_meta.models.MAML(
    ...         network, inner_loss="mean_squared_error")
    ...     model.compile("adam", "mean_squared_error")
    ...     model.fit(stream.batch(2), steps_per_epoch=3, epochs=epochs,
    ...               callbacks=[training], verbose=0)
    ...     return training.state["epochs"], training.episodes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run(folder, epochs=1), run(folder, epochs=2)
    ((1, 6), (2, 12))
    """

    # For `fit`: the weights must be there when it begins.
    restores_weights = True

    def __init__(
        self,
        directory: Path,
        tasks: int,
        save_steps: int | None = None,
        save_minutes: float | None = None,
        monitor: str | None = None,
        mode: str = "auto",
        notes: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.tasks = check_integer("tasks", tasks, 1)
        if save_steps is not None:
            save_steps = check_integer("save_steps", save_steps, 1)
        if save_minutes is not None:
            save_minutes = check_positive("save_minutes", save_minutes)
        self.save_steps, self.save_minutes = save_steps, save_minutes
        self.monitor = monitor
        check_choice("mode", mode, ("auto", "min", "max"))
        # As a file holds them: with lists for tuples.
        self._notes = json.loads(json.dumps(notes or {}))
        self.state = self._begun()
        self._keeper = None
        if monitor is not None:
            # Keras' own, which knows the directions of metrics.
            self._keeper = keras.callbacks.ModelCheckpoint(
                checkpoint.part_of(self.directory / checkpoint.BEST),
                monitor=monitor,
                mode=mode,
                save_best_only=True,
                initial_value_threshold=self.state["best"],
            )

    def _begun(self):
        """The state with which the training begins: the saved one."""
        notes = self._notes
        state = {
            "epochs": 0,
            "steps": 0,
            "episodes": 0,
            "seconds": 0.0,
            "history": {},
            "best": None,
        }
        if notes.keys() & state.keys():
            raise ValueError(
                f"`notes` must not have the keys {sorted(state)}. "
                f"Received: {sorted(notes)}"
            )
        if not checkpoint.exists(self.directory):
            return {**notes, **state}
        saved = checkpoint.read_state(self.directory)
        for name, value in notes.items():
            if saved.get(name) != value:
                raise ValueError(
                    f"`notes` must be those of the run in "
                    f"{str(self.directory)!r}, or name another folder. "
                    f"Received: {name}={value!r} where the run has "
                    f"{saved.get(name)!r}"
                )
        return {**notes, **state, **saved}

    @property
    def episodes(self) -> int:
        """How many tasks the saved steps drew: where the stream goes on."""
        return self._begun()["episodes"]

    def on_train_begin(self, logs: Logs = None) -> None:
        # A save may be older than what an unfinished `fit` of this callback
        # made.
        self.state = self._begun()
        self._worker = this_worker(self.model.distribute_strategy)
        self._check_folder_is_shared()
        self._continued = checkpoint.exists(self.directory)
        if self._continued:
            checkpoint.restore(self.directory, self.model)
            # As Keras' `BackupAndRestore` does.
            self.model._initial_epoch = self.state["epochs"]
        self._ticked = self._clock = time.monotonic()
        if self._keeper:
            self._keeper.set_model(self.model)
        if self._worker.is_chief:
            self._try_to_save()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.model._initial_epoch = None
        self.state["epochs"] = epoch
        if self._continued and self.state["steps"]:
            self._go_on_within_epoch()
        else:
            self.state["steps"] = 0
        self._continued = False
        self._steps_saved = self._steps_looked = self.state["steps"]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        made = batch + 1 - self.state["steps"]
        if made <= 0:
            # A step that the last run made.
            return
        self.state["steps"] += made
        self.state["episodes"] += made * self.tasks
        if self._is_due():
            self._save(_metric_values(self.model))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.state["epochs"], self.state["steps"] = epoch + 1, 0
        for name, value in (logs or {}).items():
            values = self.state["history"].setdefault(name, [])
            values.append(float(value))
        self._save(logs=logs or {})

    def on_train_end(self, logs: Logs = None) -> None:
        self.model._initial_epoch = None
        if self._keeper and self._worker.is_chief and logs:
            if self.state["best"] is None:
                warnings.warn(
                    f"No epoch had the metric {self.monitor!r}, so no best "
                    "model was kept: give `validation_data` to `fit`.",
                    stacklevel=2,
                )

    def _check_folder_is_shared(self):
        """Raises a ValueError if workers would go on from other states."""
        own = self.state["episodes"]
        total = summed(self.model.distribute_strategy, own)
        if total != own * self._worker.count:
            raise ValueError(
                "`directory` must be one folder that all workers see. "
                f"Received: directory={str(self.directory)!r}, which holds "
                f"{own} episodes for worker {self._worker.index} and another "
                "number for others"
            )

    def _go_on_within_epoch(self):
        """Lets the steps of the epoch that were made pass by."""
        model, steps = self.model, self.state["steps"]
        if steps % model.steps_per_execution:
            raise ValueError(
                "`steps_per_execution` must divide the steps of the epoch "
                f"that the run in {str(self.directory)!r} has made. Received: "
                f"steps_per_execution={model.steps_per_execution} where "
                f"{steps} were made"
            )
        values = checkpoint.read_metrics(self.directory)
        _assign_metrics(model, values, self._worker.is_chief)
        logs = model.get_metrics_result()
        left = iter(range(steps // model.steps_per_execution))
        train_function = model.train_function

        def pass_by(iterator):
            """Takes nothing from the data: they begin after these steps."""
            if next(left, None) is not None:
                return logs
            model.train_function = train_function
            return train_function(iterator)

        model.train_function = pass_by

    def _is_due(self):
        """Whether a save within the epoch is to be made now."""
        steps = self.state["steps"]
        if self.save_steps:
            # Keras may run several steps at once.
            if steps - self._steps_saved >= self.save_steps:
                return True
        if not self.save_minutes:
            return False
        late = time.monotonic() - self._clock >= 60 * self.save_minutes
        if self._worker.count == 1:
            return late
        if steps // CLOCK_STEPS == self._steps_looked // CLOCK_STEPS:
            return False
        self._steps_looked = steps
        late = late and self._worker.is_chief
        return summed(self.model.distribute_strategy, late) > 0

    def _save(self, metrics=None, logs=None):
        """Saves the state; at the end of an epoch, the best model too."""
        now = time.monotonic()
        self.state["seconds"] += now - self._ticked
        self._ticked = self._clock = now
        self._steps_saved = self._steps_looked = self.state["steps"]
        if not self._worker.is_chief:
            return
        with self._explained("The state of the training could not be saved"):
            with _own_values(self.model.distribute_strategy):
                if self._keeper and logs is not None:
                    self._keep_best(logs)
                checkpoint.write(
                    self.directory, self.model, self.state, metrics
                )

    def _keep_best(self, logs):
        """Keeps the model if its score is the best."""
        if self.monitor not in logs:
            # Keras measures by validation in some epochs only.
            if self.monitor.startswith("val_"):
                return
            raise ValueError(
                f"`monitor` must be one of {sorted(logs)}. "
                f"Received: monitor={self.monitor!r}"
            )
        best = self.directory / checkpoint.BEST
        part = checkpoint.part_of(best)
        self._keeper.on_epoch_end(self.state["epochs"] - 1, logs)
        if part.exists():
            checkpoint.synchronize(part)
            os.replace(part, best)
        # The best of all epochs, whether it is this one or not.
        self.state["best"] = float(self._keeper.best)

    def _try_to_save(self):
        """Raises an OSError if a save would fail; nothing is left of it."""
        with self._explained("The training would be lost"):
            self.directory.mkdir(parents=True, exist_ok=True)
            part = checkpoint.part_of(self.directory / checkpoint.CHECKPOINT)
            with _own_values(self.model.distribute_strategy):
                if self.model.built:
                    checkpoint.write_part(part, self.model, self.state)
                else:
                    # A model of Keras alone, which its first step builds.
                    part.touch()
            part.unlink()

    @contextlib.contextmanager
    def _explained(self, consequence):
        """Says what an OSError of the block means for the training."""
        try:
            yield
        except OSError as error:
            kept = "nothing has been saved before"
            if checkpoint.exists(self.directory):
                state = checkpoint.read_state(self.directory)
                kept = (
                    f"the save after {state['epochs']} epochs and "
                    f"{state.get('steps', 0)} steps is kept"
                )
            raise OSError(
                f"{consequence}: {str(self.directory)!r} cannot be written "
                f"({error}); {kept}. Free some space or mend the permissions, "
                "and run it again to go on."
            ) from error


def _own_values(strategy):
    """A context in which a worker reads its own values of variables.

    Metrics are otherwise summed over all workers, for which a worker that
    saves alone would wait without end.
    """
    if this_worker(strategy).count == 1:
        return contextlib.nullcontext()
    return tf.distribute.ReplicaContext(strategy, 0)


def _metric_values(model):
    """The state of all metrics, over all workers, which call this at once."""
    with model.distribute_strategy.scope():
        # The value of several replicas is their sum once it is a tensor.
        return [
            tf.convert_to_tensor(variable.value).numpy()
            for variable in model.metrics_variables
        ]


def _assign_metrics(model, values, is_chief):
    """Gives metrics the state that they had in the last run."""
    variables = model.metrics_variables
    if [v.shape for v in variables] != [value.shape for value in values]:
        raise ValueError(
            "The metrics of `compile` must be those of the run, which stopped "
            f"within an epoch. Received: {len(variables)} values of metrics "
            f"where the run had {len(values)}"
        )
    with model.distribute_strategy.scope():
        for variable, value in zip(variables, values, strict=True):
            # Those of the workers are summed.
            variable.assign(value if is_chief else np.zeros_like(value))
