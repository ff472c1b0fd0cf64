"""Matching Networks against the reference vectors and their equations."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_meta as km
from keras_meta.layers import QueryContext, SupportContext

VECTORS = pathlib.Path(__file__).parent / "vectors"


def vector(name):
    stored = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))

    def arrays(value):
        if isinstance(value, dict):
            return {key: arrays(part) for key, part in value.items()}
        return np.array(value) if isinstance(value, list) else value

    expected = stored["expected"]
    steps = [arrays(step) for step in expected.pop("att_steps", [])]
    return arrays(stored["inputs"]), {**arrays(expected), "att_steps": steps}


def identity():
    return keras.layers.Identity()


def episode(inputs, support="support_embeddings", query="query_embeddings"):
    labels = inputs["support_labels"]
    return dict(
        support_x=inputs[support][None],
        support_y=np.eye(int(inputs["n_way"]))[labels][None],
        query_x=inputs[query][None],
    )


@pytest.mark.parametrize(
    "name, options",
    [
        ("plain", {}),
        ("scaled10", {"scale": 10.0}),
        ("scaled10", {"scale": 10, "learnable_scale": True}),
        ("semi_cosine", {"distance": "semi_cosine"}),
        ("neg_sq_euclidean", {"distance": "squared_euclidean"}),
    ],
)
def test_log_probabilities_are_those_of_the_vector(float64, name, options):
    inputs, expected = vector("matching")
    model = km.models.MatchingNetwork(identity(), **options)
    log_p = np.array(model(episode(inputs)))[0]
    np.testing.assert_allclose(log_p, expected[name]["log_probs"], atol=1e-10)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    target = np.eye(3)[inputs["query_labels"]]
    found = float(loss(target, log_p))
    assert found == pytest.approx(expected[name]["nll"], abs=1e-6)
    np.testing.assert_allclose(
        model.probabilities(log_p), expected[name]["probs"], atol=1e-10
    )


def test_the_class_logit_variant_is_that_of_the_vector(float64):
    inputs, expected = vector("matching")
    model = km.models.MatchingNetwork(identity(), aggregation="class_logit")
    log_p = np.array(model(episode(inputs)))[0]
    wanted = expected["class_logit_variant"]["log_probs"]
    np.testing.assert_allclose(log_p, wanted, atol=1e-10)


def test_log_space_keeps_what_probabilities_lose():
    # At this scale the other class has a probability of exp(-200), which
    # float32 does not have.
    model = km.models.MatchingNetwork(identity(), scale=200.0)
    one, other = np.eye(2, dtype="float32")
    log_p = model(
        dict(
            support_x=np.stack([one, other])[None],
            support_y=np.eye(2, dtype="float32")[None],
            query_x=one[None, None],
        )
    )
    np.testing.assert_allclose(log_p[0, 0], [0, -200], atol=1e-3)


def test_at_unit_scale_the_true_class_stays_below_its_bound():
    one, *others = np.eye(5, dtype="float32")
    model = km.models.MatchingNetwork(identity())
    log_p = model(
        dict(
            support_x=np.stack([one, *others])[None],
            support_y=np.eye(5, dtype="float32")[None],
            query_x=one[None, None],
        )
    )
    _, expected = vector("matching")
    bound = expected["best_case_true_prob_unit_scale"]["5way_1shot_others_zero"]
    assert float(np.exp(log_p[0, 0, 0])) == pytest.approx(bound, abs=1e-6)


def full_context(inputs):
    """The two context layers with the weights of the vector."""
    support, query = SupportContext(), QueryContext(int(inputs["K"]))
    shape = (None, None, 3)
    support.build(shape)
    query.build(shape, shape)
    for layer, name in (
        (support.forward, "forward_lstm"),
        (support.backward, "backward_lstm"),
        (query, "att_lstm"),
    ):
        layer.set_weights([inputs[name][part] for part in "WUb"])
    return support, query


def test_full_context_is_that_of_the_vector_step_by_step(float64):
    inputs, expected = vector("matching_fce")
    support, query = full_context(inputs)
    contextual = np.array(support(inputs["support_raw"][None]))
    np.testing.assert_allclose(
        contextual[0], expected["support_contextual"], atol=1e-10
    )
    # The published bug: backward states that are not turned round.
    wrong = expected["support_contextual_MISALIGNED_BUG"]
    assert np.abs(contextual[0] - wrong).max() > 1e-2
    hidden, attention = query.read(
        ops.convert_to_tensor(inputs["query_raw"][None]),
        ops.convert_to_tensor(contextual),
    )
    for step, found in zip(expected["att_steps"], attention, strict=True):
        np.testing.assert_allclose(found[0], step["attention"], atol=1e-10)
    np.testing.assert_allclose(
        hidden[0], expected["query_contextual"], atol=1e-10
    )
    np.testing.assert_allclose(attention[0], 1 / 4, atol=1e-12)


def test_a_network_in_full_context_is_that_of_the_vector(float64):
    inputs, expected = vector("matching_fce")
    model = km.models.MatchingNetwork(identity(), full_context=True)
    model.support_context, model.query_context = full_context(inputs)
    data = episode(inputs, "support_raw", "query_raw")
    found = np.array(model.probabilities(model(data)))[0]
    np.testing.assert_allclose(found, expected["probs"], atol=1e-10)
    task = model.adapt(data["support_x"], data["support_y"])
    attention = model.read_attention(task, data["query_x"])
    np.testing.assert_allclose(
        attention[-1, 0], expected["att_steps"][-1]["attention"], atol=1e-10
    )


def test_padding_anywhere_leaves_the_context_as_it_is(float64):
    inputs, expected = vector("matching_fce")
    support, _ = full_context(inputs)
    rows = [0, 0, 1, 2, 1, 3, 3]
    filled = np.array([[True, False, True, True, False, True, False]])
    found = support(inputs["support_raw"][None, rows], filled=filled)
    np.testing.assert_allclose(
        np.array(found)[filled], expected["support_contextual"], atol=1e-10
    )


def test_full_context_has_the_right_second_derivative(float64):
    """Of a loss of the gradient, against central differences of it."""
    inputs, _ = vector("matching_fce")
    model = km.models.MatchingNetwork(identity(), full_context=True)
    model.support_context, model.query_context = full_context(inputs)
    data = episode(inputs, "support_raw", "query_raw")
    support_y, query_x = data["support_y"], tf.constant(data["query_x"])

    def loss(support_x):
        return -model.infer(model.adapt(support_x, support_y), query_x)[0, 0, 0]

    def derivatives(support_x):
        with tf.GradientTape() as outer:
            outer.watch(support_x)
            with tf.GradientTape() as inner:
                inner.watch(support_x)
                value = loss(support_x)
            gradient = inner.gradient(value, support_x)
            squared = tf.reduce_sum(gradient**2)
        return squared, outer.gradient(squared, support_x)

    x = tf.constant(data["support_x"])
    graph = tf.function(derivatives)
    squared, found = graph(x)
    assert np.abs(found).max() > 1e-5
    for index in [(0, 0, 0), (0, 2, 1), (0, 3, 2)]:
        step = np.zeros(x.shape)
        step[index] = 1e-5
        change = graph(x + step)[0] - graph(x - step)[0]
        assert float(found[index]) == pytest.approx(
            float(change) / 2e-5, rel=1e-5, abs=1e-9
        )
    # XLA compiles it anew for each value of `x`, which takes seconds.
    for compiled, expected in zip(
        tf.function(derivatives, jit_compile=True)(x),
        (squared, found),
        strict=True,
    ):
        np.testing.assert_allclose(compiled, expected, rtol=1e-8, atol=1e-12)


def test_twins_may_be_separate():
    rng = np.random.default_rng(0)
    data = dict(
        support_x=rng.random((1, 3, 4)).astype("float32"),
        support_y=np.eye(3, dtype="float32")[None],
        query_x=rng.random((1, 2, 4)).astype("float32"),
    )
    model = km.models.MatchingNetwork(
        keras.layers.Dense(5), support_encoder=keras.layers.Dense(5)
    )
    before = np.array(model(data))
    assert len(model.encoder.weights) == len(model.support_encoder.weights)
    model.support_encoder.kernel.assign(model.support_encoder.kernel * -1)
    assert np.abs(np.array(model(data)) - before).max() > 1e-3
    assert model(data, training=True).shape == before.shape
    again = km.models.MatchingNetwork.from_config(model.get_config())
    assert again.support_encoder.units == 5
    model.statistics = "support"
    with pytest.raises(ValueError, match="needs one encoder"):
        model(data)


def test_a_learned_scale_is_trained_and_a_fixed_one_is_not():
    fixed = km.models.MatchingNetwork(identity(), scale=3.0)
    learned = km.models.MatchingNetwork(
        identity(), scale=3.0, learnable_scale=True
    )
    for model, trained in ((fixed, 0), (learned, 1)):
        model.build(
            dict.fromkeys(
                ("support_x", "support_y", "query_x"), (None, None, 3)
            )
        )
        assert len(model.trainable_weights) == trained


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), "10"])
def test_a_scale_that_is_not_positive_is_an_error(scale):
    with pytest.raises(ValueError, match="`scale` must be a positive number"):
        km.models.MatchingNetwork(identity(), scale=scale)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"distance": "cosin"}, "did you mean 'cosine'"),
        ({"aggregation": "vote"}, "`aggregation` must be one of"),
        ({"full_context": True, "read_steps": 0}, "`read_steps` must be"),
    ],
)
def test_a_wrong_option_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        km.models.MatchingNetwork(identity(), **options)


def test_only_full_context_reads_in_steps():
    with pytest.raises(ValueError, match="full_context=True"):
        km.models.MatchingNetwork(identity()).read_attention({}, None)


def test_a_support_of_unknown_size_is_read_as_one_that_is_known():
    layer = SupportContext()
    embeddings = tf.random.normal((2, 5, 4), seed=0)
    filled = tf.constant([[True] * 5, [True, False, True, True, False]])
    layer.build(embeddings.shape)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, 4)),
            tf.TensorSpec((None, None), "bool"),
        ]
    )
    def looped(embeddings, filled):
        return layer(embeddings, filled)

    expected = looped(embeddings, filled)
    assert not layer.forward.unroll
    found = layer(embeddings, filled)
    assert layer.forward.unroll and layer.backward.unroll
    np.testing.assert_allclose(found, expected, atol=1e-6)
