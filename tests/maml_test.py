"""Tests of MAML, first-order MAML and the outer loop they share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from picture_tasks import (
    check_slope,
    flat,
    logits_loss,
    picture_episode,
    set_flat,
    smooth_network,
)
from quadratic_tasks import Point, close, linear, quadratic, vector

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization
from keras_meta.losses import cross_entropy, mean_squared_error
from keras_meta.models import MAML


def meta_gradient(model, theta, episode, query_y, loss, **kwargs):
    """What the outer loop descends: one step of SGD with the rate 1."""
    model.compile(keras.optimizers.SGD(1.0), loss, **kwargs)
    model.build({key: value.shape for key, value in episode.items()})
    set_flat(model.network, theta)
    model.train_on_batch(episode, query_y)
    return theta - flat(map(np.array, model.network.trainable_variables))


def adapted(model, theta, episode):
    """`theta_k` of each task, `(tasks, parameters)`."""
    set_flat(model.network, theta)
    task = model.adapt(episode["support_x"], episode["support_y"], True)
    tasks = len(episode["support_x"])
    parts = [
        # Weights that the inner loop leaves fixed are not part of a task.
        np.array(task.get(f"weight_{number}", [variable.value] * tasks))
        for number, variable in enumerate(model.network.trainable_variables)
    ]
    return np.stack([flat(p[i] for p in parts) for i in range(len(parts[0]))])


@pytest.fixture
def quadratics():
    inputs = {
        k: np.array(v) for k, v in vector("maml_quadratic")["inputs"].items()
    }

    def target(kind):
        minima = inputs[f"m_{kind}"][:, None]
        return np.concatenate([inputs[f"H_{kind}"], minima], axis=1)

    episode = {
        "support_x": np.zeros((3, 5, 1)),
        "support_y": target("support"),
        "query_x": np.zeros((3, 5, 1)),
    }
    return inputs["theta"], float(inputs["alpha"]), episode, target("query")


def one_task(episode, query_y, task):
    part = {key: value[task : task + 1] for key, value in episode.items()}
    return part, query_y[task : task + 1]


def outer_quadratic(targets, outputs):
    """The same loss on a batch of one task."""
    return quadratic(targets[0], outputs[0])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_gradients_on_quadratics(steps, double, quadratics):
    theta, alpha, episode, query_y = quadratics
    expected = vector("maml_quadratic")["expected"][f"k{steps}"]
    for first_order, name in ((False, "g_maml"), (True, "g_fomaml")):
        options = (alpha, steps, None, first_order, quadratic)
        for task in range(3):
            part = one_task(episode, query_y, task)
            model = MAML(Point(4), *options)
            found = meta_gradient(model, theta, *part, outer_quadratic)
            close(found, expected["tasks"][task][name])
        model = MAML(Point(4), *options)
        found = meta_gradient(model, theta, episode, query_y, outer_quadratic)
        close(found, expected[f"mean_{name}"])
        close(
            adapted(model, theta, episode),
            [task["theta_k"] for task in expected["tasks"]],
        )


@pytest.mark.parametrize("kind", ["mse", "cross_entropy"])
def test_gradients_of_a_tanh_network(kind, double):
    data = vector("maml_tanh")
    inputs, expected = data["inputs"][kind], data["expected"][kind]
    _, hidden, outputs = inputs["dims_in_hidden_out"]

    def stack(key):
        return np.array([task[key] for task in inputs["tasks"]], float)

    episode = {
        "support_x": stack("x_support"),
        "support_y": stack("y_support"),
        "query_x": stack("x_query"),
    }
    losses = {
        "mse": ("mean_squared_error", "mse"),
        "cross_entropy": (
            "cross_entropy",
            keras.losses.CategoricalCrossentropy(from_logits=True),
        ),
    }
    inner, outer = losses[kind]
    for first_order, name in ((False, "g_maml"), (True, "g_fomaml")):
        network = keras.Sequential(
            [
                keras.layers.Dense(hidden, "tanh"),
                keras.layers.Dense(outputs),
            ]
        )
        model = MAML(
            network, inputs["alpha"], inputs["k"], None, first_order, inner
        )
        theta = np.array(inputs["theta"])
        found = meta_gradient(model, theta, episode, stack("y_query"), outer)
        close(found, expected[f"mean_{name}"])
        close(
            adapted(model, theta, episode),
            [task["theta_k"] for task in expected["tasks"]],
        )


@pytest.mark.parametrize("statistics", ["batch", "support"])
@pytest.mark.parametrize("adapts", [True, False])
def test_gradients_through_batch_norm(statistics, adapts, double):
    data = vector("maml_bn")
    inputs = data["inputs"]
    _, hidden, outputs = inputs["dims"]
    case = ("adapt_bn" if adapts else "frozen_bn") + (
        "__query_stats" if statistics == "batch" else "__support_stats"
    )
    expected = data["expected"][case]
    episode = {
        "support_x": np.array([inputs["x_support"]]),
        "support_y": np.array([inputs["y_support"]], float),
        "query_x": np.array([inputs["x_query"]]),
    }
    for first_order, name in ((False, "g_maml"), (True, "g_fomaml")):
        network = keras.Sequential(
            [
                keras.layers.Dense(hidden, use_bias=False),
                EpisodicBatchNormalization(epsilon=inputs["bn_eps"]),
                keras.layers.Activation("tanh"),
                keras.layers.Dense(outputs),
            ]
        )
        model = MAML(
            network,
            inputs["alpha"],
            inputs["k"],
            first_order=first_order,
            adapt_normalization=adapts,
            statistics=statistics,
        )
        theta = np.array(inputs["theta"])
        query_y = np.array([inputs["y_query"]], float)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        found = meta_gradient(model, theta, episode, query_y, loss)
        close(found, expected[name])
        phi = adapted(model, theta, episode)
        close(phi, [expected["theta_k"]])


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_the_meta_gradient_is_that_of_finite_differences(statistics, double):
    model = MAML(smooth_network(), 0.4, inner_steps=2, statistics=statistics)
    episode, query_y = picture_episode()
    model.build({key: value.shape for key, value in episode.items()})
    rng = np.random.default_rng(1)
    theta = flat(map(np.array, model.network.trainable_variables))
    theta = theta + rng.normal(0, 0.1, theta.shape)
    gradient = meta_gradient(model, theta, episode, query_y, logits_loss())

    def loss(theta):
        set_flat(model.network, theta)
        return float(logits_loss()(query_y, model(episode, training=True)))

    for _ in range(3):
        check_slope(loss, theta, gradient, rng.normal(size=theta.shape))


def test_the_fused_batch_norm_gives_the_same_meta_gradient():
    """Float32 takes another kernel than float64."""
    found = []
    theta = None
    for dtype in ("float64", "float32"):
        keras.config.set_dtype_policy(dtype)
        model = MAML(smooth_network(), 0.4, inner_steps=2)
        episode, query_y = picture_episode()
        model.build({key: value.shape for key, value in episode.items()})
        if theta is None:
            theta = flat(map(np.array, model.network.trainable_variables))
        loss = logits_loss(dtype=dtype)
        found.append(meta_gradient(model, theta, episode, query_y, loss))
    scale = np.abs(found[0]).max()
    close(found[0] / scale, found[1] / scale, 1e-3)


def test_first_order_is_exact_where_the_inner_loss_is_linear(
    double, quadratics
):
    theta, alpha, episode, query_y = quadratics
    found = [
        meta_gradient(
            MAML(Point(4), alpha, 3, None, first_order, linear),
            theta,
            episode,
            query_y,
            outer_quadratic,
        )
        for first_order in (False, True)
    ]
    close(found[0], found[1])
    assert np.abs(found[0]).max() > 0.1


def count_operations(first_order):
    """Operations in the graph of a training step, loops included."""
    model = MAML(smooth_network(), first_order=first_order)
    model.compile("sgd", logits_loss())
    episode, query_y = picture_episode()
    model.train_on_batch(episode, query_y)
    graph = (
        tf.function(lambda data: model.train_step(data))
        .get_concrete_function(
            tf.nest.map_structure(tf.convert_to_tensor, (episode, query_y))
        )
        .graph.as_graph_def()
    )
    return sum(len(f.node_def) for f in graph.library.function)


def test_first_order_has_no_second_order_graph():
    assert count_operations(True) < 0.7 * count_operations(False)


@keras.saving.register_keras_serializable("maml_test")
class Subclassed(keras.Model):
    """A network by subclassing, with dropout and a frozen layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten = keras.layers.Flatten()
        self.frozen = keras.layers.Dense(8, "tanh", trainable=False)
        self.dropout = keras.layers.Dropout(0.5)
        self.head = keras.layers.Dense(3, kernel_regularizer="l2")

    def call(self, x, training=False):
        x = self.frozen(self.flatten(x))
        return self.head(self.dropout(x, training=training))


