"""The fast pass through convolutions and batch norm is the plain one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from keras_meta.batch_statistics import StatisticsScope, merged_tasks
from keras_meta.layers import EpisodicBatchNormalization
from keras_meta.models import functional
from keras_meta.ops import batch_apply


class LayerByLayer(keras.Sequential):
    """Takes the plain way, as every class but `Sequential` itself does."""


def conv(filters=6, size=3, **options):
    return keras.layers.Conv2D(
        filters, size, bias_initializer="random_normal", **options
    )


class Doubled(EpisodicBatchNormalization):
    """A user's own norm, whose call says more than its parts."""

    def call(self, inputs, training=False):
        return 2 * super().call(inputs, training=training)


def norm(**options):
    return EpisodicBatchNormalization(**options)


pool, relu = keras.layers.MaxPooling2D, keras.layers.ReLU
# Layers, and channels of the inputs. With 3 x 3 filters, 1 and 3 channels
# have small patches and 6 have not.
NETWORKS = {
    "bias, usual order": (
        lambda: (
            [conv(padding="same"), norm(), relu(), pool()]
            + [conv(), norm(), relu(), pool()]
        ),
        1,
    ),
    "no bias, pool first": (
        lambda: [conv(use_bias=False), norm(), pool(), relu(), conv(4)],
        3,
    ),
    "large patches": (lambda: [conv(), norm(), pool(), relu()], 6),
    "large patches, usual order": (lambda: [conv(), norm(), relu(), pool()], 6),
    "neither pool nor ReLU": (lambda: [conv(), norm()], 1),
    "no pool": (lambda: [conv(), norm(), relu()], 1),
    "no ReLU": (lambda: [conv(), norm(), pool()], 1),
    "strides": (
        lambda: [conv(strides=2, padding="same"), norm(), relu()],
        1,
    ),
    "dilation": (
        lambda: [conv(dilation_rate=2, padding="same"), norm(), relu()],
        3,
    ),
    "padding of the pool": (
        lambda: [conv(), norm(), relu(), pool(3, 2, padding="same")],
        1,
    ),
    "one filter": (lambda: [conv(1, 5), norm(), pool(), relu()], 1),
    "another layer after the norm": (
        lambda: [conv(), norm(), keras.layers.Flatten()],
        1,
    ),
    "another layer after the ReLU": (
        lambda: [conv(), norm(), relu(), keras.layers.Flatten()],
        1,
    ),
    "activation layer": (
        lambda: [conv(), norm(), keras.layers.Activation("relu"), pool()],
        1,
    ),
    "two pools, other layers": (
        lambda: [
            conv(),
            norm(),
            pool(),
            pool(),
            keras.layers.Dropout(0),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
            norm(),
        ],
        1,
    ),
    "no block": (
        lambda: [
            conv(activation="tanh"),
            norm(),
            keras.layers.ReLU(negative_slope=0.2),
            pool(),
        ],
        1,
    ),
    "groups": (lambda: [conv(6, groups=3), norm(), relu()], 3),
    "network inside": (
        lambda: [
            keras.Sequential([conv(), norm()]),
            keras.Sequential([relu(), pool(), conv(), norm()]),
        ],
        1,
    ),
    "a norm of one's own": (lambda: [conv(), Doubled(), relu()], 1),
    "frozen norm": (lambda: [conv(), norm(trainable=False), relu()], 1),
}


def twins(name, dtype="float64", kind=keras.Sequential):
    """The same network twice: of `kind`, and layer by layer; its inputs."""
    layers, channels = NETWORKS[name]
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        both = [made(layers()) for made in (kind, LayerByLayer)]
        for network in both:
            network.build((None, 15, 15, channels))
    finally:
        keras.config.set_dtype_policy(before)
    rng = np.random.default_rng(0)
    for weights in zip(*(network.weights for network in both), strict=True):
        value = rng.normal(size=weights[0].shape)
        if "variance" in weights[0].path:
            value = 1 + value**2
        for weight in weights:
            weight.assign(value)
    return *both, rng.normal(1, 2, (1, 7, 15, 15, channels))


