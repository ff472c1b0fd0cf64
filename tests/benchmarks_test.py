"""The benchmarks time the same thing on both sides. No time is asserted."""

import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import (
    conv4,
    episodes,
    metric_family,
    prototypical_network,
    training_steps,
    workers,
)
from benchmarks.conv4 import CONV4
from benchmarks.hyperparameters import USUAL
from benchmarks.metric_family import SHIPPED
from benchmarks.peers import (
    python_episodes,
    torch_layers,
    torch_metric_family,
    torch_prototypical_network,
)

ROOT = pathlib.Path(__file__).parents[1]
SMALL = training_steps.Setting(tasks=2, way=5, shot=2, queries=3)


def test_the_benchmarks_import_no_heavy_library():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "benchmarks").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    assert "benchmarks.peers.torch_maml" in modules
    heavy = {"keras", "tensorflow", "torch", "jax"}
    code = (
        f"import sys, {', '.join(modules)}; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def keras_loss_and_gradients(layers, weights, support, query):
    model = prototypical_network.keras_model(layers, weights)
    inputs, query_y = training_steps.keras_batch(support, query)
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        loss = tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(query_y, logits)
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    return float(loss), [gradient.numpy() for gradient in gradients]


def torch_loss_and_gradients(layers, weights, support, query, channels_last):
    network = torch_prototypical_network.torch_network(
        layers, weights, channels_last
    ).to(torch_layers.torch_images(support).dtype)
    support = torch_layers.torch_images(support)
    query = torch_layers.torch_images(query)
    total = 0
    for episode in zip(support, query, strict=True):
        loss = torch_prototypical_network.torch_loss(network, *episode)
        (loss / len(support)).backward()
        total += loss.item() / len(support)
    gradients = [
        np.moveaxis(gradient, (2, 3, 1, 0), (0, 1, 2, 3))
        if gradient.ndim == 4
        else gradient
        for gradient in (p.grad.numpy() for p in network.parameters())
    ]
    return total, gradients


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("layers", [USUAL, CONV4])
def test_both_sides_compute_the_same_step(layers, channels_last, float64):
    pytest.importorskip("torch")
    weights = conv4.initial_weights(layers, filters=4)
    support, query = (
        images[0].astype("float64")
        for images in training_steps.make_episodes(SMALL)
    )
    loss, gradients = keras_loss_and_gradients(layers, weights, support, query)
    torch_loss, torch_gradients = torch_loss_and_gradients(
        layers, weights, support, query, channels_last
    )
    assert loss == pytest.approx(torch_loss, rel=1e-9)
    for gradient, expected in zip(gradients, torch_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layers", [USUAL, CONV4])
def test_the_timed_steps_have_the_same_losses(layers, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(
        conv4,
        "initial_weights",
        lambda layers, make=conv4.initial_weights: make(layers, filters=4),
    )
    steps = {
        "ours": prototypical_network.keras_step(SMALL, layers),
        "torch": torch_prototypical_network.torch_step(SMALL, layers, False),
    }
    losses = {
        name: [step.loss() for _ in range(workers.LOSSES)]
        for name, step in steps.items()
    }
    training_steps.check_losses(losses)


@pytest.fixture(params=metric_family.CASES.values(), ids=lambda c: c.name)
def case(request):
    """A model of the metric family, small."""
    return dataclasses.replace(
        request.param, setting=request.param.quick, filters=4
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("layers", [USUAL, SHIPPED])
def test_both_sides_of_the_metric_family_compute_the_same(
    case, layers, channels_last, float64
):
    torch = pytest.importorskip("torch")
    # Such noise gives every weight a share in the loss.
    weights = metric_family.initial_weights(case, noise=0.1)
    drawn = [images[0].astype("float64") for images in case.draw(case.setting)]

    model = metric_family.built_model(case, weights)
    inputs, query_y = case.batches(*drawn)
    with tf.GradientTape() as tape:
        predictions = model(inputs, training=True)
        # `call` leaves them in float64.
        losses = case.keras_loss().call(query_y, predictions)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    gradients = [gradient.numpy() for gradient in gradients]
    assert all(np.any(gradient) for gradient in gradients)

    network = torch_metric_family.filled_network(
        case, weights, layers, channels_last
    )
    images = map(torch_layers.torch_images, drawn)
    torch_loss = case.torch_loss(network.to(torch.float64), *images)
    torch_loss.backward()
    assert float(loss) == pytest.approx(torch_loss.item(), rel=1e-9)
    expected = torch_metric_family.weights_for_torch(case, gradients, layers)
    for gradient, parameter in zip(expected, network.parameters(), strict=True):
        if parameter.requires_grad:
            gradient = torch_layers.torch_layout(gradient)
            np.testing.assert_allclose(
                parameter.grad.numpy().reshape(gradient.shape),
                gradient,
                rtol=1e-6,
                atol=1e-9,
            )


def test_the_timed_steps_of_the_metric_family_have_the_same_losses(case):
    pytest.importorskip("torch")
    weights = metric_family.initial_weights(case)
    steps = {
        "ours": metric_family.keras_step(case, weights),
        "usual": torch_metric_family.torch_step(case, weights, USUAL, False),
        "shipped": torch_metric_family.torch_step(case, weights, SHIPPED, True),
    }
    training_steps.check_losses(
        {
            name: [step.loss() for _ in range(workers.LOSSES)]
            for name, step in steps.items()
        }
    )


def test_pairs_of_odd_number_are_of_two_classes():
    setting = training_steps.Setting(tasks=6, way=1, shot=1, queries=1)
    support, query = metric_family.draw_pairs(setting)
    _, same = metric_family.pair_batch(support, query)
    # Pictures of one class differ by noise only: 0.32 of their pixels.
    shared = np.abs(support - query).mean(axis=(-3, -2, -1)) < 0.37
    np.testing.assert_array_equal(shared.reshape(same.shape), same)
    assert set(same.ravel()) == {0, 1}


def test_the_metric_family_is_compared_with_both_orders_of_layers():
    results = {
        row: {"milliseconds": 10.0 if row.side == "ours" else 40.0 - number}
        for number, row in enumerate(metric_family.variants())
    }
    found = training_steps.ratios(results, metric_family.COMPARED)
    usual = found["shipped layers against usual, fastest"]
    assert usual == pytest.approx({"tuned": 3.7, "untuned": 3.5})
    identical = found["identical layers, own layout"]
    assert identical == pytest.approx({"tuned": 3.4, "untuned": 3.2})


def test_different_losses_stop_the_run():
    with pytest.raises(RuntimeError, match="do not compute the same"):
        training_steps.check_losses({"a": [1.0, 0.9], "b": [1.1, 0.9]})
    with pytest.raises(RuntimeError, match="do not compute the same"):
        training_steps.check_losses({"a": [1.0], "b": [float("nan")]})


def test_both_kinds_of_layers_start_from_the_same_weights():
    usual = conv4.initial_weights(USUAL, filters=4)
    del usual[1::4]
    shipped = conv4.initial_weights(CONV4, filters=4)
    for one, other in zip(usual, shipped, strict=True):
        np.testing.assert_array_equal(one, other)


def test_operations_of_a_step():
    # Products of one image, convolution by convolution.
    products = [784 * 9 * 64] + [p * 9 * 64 * 64 for p in (196, 49, 9)]
    step = 3 * sum(products) - products[0]
    setting = training_steps.Setting(1, 60, 1, 5)
    assert prototypical_network.step_flop(setting) == 360 * 2 * step


def test_ratios_take_the_fastest_peer_of_the_same_kind():
    results = {
        row: {"milliseconds": 10.0 if row.side == "ours" else 40.0 - number}
        for number, row in enumerate(prototypical_network.variants())
    }
    found = training_steps.ratios(results, prototypical_network.COMPARED)
    plain = found["identical layers, usual, own layout"]
    assert plain == pytest.approx({"tuned": 3.7, "untuned": 3.5})
    fastest = found["identical layers, usual, fastest"]
    assert fastest == pytest.approx({"tuned": 3.6, "untuned": 3.4})


def test_the_plain_sampler_draws_episodes():
    codes = np.repeat(np.arange(7), 6)
    # Each image is filled with its own number.
    images = np.arange(42, dtype="uint8").reshape(-1, 1, 1, 1)
    setting = episodes.Setting(way=5, shot=2, queries=3)
    stream = python_episodes.python_episodes(images, codes, setting, seed=0)
    support_x, support_y, query_x, query_y = next(stream)
    np.testing.assert_array_equal(np.bincount(support_y), [2] * 5)
    np.testing.assert_array_equal(np.bincount(query_y), [3] * 5)
    support = np.round(255 * support_x.ravel()).astype(int)
    query = np.round(255 * query_x.ravel()).astype(int)
    assert not set(support) & set(query)
    # A position of an episode is one class.
    for position in range(5):
        rows = [*support[support_y == position], *query[query_y == position]]
        assert len(set(codes[rows])) == 1


def test_synthetic_drawings_have_the_shapes_of_omniglot():
    images, codes, _ = episodes.load_drawings(synthetic=True)
    assert images.shape == (4112 * 20, 28, 28, 1)
    assert images.dtype == "uint8"
    np.testing.assert_array_equal(np.bincount(codes), [20] * 4112)


def make_counting_step(start):
    counter = iter(range(start, start + 1000))
    return workers.Step(lambda: next(counter), lambda: float(next(counter)))


def make_broken_step():
    raise ValueError("no such step")


def test_workers_take_turns():
    with workers.Worker("count", make_counting_step, (5,)) as worker:
        assert worker.losses == [5.0, 6.0, 7.0]
        assert len(worker.time(4)) == 4
        timings = workers.interleave([worker], rounds=2, seconds=1e-6)
    assert timings["count"].seconds > 0


def make_allocating_step():
    held = np.ones(2**23)
    return workers.Step(lambda: np.concatenate([held, held]))


def test_the_memory_of_a_step_is_without_that_of_its_set_up():
    if workers.held_memory("VmRSS") is None:
        pytest.skip("The system does not say what a process holds")
    with workers.Worker("memory", make_allocating_step) as worker:
        worker.time(1)
    # The set-up holds 64 MiB, the step 128.
    assert 120 < worker.step_memory < 190
    assert worker.peak_memory > 64 + worker.step_memory


def test_a_worker_reports_its_failure():
    with pytest.raises(RuntimeError, match="no such step"):
        workers.Worker("broken", make_broken_step)


def test_timings_are_medians_of_turns():
    timing = workers.summarize([1.0, 4.0, 2.0])
    assert timing == workers.Timing(seconds=2.0, spread=1.5)


def test_tables_align(capsys):
    workers.print_table(["name", "ms"], [["ours", "9"], ["torch", "123"]])
    assert capsys.readouterr().out == "name    ms\nours     9\ntorch  123\n"