def test_a_subclassed_network_with_dropout_trains_and_saves(tmp_path):
    model = MAML(Subclassed(), inner_steps=2)
    model.compile(
        keras.optimizers.Adam(0.01, global_clipnorm=1.0), logits_loss()
    )
    episode, query_y = picture_episode()
    data = tf.data.Dataset.from_tensors((episode, query_y)).repeat()
    history = model.fit(data, steps_per_epoch=30, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    found = model.predict(episode, verbose=0)
    close(found, model.predict(episode, verbose=0), 1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(found, loaded.predict(episode, verbose=0), 1e-6)


def test_dropout_differs_from_task_to_task_and_from_step_to_step():
    model = MAML(Subclassed())
    model.compile(keras.optimizers.SGD(0.0), logits_loss())
    episode, query_y = picture_episode(tasks=1)
    twice = {k: np.concatenate([v, v]) for k, v in episode.items()}
    model.train_on_batch(twice, np.concatenate([query_y, query_y]))
    seeds = [
        v for v in model.network.non_trainable_variables if "seed" in v.path
    ]
    before = np.array(seeds[0])
    first = model.train_on_batch(episode, query_y)
    second = model.train_on_batch(episode, query_y)
    assert abs(first - second) > 1e-6
    # Two passes for each task: the support's and the queries'.
    assert int(seeds[0][1]) - int(before[1]) == 4


def test_regularizers_of_the_network_are_in_the_outer_loss(double):
    """The penalty is taken at the adapted weights."""

    def make(factor):
        layer = keras.layers.Dense(
            3, kernel_regularizer=keras.regularizers.L2(factor)
        )
        return MAML(keras.Sequential([keras.layers.Flatten(), layer]))

    episode, query_y = picture_episode()
    models = make(0.0), make(0.25)
    for model in models:
        model.build({key: value.shape for key, value in episode.items()})
    theta = flat(map(np.array, models[0].network.trainable_variables))
    plain, penal = (
        meta_gradient(model, theta, episode, query_y, logits_loss())
        for model in models
    )

    set_flat(models[1].network, theta)
    kernel, bias = models[1].network.trainable_variables
    with tf.GradientTape() as tape:
        task = models[1].adapt(episode["support_x"], episode["support_y"], True)
        squares = tf.reduce_sum(task["weight_0"] ** 2, axis=(1, 2))
        penalty = 0.25 * tf.reduce_mean(squares)
    expected = tape.gradient(
        penalty, [kernel.value, bias.value], unconnected_gradients="zero"
    )
    close(penal - plain, flat(map(np.array, expected)))


def test_a_task_that_is_not_finite_is_named_and_changes_nothing():
    model = MAML(smooth_network())
    model.compile(keras.optimizers.Adam(0.01), logits_loss())
    episode, query_y = picture_episode(tasks=4)
    good = tf.data.Dataset.from_tensors((episode, query_y)).repeat(2)
    broken = {key: value.copy() for key, value in episode.items()}
    broken["support_x"][2, 0, 0, 0, 0] = np.nan
    bad = tf.data.Dataset.from_tensors((broken, query_y))
    with pytest.raises(FloatingPointError, match="Task 2 of the meta-batch"):
        model.fit(good.concatenate(bad), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    broken["query_x"][0] = np.inf
    bad = tf.data.Dataset.from_tensors((broken, query_y))
    with pytest.raises(FloatingPointError, match="2 tasks of the meta-batch"):
        model.fit(bad, verbose=0, callbacks=[keras.callbacks.History()])
    model.fit(good, verbose=0, callbacks=keras.callbacks.History())


def test_steps_per_execution_give_the_same_training():
    episode, query_y = picture_episode()
    data = tf.data.Dataset.from_tensors((episode, query_y)).repeat()
    weights = []
    for steps in (1, 5):
        keras.utils.set_random_seed(4)
        model = MAML(smooth_network())
        model.compile("adam", logits_loss(), steps_per_execution=steps)
        model.fit(data, steps_per_epoch=10, verbose=0)
        weights.append(flat(model.get_weights()))
    close(weights[0], weights[1], 1e-5)


def test_evaluation_steps_may_change_and_zero_are_none():
    model = MAML(smooth_network())
    episode, _ = picture_episode()
    one = model.predict(episode, verbose=0)
    model.evaluation_inner_steps = 0
    none = model.predict(episode, verbose=0)
    assert np.abs(one - none).max() > 1e-3
    task = model.adapt(episode["support_x"], episode["support_y"])
    for number, variable in enumerate(model.network.trainable_variables):
        for part in np.array(task[f"weight_{number}"]):
            close(part, variable)


def test_stock_batch_norm_is_warned_of_in_second_order_mode():
    def network():
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Flatten(),
                layers.Dense(4),
                layers.BatchNormalization(),
                layers.Dense(3),
            ]
        )

    episode, _ = picture_episode()
    with pytest.warns(UserWarning, match="second derivatives"):
        MAML(network(), statistics="running")(episode)
    MAML(network(), first_order=True, statistics="running")(episode)
    # In evaluation it would use its moving averages, whatever is chosen.
    with pytest.warns(UserWarning, match="'batch'` does not reach"):
        MAML(network(), first_order=True)(episode)


@pytest.mark.parametrize(
    "network, message",
    [
        (
            lambda: keras.Sequential([keras.layers.Flatten()]),
            "`network` must have trainable weights",
        ),
        (
            lambda: keras.Sequential(
                [keras.layers.Flatten(), keras.layers.Dense(5)]
            ),
            "one output for each class.*3 for support_y.*5 outputs",
        ),
        (
            lambda: keras.layers.Conv2D(3, 1),
            "`network` must return a vector for each example",
        ),
    ],
    ids=["no weights", "way", "maps"],
)
def test_a_network_that_does_not_fit_is_an_error(network, message):
    episode, query_y = picture_episode(size=1)
    with pytest.raises(ValueError, match=message):
        MAML(network())(episode)
    model = MAML(network())
    model.compile("sgd", logits_loss())
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(episode, query_y)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(inner_learning_rate=0.0), "`inner_learning_rate` must be a pos"),
        (dict(inner_learning_rate=-1), "`inner_learning_rate` must be a pos"),
        (
            dict(inner_learning_rate=float("nan")),
            "`inner_learning_rate` must be a positive",
        ),
        (dict(inner_steps=0), "`inner_steps` must be at least 1"),
        (dict(inner_steps=1.5), "`inner_steps` must be an integer"),
        (
            dict(evaluation_inner_steps=-1),
            "`evaluation_inner_steps` must be at least 0",
        ),
        (dict(tasks_at_once=0), "`tasks_at_once` must be at least 1"),
        (dict(inner_loss="mse"), "`inner_loss` must be one of.*'mse'"),
    ],
)
def test_bad_options_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        MAML(Point(2), **options)


