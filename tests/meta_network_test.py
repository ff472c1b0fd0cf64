"""Tests of Meta Networks: their fast weights, and what trains them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from picture_tasks import check_slope, flat, logits_loss, set_values
from quadratic_tasks import close, vector
from reference import softmax, unit

from keras_meta.layers import (
    AugmentedConv2D,
    AugmentedDense,
    EpisodicBatchNormalization,
)
from keras_meta.metrics import AccuracyInterval
from keras_meta.models import MetaNetwork, meta_network

RNG = np.random.default_rng(0)


def network(units, **kwargs):
    """An augmented network without kinks, for images of 6 x 6."""
    return keras.Sequential(
        [
            AugmentedConv2D(3, 3, activation="softplus", **kwargs),
            keras.layers.AveragePooling2D(2),
            AugmentedConv2D(4, 2, activation="tanh"),
            keras.layers.Flatten(),
            AugmentedDense(5, activation="tanh"),
            AugmentedDense(units, activation=None),
        ]
    )


def episodes(tasks=2, way=3, shot=1, queries=2):
    """Noise as a meta-batch, and its targets."""
    one_hot = np.eye(way)
    episode = {
        "support_x": RNG.random((tasks, way * shot, 6, 6, 1)),
        "support_y": np.tile(one_hot, (tasks, shot, 1)),
        "query_x": RNG.random((tasks, way * queries, 6, 6, 1)),
    }
    episode = {k: v.astype(keras.config.floatx()) for k, v in episode.items()}
    return episode, np.tile(one_hot, (tasks, queries, 1))


def built(encoder=None, base_learner=None, optimizer=None, shot=1, **kwargs):
    """A compiled model with weights, for `episodes(shot=shot)`."""
    model = MetaNetwork(
        encoder or network(4),
        base_learner or network(3),
        **{"generator_units": 4, **kwargs},
    )
    model.compile(optimizer or keras.optimizers.SGD(1.0), logits_loss())
    episode, _ = episodes(shot=shot)
    model.build({key: part.shape for key, part in episode.items()})
    return model


def set_weights(layer, weights):
    layer.set_weights([np.array(weight) for weight in weights])


def tiny():
    """The model of the vector, its episode and what is expected of it."""
    data = vector("metanet")
    inputs, expected = data["inputs"]["tiny"], data["expected"]["tiny"]
    weights = inputs["params"]
    model = MetaNetwork(
        keras.Sequential([AugmentedDense(3, activation=None)]),
        keras.Sequential(
            [AugmentedDense(3), AugmentedDense(3, activation=None)]
        ),
        generator_units=3,
    )
    episode = {
        "support_x": np.array([inputs["x_support"]]),
        "support_y": np.eye(3)[[inputs["y_support"]]],
        "query_x": np.array([inputs["x_query"]]),
    }
    model.build({key: part.shape for key, part in episode.items()})
    set_weights(model.encoder, [weights["theta"]["W1"]])
    set_weights(model.base_learner, weights["phi"].values())
    # The second layer of theta is the classifier of the embedding loss.
    model.embedding_loss.classifier.assign(weights["theta"]["W2"])
    set_weights(model.task_generators["dense"], weights["F_w"].values())
    set_weights(model.example_generators["dense"], weights["G_v"].values())
    return model, episode, expected


def test_the_network_of_the_vector(float64):
    model, episode, expected = tiny()
    task = model.adapt(episode["support_x"], episode["support_y"])
    close(np.ravel(task["fast_weight_0"]), expected["theta_plus"][:12])
    values = [np.reshape(task[f"value_{n}"], (3, -1)) for n in range(2)]
    close(np.concatenate(values, axis=1), expected["memory_M"])
    close(task["keys"][0], expected["keys_R"])
    logits = model.infer(task, episode["query_x"])
    close(logits[0], expected["logits"])
    close(keras.ops.log_softmax(logits)[0], expected["log_probs"])


def test_the_gradients_of_the_vector(float64):
    model, episode, expected = tiny()
    x, y = episode["support_x"][0], episode["support_y"][0]
    chunks, _ = model.embedding_loss.split(y)

    def task_loss(logits):
        return tf.reduce_sum(
            keras.ops.categorical_crossentropy(y, logits, from_logits=True)
        )

    gradients, embeddings = meta_network.example_gradients(
        model.encoder,
        model.task_layers,
        x,
        lambda r: model.embedding_loss(r, y, chunks),
        False,
    )
    close(gradients[0], np.array(expected["embedding_grads"])[:, :12])
    loss = model.embedding_loss(embeddings, y, chunks)
    close(loss, np.sum(expected["embedding_losses"]))
    gradients, logits = meta_network.example_gradients(
        model.base_learner, model.example_layers, x, task_loss, False
    )
    close(np.concatenate(gradients, axis=1), expected["task_grads"])
    close(task_loss(logits), np.sum(expected["task_losses"]))


def test_the_memory_of_the_vector_is_read_by_cosines():
    data = vector("metanet")
    inputs, expected = (
        data[part]["aggregation"] for part in ("inputs", "expected")
    )
    keys, queries = np.array(inputs["keys_R"]), np.array(inputs["queries_r"])
    cosines = meta_network.cosine_similarity(queries[None], keys[None])[0]
    close(cosines, expected["cosine"])
    attention = keras.ops.softmax(cosines)
    close(attention, expected["softmax"])
    memory = np.array(inputs["memory_M"])
    close(attention @ memory, expected["fast_weights"])


def forward(network, x, kernels):
    """One example through slow and fast kernels, layer by layer."""
    kernels = iter(kernels)
    for layer in network.layers:
        if not hasattr(layer, "connect"):
            x = layer(x)
            continue
        slow, fast = layer.kernel, next(kernels)
        x = layer.activation(layer.connect(x, slow)) + layer.activation(
            layer.connect(x, fast)
        )
    return x.numpy()


def kernels_from(generators, layers, gradients, *steps):
    """Fast kernels, one layer at a time."""
    kernels = []
    for layer, gradient in zip(layers, gradients, strict=True):
        kind = meta_network.kind_of(layer)
        rows = tf.reshape(gradient, (-1, np.prod(layer.kernel.shape)))
        made = generators[kind](rows, *steps)
        kernels.append(np.reshape(made, layer.kernel.shape))
    return kernels


def gradients_of(layers, loss):
    kernels = [layer.kernel.value for layer in layers]
    with tf.GradientTape() as tape:
        value = loss()
    return tape.gradient(value, kernels)


def one_at_a_time(model, support_x, support_y, query_x):
    """Logits of one task, an example at a time."""
    layers = model.task_layers
    chunks, steps = model.embedding_loss.split(support_y)
    by_chunk = [
        gradients_of(
            layers,
            lambda t=t: model.embedding_loss(
                model.encoder(support_x), support_y, chunks[:, t : t + 1]
            ),
        )
        for t in range(steps)
    ]
    by_chunk = [tf.stack(parts) for parts in zip(*by_chunk, strict=True)]
    fast = kernels_from(model.task_generators, layers, by_chunk, steps)
    keys, values = [], []
    for n in range(len(support_x)):
        one = support_x[n : n + 1]
        gradients = gradients_of(
            model.example_layers,
            lambda one=one, n=n: keras.ops.categorical_crossentropy(
                support_y[n], model.base_learner(one)[0], from_logits=True
            ),
        )
        values.append(
            kernels_from(
                model.example_generators, model.example_layers, gradients
            )
        )
        keys.append(unit(forward(model.encoder, one, fast)[0]))
    logits = []
    for n in range(len(query_x)):
        one = query_x[n : n + 1]
        query = unit(forward(model.encoder, one, fast)[0])
        attention = softmax(np.array(keys) @ query)
        mixed = [
            np.einsum("i,i...->...", attention, np.array(parts))
            for parts in zip(*values, strict=True)
        ]
        logits.append(forward(model.base_learner, one, mixed)[0])
    return np.array(logits)


@pytest.mark.parametrize(
    "shot, loss",
    [(1, "auto"), (2, "auto"), (3, "cross_entropy"), (2, "contrastive")],
)
def test_it_is_the_algorithm_an_example_at_a_time(shot, loss, double):
    model = built(shot=shot, embedding_loss=loss, embedding_steps=4)
    episode, _ = episodes(shot=shot)
    together = model.predict(episode, verbose=0)
    for task in range(2):
        parts = [episode[key][task] for key in model.input_keys]
        close(together[task], one_at_a_time(model, *parts))


def groups(model):
    """The sets of parameters by their names in the paper."""
    return {
        "theta": model.encoder.trainable_variables,
        "phi": model.base_learner.trainable_variables,
        "w": [
            variable
            for generator in model.task_generators.values()
            for variable in generator.trainable_variables
        ],
        "v": [
            variable
            for generator in model.example_generators.values()
            for variable in generator.trainable_variables
        ],
    }


def learned_gradient(model, episode, query_y, variables):
    """What training subtracts, with SGD at the rate 1; weights stay."""
    before = [np.array(v) for v in model.trainable_variables]
    start = flat(variables)
    model.train_on_batch(episode, query_y)
    gradient = start - flat(variables)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        variable.assign(value)
    return gradient


@pytest.mark.parametrize("name", ["theta", "phi", "w", "v"])
def test_gradients_are_data_to_the_meta_gradient(name, double, monkeypatch):
    model = built()
    episode, query_y = episodes()
    variables = groups(model)[name]
    gradient = learned_gradient(model, episode, query_y, variables)
    start = flat(variables)

    def loss(values):
        set_values(variables, values)
        predictions = model(episode)
        return float(logits_loss()(query_y, predictions))

    direction = RNG.normal(size=start.shape)
    small = 1e-5 * direction / np.linalg.norm(direction)
    free = (loss(start + small) - loss(start - small)) / 2e-5
    along = gradient @ small / 1e-5

    found, real = {}, meta_network.example_gradients

    def held(network, layers, x, *arguments):
        key = network.name, x.numpy().tobytes()
        gradients, outputs = real(network, layers, x, *arguments)
        return found.setdefault(key, gradients), outputs

    # From here the gradients of the support are those at the start.
    monkeypatch.setattr(meta_network, "example_gradients", held)
    loss(start)
    check_slope(loss, start, gradient, direction)
    assert len(found) == 4
    if name in ("theta", "phi"):
        # Slow weights also change the gradients, which is left out.
        assert abs(free - along) > 0.05 * abs(along)
    else:
        close(free, along, 1e-7)


def test_the_verification_is_trained_by_its_own_loss(double):
    model = built(shot=2)
    episode, query_y = episodes(shot=2)
    layer = model.embedding_loss
    variables = layer.trainable_variables
    gradient = learned_gradient(model, episode, query_y, variables)
    with tf.GradientTape() as tape:
        total = 0.0
        for x, y in zip(
            episode["support_x"], episode["support_y"], strict=True
        ):
            chunks, _ = layer.split(y)
            total += layer(model.encoder(x), y, chunks) / 2
    expected = tape.gradient(total, [v.value for v in variables])
    close(gradient, flat(expected))


def test_the_loss_that_is_logged_is_that_of_the_queries(double):
    model = built(network(4, kernel_regularizer="l2"), shot=2)
    episode, query_y = episodes(shot=2)
    penalty = 0.01 * np.sum(np.array(model.task_layers[0].kernel) ** 2)
    expected = logits_loss()(query_y, model(episode)) + penalty
    # The metric is in float32.
    close(model.train_on_batch(episode, query_y), expected, 1e-6)


def test_auto_is_cross_entropy_at_one_shot_and_verification_above(double):
    auto = built()
    for shot, loss in ((1, "cross_entropy"), (2, "verification")):
        other = built(embedding_loss=loss)
        for name, variables in groups(auto).items():
            set_values(groups(other)[name], flat(variables))
        for variable in other.embedding_loss.variables:
            (same,) = (
                v
                for v in auto.embedding_loss.variables
                if v.name == variable.name and v.shape == variable.shape
            )
            variable.assign(same)
        episode, _ = episodes(shot=shot)
        close(auto(episode), other(episode))


def test_without_fast_weights_of_the_task(double):
    model = built(task_fast_weights=False)
    assert not model.task_generators
    assert not model.embedding_loss.weights
    episode, query_y = episodes()
    task = model.adapt(episode["support_x"], episode["support_y"])
    assert not any(name.startswith("fast_weight") for name in task)
    for number in range(2):
        close(task["keys"][number], model.encoder(episode["support_x"][number]))
    before = flat(model.encoder.trainable_variables)
    model.train_on_batch(episode, query_y)
    assert np.abs(flat(model.encoder.trainable_variables) - before).max() > 0
    copy = MetaNetwork.from_config(model.get_config())
    assert not copy.task_fast_weights


def test_the_order_of_the_support_matters_to_the_lstm_alone(double):
    episode, _ = episodes()
    order = [2, 0, 1]
    shuffled = {
        **episode,
        "support_x": episode["support_x"][:, order],
        "support_y": episode["support_y"][:, order],
    }
    model = built()
    assert np.abs(model(episode) - model(shuffled)).max() > 1e-6
    model = built(task_fast_weights=False)
    close(model(episode), model(shuffled))


@pytest.mark.parametrize("shot", [1, 2])
def test_padding_of_the_support_is_ignored(shot, double):
    model = built(shot=shot, embedding_steps=4)
    episode, _ = episodes(shot=shot)
    padded = {
        **episode,
        "support_x": np.insert(episode["support_x"], [1, 3], 0.5, axis=1),
        "support_y": np.insert(episode["support_y"], [1, 3], 0.0, axis=1),
    }
    close(model(padded), model(episode))


def test_options_come_back(tmp_path):
    model = built(
        embedding_loss="contrastive", embedding_steps=2, statistics="batch"
    )
    episode, _ = episodes()
    expected = model.predict(episode, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(loaded.predict(episode, verbose=0), expected, 1e-6)
    for name in ("embedding_loss", "embedding_steps", "generator_units"):
        assert loaded.get_config()[name] == model.get_config()[name]
    assert loaded.statistics == "batch"


@pytest.mark.parametrize("part", ["support_x", "query_x"])
def test_a_task_that_turns_nan_is_named(part):
    model = built()
    episode, query_y = episodes(tasks=3)
    episode[part][1, 0] = np.nan
    before = [np.array(weight) for weight in model.get_weights()]
    with pytest.raises(FloatingPointError, match="Task 1 of the meta-batch"):
        model.fit(episode, query_y, batch_size=3, verbose=0)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def plain(*layers):
    return keras.Sequential([keras.layers.Flatten(), *layers])


@pytest.mark.parametrize(
    "which, wrong, message",
    [
        (
            "base_learner",
            lambda: plain(keras.layers.Dense(3)),
            "`base_learner` must have layers that take fast weights.*Dense",
        ),
        (
            "encoder",
            lambda: plain(keras.layers.Dense(3)),
            "`encoder` must have layers that take fast weights",
        ),
        (
            "base_learner",
            lambda: plain(
                AugmentedDense(4), keras.layers.Dense(3, name="head")
            ),
            r"no weights without fast weights.*'head' \(Dense\)",
        ),
        (
            "encoder",
            lambda: plain(
                AugmentedDense(4), EpisodicBatchNormalization(name="norm")
            ),
            r"no batch norm.*'norm' \(EpisodicBatchNormalization\)",
        ),
        (
            "encoder",
            lambda: keras.Sequential([AugmentedConv2D(2, 3)]),
            "`encoder` must return a vector",
        ),
        (
            "base_learner",
            lambda: plain(AugmentedDense(1)),
            "needs at least two classes",
        ),
        (
            "base_learner",
            lambda: plain(AugmentedDense(5)),
            "one output for each class: 3 for support_y",
        ),
        ("base_learner", lambda: "network", "must be a Keras model or layer"),
    ],
    ids=[
        "plain base learner",
        "plain encoder",
        "plain head",
        "batch norm",
        "maps",
        "one output",
        "other way",
        "no network",
    ],
)
def test_networks_are_checked(which, wrong, message):
    with pytest.raises(ValueError, match=message):
        built(**{which: wrong()})


def test_a_support_of_one_class_is_an_error():
    model = built()
    episode, _ = episodes()
    episode["support_y"] = episode["support_y"].max(axis=-1, keepdims=True)
    with pytest.raises(ValueError, match="needs at least two classes"):
        model(episode)
    with pytest.raises(ValueError, match="needs at least two classes"):
        model.adapt(episode["support_x"], episode["support_y"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"embedding_loss": "triplet"}, "`embedding_loss` must be one of"),
        ({"embedding_steps": 0}, "`embedding_steps` must be at least 1"),
        ({"generator_units": 1.5}, "`generator_units` must be an integer"),
        ({"statistics": "support"}, "`statistics` must be one of"),
    ],
    ids=["loss", "steps", "units", "statistics"],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)


def test_a_network_may_begin_with_layers_that_have_slow_weights_only():
    def partial(units):
        return keras.Sequential(
            [
                keras.layers.Conv2D(3, 3, use_bias=False),
                EpisodicBatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Flatten(),
                AugmentedDense(units, activation=None),
            ]
        )

    model = built(partial(4), partial(3))
    episode, query_y = episodes()
    networks = [model.encoder, model.base_learner]
    before = [np.array(w) for part in networks for w in part.weights]
    model.train_on_batch(episode, query_y)
    after = [w for part in networks for w in part.weights]
    for variable, old in zip(after, before, strict=True):
        assert np.abs(variable - old).max() > 0, variable.path


def test_the_attention_of_a_query_is_that_of_its_fast_weights(float64):
    model, episode, expected = tiny()
    task = model.adapt(episode["support_x"], episode["support_y"])
    attention = model.read_attention(task, episode["query_x"])
    close(attention[0, 0], expected["attention"])


def test_the_logs_tell_what_slow_weights_do_alone():
    model = built()
    model.compile(
        keras.optimizers.SGD(0.0), logits_loss(), metrics=[AccuracyInterval()]
    )
    episode, targets = episodes(tasks=3)
    logs = model.fit(episode, targets, batch_size=3, verbose=0).history
    found = np.stack([model.base_learner(x) for x in episode["query_x"]])
    right = found.argmax(axis=-1) == targets.argmax(axis=-1)
    assert logs["slow_task_accuracy"] == [pytest.approx(right.mean())]
    measured = model.evaluate(
        episode, targets, batch_size=3, verbose=0, return_dict=True
    )
    assert measured["slow_task_accuracy"] == pytest.approx(right.mean())
    # The fast weights change what is predicted.
    assert not np.allclose(model.predict(episode, verbose=0), found)
