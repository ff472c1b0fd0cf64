"""The benchmark of Meta Networks times the same on both sides."""

import json

import pytest
from peer_gradients import (
    assert_same_gradients,
    our_loss_and_gradients,
    peer_episodes,
)

from benchmarks import (
    against_torch,
    meta_network,
    meta_network_cases,
    training_steps,
    workers,
)
from benchmarks.peers import torch_meta_network


@pytest.fixture
def case():
    """A small step."""
    return meta_network_cases.Case().quick()


def test_pytorch_has_our_gradients(case, float64):
    pytest.importorskip("torch")
    weights = [
        weight.astype("float64")
        for weight in meta_network.initial_weights(case)
    ]
    loss, gradients = our_loss_and_gradients(
        meta_network.filled_model(case, weights),
        meta_network.keras_loss(dtype="float64"),
        case.setting,
    )
    tensors = torch_meta_network.torch_weights(weights)
    found = torch_meta_network.torch_backward(
        case.named(tensors), *peer_episodes(case.setting)
    )
    assert float(found) == pytest.approx(loss, rel=1e-6)
    *learned, classifier = tensors
    assert classifier.grad is None
    assert_same_gradients(gradients, learned)


def test_a_quick_run_compares_the_losses_of_all_rows(tmp_path, capsys):
    pytest.importorskip("torch")
    path = tmp_path / "results.json"
    meta_network.main(["--quick", "--json", str(path)])
    printed = capsys.readouterr().out
    assert against_torch.AGAINST_TUNED in printed
    stored = json.loads(path.read_text())
    rows = [str(row) for row in meta_network.variants()]
    assert list(stored["variants"]) == rows
    assert stored["targets"] == against_torch.TARGETS
    for row, numbers in stored["variants"].items():
        # The steps train: the weights of the third are not those of the first.
        assert len(set(numbers["losses"])) == workers.LOSSES, row


def test_the_ratios_are_of_ours_with_its_threads_set():
    milliseconds = dict(
        zip(meta_network.variants(), (10.0, 9.0, 12.0, 16.0, 20.0), strict=True)
    )
    results = {
        row: {"milliseconds": number} for row, number in milliseconds.items()
    }
    assert against_torch.ratios(results) == {
        against_torch.AGAINST_TUNED: 1.6,
        against_torch.AGAINST_UNTUNED: 2.0,
        against_torch.AGAINST_DEFAULT: 1.2,
    }
    assert set(against_torch.TARGETS) <= set(against_torch.ratios(results))


def test_the_setting_is_that_of_the_paper():
    case = meta_network_cases.Case()
    assert case.setting == training_steps.Setting(
        tasks=1, way=5, shot=1, queries=10
    )
    assert case.filters == 64


def test_weights_have_the_names_of_their_parts(case):
    model = meta_network.keras_model(case)
    named = case.named(meta_network.model_weights(model))
    assert named["encoder"] == model.encoder.trainable_variables
    assert named["base_learner"] == model.base_learner.trainable_variables
    for level, generators in (
        ("task", model.task_generators),
        ("example", model.example_generators),
    ):
        for kind, generator in generators.items():
            weights = generator.trainable_variables
            assert named[f"{level}_{kind}"] == {
                weight.name: weight for weight in weights
            }
    assert named["classifier"] is model.embedding_loss.classifier