def test_inner_losses_ignore_padding_and_agree_with_keras():
    rng = np.random.default_rng(0)
    targets = np.eye(3, dtype="float32")[[0, 2, 1, 1]]
    logits = tf.constant(rng.normal(size=(4, 3)).astype("float32"))
    expected = logits_loss()(targets, logits)
    close(cross_entropy(targets, logits), expected, 1e-6)
    padded = np.concatenate([targets, np.zeros((2, 3), "float32")])
    longer = tf.concat([logits, logits[:2]], axis=0)
    with tf.GradientTape() as tape:
        tape.watch(longer)
        loss = cross_entropy(padded, longer)
    close(loss, expected, 1e-6)
    assert not np.array(tape.gradient(loss, longer))[4:].any()
    close(
        mean_squared_error(targets, logits),
        np.mean((targets - logits) ** 2),
        1e-6,
    )


def test_regression_predicts_values():
    model = MAML(
        keras.Sequential([keras.layers.Dense(1)]),
        0.1,
        evaluation_inner_steps=200,
        inner_loss="mean_squared_error",
    )
    x = np.linspace(-1, 1, 10, dtype="float32").reshape(1, 10, 1)
    episode = {"support_x": x, "support_y": 2 * x - 1, "query_x": x}
    found = model.predict(episode, verbose=0)
    close(found, 2 * x - 1, 1e-3)
    close(model.probabilities(found), found)


