"""Sequences, episodes and the state of a memory-augmented network."""

import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization

RNG = np.random.default_rng(0)
PATTERNS = RNG.random((12, 1, 4, 4, 1))
IMAGES = np.clip(PATTERNS + RNG.normal(0, 0.1, (12, 10, 4, 4, 1)), 0, 1)
IMAGES = IMAGES.reshape(-1, 4, 4, 1).astype("float32")
LABELS = np.repeat(np.arange(12), 10)


def network(encoding="one_hot", **kwargs):
    labels = {"one_hot": 3, "letters": 25}[encoding]
    return km.models.MemoryAugmentedNetwork(
        keras.layers.LSTMCell(16), labels, encoding, **kwargs
    )


def episode(tasks=2, shot=2, queries=2):
    data = km.data.episode_dataset(IMAGES, LABELS, 3, shot, queries, seed=1)
    return next(data.batch(tasks).as_numpy_iterator())


def sequences(encoding="one_hot", length=12):
    return km.data.sequence_dataset(
        IMAGES, LABELS, 3, length, seed=0, encoding=encoding
    )


@pytest.mark.parametrize("encoding", ["one_hot", "letters"])
def test_it_learns_to_label_sequences(encoding):
    model = network(encoding)
    losses = {
        "one_hot": keras.losses.CategoricalCrossentropy(from_logits=True),
        "letters": km.sequence_losses.StringCrossentropy(),
    }
    model.compile(keras.optimizers.Adam(0.01), losses[encoding])
    history = model.fit(
        sequences(encoding).batch(16), steps_per_epoch=15, epochs=3, verbose=0
    ).history
    assert history["loss"][-1] < 0.97 * history["loss"][0]


def test_a_query_is_the_next_step_of_the_sequence():
    model = network()
    x, _ = episode()
    one = x["query_x"][:, :1]
    sequence = {
        "sequence_x": np.concatenate([x["support_x"], one], axis=1),
        "previous_y": np.concatenate(
            [0 * x["support_y"][:, :1], x["support_y"]], axis=1
        ),
    }
    task = model.adapt(x["support_x"], x["support_y"])
    found = model.infer(task, x["query_x"])
    np.testing.assert_allclose(
        found[:, 0], model(sequence)[:, -1], rtol=1e-5, atol=1e-6
    )
    # Nothing is written back: the second query does not see the first.
    alone = model.infer(task, x["query_x"][:, 1:2])
    np.testing.assert_allclose(found[:, 1:2], alone, rtol=1e-5, atol=1e-6)


