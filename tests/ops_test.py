"""Tests of the small functions on tensors."""

import json
import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from keras import ops

from keras_meta.batch_statistics import current_tasks
from keras_meta.distances import squared_euclidean
from keras_meta.layers import EpisodicBatchNormalization
from keras_meta.ops import (
    ABSENT_LOGIT,
    at_least_float32,
    batch_apply,
    class_counts,
    class_means,
    joint_apply,
    mask_absent,
)

VECTORS = pathlib.Path(__file__).parent / "vectors"


@pytest.fixture(scope="module")
def vector():
    return json.loads((VECTORS / "prototypes.json").read_text())


def one_hot(labels, way):
    return np.eye(way)[labels]


class TestPrototypesVector:
    """The equations of Prototypical Networks, composed from the parts."""

    def episode(self, vector):
        inputs = vector["inputs"]
        way = len(vector["expected"]["prototypes"])
        support_y = one_hot(inputs["support_labels"], way)
        query_y = one_hot(inputs["query_labels"], way)
        return (
            tf.constant([inputs["support_embeddings"]], "float64"),
            tf.constant([support_y], "float64"),
            tf.constant([inputs["query_embeddings"]], "float64"),
            tf.constant([query_y], "float64"),
        )

    def test_prototypes_vector(self, vector):
        support, support_y, _, _ = self.episode(vector)
        np.testing.assert_allclose(
            class_means(support, support_y)[0],
            vector["expected"]["prototypes"],
            rtol=0,
            atol=1e-10,
        )

    def test_probabilities_vector(self, vector):
        support, support_y, query, _ = self.episode(vector)
        distances = squared_euclidean(query, class_means(support, support_y))
        expected = vector["expected"]
        for name, actual in {
            "sq_distances": distances,
            "log_probs": ops.log_softmax(-distances),
            "probs": ops.softmax(-distances),
        }.items():
            np.testing.assert_allclose(
                actual[0], expected[name], rtol=0, atol=1e-10, err_msg=name
            )
        np.testing.assert_allclose(
            reference.softmax(-np.array(expected["sq_distances"])),
            expected["probs"],
            rtol=0,
            atol=1e-10,
        )

    def test_loss_and_gradients_vector(self, vector):
        support, support_y, query, query_y = self.episode(vector)
        with tf.GradientTape() as tape:
            tape.watch([support, query])
            prototypes = class_means(support, support_y)
            log_p = ops.log_softmax(-squared_euclidean(query, prototypes))
            loss = -ops.mean(ops.sum(query_y * log_p, axis=-1))
        gradients = tape.gradient(loss, [support, query])
        expected = vector["expected"]
        for name, actual in {
            "loss": loss,
            "grad_support_embeddings": gradients[0][0],
            "grad_query_embeddings": gradients[1][0],
        }.items():
            np.testing.assert_allclose(
                actual, expected[name], rtol=0, atol=1e-10, err_msg=name
            )


def test_class_means_equal_the_reference_with_unequal_shots():
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(5, 12, 3))
    labels = generator.integers(0, 4, (5, 12))
    labels[0] = [0] * 9 + [1, 2, 3]
    means = class_means(tf.constant(embeddings), one_hot(labels, 4))
    for task in range(5):
        np.testing.assert_allclose(
            means[task],
            reference.class_means(embeddings[task], labels[task], 4),
            atol=1e-12,
        )


