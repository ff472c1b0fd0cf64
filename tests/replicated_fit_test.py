"""`fit`, `evaluate` and `predict` on data sets: what they accept and say."""

import inspect
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 8, 8, 1)).astype("float32")
LABELS = np.repeat(np.arange(8), 5)


def episodes(**kwargs):
    options = dict(way=3, shot=1, queries=2, seed=0)
    return km.data.episode_dataset(IMAGES, LABELS, **{**options, **kwargs})


def compiled(metrics=None, model=None, **kwargs):
    if model is None:
        model = km.models.PrototypicalNetwork(km.encoders.mlp((4,)))
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        metrics=metrics or [km.metrics.AccuracyInterval()],
        **kwargs,
    )
    return model


def maml():
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    return km.models.MAML(network)


STREAMS = {
    "episodes": lambda: episodes(),
    "padded": lambda: episodes(way=(2, 3)),
    "pairs": lambda: km.data.pair_dataset(IMAGES, LABELS, seed=0),
    "pairs from the middle": lambda: km.data.pair_dataset(
        IMAGES, LABELS, seed=0, start=7
    ),
    "zero-shot": lambda: km.data.zero_shot_dataset(
        IMAGES, LABELS, np.eye(8), way=3, queries=2, seed=0
    ),
    "sinusoids": lambda: km.data.sinusoid_dataset(start=3),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_says_that_it_has_no_end(name):
    stream = STREAMS[name]()
    for dataset in (stream, stream.batch(4), stream.batch(4).prefetch(1)):
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        with pytest.raises(ValueError, match=r"`steps` must be.*take\(n\)"):
            compiled().predict(dataset)


@pytest.mark.parametrize("model", [None, maml], ids=["metric", "gradient"])
def test_a_data_set_without_end_needs_steps(model):
    model = compiled(model=model and model())
    endless = episodes().batch(2)
    with pytest.raises(ValueError, match="`steps_per_epoch` must be given"):
        model.fit(endless, epochs=2)
    with pytest.raises(ValueError, match="`steps` must be given"):
        model.evaluate(endless)
    with pytest.raises(ValueError, match="`steps` must be given"):
        model.predict(endless)
    with pytest.raises(ValueError, match="`validation_steps` must be given"):
        model.fit(endless, steps_per_epoch=1, validation_data=endless)
    quiet = dict(verbose=0)
    model.fit(
        endless,
        steps_per_epoch=1,
        validation_data=endless,
        validation_steps=1,
        **quiet,
    )
    model.evaluate(endless, steps=2, **quiet)
    assert model.predict(endless, steps=2, **quiet).shape == (4, 6, 3)
    assert model.predict(endless.take(1), **quiet).shape == (2, 6, 3)


@pytest.mark.parametrize("kind", [None, maml], ids=["metric", "gradient"])
def test_the_verbs_have_the_signatures_of_keras(kind):
    model = compiled(model=kind and kind())
    for name in ("fit", "evaluate", "predict", "export"):
        expected = inspect.signature(getattr(keras.Model, name))
        found = inspect.signature(getattr(type(model), name))
        assert list(found.parameters) == list(expected.parameters)
    # Arguments by position: batch_size, epochs, verbose, callbacks.
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: None)
    history = model.fit(episodes().batch(2).take(2), None, None, 2, 0, [seen])
    assert history.epoch == [0, 1]
    with pytest.raises(TypeError, match="epoch"):
        model.fit(episodes().batch(2).take(1), epoch=2)


def test_export_takes_the_arguments_of_keras(tmp_path):
    model = compiled()
    model.fit(episodes().batch(2).take(1), verbose=0)
    model.export(tmp_path / "a", format="tf_saved_model", verbose=False)
    assert (tmp_path / "a" / "saved_model.pb").exists()
    with pytest.raises(ValueError, match="`input_signature` must be None"):
        model.export(tmp_path / "b", input_signature=[])
    with pytest.raises(ValueError, match="Unrecognized format"):
        model.export(tmp_path / "b", format="pickle")


@pytest.mark.parametrize("monitor", ["task_accuracy", "mine"])
@pytest.mark.parametrize(
    "callback",
    [
        lambda path, monitor: keras.callbacks.EarlyStopping(
            monitor, patience=9, restore_best_weights=True
        ),
        lambda path, monitor: keras.callbacks.ModelCheckpoint(
            path / "best.keras", monitor, save_best_only=True
        ),
        lambda path, monitor: keras.callbacks.ReduceLROnPlateau(monitor),
    ],
    ids=["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"],
)
def test_a_larger_accuracy_is_better_for_callbacks(callback, monitor, tmp_path):
    model = compiled([km.metrics.AccuracyInterval(name=monitor)])
    watch = callback(tmp_path, "val_" + monitor)
    model.fit(
        episodes().batch(2).take(2),
        validation_data=episodes(seed=1).batch(2).take(2),
        epochs=2,
        verbose=0,
        callbacks=[watch],
    )
    assert watch.monitor_op(2.0, 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "mse"])
