"""The benchmark of gradient-based models times the same on all sides."""

import dataclasses
import importlib.util
import os

import keras
import numpy as np
import pytest

from benchmarks import (
    gradient_cases,
    gradient_family,
    training_steps,
    workers,
)
from benchmarks.gradient_cases import FOMAML, MAML, REPTILE, Case
from benchmarks.peers import (
    jax_maml,
    jax_outer_step,
    jax_reptile,
    learn2learn_maml,
    torch_func_maml,
    torch_layers,
    torch_maml,
    torch_outer_step,
    torch_reptile,
)
from benchmarks.training_steps import Setting

# With one mini-batch of the whole support its order does not matter.
SMALL = {
    MAML: Case(MAML, Setting(2, 5, 1, 3), 2, filters=4),
    FOMAML: Case(FOMAML, Setting(2, 5, 1, 3), 2, filters=4),
    REPTILE: Case(REPTILE, Setting(2, 5, 2, 1), 2, 10, filters=4),
}
TORCH = {
    "loop": torch_maml.torch_loop,
    "torch.func": torch_func_maml.torch_functional,
    "learn2learn": learn2learn_maml.learn2learn_loop,
}
JAX = {
    MAML: jax_maml.jax_maml_task,
    FOMAML: jax_maml.jax_maml_task,
    REPTILE: jax_reptile.jax_reptile_task,
}
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


@pytest.fixture(params=SMALL)
def case(request):
    """A small outer step of each method."""
    return SMALL[request.param]


def torch_methods(case):
    """The peers in PyTorch that can be measured here, by name."""
    if case.method == REPTILE:
        return {"reptile": torch_reptile.torch_reptile}
    absent = () if os.environ.get("LEARN2LEARN") else ("learn2learn",)
    return {name: TORCH[name] for name in TORCH if name not in absent}


def drawn(case):
    """Float64 images `(tasks, way, each, 28, 28, 1)`, and lively weights."""
    images = (
        batches[0].astype("float64")
        for batches in training_steps.make_episodes(case.setting)
    )
    return *images, gradient_cases.initial_weights(case)


def our_meta_gradient(case, support, query, weights):
    """Loss, and what the outer optimizer descends."""
    model = gradient_family.keras_model(case, weights)
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64"),
    )
    before = [np.array(weight) for weight in model.trainable_variables]
    episodes, query_y = training_steps.keras_batch(support, query)
    loss = model.train_on_batch(episodes, query_y)
    after = [np.array(weight) for weight in model.trainable_variables]
    return loss, [a - b for a, b in zip(before, after, strict=True)]


def tolerance(case):
    """Of the entries of a meta-gradient.

    Adam's epsilon is added before or after the correction of its moments,
    which shows where a gradient is about as small.
    """
    if case.method == REPTILE:
        return {"rtol": 1e-6, "atol": 1e-5}
    return {"rtol": 1e-6, "atol": 1e-9}


@pytest.mark.parametrize("channels_last", [False, True])
def test_pytorch_has_our_meta_gradient(case, channels_last, float64):
    torch = pytest.importorskip("torch")
    support, query, weights = drawn(case)
    loss, gradients = our_meta_gradient(case, support, query, weights)
    # But for the biases that batch norm cancels.
    inert = (1, 5, 9, 13)
    for number, gradient in enumerate(gradients):
        assert number in inert or np.any(gradient)
    tensors = [
        torch_layers.torch_images(images).flatten(1, 2)
        for images in (support, query)
    ]
    for name, method in torch_methods(case).items():
        network = torch_outer_step.torch_network(case, weights, channels_last)
        network = network.to(torch.float64)
        found = method(case, network)(*tensors)
        assert float(found) == pytest.approx(loss, rel=1e-6), name
        for gradient, parameter in zip(
            gradients, network.parameters(), strict=True
        ):
            np.testing.assert_allclose(
                parameter.grad.numpy(),
                torch_layers.torch_layout(gradient),
                err_msg=name,
                **tolerance(case),
            )