def trained(network, inputs):
    """Outputs of a training pass, gradients of all weights, averages."""
    inputs = tf.constant(inputs, network.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        with StatisticsScope("batch"):
            outputs = batch_apply(network, inputs, training=True)
        outputs = tf.cast(outputs, "float64")
        # Neighbours get factors far apart, since batch norm cancels sums.
        factors = tf.reshape(
            tf.cos(7.3 * tf.range(tf.size(outputs), dtype="float64")),
            tf.shape(outputs),
        )
        loss = tf.reduce_sum(factors * outputs)
    sources = {v.path: v for v in network.trainable_variables}
    gradients = tape.gradient(loss, [inputs, *sources.values()])
    assert None not in gradients
    averages = [v.numpy() for v in network.non_trainable_variables]
    return outputs.numpy(), [g.numpy() for g in gradients], averages


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_gradients_and_averages_are_those_of_the_plain_pass(name):
    fast, plain, inputs = twins(name)
    for found, expected in zip(
        trained(fast, inputs), trained(plain, inputs), strict=True
    ):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["bias, usual order", "large patches"])
def test_float32_is_as_exact_as_the_plain_pass(name):
    fast, plain, inputs = twins(name, "float32")
    exact = trained(twins(name)[1], inputs)
    errors = []
    for network in (fast, plain):
        found = trained(network, inputs)
        errors.append(
            [
                np.linalg.norm(a - b) / (1 + np.linalg.norm(b))
                for part, other in zip(found, exact, strict=True)
                for a, b in zip(part, other, strict=True)
            ]
        )
    assert max(errors[0]) <= max(2 * max(errors[1]), 1e-5)


def test_a_bias_before_batch_norm_has_the_gradient_zero():
    """This is exact, so it also shows that the fast pass is taken."""
    fast, plain, inputs = twins("bias, usual order")
    biases = [
        1 + number
        for number, weight in enumerate(fast.trainable_variables)
        if weight.path.endswith("bias")
    ]
    assert len(biases) == 2
    for number in biases:
        assert not trained(fast, inputs)[1][number].any()
        assert trained(plain, inputs)[1][number].any()


def test_constant_and_far_away_inputs_stay_finite_and_exact():
    fast, plain, inputs = twins("neither pool nor ReLU", "float32")
    shifted = inputs + 1e3
    exact = trained(twins("neither pool nor ReLU")[1], shifted)[0]
    error = [
        np.abs(trained(network, shifted)[0] - exact).max()
        for network in (fast, plain)
    ]
    assert error[0] <= max(error[1], 1e-3)
    for part in trained(fast, np.full_like(inputs, 255)):
        assert all(np.isfinite(values).all() for values in part)


def test_a_variance_that_is_zero_up_to_rounding_is_not_negative():
    """Pictures of nearly one shade each; kernels that add up to zero."""
    fast, _, inputs = twins("neither pool nor ReLU", "float32")
    shades = np.random.default_rng(0).normal(0, 100, (7, 1, 1, 1))
    kernel = fast.layers[0].kernel
    kernel.assign(kernel - tf.reduce_mean(kernel, axis=(0, 1)))
    for part in trained(fast, shades * (1 + 1e-5 * inputs)):
        assert all(np.isfinite(values).all() for values in part)


def test_moments_of_several_tasks_stay_those_of_each():
    fast, plain, inputs = twins("bias, usual order")
    tasks = np.concatenate([inputs, 3 - 2 * inputs])
    for a, b in zip(
        trained(fast, tasks)[1], trained(plain, tasks)[1], strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-8)


@pytest.mark.parametrize("mode", ["running", "collect"])
def test_other_statistics_take_the_plain_pass(mode):
    fast, plain, inputs = twins("bias, usual order")
    found = []
    for network in (fast, plain):
        with StatisticsScope(mode) as scope:
            outputs = batch_apply(network, tf.constant(inputs), True)
        assert len(scope.moments) == (2 if mode == "collect" else 0)
        found.append(outputs)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("training", [False, True])
