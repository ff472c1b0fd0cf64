"""`ResumableTraining`: nothing is lost, and the result is the same."""

import errno
import json
import resource

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta.callbacks import ResumableTraining, checkpoint
from zoo import leftovers, run_folder

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 8, 8, 1)).astype("float32")
LABELS = np.repeat(np.arange(8), 5)
TASKS, STEPS, EPOCHS = 2, 6, 3


def proto():
    return km.models.PrototypicalNetwork(km.encoders.mlp((4,)))


def maml():
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    return km.models.MAML(network)


def compiled(build, **options):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[km.metrics.AccuracyInterval()],
        **options,
    )
    return model


def fit(run, build=proto, extra=(), epochs=EPOCHS, model=None, **options):
    """Trains, or goes on, as a program that is started again does."""
    model = model or compiled(build, **options)
    episodes = km.data.episode_dataset(
        IMAGES, LABELS, way=3, shot=1, queries=2, seed=0, start=run.episodes
    )
    model.fit(
        episodes.batch(TASKS, drop_remainder=True),
        steps_per_epoch=STEPS,
        epochs=epochs,
        callbacks=[run, *extra],
        verbose=0,
    )
    return model


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Stops after a step of an epoch."""

    def __init__(self, epoch, step):
        super().__init__()
        self.when, self.epoch = (epoch, step), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            raise Stop


def values(model):
    return [np.array(v) for v in [*model.weights, *model.optimizer.variables]]


def assert_same(run, model, expected_run, expected):
    for found, value in zip(values(model), values(expected), strict=True):
        np.testing.assert_array_equal(found, value)
    assert run.state["history"] == expected_run.state["history"]
    for name in ("epochs", "steps", "episodes", "best"):
        assert run.state[name] == expected_run.state[name]


@pytest.mark.parametrize("build, at_once", [(proto, 1), (proto, 2), (maml, 1)])
def test_a_stop_within_an_epoch_changes_not_a_bit(tmp_path, build, at_once):
    options = dict(build=build, steps_per_execution=at_once)
    whole = ResumableTraining(tmp_path / "whole", TASKS)
    expected = fit(whole, **options)
    broken = tmp_path / "broken"
    for stop, saved in (((0, 3), (0, 4)), ((1, 1), (1, 2)), ((2, 5), (2, 4))):
        run = ResumableTraining(broken, TASKS, save_steps=2)
        with pytest.raises(Stop):
            # Before the callback that saves, or after it.
            stopper = StopAt(*stop)
            order = [stopper] if stop[0] < 2 else []
            first = [] if stop[0] < 2 else [stopper]
            model = compiled(build, steps_per_execution=at_once)
            episodes = km.data.episode_dataset(
                IMAGES, LABELS, 3, 1, 2, seed=0, start=run.episodes
            )
            model.fit(
                episodes.batch(TASKS, drop_remainder=True),
                steps_per_epoch=STEPS,
                epochs=EPOCHS,
                callbacks=[*first, run, *order],
                verbose=0,
            )
        state = checkpoint.read_state(broken)
        assert (state["epochs"], state["steps"]) == saved
        assert run.episodes == TASKS * (STEPS * saved[0] + saved[1])
    run = ResumableTraining(broken, TASKS, save_steps=2)
    assert_same(run, fit(run, **options), whole, expected)
    assert json.loads((broken / "state.json").read_text()) == run.state


def test_replicas_go_on_within_an_epoch(tmp_path, strategy):
    def both():
        with strategy.scope():
            return compiled(proto)

    whole = ResumableTraining(tmp_path / "whole", TASKS)
    expected = fit(whole, model=both())
    run = ResumableTraining(tmp_path / "broken", TASKS, save_steps=2)
    with pytest.raises(Stop):
        fit(run, extra=[StopAt(1, 3)], model=both())
    run = ResumableTraining(tmp_path / "broken", TASKS)
    model = fit(run, model=both())
    for a, b in zip(values(model), values(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for name, found in run.state["history"].items():
        np.testing.assert_allclose(found, whole.state["history"][name], 1e-5)


def test_a_callback_goes_on_after_its_own_stop(tmp_path):
    whole = ResumableTraining(tmp_path / "whole", TASKS)
    expected = fit(whole)
    run = ResumableTraining(tmp_path / "broken", TASKS)
    model = compiled(proto)
    with pytest.raises(Stop):
        fit(run, extra=[StopAt(1, 3)], model=model)
    assert_same(run, fit(run, model=model), whole, expected)
    # A finished run makes no step; more epochs make more.
    fit(run, model=model)
    assert run.episodes == TASKS * STEPS * EPOCHS
    fit(run, model=model, epochs=EPOCHS + 1)
    assert run.episodes == TASKS * STEPS * (EPOCHS + 1)


def test_minutes_are_counted_since_the_last_save(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = ResumableTraining(tmp_path, TASKS, save_minutes=1)
    saved = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            state = checkpoint.exists(tmp_path) and run._begun()
            saved.append(state and (state["epochs"], state["steps"]))
            now[0] += 25

    fit(run, extra=[Clock()], epochs=2)
    # Checked before the clock goes on: after 75 s, the fourth step.
    assert saved[:6] == [False, False, False, (0, 4), (0, 4), (0, 4)]
    # The end of an epoch is a save too.
    assert saved[6:] == [(1, 0)] * 3 + [(1, 4)] * 3
    assert run.state["seconds"] == 300


class Score(keras.callbacks.Callback):
    """Adds a validation score to the logs of an epoch."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        if self.scores[epoch] is not None:
            logs["val_score"] = self.scores[epoch]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_best_model_is_kept(tmp_path, stopped):
    def run():
        return ResumableTraining(
            tmp_path, TASKS, monitor="val_score", mode="max"
        )

    model, weights = compiled(proto), []

    def train(epochs, scores):
        training = run()
        episodes = km.data.episode_dataset(
            IMAGES, LABELS, 3, 1, 2, seed=0, start=training.episodes
        ).batch(TASKS, drop_remainder=True)
        kept = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: weights.append(model.get_weights())
        )
        model.fit(
            episodes,
            steps_per_epoch=2,
            epochs=epochs,
            callbacks=[Score(scores), training, kept],
            verbose=0,
        )
        return training

    scores = [0.2, 0.9, None, 0.5]
    if stopped:
        train(2, scores)
    training = train(4, scores)
    assert training.state["best"] == 0.9
    best = keras.saving.load_model(tmp_path / "best.keras")
    for a, b in zip(best.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_metric_that_is_not_there_is_named(tmp_path):
    run = ResumableTraining(tmp_path, TASKS, monitor="accuracy")
    with pytest.raises(ValueError, match="`monitor` must be one of.*loss"):
        fit(run, epochs=1)
    run = ResumableTraining(tmp_path, TASKS, monitor="val_accuracy")
    with pytest.warns(UserWarning, match="No epoch had .*'val_accuracy'"):
        fit(run, epochs=2)
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(tasks=0), "`tasks` must be at least 1"),
        (dict(save_steps=0), "`save_steps` must be at least 1"),
        (dict(save_minutes=-1), "`save_minutes` must be"),
        (dict(mode="best"), "`mode` must be one of"),
        (dict(notes={"epochs": 3}), "`notes` must not"),
    ],
)
def test_arguments_are_checked(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        ResumableTraining(tmp_path, **{"tasks": 1, **options})
    assert not list(tmp_path.iterdir())


def test_another_run_is_not_gone_on_with(tmp_path):
    fit(ResumableTraining(tmp_path, TASKS, notes={"way": (3, 4)}), epochs=1)
    same = ResumableTraining(tmp_path, TASKS, notes={"way": (3, 4)})
    assert same.state["epochs"] == 1
    before = (tmp_path / "checkpoint.keras").read_bytes()
    with pytest.raises(ValueError, match="`notes` must be.*way=5 where"):
        ResumableTraining(tmp_path, TASKS, notes={"way": 5})
    with pytest.raises(ValueError, match="must be one of the same model"):
        fit(
            same,
            lambda: km.models.PrototypicalNetwork(km.encoders.mlp((5,))),
        )
    assert (tmp_path / "checkpoint.keras").read_bytes() == before


def fails_to_write(monkeypatch, count):
    """Lets the disk be full when a model is saved the n-th time."""
    whole, calls = keras.Model.save, []

    def save(self, path, *arguments, **options):
        calls.append(path)
        whole(self, path, *arguments, **options)
        if len(calls) == count:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", save)


def test_a_full_disk_is_said_before_the_first_step(tmp_path, monkeypatch):
    fails_to_write(monkeypatch, 1)
    steps = StopAt(0, 0)
    run = ResumableTraining(tmp_path / "run", TASKS)
    with pytest.raises(OSError, match="would be lost.*No space left"):
        fit(run, extra=[steps])
    assert steps.epoch is None and not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("save_steps", [None, 4])
def test_a_failed_save_keeps_the_last_one(tmp_path, monkeypatch, save_steps):
    whole = ResumableTraining(tmp_path / "whole", TASKS)
    expected = fit(whole)
    run = ResumableTraining(tmp_path / "run", TASKS, save_steps)
    with monkeypatch.context() as patch:
        # The first one is a trial.
        fails_to_write(patch, 3)
        kept = "after 0 epochs and 4 steps" if save_steps else "after 1 epochs"
        with pytest.raises(OSError, match=f"not be saved.*No space.*{kept}"):
            fit(run)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["checkpoint.keras", "state.json"]
    run = ResumableTraining(tmp_path / "run", TASKS, save_steps)
    assert_same(run, fit(run), whole, expected)


def test_the_system_refuses_what_is_too_large(tmp_path):
    """Not a patched function: the kernel cuts the file off."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = ResumableTraining(tmp_path / "run", TASKS)

    def wide():
        return km.models.PrototypicalNetwork(km.encoders.mlp((20_000,)))

    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(OSError, match="would be lost.*File too large"):
            fit(run, wide)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    run = ResumableTraining(tmp_path / "file" / "run", TASKS)
    with pytest.raises(OSError, match="would be lost: .*file/run"):
        fit(run)


def test_a_model_of_keras_alone_goes_on(tmp_path):
    def train(folder, epochs):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("adam", "mse")
        run = ResumableTraining(folder, 4)
        if run.episodes:
            with pytest.raises(ValueError, match="must be built before"):
                model.fit(x, x[:, :1], callbacks=[run], verbose=0)
            model(x)
        model.fit(x, x[:, :1], 4, epochs, 0, callbacks=[run], shuffle=False)
        return model, run

    x = RNG.random((8, 2)).astype("float32")
    expected = train(tmp_path / "whole", 3)
    train(tmp_path / "broken", 1)
    model, run = train(tmp_path / "broken", 3)
    assert_same(run, model, expected[1], expected[0])


def test_the_callback_of_keras_still_goes_on(tmp_path):
    """Without the call on a batch that Keras' own models need before."""

    def train(folder, epochs, done=0):
        model = compiled(proto)
        episodes = km.data.episode_dataset(
            IMAGES, LABELS, 3, 1, 2, seed=0, start=done * STEPS * TASKS
        ).batch(TASKS)
        backup = keras.callbacks.BackupAndRestore(
            folder, delete_checkpoint=False
        )
        history = model.fit(
            episodes,
            steps_per_epoch=STEPS,
            epochs=epochs,
            callbacks=[backup],
            verbose=0,
        )
        return model, history.epoch

    expected, _ = train(tmp_path / "whole", 2)
    train(tmp_path / "broken", 1)
    model, epochs = train(tmp_path / "broken", 2, done=1)
    assert epochs == [1]
    for a, b in zip(values(model), values(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_zoo_knows_the_names_of_the_files():
    for name in ("CHECKPOINT", "BEST", "STATE"):
        assert getattr(run_folder, name) == getattr(checkpoint, name)
    part = checkpoint.part_of(run_folder.pathlib.Path(run_folder.BEST))
    assert part.name in leftovers.part_names(run_folder.BEST)
