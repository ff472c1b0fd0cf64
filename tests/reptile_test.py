"""Tests of Reptile: its inner optimizer, mini-batches and evaluation."""

import keras
import numpy as np
import pytest
from keras import ops
from quadratic_tasks import Point, close, linear, quadratic, vector

from keras_meta import losses
from keras_meta.layers import EpisodicBatchNormalization
from keras_meta.models import Reptile
from keras_meta.models.reptile import mini_batches


def episode_of(support_y):
    """An episode without inputs, `support_y (tasks, support, outputs)`."""
    support_y = np.array(support_y)
    tasks, support, _ = support_y.shape
    x = np.zeros((tasks, support, 1))
    return {"support_x": x, "support_y": support_y, "query_x": x}


def test_inner_adam_carries_its_moments_from_task_to_task(float64):
    data = vector("inner_adam")
    inputs, trace = data["inputs"], data["expected"]["trace"]
    model = Reptile(
        Point(3),
        inner_learning_rate=inputs["lr"],
        inner_steps=3,
        inner_batch_size=1,
        inner_loss=linear,
    )
    model.compile(keras.optimizers.SGD(inputs["epsilon_outer"]), "mse")
    order = np.array(mini_batches(3, 3, 1)).ravel()
    for task in range(2):
        gradients = np.array(inputs["grads"][task])
        support_y = np.zeros((1, 3, 3))
        support_y[0, order] = gradients
        episode = episode_of(support_y)
        if task == 0:
            model.build({key: part.shape for key, part in episode.items()})
            model.network.theta.assign(inputs["theta"])
        found = model.adapt(
            episode["support_x"], episode["support_y"], training=True
        )
        last = trace[3 * task + 2]
        close(found["weight_0"][0], last["theta"])
        model.train_on_batch(episode, support_y)
        close(model.network.theta, last["theta_meta_after_task"])
        moment, iterations = model.inner_state
        close(moment, last["v"])
        assert float(iterations) == last["t"]
    close(model.network.theta, data["expected"]["theta_meta_final"])


def test_tasks_start_from_the_same_moments_and_store_their_mean(float64):
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(4, 3, 2))

    def train(tasks):
        model = Reptile(
            Point(2), inner_steps=3, inner_batch_size=1, inner_loss=linear
        )
        model.compile(keras.optimizers.SGD(1.0), "mse")
        episode = episode_of(gradients[tasks])
        model.build({key: part.shape for key, part in episode.items()})
        model.network.theta.assign([0.5, -0.5])
        model.train_on_batch(episode, episode["support_y"])
        return [np.array(weight) for weight in model.get_weights()]

    together = train([0, 1, 2, 3])
    alone = [train([task]) for task in range(4)]
    for part, parts in zip(together, zip(*alone, strict=True), strict=True):
        close(part, np.mean(parts, axis=0))


def test_adapt_leaves_the_moments_unchanged():
    model = Reptile(Point(2), inner_loss=linear, evaluation_inner_steps=3)
    episode = episode_of(np.ones((2, 4, 2), "float32"))
    model(keras.tree.map_structure(lambda x: x.astype("float32"), episode))
    before = [np.array(value) for value in model.inner_state]
    model.adapt(episode["support_x"], episode["support_y"])
    for a, b in zip(model.inner_state, before, strict=True):
        close(a, b)


@pytest.mark.parametrize("epsilon", [0.25, 1.0])
def test_batched_and_serial_outer_steps_on_quadratics(epsilon, float64):
    data = vector("maml_quadratic")
    inputs = {key: np.array(value) for key, value in data["inputs"].items()}
    expected = data["expected"]["reptile_outer"]
    # All five rows of the target in each mini-batch, in their order: the
    # loss reads the rows, so the order is undone here.
    steps = expected["k"]
    targets = np.concatenate(
        [inputs["H_support"], inputs["m_support"][:, None]], axis=1
    )

    def sorted_quadratic(targets, outputs):
        # The last column tells the row.
        order = ops.argsort(targets[:, -1])
        return quadratic(
            ops.take(targets[:, :-1], order, axis=0), outputs[:, :-1]
        )

    rows = np.tile(np.arange(5.0)[None, :, None], (3, 1, 1))
    targets = np.concatenate([targets, rows], axis=2)

    def train(meta_batches):
        model = Reptile(
            Point(5),
            inner_learning_rate=float(inputs["alpha"]),
            inner_steps=steps,
            inner_batch_size=5,
            inner_optimizer="sgd",
            inner_loss=sorted_quadratic,
        )
        model.compile(keras.optimizers.SGD(epsilon), "mse")
        model.build({k: v.shape for k, v in episode_of(targets[:1]).items()})
        model.network.theta.assign([*inputs["theta"], 0])
        path = []
        for tasks in meta_batches:
            part = targets[tasks]
            model.train_on_batch(episode_of(part), part)
            path.append(np.array(model.network.theta)[:4])
        return path

    batched = train([[0, 1, 2]])[0]
    step = np.mean(expected["task_params"], axis=0) - inputs["theta"]
    close(batched, inputs["theta"] + epsilon * step)
    if epsilon == expected["epsilon"]:
        close(batched, expected["batched_theta"])
        serial = train([[0], [1], [2]])
        close(serial, expected["serial_theta_after_each_task"])


