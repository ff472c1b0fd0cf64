"""What every method of the library promises; a new model is one line."""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization


def block():
    """The layers of a small convolutional block."""
    return [
        keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
        EpisodicBatchNormalization(),
        keras.layers.MaxPooling2D(),
        keras.layers.ReLU(),
    ]


def small_encoder():
    """Turns 8 x 8 images into vectors."""
    return keras.Sequential([*block(), *block(), keras.layers.Flatten()])


def small_maps():
    """Turns 8 x 8 images into maps of 4 x 4."""
    return keras.Sequential(block())


def small_network():
    """Turns 8 x 8 images into logits of four classes.

    It has no kinks, where second derivatives jump with the last digit.
    """
    return keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.AveragePooling2D(2),
            keras.layers.Activation("softplus"),
            keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
            EpisodicBatchNormalization(),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )


def memory_augmented_network(cell, labels=4, **kwargs):
    """Reads the support as a sequence of vectors and labels."""
    return km.models.MemoryAugmentedNetwork(
        cell, labels, encoder=small_encoder(), **kwargs
    )


def small_augmented(units, *convolution):
    """A network whose last layers take fast weights, for 8 x 8 images."""
    return keras.Sequential(
        [
            *block(),
            *convolution,
            keras.layers.Flatten(),
            km.layers.AugmentedDense(units, activation=None),
        ]
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and what holds for it.

    `any_way`: one set of weights serves every way. `label_symmetric`:
    permuting the classes permutes the predictions. `set_based`: the order of
    the support does not matter. `transductive`: queries depend on each other
    whatever the batch-norm statistics. `one_kind`: support and queries are
    examples of one kind. `variant`: another case has its class or the one it
    is made of, and is tested under XLA, on replicas and with all batch-norm
    statistics and types. `loss` and `optimizer`: what it is trained with;
    `steps`: how long, for predictions that are not all alike. `tasks`: how
    many different ones the tests of `fit` repeat, or -1 for new ones all the
    time. A memory learns to bind any labels in thousands of steps only; in the
    few of a test it learns a handful of tasks by heart, which shows that it
    trains and not that it binds.
    """

    name: str
    build: Callable
    any_way: bool = True
    label_symmetric: bool = True
    set_based: bool = True
    transductive: bool = False
    one_kind: bool = True
    variant: bool = False
    steps: int = 3
    tasks: int = -1
    loss: Callable = functools.partial(
        keras.losses.CategoricalCrossentropy, from_logits=True
    )
    optimizer: Callable = functools.partial(keras.optimizers.Adam, 0.01)

    @property
    def statistics(self):
        """The statistics that are tested."""
        if self.variant:
            return ("running",)
        if not self.one_kind:
            return "running", "batch"
        return self.build().statistics_choices


CASES = [
    Case(
        "prototypical_network",
        lambda **kw: km.models.PrototypicalNetwork(small_encoder(), **kw),
    ),
    Case(
        "nearest_centroid",
        lambda **kw: km.models.NearestCentroid(small_encoder(), **kw),
        variant=True,
    ),
    Case(
        "baseline_plus_plus",
        lambda **kw: km.models.BaselinePlusPlus(
            small_encoder(), inner_steps=5, **kw
        ),
        variant=True,
    ),
    Case(
        "ridge_regression_learner",
        lambda **kw: km.models.RidgeRegressionLearner(
            small_encoder(), scale=5.0, **kw
        ),
    ),
    Case(
        "zero_shot_prototypical_network",
        # Descriptions may be of any shape, pictures too.
        lambda **kw: km.models.ZeroShotPrototypicalNetwork(
            small_encoder(), small_encoder(), **kw
        ),
        one_kind=False,
    ),
    Case(
        "matching_network",
        lambda **kw: km.models.MatchingNetwork(
            small_encoder(), scale=10.0, learnable_scale=True, **kw
        ),
    ),
    Case(
        "matching_network_full_context",
        lambda **kw: km.models.MatchingNetwork(
            small_encoder(), scale=10.0, full_context=True, **kw
        ),
        set_based=False,
        variant=True,
    ),
    Case(
        "relation_network",
        lambda **kw: km.models.RelationNetwork(
            small_maps(),
            km.layers.RelationHead(filters=8),
            **{"statistics": "running", **kw},
        ),
        loss=keras.losses.MeanSquaredError,
        steps=30,
    ),
    Case(
        "siamese_network",
        lambda **kw: km.models.SiameseNetwork(small_encoder(), **kw),
        loss=keras.losses.BinaryCrossentropy,
    ),
    Case(
        "meta_network",
        lambda **kw: km.models.MetaNetwork(
            small_augmented(8, km.layers.AugmentedConv2D(4, 3)),
            small_augmented(4),
            **kw,
        ),
        any_way=False,
        label_symmetric=False,
        set_based=False,
        steps=10,
        optimizer=functools.partial(keras.optimizers.Adam, 0.02),
    ),
    Case(
        "maml",
        lambda **kw: km.models.MAML(small_network(), inner_steps=2, **kw),
        any_way=False,
        label_symmetric=False,
    ),
    Case(
        "fomaml",
        lambda **kw: km.models.MAML(
            small_network(), inner_steps=3, first_order=True, **kw
        ),
        any_way=False,
        label_symmetric=False,
        variant=True,
    ),
    Case(
        "meta_sgd",
        lambda **kw: km.models.MetaSGD(small_network(), **kw),
        any_way=False,
        label_symmetric=False,
        variant=True,
    ),
    Case(
        "meta_lstm",
        lambda **kw: km.models.MetaLSTM(small_network(), inner_steps=3, **kw),
        any_way=False,
        label_symmetric=False,
        # Of `GradientBasedModel`, which MAML is tested for.
        variant=True,
    ),
    Case(
        "anil",
        lambda **kw: km.models.ANIL(small_network(), **kw),
        any_way=False,
        label_symmetric=False,
        variant=True,
    ),
    Case(
        "maml_plus_plus",
        lambda **kw: km.models.MAMLPlusPlus(
            small_network(),
            inner_steps=2,
            multi_step_updates=10,
            first_order_updates=2,
            **kw,
        ),
        any_way=False,
        label_symmetric=False,
        variant=True,
    ),
    Case(
        "proto_maml",
        lambda **kw: km.models.ProtoMAML(
            keras.Sequential(small_network().layers[:-1]),
            inner_learning_rate=0.01,
            inner_steps=2,
            **kw,
        ),
        variant=True,
    ),
    Case(
        "reptile",
        lambda **kw: km.models.Reptile(
            small_network(),
            inner_learning_rate=0.003,
            inner_batch_size=8,
            evaluation_inner_steps=5,
            **kw,
        ),
        optimizer=functools.partial(keras.optimizers.SGD, 1.0),
        any_way=False,
        label_symmetric=False,
        set_based=False,
    ),
    Case(
        "memory_augmented_network",
        lambda **kw: memory_augmented_network(
            km.layers.LRUACell(
                units=8, memory_slots=6, memory_width=4, read_heads=2
            ),
            **kw,
        ),
        any_way=False,
        label_symmetric=False,
        set_based=False,
        tasks=4,
    ),
    Case(
        "memory_augmented_network_letters",
        lambda **kw: memory_augmented_network(
            km.layers.LRUACell(
                units=8, memory_slots=6, memory_width=4, read_heads=2
            ),
            labels=25,
            encoding="letters",
            **kw,
        ),
        label_symmetric=False,
        set_based=False,
        variant=True,
        tasks=4,
    ),
    Case(
        "memory_augmented_network_ntm",
        lambda **kw: memory_augmented_network(
            km.layers.NTMCell(units=8, memory_slots=6, memory_width=4), **kw
        ),
        any_way=False,
        label_symmetric=False,
        set_based=False,
        variant=True,
        tasks=4,
    ),
    Case(
        "memory_augmented_network_lstm",
        lambda **kw: memory_augmented_network(
            # The orthogonal initializer cannot make bfloat16.
            keras.layers.LSTMCell(8, recurrent_initializer="glorot_uniform"),
            **kw,
        ),
        any_way=False,
        label_symmetric=False,
        set_based=False,
        variant=True,
        tasks=4,
    ),
]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
every_case_but_variants = pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.variant],
    ids=lambda c: c.name,
)
every_case_and_statistics = pytest.mark.parametrize(
    "case, statistics",
    [
        pytest.param(case, statistics, id=f"{case.name}-{statistics}")
        for case in CASES
        for statistics in case.statistics
    ],
)

RNG = np.random.default_rng(0)
# Twenty easy classes: a pattern each, and noise.
PATTERNS = RNG.random((20, 1, 8, 8, 1))
IMAGES = np.clip(PATTERNS + RNG.normal(0, 0.1, (20, 20, 8, 8, 1)), 0, 1)
IMAGES = IMAGES.reshape(-1, 8, 8, 1).astype("float32")
LABELS = np.repeat(np.arange(20), 20)


@functools.cache
def drawn(tasks, way, shot, queries):
    dataset = km.data.episode_dataset(IMAGES, LABELS, way, shot, queries, 0)
    episode, query_y = next(dataset.batch(tasks).as_numpy_iterator())
    for array in (*episode.values(), query_y):
        array.flags.writeable = False
    return episode, query_y


def draw(tasks=2, way=4, shot=2, queries=3):
    """A meta-batch of episodes as NumPy arrays: `(episode, query_y)`."""
    episode, query_y = drawn(tasks, way, shot, queries)
    return dict(episode), query_y


def built(case, optimizer=None, **kwargs):
    """`compiled`, with weights: `fit` then traces its step once, not twice."""
    model = compiled(case, optimizer, **kwargs)
    model(draw()[0])
    # As after training; Keras warns of a saved one that has no state.
    model.optimizer.build(model.trainable_variables)
    return model


def compiled(case, optimizer=None, **kwargs):
    model = case.build()
    model.compile(
        optimizer or case.optimizer(),
        case.loss(reduction="mean_with_sample_weight"),
        metrics=[km.metrics.AccuracyInterval()],
        **kwargs,
    )
    return model


@functools.cache
def trained_weights(case):
    """Weights and moving averages that are not the initial ones."""
    keras.utils.set_random_seed(1)
    model = built(case)
    episodes = km.data.episode_dataset(IMAGES, LABELS, 4, 2, 3, seed=5)
    model.fit(episodes.batch(2), steps_per_epoch=case.steps, verbose=0)
    return model.get_weights()


def trained(case, statistics="running"):
    """A model with those weights, for a test that changes it."""
    weights = trained_weights(case)
    model = built(case)
    model.set_weights(weights)
    model.statistics = statistics
    return model


# The models of one case at a time.
shared = functools.lru_cache(maxsize=4)(trained)


@pytest.fixture
def lend():
    """Trained models that tests share, and must leave as they were."""
    lent = []

    def one(case, statistics="running"):
        lent.append((case, statistics))
        return shared(case, statistics)

    yield one
    for case, statistics in lent:
        model = shared(case, statistics)
        assert model.statistics == statistics
        for found, expected in zip(
            model.get_weights(), trained_weights(case), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def predict(model, episode):
    return ops.convert_to_numpy(model(episode))


def close(a, b, tolerance=1e-4):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@every_case
def test_fit_lowers_the_loss(case):
    model = compiled(case)
    episodes = km.data.episode_dataset(IMAGES, LABELS, 4, 2, 3, seed=0)
    episodes = episodes.take(case.tasks).repeat()
    history = model.fit(
        episodes.batch(2), steps_per_epoch=8, epochs=4, verbose=0
    ).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    logs = model.evaluate(
        episodes.batch(5).take(4), return_dict=True, verbose=0
    )
    assert logs["task_accuracy"] > 0.5
    assert 0 <= logs["task_accuracy_interval"] < 0.2


@every_case_and_statistics
def test_call_is_infer_of_adapt(case, statistics, lend):
    model = lend(case, statistics)
    episode, _ = draw()
    task = model.adapt(episode["support_x"], episode["support_y"])
    close(predict(model, episode), model.infer(task, episode["query_x"]), 1e-6)


@every_case_and_statistics
def test_a_task_is_a_flat_dict_or_a_tensor_with_a_tasks_axis(
    case, statistics, lend
):
    model = lend(case, statistics)
    episode, _ = draw(tasks=3)
    task = model.adapt(episode["support_x"], episode["support_y"])
    parts = task if isinstance(task, dict) else {"task": task}
    for name, part in parts.items():
        assert name.isidentifier()
        assert part.shape[0] == 3


@every_case_and_statistics
def test_a_saved_model_predicts_the_same(case, statistics, tmp_path, lend):
    model = lend(case, statistics)
    episode, _ = draw()
    expected = predict(model, episode)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.statistics == statistics
    close(predict(loaded, episode), expected, 1e-6)
    km.presets.save(model, tmp_path / "preset")
    loaded = km.presets.load(tmp_path / "preset")
    close(predict(loaded, episode), expected, 1e-6)


# Reads the names of SavedModels, and answers each with one line.
SERVE = """
    import json
    import sys
    import traceback

    import numpy as np
    import tensorflow as tf

    def check(path):
        served = tf.saved_model.load(path).signatures
        for number in range(2):
            data = dict(np.load(f"{path}_{number}.npz"))
            expected = data.pop("probabilities")
            found = served["serving_default"](**data)["probabilities"]
            np.testing.assert_allclose(found, expected, atol=1e-5)
            query_x = data.pop("query_x")
            task = served["adapt"](**data)
            found = served["infer"](query_x=query_x, **task)
            np.testing.assert_allclose(
                found["probabilities"], expected, atol=1e-5)
        assert "keras_meta" not in sys.modules

    for line in sys.stdin:
        try:
            check(line.strip())
        except Exception:
            print(json.dumps(traceback.format_exc()), flush=True)
        else:
            print(json.dumps("served"), flush=True)
"""


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Checks a SavedModel in a process that has TensorFlow only."""
    folder = tmp_path_factory.mktemp("serve")
    with (
        open(folder / "stderr", "w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
        ) as process,
    ):

        def answer(path):
            print(path, file=process.stdin, flush=True)
            line = process.stdout.readline()
            assert line, (folder / "stderr").read_text()
            return json.loads(line)

        yield answer


@every_case_and_statistics
def test_a_saved_model_works_in_a_process_with_tensorflow_only(
    case, statistics, serve, tmp_path
):
    model = trained(case, statistics)
    path = tmp_path / "served"
    model.export(path)
    for number in range(2):
        way = 4 + number if case.any_way else 4
        episode, _ = draw(2 + number, way, 1 + number, queries=1 + 2 * number)
        probabilities = model.probabilities(predict(model, episode))
        np.savez(f"{path}_{number}.npz", probabilities=probabilities, **episode)
    assert serve(path) == "served"


@every_case
@pytest.mark.parametrize("shot, queries", [(1, 1), (5, 2), (3, 0)])
def test_any_shot_and_query_count(case, shot, queries, lend):
    model = lend(case)
    episode, _ = draw(shot=shot, queries=queries)
    predictions = predict(model, episode)
    assert predictions.shape == (2, 4 * queries, 4)
    assert np.isfinite(predictions).all()


@every_case
@pytest.mark.parametrize("way", [2, 9])
def test_any_way(case, way, lend):
    if case.any_way:
        assert predict(lend(case), draw(way=way)[0]).shape[-1] == way


@every_case_and_statistics
def test_permuted_labels_permute_predictions(case, statistics, lend):
    if not case.label_symmetric:
        return
    model = lend(case, statistics)
    episode, _ = draw()
    order = [2, 0, 3, 1]
    permuted = {**episode, "support_y": episode["support_y"][..., order]}
    close(predict(model, permuted), predict(model, episode)[..., order])


@every_case_and_statistics
def test_the_order_of_the_support_does_not_matter(case, statistics, lend):
    if not case.set_based:
        return
    model = lend(case, statistics)
    episode, _ = draw()
    order = np.random.default_rng(3).permutation(episode["support_x"].shape[1])
    shuffled = {
        **episode,
        "support_x": episode["support_x"][:, order],
        "support_y": episode["support_y"][:, order],
    }
    close(predict(model, shuffled), predict(model, episode))


@every_case_and_statistics
def test_queries_depend_on_each_other_only_in_batch_statistics(
    case, statistics, lend
):
    model = lend(case, statistics)
    episode, _ = draw()
    one = {**episode, "query_x": episode["query_x"][:, :1]}
    together = predict(model, episode)[:, :1]
    if case.transductive or statistics == "batch":
        assert np.abs(predict(model, one) - together).max() > 1e-3
    else:
        close(predict(model, one), together)


@every_case_and_statistics
def test_tasks_are_independent(case, statistics, lend):
    model = lend(case, statistics)
    episode, _ = draw(tasks=3)
    together = predict(model, episode)
    for task in range(3):
        alone = {key: value[task : task + 1] for key, value in episode.items()}
        close(predict(model, alone), together[task : task + 1])


@every_case
def test_tasks_are_independent_in_training(case):
    model = trained(case)
    episode, _ = draw()
    together = ops.convert_to_numpy(model(episode, training=True))
    for task in range(2):
        alone = {key: value[task : task + 1] for key, value in episode.items()}
        found = ops.convert_to_numpy(model(alone, training=True))
        close(found, together[task : task + 1])


@every_case
def test_padding_is_ignored(case, lend):
    if not case.any_way:
        return
    model = lend(case)
    episode, _ = draw()
    padded = {
        # Two more rows, and a fifth class that nothing belongs to.
        "support_x": np.concatenate(
            [episode["support_x"], episode["support_x"][:, :2]], axis=1
        ),
        "support_y": np.pad(episode["support_y"], [(0, 0), (0, 2), (0, 1)]),
        "query_x": episode["query_x"],
    }
    found = predict(model, padded)
    close(found[..., :4], predict(model, episode))
    probabilities = ops.convert_to_numpy(model.probabilities(found))
    assert probabilities[..., 4].max() == 0
    np.testing.assert_allclose(
        np.exp(model.log_probabilities(found)), probabilities, atol=1e-6
    )
    assert np.isfinite(found).all()


@every_case
def test_episodes_of_variable_way_and_shot_train_and_count(case):
    if not case.any_way:
        return
    model = compiled(case)
    episodes = km.data.episode_dataset(
        IMAGES, LABELS, (2, 5), (1, 3), 3, seed=0
    )
    episodes = episodes.take(case.tasks).repeat()
    history = model.fit(
        episodes.batch(4), steps_per_epoch=8, epochs=3, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    assert history["task_accuracy"][-1] > 0.5


@every_case_but_variants
def test_xla_gives_the_same_training(case):
    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(2)
        model = built(case, jit_compile=jit_compile)
        episode, query_y = draw()
        losses.append(
            [float(model.train_on_batch(episode, query_y)[0]) for _ in "ab"]
        )
    close(losses[0], losses[1], 1e-3)


@every_case_but_variants
def test_two_replicas_train_like_one(case, strategy):
    def train(optimizer):
        model = built(case, optimizer)
        episodes = km.data.episode_dataset(IMAGES, LABELS, 4, 2, 3, seed=0)
        history = model.fit(
            episodes.batch(4, drop_remainder=True),
            steps_per_epoch=3,
            epochs=2,
            verbose=0,
        ).history
        logs = model.evaluate(
            episodes.batch(4, drop_remainder=True).take(2),
            return_dict=True,
            verbose=0,
        )
        return history, logs, [np.array(w) for w in model.get_weights()]

    keras.utils.set_random_seed(3)
    one = train(keras.optimizers.SGD(0.1))
    keras.utils.set_random_seed(3)
    with strategy.scope():
        two = train(keras.optimizers.SGD(0.1))
    for key in one[0]:
        close(one[0][key], two[0][key], 1e-3)
    for key in one[1]:
        close(one[1][key], two[1][key], 1e-3)
    for a, b in zip(one[2], two[2], strict=True):
        close(a, b, 1e-3)


@every_case
def test_replicas_need_a_batch_that_divides(case, strategy):
    with strategy.scope():
        model = compiled(case)
    episodes = km.data.episode_dataset(IMAGES, LABELS, 4, 2, 3, seed=0)
    for batches in (episodes.batch(4), episodes.batch(3, drop_remainder=True)):
        with pytest.raises(ValueError, match="drop_remainder=True"):
            model.fit(batches, steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize(
    "case, policy",
    [
        pytest.param(case, policy, id=f"{policy}-{case.name}")
        for case in CASES
        for policy in ["mixed_bfloat16", "bfloat16", "float64"]
        if policy == "mixed_bfloat16" or not case.variant
    ],
)
def test_other_dtypes_run_and_predict_in_float32_at_least(case, policy):
    keras.config.set_dtype_policy(policy)
    model = built(case)
    episode, query_y = draw()
    assert np.isfinite(model.train_on_batch(episode, query_y)[0])
    wide = "float64" if policy == "float64" else "float32"
    assert keras.backend.standardize_dtype(model(episode).dtype) == wide


@every_case
def test_changed_statistics_are_noticed_after_predict(case):
    model = trained(case)
    episode, _ = draw()
    before = model.predict(episode, verbose=0)
    model.statistics = "batch"
    assert np.abs(model.predict(episode, verbose=0) - before).max() > 1e-3


def remove(key):
    return lambda e: {k: v for k, v in e.items() if k != key}


@every_case
@pytest.mark.parametrize(
    "change, message",
    [
        (remove("support_y"), "must be a dict with the keys"),
        (
            lambda e: {**e, "support_y": np.argmax(e["support_y"], -1)},
            r"keras\.ops\.one_hot\(support_y, way\)",
        ),
        (
            lambda e: {**e, "query_x": e["query_x"][:, :, :6]},
            "must hold examples of one shape",
        ),
        (
            lambda e: {**e, "support_x": e["support_x"][:, :3]},
            "must agree in tasks and support",
        ),
        (
            lambda e: {**e, "query_x": (e["query_x"] * 255).astype("uint8")},
            "`query_x` must be floats",
        ),
        (lambda e: {k: v[0] for k, v in e.items()}, "one-hot|batch"),
    ],
    ids=["key", "integer labels", "shapes", "support", "uint8", "no tasks"],
)
def test_bad_input_gets_an_error_that_shows_the_fix(
    case, change, message, lend
):
    if "one shape" in message and not case.one_kind:
        return
    episode, _ = draw()
    with pytest.raises(ValueError, match=message):
        case.build()(change(episode))
    model = lend(case)
    with pytest.raises(ValueError, match=message):
        model(change(episode))


@every_case
def test_an_export_needs_a_new_folder_and_a_built_model(case, tmp_path):
    with pytest.raises(ValueError, match="must be built"):
        case.build().export(tmp_path / "served")
    assert not (tmp_path / "served").exists()
    with pytest.raises(ValueError, match="`filepath` must be a new folder"):
        trained(case).export(tmp_path)


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    def dies(source, target):
        assert (pathlib.Path(source) / "saved_model.pb").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("os.rename", dies)
    with pytest.raises(KeyboardInterrupt):
        trained(CASES[0]).export(tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


@every_case
def test_an_unknown_choice_of_statistics_is_an_error(case):
    with pytest.raises(ValueError, match="`statistics` must be one of"):
        case.build(statistics="moving")
