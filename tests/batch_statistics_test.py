"""Whose batch-norm statistics a pass uses: those of the model it is of."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_meta as km
from keras_meta.layers import EpisodicBatchNormalization
from keras_meta.models import PrototypicalNetwork
from keras_meta.ops import batch_apply

RNG = np.random.default_rng(0)
SUPPORT_X = RNG.normal(3, 2, (2, 6, 5)).astype("float32")
SUPPORT_Y = np.tile(np.eye(3, dtype="float32"), (2, 2, 1))
QUERY_X = RNG.normal(3, 2, (2, 4, 5)).astype("float32")


def encoder():
    return keras.Sequential(
        [keras.layers.Dense(4), EpisodicBatchNormalization()]
    )


def predictions(model, statistics):
    model.statistics = statistics
    return np.array(model.infer(model.adapt(SUPPORT_X, SUPPORT_Y), QUERY_X))


class ByNearest:
    """Verbs that a model takes from a mixin."""

    def adapt(self, support_x, support_y, training=False):
        return {
            "embeddings": batch_apply(self.encoder, support_x, training),
            "labels": support_y,
        }

    def infer(self, task, query_x, training=False):
        queries = batch_apply(self.encoder, query_x, training)
        logits = -km.distances.squared_euclidean(queries, task["embeddings"])
        return ops.matmul(ops.softmax(logits), task["labels"])


class Nearest(ByNearest, km.models.EpisodicModel):
    def __init__(self, encoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder


def test_verbs_of_a_mixin_use_the_model_s_statistics():
    model = Nearest(encoder())
    found = [predictions(model, s) for s in ("running", "batch", "support")]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(found[a] - found[b]).max() > 1e-3
    task = model.adapt(SUPPORT_X, SUPPORT_Y)
    assert set(task) == {
        "embeddings",
        "labels",
        "support_mean_0",
        "support_variance_0",
    }


class Extended(PrototypicalNetwork):
    """Verbs with further arguments."""

    def adapt(self, support_x, support_y, scale=1.0, training=False):
        task = super().adapt(support_x, support_y, training=training)
        return {**task, "prototypes": scale * task["prototypes"]}

    def infer(self, task, query_x, *, temperature=1.0, training=False):
        return super().infer(task, query_x, training=training) / temperature


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
def test_a_verb_may_take_further_arguments(statistics):
    network = encoder()
    model = Extended(network, statistics=statistics)
    plain = PrototypicalNetwork(network, statistics=statistics)
    task = model.adapt(SUPPORT_X, SUPPORT_Y, 1.0)
    found = model.infer(task, QUERY_X, temperature=2.0)
    expected = plain.infer(plain.adapt(SUPPORT_X, SUPPORT_Y), QUERY_X) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    doubled = model.adapt(SUPPORT_X, SUPPORT_Y, scale=2.0)
    np.testing.assert_allclose(
        doubled["prototypes"], 2 * task["prototypes"], rtol=1e-5
    )
    # By name and by position, as in any Python function.
    named = model.infer(query_x=QUERY_X, task=task, temperature=2.0)
    np.testing.assert_array_equal(found, named)


class Averaged(km.models.EpisodicModel):
    """A model that asks another one within its verbs."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def adapt(self, support_x, support_y, training=False):
        return self.inner.adapt(support_x, support_y, training=training)

    def infer(self, task, query_x, training=False):
        return self.inner.infer(task, query_x, training=training)


@pytest.mark.parametrize("own", ["running", "batch"])
@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
def test_a_model_inside_another_keeps_its_own_statistics(own, statistics):
    inner = PrototypicalNetwork(encoder())
    expected = predictions(inner, statistics)
    outer = Averaged(inner, statistics=own)
    np.testing.assert_array_equal(predictions(outer, own), expected)


def test_a_tensor_task_comes_back_to_infer_as_it_was():
    class Means(km.models.EpisodicModel):
        def __init__(self, encoder, **kwargs):
            super().__init__(**kwargs)
            self.encoder = encoder

        def adapt(self, support_x, support_y, training=False):
            embeddings = batch_apply(self.encoder, support_x, training)
            return km.ops.class_means(embeddings, support_y)

        def infer(self, task, query_x, training=False):
            queries = batch_apply(self.encoder, query_x, training)
            return -km.distances.squared_euclidean(queries, task)

    model = Means(encoder(), statistics="support")
    task = model.adapt(SUPPORT_X, SUPPORT_Y)
    assert set(task) == {"task", "support_mean_0", "support_variance_0"}
    plain = PrototypicalNetwork(model.encoder, statistics="support")
    expected = plain.infer(plain.adapt(SUPPORT_X, SUPPORT_Y), QUERY_X)
    np.testing.assert_allclose(
        model.infer(task, QUERY_X), expected, rtol=1e-5, atol=1e-5
    )


