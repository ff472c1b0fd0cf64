"""The benchmark of memory-augmented networks times the same on all sides."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import memory_cases, memory_family, training_steps, workers
from benchmarks.peers import jax_memory_family, torch_memory_family


@pytest.fixture(params=memory_cases.CASES.values(), ids=lambda c: c.name)
def case(request):
    """A small step of each memory."""
    return request.param.quick()


def our_loss_and_gradients(case, weights, sequences):
    model = memory_family.keras_model(case)
    training_steps.copy_to_keras(weights, model)
    images, previous_y, y = sequences
    inputs = {"sequence_x": images, "previous_y": previous_y}
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        losses = keras.ops.categorical_crossentropy(y, logits, True)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    return float(loss), [gradient.numpy() for gradient in gradients]


def torch_loss_and_gradients(case, weights, batch):
    torch = pytest.importorskip("torch")
    weights = [torch.from_numpy(weight).requires_grad_() for weight in weights]
    loss = torch_memory_family.torch_loss(
        case, case.named(weights), *map(torch.from_numpy, batch)
    )
    loss.backward()
    return loss.item(), [weight.grad.numpy() for weight in weights]


def jax_loss_and_gradients(case, weights, batch):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        loss, gradients = jax.value_and_grad(
            lambda weights: jax_memory_family.jax_loss(case, weights, *batch)
        )([jax.numpy.asarray(weight) for weight in weights])
        return float(loss), [np.array(gradient) for gradient in gradients]


@pytest.mark.parametrize(
    "peer", [torch_loss_and_gradients, jax_loss_and_gradients]
)
def test_a_peer_has_our_gradients(case, peer, float64):
    weights = [
        weight.astype("float64")
        for weight in memory_family.initial_weights(case, noise=0.3)
    ]
    sequences = [
        batches.astype("float64")
        for batches in memory_cases.make_sequences(case)
    ]
    batch = memory_cases.peer_batches(case, sequences)[0]
    first = [batches[0] for batches in sequences]
    loss, gradients = our_loss_and_gradients(case, weights, first)
    assert all(np.any(gradient) for gradient in gradients)
    found, others = peer(case, weights, batch)
    assert found == pytest.approx(loss, rel=1e-9)
    names = memory_cases.WEIGHT_NAMES[case.memory]
    for name, gradient, other in zip(names, gradients, others, strict=True):
        np.testing.assert_allclose(
            other, gradient, rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_the_timed_steps_have_the_same_losses(case):
    weights = memory_family.initial_weights(case)
    steps = {
        name: memory_family.keras_step(case, weights, jit_compile, False)
        for name, jit_compile in (("XLA", True), ("graph", False))
    }
    if importlib.util.find_spec("torch"):
        steps["torch"] = torch_memory_family.torch_step(case, weights)
    if importlib.util.find_spec("jax"):
        steps["jax"] = jax_memory_family.jax_step(case, weights)
    losses = {
        name: [step.loss() for _ in range(workers.LOSSES)]
        for name, step in steps.items()
    }
    training_steps.check_losses(losses)
    # The steps train: the weights of the third are not those of the first.
    assert len(set(losses["graph"])) == workers.LOSSES


def test_the_ratios_are_of_ours_under_xla():
    rows = memory_family.variants()
    milliseconds = dict(
        zip(rows, (10.0, 12.0, 20.0, 18.0, 24.0, 13.0), strict=True)
    )
    results = {
        row: {"milliseconds": number} for row, number in milliseconds.items()
    }
    assert memory_family.ratios(results) == {
        memory_family.AGAINST_TUNED: 1.8,
        memory_family.AGAINST_UNTUNED: 2.4,
        memory_family.AGAINST_JAX: 1.3,
        memory_family.AGAINST_GRAPH: 2.0,
        memory_family.AGAINST_DEFAULT_MEMORY: 1.2,
    }
    without = [row for row in rows if row.side != "jax"]
    assert memory_family.variants(absent=("jax",)) == without
    targets = memory_family.TARGETS[memory_cases.LRUA]
    assert set(targets) <= set(memory_family.ratios(results))


def test_sequences_show_the_label_of_the_step_before(case):
    images, previous_y, y = memory_cases.make_sequences(case)
    assert images.shape[:3] == y.shape[:3] == previous_y.shape[:3]
    assert images.shape[0] == training_steps.BATCHES
    assert not previous_y[:, :, 0].any()
    np.testing.assert_array_equal(previous_y[:, :, 1:], y[:, :, :-1])