def test_the_label_of_a_step_reaches_the_next_step_first():
    model = network()
    x, _ = next(sequences().batch(2).as_numpy_iterator())
    before = np.array(model(x))
    changed = {**x, "previous_y": x["previous_y"].copy()}
    # The label of step 4 is in the input of step 5.
    changed["previous_y"][:, 5] = np.roll(changed["previous_y"][:, 5], 1, -1)
    after = np.array(model(changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before[:, 5] - after[:, 5]).max() > 1e-5


def test_no_state_is_left_by_a_sequence():
    model = network()
    x, _ = next(sequences().batch(2).as_numpy_iterator())
    np.testing.assert_array_equal(model(x), model(x))


@pytest.mark.parametrize("cell", ["LRUACell", "NTMCell"])
def test_its_memory_can_be_read(cell):
    cell = getattr(km.layers, cell)(8, 6, 4, 2)
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    model = km.models.MemoryAugmentedNetwork(cell, 3, encoder=encoder)
    x, target = next(sequences().batch(2).as_numpy_iterator())
    model(x)
    found = model.read_memory(x)
    assert model.memory_slots == 6
    assert found["write_weights"].shape[:2] == (2, 12)
    assert found["read_weights"].shape == (2, 12, 2, 6)
    # It is the memory that the support leaves behind.
    *_, memory = (
        part
        for name, part in model.adapt(x["sequence_x"], target).items()
        if name.startswith("state_")
    )
    np.testing.assert_allclose(
        found["memory"], np.reshape(memory, (2, 6, 4)), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(ValueError, match="must be a dict with the keys"):
        model.read_memory(episode()[0])


def test_without_a_memory_there_is_none_to_be_read():
    model = network()
    x, _ = next(sequences().batch(2).as_numpy_iterator())
    assert model.memory_slots == 0
    with pytest.raises(ValueError, match="`cell` must have a memory"):
        model.read_memory(x)


@pytest.mark.parametrize("where", [0, 3, 6])
def test_padding_is_not_read_wherever_it_stands(where):
    model = network()
    x, _ = episode()
    padded = {
        **x,
        "support_x": np.insert(x["support_x"], where, 0.5, axis=1),
        "support_y": np.insert(x["support_y"], where, 0.0, axis=1),
    }
    np.testing.assert_allclose(model(padded), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", [2, 5])
def test_strings_serve_any_way(way):
    model = network("letters")
    data = km.data.episode_dataset(IMAGES, LABELS, way, 1, 2, seed=1)
    x, _ = next(data.batch(2).as_numpy_iterator())
    task = model.adapt(x["support_x"], x["support_y"])
    strings = np.array(task["strings"]).reshape(2, way, 5, 5)
    np.testing.assert_array_equal(strings.sum(-1), np.ones((2, way, 5)))
    # No two classes of a task share a string.
    assert len(np.unique(strings[0].reshape(way, -1), axis=0)) == way
    logits = np.array(model.infer(task, x["query_x"]))
    assert logits.shape == (2, 2 * way, way)
    # They are log-probabilities of strings, of which there are more.
    assert (np.exp(logits).sum(-1) < 1).all()


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
def test_an_encoder_may_stand_in_front(statistics, tmp_path):
    encoder = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            EpisodicBatchNormalization(),
        ]
    )
    model = network(encoder=encoder, statistics=statistics)
    x, query_y = episode()
    model.compile("adam", keras.losses.CategoricalCrossentropy(True))
    model.train_on_batch(x, query_y)
    expected = model.predict(x, verbose=0)
    km.presets.save(model, tmp_path)
    found = km.presets.load(tmp_path).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_model_of_sequences_serves_a_classifier(tmp_path):
    model = network()
    model.compile("adam", keras.losses.CategoricalCrossentropy(True))
    model.fit(sequences().batch(4), steps_per_epoch=1, verbose=0)
    classifier = km.FewShotClassifier(model).fit(
        IMAGES[::10][:3], ["a", "b", "c"]
    )
    assert classifier.predict_proba(IMAGES[:7]).shape == (7, 3)
    with pytest.raises(ValueError, match="knows 3 classes"):
        classifier.add_class(IMAGES[50:51], "d")


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(cell=keras.layers.LSTM(4)), "`cell` must be an RNN cell"),
        (dict(cell="lstm"), "`cell` must be a Keras model or layer"),
        (dict(labels=1), "`labels` must be at least 2"),
        (dict(labels=3, encoding="letters"), "`labels` must be 25"),
        (dict(encoding="words"), "`encoding` must be one of"),
        (dict(encoder="conv4"), "`encoder` must be a Keras model"),
    ],
)
def test_wrong_options_are_errors(options, message):
    usual = dict(cell=keras.layers.LSTMCell(4), labels=3)
    with pytest.raises(ValueError, match=message):
        km.models.MemoryAugmentedNetwork(**{**usual, **options})


def test_labels_of_another_length_are_errors():
    model = network()
    x, _ = next(sequences().batch(2).as_numpy_iterator())
    with pytest.raises(ValueError, match=r"labels=3\).*\(2, 12, 4\)"):
        model({**x, "previous_y": np.zeros((2, 12, 4), "float32")})
    support, _ = episode()
    wide = np.pad(support["support_y"], ((0, 0), (0, 0), (0, 1)))
    with pytest.raises(ValueError, match="`support_y` must have 3 columns"):
        model({**support, "support_y": wide})