def test_one_inner_step_of_sgd_is_joint_training(float64):
    """Reptile with k = 1 is SGD on the loss of all tasks together."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 6, 4))
    y = np.eye(2)[rng.integers(0, 2, (3, 6))]
    network = keras.Sequential([keras.layers.Dense(2)])
    model = Reptile(
        network,
        inner_learning_rate=0.25,
        inner_steps=1,
        inner_batch_size=6,
        inner_optimizer="sgd",
    )
    model.compile(keras.optimizers.SGD(1.0), "mse")
    episode = {"support_x": x, "support_y": y, "query_x": x}
    model.build({key: part.shape for key, part in episode.items()})
    joint = keras.Sequential([keras.layers.Dense(2)])
    joint.build((None, 4))
    joint.set_weights(network.get_weights())
    joint.compile(
        keras.optimizers.SGD(0.25),
        keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64"),
    )
    model.train_on_batch(episode, y)
    joint.train_on_batch(x.reshape(18, 4), y.reshape(18, 2))
    for a, b in zip(network.weights, joint.weights, strict=True):
        close(a, b)


def test_the_linear_schedule_is_that_of_keras():
    expected = vector("maml_quadratic")["expected"]["reptile_outer"]
    schedule = expected["epsilon_schedule"]
    decay = keras.optimizers.schedules.PolynomialDecay(
        schedule["start"], schedule["total"], schedule["final"]
    )
    close([decay(j) for j in range(5)], schedule["values"], 1e-6)


@pytest.mark.parametrize(
    "examples, steps, size", [(10, 5, 4), (5, 3, 5), (3, 4, 7), (1, 2, 2)]
)
def test_mini_batches_are_drawn_without_replacement(examples, steps, size):
    rows = np.array(mini_batches(examples, steps, size))
    assert rows.shape == (steps, size)
    flat = rows.ravel()
    for start in range(0, len(flat), examples):
        one_pass = flat[start : start + examples]
        assert len(set(one_pass.tolist())) == len(one_pass)
        assert set(one_pass.tolist()) <= set(range(examples))


def test_mini_batches_are_reshuffled_for_each_pass():
    passes = np.array(mini_batches(20, 4, 20))
    assert not (passes[0] == passes[1]).all()
    assert not (passes[0] == np.arange(20)).all()


def test_support_plus_one_predicts_each_query_with_the_support():
    rng = np.random.default_rng(0)
    network = keras.Sequential(
        [
            keras.layers.Dense(6),
            EpisodicBatchNormalization(),
            keras.layers.Dense(3),
        ]
    )
    model = Reptile(
        network, evaluation_inner_steps=2, statistics="support_plus_one"
    )
    episode = {
        "support_x": rng.normal(size=(2, 6, 4)).astype("float32"),
        "support_y": np.tile(np.eye(3, dtype="float32"), (2, 2, 1)),
        "query_x": rng.normal(size=(2, 5, 4)).astype("float32"),
    }
    found = model.predict(episode, verbose=0)
    model.statistics = "batch"
    task = model.adapt(episode["support_x"], episode["support_y"])
    for number in range(5):
        query = episode["query_x"][:, number : number + 1]
        together = np.concatenate([episode["support_x"], query], axis=1)
        expected = model.infer(task, together)[:, -1]
        close(found[:, number], expected, 1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(inner_optimizer="rmsprop"), "`inner_optimizer` must be one of"),
        (dict(inner_learning_rate=0), "`inner_learning_rate` must be a pos"),
        (dict(inner_steps=0), "`inner_steps` must be at least 1"),
        (dict(inner_batch_size=2.0), "`inner_batch_size` must be an integer"),
        (
            dict(evaluation_inner_batch_size=0),
            "`evaluation_inner_batch_size` must be at least 1",
        ),
        (dict(inner_loss="huber"), "`inner_loss` must be one of"),
        (dict(statistics="moving"), "'support_plus_one'"),
    ],
)
def test_bad_options_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Reptile(Point(2), **options)


def test_a_loss_may_be_a_function():
    assert losses.get(linear) is linear


def falling_rate():
    return keras.optimizers.schedules.PolynomialDecay(0.4, 10, 0.1)


def test_the_inner_rate_may_fall_with_the_outer_steps(float64):
    """Outer step n trains as a constant rate of the schedule's value does."""
    gradients = np.random.default_rng(0).normal(size=(1, 3, 2))
    episode = episode_of(gradients)

    def trained(rate, outer_steps, **kwargs):
        model = Reptile(
            Point(2),
            rate,
            inner_steps=3,
            inner_batch_size=1,
            inner_optimizer="sgd",
            inner_loss=linear,
            **kwargs,
        )
        model.compile(keras.optimizers.SGD(1.0), "mse")
        model.build({key: part.shape for key, part in episode.items()})
        model.optimizer.iterations.assign(outer_steps)
        model.network.theta.assign([0.5, -0.5])
        model.train_on_batch(episode, episode["support_y"])
        return np.array(model.network.theta)

    evaluation = {"evaluation_inner_learning_rate": 0.2}
    for steps, rate in ((0, 0.4), (5, 0.25), (20, 0.1)):
        found = trained(falling_rate(), steps, **evaluation)
        close(found, trained(rate, steps), 1e-7)


def test_the_evaluation_takes_its_own_rate(tmp_path):
    episode = episode_of(np.ones((1, 4, 2), "float32"))
    options = {
        "inner_optimizer": "sgd",
        "inner_loss": "mean_squared_error",
        "evaluation_inner_steps": 3,
    }
    point = Point(2)
    model = Reptile(
        point, falling_rate(), evaluation_inner_learning_rate=0.2, **options
    )
    expected = Reptile(point, 0.2, **options)
    x = keras.tree.map_structure(lambda part: part.astype("float32"), episode)
    close(model(x), expected(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"Point": Point}
    )
    close(loaded(x), expected(x))
    assert float(loaded.inner_learning_rate(5)) == pytest.approx(0.25)


def test_a_schedule_needs_a_rate_of_the_evaluation():
    with pytest.raises(ValueError, match="evaluation_inner_learning_rate"):
        Reptile(Point(2), falling_rate())