@pytest.fixture
def jax_float64():
    """JAX computes in float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@needs_jax
def test_jax_has_our_meta_gradient(case, float64, jax_float64):
    support, query, weights = drawn(case)
    loss, gradients = our_meta_gradient(case, support, query, weights)
    found, others = jax_outer_step.jax_meta_gradient(case, JAX[case.method])(
        [weight.astype("float64") for weight in weights],
        *(
            images.reshape(len(images), -1, *images.shape[3:])
            for images in (support, query)
        ),
    )
    assert float(found) == pytest.approx(loss, rel=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(np.array(other), gradient, **tolerance(case))


def test_the_timed_steps_have_the_same_losses(case):
    pytest.importorskip("torch")
    case = dataclasses.replace(case, inner_steps=1)
    weights = gradient_cases.initial_weights(case)
    steps = {"ours": gradient_family.keras_step(case, weights)}
    for name, method in torch_methods(case).items():
        steps[name] = torch_outer_step.torch_step(case, weights, method, False)
    if importlib.util.find_spec("jax"):
        steps["jax"] = jax_outer_step.jax_step(case, weights, JAX[case.method])
    training_steps.check_losses(
        {
            name: [step.loss() for _ in range(workers.LOSSES)]
            for name, step in steps.items()
        },
        gradient_family.TOLERANCES,
    )


def test_mini_batches_go_through_the_support_in_turn():
    case = Case(REPTILE, Setting(1, 5, 3, 1), 4, 10)
    rows = gradient_cases.mini_batches(case)
    assert rows.shape == (4, 10)
    flat = rows.ravel()
    for part in (flat[:15], flat[15:30]):
        np.testing.assert_array_equal(np.sort(part), np.arange(15))


def test_operations_of_an_outer_step():
    # Products of one image, convolution by convolution.
    first = 784 * 9 * 64
    rest = sum(positions * 9 * 64 * 64 for positions in (196, 49, 9))
    # Output, gradient of the weights, and of the inputs but for the first.
    gradient = 2 * (2 * first + 3 * rest)
    # The gradients of those: by both factors, but for the first's inputs.
    second = 2 * (2 * first + 6 * rest)
    flop = gradient_cases.step_flop
    setting = Setting(8, 5, 1, 15)
    assert flop(Case(FOMAML, setting, 5)) == 8 * (25 + 75) * gradient
    assert flop(Case(MAML, setting, 5)) == 8 * (100 * gradient + 25 * second)
    reptile = Case(REPTILE, Setting(5, 5, 10, 1), 5, 10)
    assert flop(reptile) == 5 * (50 * gradient + 5 * 2 * (first + rest))


def test_the_cases_have_names():
    assert list(gradient_cases.CASES) == [
        "maml_1_queries_1_steps",
        "maml_15_queries_1_steps",
        "maml_1_queries_5_steps",
        "maml_15_queries_5_steps",
        "fomaml_1_queries_1_steps",
        "fomaml_15_queries_1_steps",
        "fomaml_15_queries_5_steps",
        "reptile",
    ]


def numbers(milliseconds, memory=1000.0):
    return {
        "milliseconds": milliseconds,
        "peak_memory_mib": memory,
        "step_memory_mib": memory - 200.0,
    }


def test_ratios_are_of_ours_untuned_and_the_fastest_peers():
    rows = gradient_family.variants(SMALL[MAML])
    results = {row: numbers(100.0 - i) for i, row in enumerate(rows)}
    assert len({str(row) for row in rows}) == len(rows) == 12
    for row in rows:
        if row.side == "ours":
            threads = 5.0 if row.details else 10.0
            results[row] = numbers(threads / (1 + row.tuned), 400.0)
    found = gradient_family.ratios(results)
    # Rows 3 to 6 are PyTorch tuned, 7 to 10 untuned, learn2learn the last of
    # each; row 11 is JAX.
    assert found == pytest.approx(
        {
            gradient_family.AGAINST_TUNED: 9.4,
            gradient_family.AGAINST_UNTUNED: 9.0,
            gradient_family.AGAINST_LEARN2LEARN: 9.0,
            gradient_family.AGAINST_JAX: 8.9,
            **dict(zip(gradient_family.MEMORY, (0.4, 0.25), strict=True)),
        }
    )


def test_what_was_not_measured_has_no_ratio():
    rows = gradient_family.variants(
        SMALL[REPTILE], absent=("learn2learn", "jax")
    )
    assert {row.side for row in rows} == {"ours", "torch"}
    found = gradient_family.ratios({row: numbers(1.0) for row in rows})
    assert set(found) == {
        gradient_family.AGAINST_TUNED,
        gradient_family.AGAINST_UNTUNED,
    }


def test_absent_peers_have_advice(monkeypatch):
    monkeypatch.delenv("LEARN2LEARN", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gradient_family.absent_peers() == ["learn2learn", "jax"]
    assert set(gradient_family.ADVICE) == {"learn2learn", "jax"}


def test_a_wrong_folder_of_learn2learn_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("LEARN2LEARN", str(tmp_path))
    with pytest.raises(SystemExit, match="must name a checkout"):
        gradient_family.absent_peers()


def test_a_smoke_test_is_small():
    for case in gradient_cases.CASES.values():
        quick = case.quick()
        assert quick.setting.images <= 50
        assert quick.inner_steps <= 2
        assert dataclasses.replace(quick, setting=case.setting) == (
            dataclasses.replace(case, inner_steps=quick.inner_steps)
        )


def import_wave():
    import wave

    return workers.Step(lambda: wave)


def test_a_worker_can_hide_a_module():
    with pytest.raises(RuntimeError, match="import of wave halted"):
        workers.Worker("without", import_wave, hidden=("wave",))
