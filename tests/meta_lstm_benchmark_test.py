"""The benchmark of the LSTM meta-learner times the same on both sides."""

import json

import keras
import pytest
from peer_gradients import (
    assert_same_gradients,
    our_loss_and_gradients,
    peer_episodes,
)

from benchmarks import against_torch, meta_lstm, training_steps, workers
from benchmarks.peers import torch_meta_lstm


@pytest.fixture
def case():
    """A small step."""
    return meta_lstm.Case().quick()


def test_pytorch_has_our_gradients(case, float64):
    pytest.importorskip("torch")
    weights = [
        weight.astype("float64") for weight in meta_lstm.initial_weights(case)
    ]
    loss, gradients = our_loss_and_gradients(
        meta_lstm.filled_model(case, weights),
        keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64"),
        case.setting,
    )
    learned = torch_meta_lstm.torch_weights(weights)
    found = torch_meta_lstm.torch_backward(
        case, learned, *peer_episodes(case.setting)
    )
    assert float(found) == pytest.approx(loss, rel=1e-6)
    assert_same_gradients(
        gradients, learned, as_in_keras=len(torch_meta_lstm.CELL)
    )


def test_a_quick_run_compares_the_losses_of_all_rows(tmp_path, capsys):
    pytest.importorskip("torch")
    path = tmp_path / "results.json"
    meta_lstm.main(["--quick", "--json", str(path)])
    assert against_torch.AGAINST_TUNED in capsys.readouterr().out
    stored = json.loads(path.read_text())
    assert list(stored["variants"]) == [
        str(row) for row in meta_lstm.variants()
    ]
    for row, numbers in stored["variants"].items():
        # The steps train: the weights of the third are not those of the first.
        assert len(set(numbers["losses"])) == workers.LOSSES, row


def test_the_setting_is_that_of_the_paper():
    case = meta_lstm.Case()
    assert case.setting == training_steps.Setting(
        tasks=1, way=5, shot=1, queries=15
    )
    assert (case.filters, case.inner_steps, case.units) == (32, 12, 20)


def test_weights_have_the_names_of_the_cell(case):
    model = meta_lstm.keras_model(case)
    names = [weight.name for weight in model.cell.trainable_variables]
    assert names == list(torch_meta_lstm.CELL)
