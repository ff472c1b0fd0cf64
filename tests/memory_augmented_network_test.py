"""Sequences, episodes and the state of a memory-augmented network."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta.data.sequences import previous_labels
from keras_meta.layers import EpisodicBatchNormalization

RNG = np.random.default_rng(0)
PATTERNS = RNG.random((12, 1, 4, 4, 1))
IMAGES = np.clip(PATTERNS + RNG.normal(0, 0.1, (12, 10, 4, 4, 1)), 0, 1)
IMAGES = IMAGES.reshape(-1, 4, 4, 1).astype("float32")
LABELS = np.repeat(np.arange(12), 10)
CELLS = {
    "lstm": lambda: keras.layers.LSTMCell(16),
    "lrua": lambda: km.layers.LRUACell(
        units=8, memory_slots=6, memory_width=4, read_heads=2
    ),
    "ntm": lambda: km.layers.NTMCell(units=8, memory_slots=6, memory_width=4),
}
every_cell = pytest.mark.parametrize("cell", CELLS)


def network(encoding="one_hot", cell="lstm", **kwargs):
    labels = {"one_hot": 3, "letters": 25}[encoding]
    return km.models.MemoryAugmentedNetwork(
        CELLS[cell](), labels, encoding, **kwargs
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


@every_cell
def test_a_query_is_the_next_step_of_the_sequence(cell):
    model = network(cell=cell)
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


@every_cell
def test_no_output_depends_on_what_comes_later(cell):
    model = network(cell=cell)
    x, y = next(sequences().batch(1).as_numpy_iterator())
    # Copy `t` of the sequence differs in step `t`.
    copies = {key: np.repeat(part, 12, axis=0) for key, part in x.items()}
    before = np.array(model(copies))
    t = np.arange(12)

    def changes(**parts):
        """`(copies, steps)`: how far outputs move."""
        after = np.array(model({**copies, **parts}))
        return np.abs(after - before).max(axis=-1)

    examples = copies["sequence_x"].copy()
    examples[t, t] = 1 - examples[t, t]
    found = changes(sequence_x=examples)
    assert found[t > t[:, None]].max() > 1e-5
    assert found[t, t].min() > 1e-5
    assert found[t < t[:, None]].max() < 1e-6
    # The label of a step is in the input of the next.
    target = np.repeat(y, 12, axis=0)
    target[t, t] = np.roll(target[t, t], 1, axis=-1)
    previous_y = np.stack([previous_labels(steps) for steps in target])
    found = changes(previous_y=previous_y)
    assert found[t[:-1], t[1:]].min() > 1e-5
    assert found[t <= t[:, None]].max() < 1e-6


@every_cell
def test_nothing_but_weights_is_left_by_a_sequence(cell):
    model = network(cell=cell)
    x, y = next(sequences().batch(4).as_numpy_iterator())
    expected = np.array(model(x))
    for order in ([2, 0, 3, 1], [1], [3, 2]):
        part = {key: value[order] for key, value in x.items()}
        np.testing.assert_allclose(
            model(part), expected[order], rtol=1e-5, atol=1e-6
        )
    # Trained twice from the same weights, on sequences in another order.
    model.compile(
        keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(True)
    )
    weights, losses = model.get_weights(), []
    for order in ([0, 1, 2, 3], [0, 1, 2, 3], [3, 1, 0, 2]):
        model.set_weights(weights)
        part = {key: value[order] for key, value in x.items()}
        losses.append([model.train_on_batch(part, y[order]) for _ in "ab"])
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)
    assert losses[0][0] != losses[0][1]
    model.set_weights(weights)
    np.testing.assert_array_equal(model(x), expected)


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


@every_cell
def test_padding_is_not_read_wherever_it_stands(cell):
    model = network(cell=cell)
    x, _ = episode(tasks=3)
    # At the start, in the middle and at the end of a support set.
    padded = {
        key: np.stack(
            [
                np.insert(rows, where, value, axis=0)
                for rows, where in zip(x[key], (0, 3, 6), strict=True)
            ]
        )
        for key, value in (("support_x", 0.5), ("support_y", 0.0))
    }
    np.testing.assert_allclose(
        model({**x, **padded}), model(x), rtol=1e-5, atol=1e-6
    )


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


class Echo(keras.layers.Layer):
    """An RNN cell whose outputs are its inputs, of five numbers."""

    state_size = 1
    output_size = 5

    def call(self, inputs, states):
        return inputs, states


def test_inputs_and_losses_equal_those_of_the_vector(double):
    path = pathlib.Path(__file__).parent / "vectors" / "mann_episode.json"
    vector = json.loads(path.read_text("utf-8"))
    given = {k: np.array(v) for k, v in vector["inputs"].items()}
    expected = vector["expected"]
    model = km.models.MemoryAugmentedNetwork(Echo(), labels=3)
    model.head = keras.layers.Identity()
    target = np.eye(3)[given["labels"]]
    previous_y = [previous_labels(steps) for steps in target]
    found = model(
        {"sequence_x": given["x"], "previous_y": np.stack(previous_y)}
    )
    np.testing.assert_array_equal(found, expected["inputs_one_hot"])
    losses = keras.losses.CategoricalCrossentropy(True, reduction=None)(
        target, given["logits"]
    )
    for found, name in (
        (losses, "ce_per_step"),
        (np.mean(losses), "ce_mean"),
        (np.mean(np.sum(losses, 1)), "ce_sum_over_time_mean_over_batch"),
    ):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-10)


def not_finite(*tasks, of=4):
    """A data set of one batch of sequences; `tasks` hold a NaN."""
    x, y = next(sequences().batch(of).as_numpy_iterator())
    examples = x["sequence_x"].copy()
    examples[list(tasks), 5, 1, 1] = np.nan
    return tf.data.Dataset.from_tensors(({**x, "sequence_x": examples}, y))


@pytest.mark.parametrize(
    "tasks, message",
    [
        ([1], "Task 1 of the meta-batch turned non-finite in step 0"),
        ([0, 3], "2 tasks of the meta-batch .*Look for NaN in the data"),
    ],
)
def test_fit_stops_at_sequences_that_are_not_finite(tasks, message):
    model = network()
    model.compile("sgd", keras.losses.CategoricalCrossentropy(True))
    history = model.fit(not_finite(), verbose=0).history
    assert set(history) == {"loss"}
    with pytest.raises(FloatingPointError, match=message):
        model.fit(not_finite(*tasks), verbose=0)


def test_a_sequence_of_the_second_replica_is_named(strategy):
    with strategy.scope():
        model = network()
        model.compile("sgd", keras.losses.CategoricalCrossentropy(True))
    with pytest.raises(FloatingPointError, match="Task 3 of the meta-batch"):
        model.fit(not_finite(3), verbose=0)


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


def test_more_classes_than_strings_are_an_error():
    x, _ = episode(tasks=1, shot=1)
    support_y = np.zeros((1, 3, 3126), "float32")
    with pytest.raises(ValueError, match=r"at most 3125 col.*\(1, 3, 3126\)"):
        network("letters")({**x, "support_y": support_y})


@pytest.mark.parametrize("key", ["support_y", "query_x"])
def test_an_episode_without_a_part_is_an_error_that_lists_the_keys(key):
    x, _ = episode()
    with pytest.raises(ValueError, match=r"with the keys \('support_x'.*Rece"):
        network()({name: part for name, part in x.items() if name != key})


@every_cell
def test_xla_keeps_no_copy_of_a_kernel_for_each_step(cell):
    model = network(cell=cell)
    x, _ = next(sequences(length=12).batch(2).as_numpy_iterator())
    model(x)

    @tf.function(jit_compile=True)
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    program = gradients.experimental_get_compiler_ir(x)(stage="optimized_hlo")
    kernels = [w.shape for w in model.cell.trainable_variables if w.ndim == 2]
    assert kernels
    for rows, columns in kernels:
        assert f"f32[12,{rows},{columns}]" not in program


def test_a_cell_with_dropout_draws_anew_in_each_step_of_training():
    cell = keras.layers.LSTMCell(16, dropout=0.5, seed=0)
    model = km.models.MemoryAugmentedNetwork(cell, 3)
    x, _ = next(sequences().batch(2).as_numpy_iterator())
    model(x)
    first, second = (np.array(model(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