def test_metrics_that_count_padding_are_warned_of(metric):
    padded = episodes(way=(2, 3), shot=(1, 2)).batch(4)
    message = f"'{metric}'.*weighted_metrics.*AccuracyInterval"
    for verb in ("fit", "evaluate"):
        model = compiled([metric, km.metrics.AccuracyInterval()])
        with pytest.warns(UserWarning, match=message):
            getattr(model, verb)(padded.take(1), verbose=0)
    # None of these counts padding, or none is there.
    compiled().fit(padded.take(1), verbose=0)
    compiled(weighted_metrics=[metric]).fit(padded.take(1), verbose=0)
    compiled([metric]).fit(episodes().batch(4).take(1), verbose=0)


def test_episodes_without_a_batch_are_told_of_it():
    model = compiled()
    with pytest.raises(ValueError, match=r"\.batch\(1\)"):
        model.fit(episodes().take(2), verbose=0)
    episode, _ = next(iter(episodes()))
    with pytest.raises(ValueError, match=r"\.batch\(1\)"):
        model(episode)
    integers = {**episode, "support_y": np.zeros((1, 3), "float32")}
    integers["support_x"] = episode["support_x"][None]
    with pytest.raises(ValueError, match="one-hot"):
        model(integers)


@pytest.mark.parametrize("model", [None, maml], ids=["metric", "gradient"])
def test_episodes_without_queries_are_refused_where_they_count(model):
    model = compiled(model=model and model())
    empty = episodes(queries=0).batch(2).take(1)
    full = episodes().batch(2).take(1)
    for fails in (
        lambda: model.fit(empty),
        lambda: model.fit(full, validation_data=empty),
        lambda: model.evaluate(empty),
    ):
        with pytest.raises(ValueError, match="must hold episodes with queries"):
            fails()


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: km.models.PrototypicalNetwork(km.encoders.conv4(4)),
        lambda: km.models.RelationNetwork(km.encoders.relation_encoder(4)),
        lambda: km.models.MatchingNetwork(
            km.encoders.conv4(4), full_context=True
        ),
        lambda: km.models.SiameseNetwork(km.encoders.koch_small(4, 4)),
        lambda: km.models.MAML(
            keras.Sequential(
                [km.encoders.conv4_strided(4), keras.layers.Dense(3)]
            )
        ),
    ],
    ids=["prototypical", "relation", "matching", "siamese", "maml"],
)
def test_no_queries_have_no_predictions(build, statistics):
    """Convolutions of an empty batch fail, or end the process."""
    model = build()
    model.statistics = statistics
    support_x = RNG.random((2, 3, 28, 28, 1)).astype("float32")
    support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    task = model.adapt(support_x, support_y)
    found = model.infer(task, support_x[:, :0])
    assert tuple(found.shape) == (2, 0, 3)


def test_an_uneven_last_batch_is_an_error_in_evaluate_too(strategy):
    with strategy.scope():
        model = compiled()
    even = episodes().batch(4, drop_remainder=True).take(2)
    uneven = episodes().take(7).batch(4)
    model.fit(even, verbose=0)
    for fails in (
        lambda: model.fit(uneven),
        lambda: model.evaluate(uneven),
        lambda: model.fit(even, validation_data=uneven),
    ):
        with pytest.raises(ValueError, match="drop_remainder=True"):
            fails()
    model.evaluate(even, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_token_ids_are_not_rounded(policy):
    """In bfloat16, 301 is 300."""
    keras.config.set_dtype_policy(policy)
    embedding = keras.layers.Embedding(400, 8)
    encoder = keras.Sequential(
        [keras.Sequential([embedding]), keras.layers.Flatten()]
    )
    model = compiled(model=km.models.PrototypicalNetwork(encoder))
    ids = np.array([[[300.0], [301.0], [302.0]]], "float32")
    targets = np.eye(3, dtype="float32")[None]
    episode = {"support_x": ids, "support_y": targets, "query_x": ids}
    for found in (model(episode), model.predict(episode, verbose=0)):
        np.testing.assert_array_equal(np.argmax(found, -1), [[0, 1, 2]])
    before = np.array(embedding.embeddings)
    model.train_on_batch(episode, targets)
    moved = np.abs(np.array(embedding.embeddings) - before).max(axis=1) > 0
    np.testing.assert_array_equal(np.flatnonzero(moved), [300, 301, 302])


@pytest.mark.parametrize(
    "encoder",
    [km.encoders.conv4, "conv4", km.encoders, None, 64],
    ids=["function", "name", "module", "None", "number"],
)
@pytest.mark.parametrize(
    "build, name",
    [
        (km.models.PrototypicalNetwork, "encoder"),
        (km.models.MatchingNetwork, "encoder"),
        (km.models.RelationNetwork, "encoder"),
        (km.models.SiameseNetwork, "encoder"),
        (km.models.MAML, "network"),
        (km.models.Reptile, "network"),
        (
            lambda e: km.models.ZeroShotPrototypicalNetwork(
                km.encoders.mlp(), e
            ),
            "metadata_encoder",
        ),
    ],
)
def test_what_is_no_network_fails_in_the_constructor(build, name, encoder):
    message = rf"`{name}` must be a Keras model or layer.*{name}="
    with pytest.raises(ValueError, match=message) as error:
        build(encoder)
    if encoder in ("conv4", km.encoders.conv4):
        assert "conv4()" in str(error.value)


def test_warnings_are_for_padding_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = compiled([km.metrics.AccuracyInterval(name="a")])
        model.fit(episodes(shot=(1, 2)).batch(2).take(1), verbose=0)