def test_only_training_moves_the_averages(training):
    """Without it the moments of the batch take the fast pass all the same."""
    fast, plain, inputs = twins("bias, usual order")
    before = [v.numpy() for v in fast.non_trainable_variables]
    with StatisticsScope("batch"), merged_tasks(1):
        outputs = [
            batch_apply(network, tf.constant(inputs), training)
            for network in (fast, plain)
        ]
    assert not np.array_equal(*outputs)
    np.testing.assert_allclose(*outputs, atol=1e-9)
    moved = [
        not np.array_equal(v, old)
        for v, old in zip(fast.non_trainable_variables, before, strict=True)
    ]
    assert all(moved) if training else not any(moved)


def test_moving_averages_outside_of_training_take_the_plain_pass():
    fast, plain, inputs = twins("bias, usual order")
    np.testing.assert_array_equal(
        batch_apply(fast, inputs), batch_apply(plain, inputs)
    )


def adapted(network, inputs):
    """Gradients of a loss after two inner steps, and the averages then.

    The gradients are those of the first weights, of second order.
    """
    x = tf.constant(inputs[0])
    weights = [tf.convert_to_tensor(v) for v in network.trainable_variables]
    state = [tf.convert_to_tensor(v) for v in network.non_trainable_variables]

    def loss(weights, state):
        with StatisticsScope("batch"):
            outputs, state = functional.run(network, weights, state, x, True)
        wave = tf.cos(7.3 * tf.range(tf.size(outputs), dtype="float64"))
        return tf.reduce_sum(tf.reshape(outputs, (-1,)) * wave), state

    with tf.GradientTape() as outer:
        outer.watch(weights)
        now = weights
        for _ in range(2):
            with tf.GradientTape() as inner:
                inner.watch(now)
                value, state = loss(now, state)
            gradients = inner.gradient(value, now)
            now = [w - 1e-3 * g for w, g in zip(now, gradients, strict=True)]
        value, state = loss(now, state)
    return [*outer.gradient(value, weights), *state]


@pytest.mark.parametrize("name", ["bias, usual order", "large patches"])
def test_derivatives_of_second_order_are_those_of_the_plain_pass(name):
    fast, plain, inputs = twins(name)
    for found, expected in zip(
        adapted(fast, inputs), adapted(plain, inputs), strict=True
    ):
        np.testing.assert_allclose(
            found, expected, atol=1e-9 * (1 + np.abs(expected).max())
        )


def test_half_precision_takes_the_plain_pass():
    fast, plain, inputs = twins("bias, usual order", "mixed_bfloat16")
    np.testing.assert_array_equal(
        trained(fast, inputs)[0], trained(plain, inputs)[0]
    )


def test_inputs_that_do_not_fit_are_keras_error():
    model = km.models.PrototypicalNetwork(km.encoders.conv4(8))
    episode = {
        "support_x": tf.zeros((1, 4, 28, 28, 1)),
        "support_y": tf.one_hot([[0, 1, 0, 1]], 2),
        "query_x": tf.zeros((1, 4, 28, 28, 1)),
    }
    model(episode, training=True)
    for key in ("support_x", "query_x"):
        episode[key] = tf.zeros((1, 4, 28, 28, 3))
    with pytest.raises(ValueError, match="expected axis -1|incompatible"):
        model(episode, training=True)


def test_a_network_trains_under_xla():
    fast, plain, inputs = twins("bias, usual order", "float32")
    losses = []
    for network, compiled in ((fast, True), (plain, False)):

        @tf.function(jit_compile=compiled)
        def step(network=network):
            with tf.GradientTape() as tape, StatisticsScope("batch"):
                maps = batch_apply(
                    network, tf.constant(inputs, "float32"), True
                )
                loss = tf.reduce_mean(maps**2 + tf.sin(maps))
            return tape.gradient(loss, network.trainable_variables[0])

        losses.append(step().numpy())
    np.testing.assert_allclose(*losses, atol=1e-4)