def test_a_task_without_the_moments_of_its_support_is_an_error():
    model = PrototypicalNetwork(encoder())
    task = model.adapt(SUPPORT_X, SUPPORT_Y)
    model.statistics = "support"
    with pytest.raises(ValueError, match="`task` must hold the moments"):
        model.infer(task, QUERY_X)


def stock():
    return keras.Sequential(
        [
            keras.layers.Dense(4),
            keras.layers.BatchNormalization(name="stock_norm"),
        ]
    )


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_a_choice_that_does_not_reach_keras_batch_norm_is_warned_of(
    statistics,
):
    episode = {
        "support_x": SUPPORT_X,
        "support_y": SUPPORT_Y,
        "query_x": QUERY_X,
    }
    model = PrototypicalNetwork(stock())
    model(episode)
    message = f"statistics='{statistics}'` does not reach .*stock_norm"
    with pytest.warns(UserWarning, match=message):
        model.statistics = statistics
    model = PrototypicalNetwork(stock(), statistics=statistics)
    with pytest.warns(UserWarning, match=message):
        model(episode)


def frozen_encoder():
    network = encoder()
    network.build((None, 5))
    # Moments that no batch here has.
    norm = network.layers[1]
    norm.moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    norm.moving_variance.assign([4.0, 3.0, 2.0, 1.0])
    network.trainable = False
    return network


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
def test_a_frozen_encoder_runs_and_stays(statistics):
    network = frozen_encoder()
    before = [np.array(weight) for weight in network.weights]
    model = PrototypicalNetwork(network, statistics=statistics)
    expected = predictions(PrototypicalNetwork(network), "running")
    found = model.infer(model.adapt(SUPPORT_X, SUPPORT_Y), QUERY_X)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    episode = {
        "support_x": SUPPORT_X,
        "support_y": SUPPORT_Y,
        "query_x": QUERY_X,
    }
    np.testing.assert_allclose(
        model(episode, training=True), expected, rtol=1e-4
    )
    for old, new in zip(before, network.weights, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("statistics", ["running", "batch", "support"])
@pytest.mark.parametrize("kind", [km.models.MAML, km.models.Reptile])
def test_a_frozen_part_of_a_network_stays_in_training(kind, statistics):
    network = frozen_encoder()
    whole = keras.Sequential([network, keras.layers.Dense(3)])
    model = kind(whole, statistics=statistics)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    episode = {
        "support_x": SUPPORT_X,
        "support_y": SUPPORT_Y,
        "query_x": QUERY_X,
    }
    before = [np.array(weight) for weight in network.weights]
    model.train_on_batch(episode, SUPPORT_Y[:, :4])
    for old, new in zip(before, network.weights, strict=True):
        np.testing.assert_allclose(old, new, rtol=1e-6)
    # A query is predicted alike whatever comes with it.
    task = model.adapt(SUPPORT_X, SUPPORT_Y)
    np.testing.assert_allclose(
        model.infer(task, QUERY_X)[:, :1],
        model.infer(task, QUERY_X[:, :1]),
        rtol=1e-5,
    )


def test_one_frozen_layer_among_others_keeps_the_moments_in_order():
    first, last = EpisodicBatchNormalization(), EpisodicBatchNormalization()
    network = keras.Sequential(
        [first, keras.layers.Dense(4), last, keras.layers.Dense(2)]
    )
    network.build((None, 5))
    first.trainable = False
    model = PrototypicalNetwork(network, statistics="support")
    task = model.adapt(SUPPORT_X, SUPPORT_Y)
    assert sum(name.startswith("support_mean") for name in task) == 1
    assert task["support_mean_0"].shape == (2, 4)
    np.testing.assert_allclose(
        model.infer(task, SUPPORT_X),
        predictions_of_support(network),
        rtol=1e-4,
    )


def predictions_of_support(network):
    """With the support as queries, `batch` and `support` are the same."""
    model = PrototypicalNetwork(network, statistics="batch")
    return model.infer(model.adapt(SUPPORT_X, SUPPORT_Y), SUPPORT_X)
