"""Moments per task, named statistics, and every derivative right."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_meta.batch_statistics import StatisticsScope, merged_tasks
from keras_meta.layers import EpisodicBatchNormalization

VECTOR = json.loads(
    (pathlib.Path(__file__).parent / "vectors/maml_bn.json").read_text()
)


def built(channels, **kwargs):
    layer = EpisodicBatchNormalization(**kwargs)
    layer.build((None, channels))
    return layer


def normalized(x, gamma, beta, epsilon):
    """NumPy: every task `(tasks, examples, h, w, c)` by its own moments."""
    axes = tuple(range(1, x.ndim - 1))
    mean = x.mean(axes, keepdims=True)
    variance = x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


# The last number is beyond those that are normalized one by one.
@pytest.mark.parametrize("tasks", [1, 3, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_each_task_is_normalized_by_its_own_moments(tasks, dtype):
    x = np.random.default_rng(0).normal(2, 3, (tasks, 4, 5, 5, 6))
    layer = built(6, dtype="mixed_bfloat16" if dtype == "bfloat16" else dtype)
    gamma, beta = np.linspace(0.5, 2, 6), np.linspace(-1, 1, 6)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    with merged_tasks(tasks):
        y = layer(tf.cast(x.reshape(-1, 5, 5, 6), dtype), training=True)
    assert y.dtype == dtype
    tolerance = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 5e-2}[dtype]
    np.testing.assert_allclose(
        tf.reshape(tf.cast(y, "float64"), x.shape),
        normalized(x, gamma, beta, layer.epsilon),
        atol=tolerance,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moving_averages_follow_the_mean_over_tasks(dtype):
    x = np.random.default_rng(0).normal(2, 3, (3, 8, 6))
    layer = built(6, momentum=0.75, dtype=dtype)
    with merged_tasks(3):
        layer(x.reshape(-1, 6).astype(dtype), training=True)
    np.testing.assert_allclose(
        layer.moving_mean, 0.25 * x.mean((0, 1)), rtol=1e-5
    )
    np.testing.assert_allclose(
        layer.moving_variance,
        0.75 + 0.25 * x.var(axis=1).mean(0),
        rtol=1e-5,
    )


def test_running_statistics_normalize_with_the_moving_averages():
    layer = built(2, epsilon=1e-3)
    layer.moving_mean.assign([1.0, -2.0])
    layer.moving_variance.assign([4.0, 0.25])
    x = np.array([[3.0, 1.0], [1.0, -2.0]], "float32")
    expected = (x - [1, -2]) / np.sqrt(np.array([4, 0.25]) + 1e-3)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, [1, -2])


def test_support_statistics_are_reused_for_the_queries():
    rng = np.random.default_rng(0)
    support = rng.normal(2, 3, (2, 8, 6)).astype("float32")
    query = rng.normal(0, 1, (2, 3, 6)).astype("float32")
    layer = built(6)
    with merged_tasks(2):
        with StatisticsScope("collect") as scope:
            layer(support.reshape(-1, 6))
        with StatisticsScope("reuse", scope.moments):
            y = layer(query.reshape(-1, 6))
    mean, variance = support.mean(1), support.var(1)
    expected = (query - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    np.testing.assert_allclose(tf.reshape(y, query.shape), expected, atol=1e-5)


def test_one_example_alone_becomes_beta():
    layer = built(3)
    layer.beta.assign([1.0, 2.0, 3.0])
    y = layer(np.ones((1, 3), "float32"), training=True)
    np.testing.assert_allclose(y, [[1, 2, 3]], atol=1e-6)
    assert np.isfinite(layer.moving_variance).all()


def second_derivative(dtype, jit_compile=False):
    """A Hessian-vector product through convolution, norm and softplus."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(6, 5, 5, 2)), dtype)
    kernel = tf.constant(rng.normal(size=(3, 3, 2, 4)), dtype)
    direction = tf.constant(rng.normal(size=(3, 3, 2, 4)), dtype)
    weights = tf.constant(rng.normal(size=(6, 5, 5, 4)), dtype)
    layer = built(4, epsilon=1e-3, dtype=dtype)

    @tf.function(jit_compile=jit_compile)
    def compute():
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch(kernel)
                maps = tf.nn.conv2d(x, kernel, 1, "SAME")
                with StatisticsScope("batch"), merged_tasks(2):
                    maps = tf.nn.softplus(layer(maps))
                loss = tf.reduce_mean(maps * weights)
            gradient = inner.gradient(loss, kernel)
            product = tf.reduce_sum(gradient * direction)
        return gradient, outer.gradient(product, kernel)

    return [value.numpy() for value in compute()]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_fused_path_has_the_derivatives_of_the_plain_one(jit_compile):
    plain = second_derivative("float64")
    fused = second_derivative("float32", jit_compile)
    for a, b in zip(plain, fused, strict=True):
        assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(a)