def test_an_absent_class_has_the_zero_mean():
    support_y = one_hot([[0, 2, 2]], 3)
    means = class_means(tf.ones((1, 3, 2)), support_y)
    np.testing.assert_array_equal(means[0], [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(class_counts(support_y), [[1, 0, 2]])


def test_padding_rows_do_not_change_the_means():
    embeddings = np.random.default_rng(0).normal(size=(1, 6, 2))
    support_y = one_hot([[0, 1, 0, 1, 0, 0]], 2)
    padded = support_y.copy()
    padded[:, 4:] = 0
    np.testing.assert_array_equal(
        class_means(tf.constant(embeddings), padded),
        class_means(tf.constant(embeddings[:, :4]), support_y[:, :4]),
    )


def test_class_means_do_not_depend_on_the_order_of_the_support():
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(1, 9, 2))
    support_y = one_hot(generator.integers(0, 3, (1, 9)), 3)
    order = generator.permutation(9)
    np.testing.assert_allclose(
        class_means(tf.constant(embeddings), support_y),
        class_means(tf.constant(embeddings[:, order]), support_y[:, order]),
        atol=1e-12,
    )


def test_bfloat16_counts_every_one_of_301_examples():
    # In bfloat16 itself 301 is 300.
    support_y = tf.ones((1, 301, 1), "bfloat16")
    assert class_counts(support_y).numpy().tolist() == [[301.0]]
    embeddings = tf.concat(
        [tf.ones((1, 300, 1)), tf.constant([[[302.0]]])], axis=1
    )
    means = class_means(tf.cast(embeddings, "bfloat16"), support_y)
    assert means.dtype == "float32"
    np.testing.assert_allclose(means[0, 0, 0], 602 / 301, rtol=1e-6)


@pytest.mark.parametrize(
    "dtype, wide",
    [
        ("bfloat16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_results_are_float32_at_least(dtype, wide):
    tensor = tf.ones((1, 2, 2), dtype)
    assert at_least_float32(tensor).dtype == wide
    assert class_counts(tensor).dtype == wide
    assert class_means(tensor, tf.ones((1, 2, 2), dtype)).dtype == wide


def test_only_absent_classes_get_the_absent_logit():
    logits = tf.constant([[[1.0, 2.0, 3.0]] * 2, [[4.0, 5.0, 6.0]] * 2])
    masked = mask_absent(logits, tf.constant([[1.0, 0.0, 5.0], [1, 1, 1]]))
    assert masked[0].numpy().tolist() == [[1, ABSENT_LOGIT, 3]] * 2
    np.testing.assert_array_equal(masked[1], logits[1])


def test_an_absent_class_leaves_loss_and_gradient_finite():
    logits = tf.constant([[[1.0, 2.0, 3.0]]])
    target = tf.constant([[[0.0, 1.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        masked = mask_absent(logits, tf.constant([[1.0, 0.0, 1.0]]))
        loss = keras.losses.categorical_crossentropy(
            target, masked, from_logits=True
        )
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, logits)).all()
    probabilities = ops.softmax(masked)[0, 0]
    np.testing.assert_allclose(
        probabilities, reference.softmax(np.array([1, -np.inf, 3])), atol=1e-6
    )


class TestBatchApply:
    def test_it_equals_a_loop_over_the_tasks(self):
        module = keras.Sequential([keras.layers.Dense(3)])
        inputs = keras.random.normal((4, 5, 2), seed=0)
        outputs = batch_apply(module, inputs)
        assert outputs.shape == (4, 5, 3)
        for task in range(4):
            np.testing.assert_allclose(
                outputs[task], module(inputs[task]), atol=1e-6
            )

    def test_maps_stay_maps(self):
        module = keras.layers.Conv2D(3, 3, padding="same")
        assert batch_apply(module, tf.zeros((2, 5, 6, 7, 1))).shape == (
            2,
            5,
            6,
            7,
            3,
        )

    @pytest.mark.parametrize("shape", [(2, 0, 3), (0, 4, 3)])
    def test_no_examples_and_no_tasks_keep_their_axes(self, shape):
        outputs = batch_apply(keras.layers.Dense(5), tf.zeros(shape))
        assert outputs.shape == (*shape[:2], 5)

    def test_sizes_unknown_while_tracing(self):
        dense = keras.layers.Dense(5)
        signature = tf.TensorSpec((None, None, 3))
        function = tf.function(
            lambda inputs: batch_apply(dense, inputs),
            input_signature=[signature],
        )
        for tasks, examples in [(2, 4), (3, 0), (1, 1)]:
            outputs = function(tf.zeros((tasks, examples, 3)))
            assert outputs.shape == (tasks, examples, 5)

    @pytest.mark.parametrize("training", [False, True])
    def test_the_module_gets_one_batch_and_training(self, training):
        calls = []

        def module(batch, training):
            calls.append((batch.shape.as_list(), training, current_tasks()))
            return batch

        batch_apply(module, tf.zeros((2, 3, 4)), training)
        assert calls == [([6, 4], training, 2)]
        assert current_tasks() == 1


class TestJointApply:
    """Support and queries as one batch of each task."""

    def network(self, *more):
        keras.utils.set_random_seed(0)
        norm = EpisodicBatchNormalization(name="norm")
        layers = [keras.layers.Dense(4), norm, keras.layers.ReLU(), *more]
        # The same layer of moments twice, with two updates.
        model = keras.Sequential([*layers, keras.layers.Dense(4), norm])
        model.build((None, 3))
        return model

    def trained(self, model, tasks):
        """Outputs, gradients and averages after a pass; calls of the norm."""
        rng = np.random.default_rng(0)
        support, query = rng.normal(size=(2, 3, 5, 3)).astype("float32")
        calls = []
        norm = model.get_layer("norm")
        call = norm.call
        norm.call = lambda *a, **kw: (
            calls.append(current_tasks()) or call(*a, **kw)
        )
        signature = [tf.TensorSpec((tasks, 5, 3))] * 2

        @tf.function(input_signature=signature)
        def passed(support, query):
            with tf.GradientTape() as tape:
                outputs = joint_apply(model, support, query)
                loss = sum(tf.reduce_sum(part**3) for part in outputs)
            return outputs, tape.gradient(loss, model.trainable_variables)

        calls.clear()
        found = passed(support, query)
        averages = [v.numpy() for v in model.non_trainable_variables]
        return tf.nest.flatten(found), averages, calls

    def test_tasks_one_by_one_equal_all_at_once(self):
        found, averages, calls = self.trained(self.network(), tasks=3)
        assert calls == [1] * 6
        expected, right, together = self.trained(self.network(), tasks=None)
        assert len(together) == 2
        for a, b in zip(found, expected, strict=True):
            # The gradient of a bias before the norm is zero but for rounding.
            rounding = 1e-4 if np.abs(b).max() < 1e-4 else 1e-5
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=rounding)
        for a, b in zip(averages, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    def test_a_layer_that_would_notice_sees_all_tasks_at_once(self):
        for other in (
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
        ):
            calls = self.trained(self.network(other), tasks=3)[-1]
            assert calls == [3, 3]

    def test_a_gpu_gets_all_tasks_at_once(self, monkeypatch):
        devices = {"gpu": ["gpu:0"]}
        monkeypatch.setattr(keras.distribution, "list_devices", devices.get)
        assert self.trained(self.network(), tasks=3)[-1] == [3, 3]