def test_a_classifier_of_fewer_classes_leaves_outputs_out():
    model = MAML(smooth_network(), evaluation_inner_steps=5)
    rng = np.random.default_rng(0)
    images = np.concatenate([rng.random((4, 6, 6, 1)) * 0.2] * 2)
    images[4:] += 0.7
    classifier = km.FewShotClassifier(model).fit(
        images, ["dark"] * 4 + ["light"] * 4
    )
    assert classifier.predict(images).tolist() == ["dark"] * 4 + ["light"] * 4
    close(classifier.predict_proba(images).sum(axis=1), np.ones(8), 1e-5)
    with pytest.raises(ValueError, match="knows 3 classes at most.*4 classes"):
        classifier.fit(images[:4], list("abcd"))


def test_padding_of_the_support_is_ignored():
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    model = MAML(network, inner_steps=3)
    episode, _ = picture_episode()
    padded = {
        "support_x": np.concatenate([episode["support_x"]] * 2, axis=1),
        "support_y": np.pad(episode["support_y"], [(0, 0), (0, 3), (0, 0)]),
        "query_x": episode["query_x"],
    }
    close(model(padded), model(episode), 1e-5)


def test_shots_that_vary_train():
    rng = np.random.default_rng(0)
    images = rng.random((8, 6, 6, 6, 1)).reshape(-1, 6, 6, 1).astype("float32")
    episodes = km.data.episode_dataset(
        images, np.repeat(np.arange(8), 6), 3, (1, 4), 2, seed=0
    )
    model = MAML(smooth_network())
    loss = logits_loss(reduction="mean_with_sample_weight")
    model.compile("adam", loss, metrics=[km.metrics.AccuracyInterval()])
    history = model.fit(episodes.batch(4), steps_per_epoch=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert 0 < history["task_accuracy"][0] <= 1