def test_the_plain_second_derivative_is_that_of_finite_differences():
    rng = np.random.default_rng(1)
    x, direction = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    weights = rng.normal(size=(7, 3))
    layer = built(3, epsilon=1e-3, dtype="float64")

    def gradient(point):
        point = tf.constant(point)
        with tf.GradientTape() as tape:
            tape.watch(point)
            with StatisticsScope("batch"):
                loss = tf.reduce_sum(tf.tanh(layer(point)) * weights)
        return tape.gradient(loss, point).numpy()

    step = 1e-6
    expected = gradient(x + step * direction) - gradient(x - step * direction)
    point = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(point)
        with tf.GradientTape() as inner:
            inner.watch(point)
            with StatisticsScope("batch"):
                loss = tf.reduce_sum(tf.tanh(layer(point)) * weights)
        product = tf.reduce_sum(inner.gradient(loss, point) * direction)
    found = outer.gradient(product, point)
    np.testing.assert_allclose(found, expected / (2 * step), atol=1e-7)


@pytest.mark.parametrize(
    "case", sorted(key for key in VECTOR["expected"] if "__" in key)
)
def test_maml_through_batch_norm_vector(case):
    inputs, expected = VECTOR["inputs"], VECTOR["expected"][case]
    adapted, statistics = case.split("__")
    theta, x_support, y_support, x_query, y_query = (
        tf.constant(inputs[key], tf.float64)
        for key in ("theta", "x_support", "y_support", "x_query", "y_query")
    )
    dim, way = x_support.shape[1], y_support.shape[1]
    # theta = [W1 (dim, hidden), gamma, beta, W2 (hidden, way), b2 (way)].
    hidden = (len(inputs["theta"]) - way) // (dim + 2 + way)
    sizes = [dim * hidden, hidden, hidden, hidden * way, way]
    layer = built(hidden, epsilon=inputs["bn_eps"], dtype="float64")

    def loss(theta, x, y, scope):
        w1, gamma, beta, w2, b2 = tf.split(theta, sizes)
        with scope:
            maps, _ = layer.stateless_call(
                [gamma, beta],
                layer.non_trainable_variables,
                x @ tf.reshape(w1, (dim, hidden)),
            )
        logits = tf.tanh(maps) @ tf.reshape(w2, (hidden, way)) + b2
        return tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(y, logits)
        )

    norm = tf.range(len(inputs["theta"]))
    frozen = (norm >= sizes[0]) & (norm < sizes[0] + 2 * hidden)
    moves = tf.where(frozen & (adapted == "frozen_bn"), 0.0, 1.0)
    moves = tf.cast(moves, tf.float64)

    def query_loss(phi):
        scope = StatisticsScope("batch")
        if statistics == "support_stats":
            collected = StatisticsScope("collect")
            loss(phi, x_support, y_support, collected)
            scope = StatisticsScope("reuse", collected.moments)
        return loss(phi, x_query, y_query, scope)

    with tf.GradientTape() as outer:
        outer.watch(theta)
        phi = theta
        for _ in range(inputs["k"]):
            with tf.GradientTape() as inner:
                inner.watch(phi)
                support_loss = loss(
                    phi, x_support, y_support, StatisticsScope("batch")
                )
            step = inner.gradient(support_loss, phi)
            phi = phi - inputs["alpha"] * moves * step
        final = query_loss(phi)
    g_maml = outer.gradient(final, theta)
    with tf.GradientTape() as tape:
        tape.watch(phi)
        final = query_loss(phi)
    g_fomaml = tape.gradient(final, phi)
    for found, key in (
        (phi, "theta_k"),
        (final, "query_loss"),
        (g_maml, "g_maml"),
        (g_fomaml, "g_fomaml"),
    ):
        np.testing.assert_allclose(found, expected[key], atol=1e-10)


def test_a_momentum_or_epsilon_out_of_range_is_an_error():
    with pytest.raises(ValueError, match="`momentum` must be in"):
        EpisodicBatchNormalization(momentum=1.5)
    with pytest.raises(ValueError, match="`epsilon` must be a positive"):
        EpisodicBatchNormalization(epsilon=0)
