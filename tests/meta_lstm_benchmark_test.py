"""The benchmark of the LSTM meta-learner times the same on both sides."""

import json

import keras
import numpy as np
import pytest

from benchmarks import against_torch, meta_lstm, training_steps, workers
from benchmarks.peers import torch_meta_lstm


@pytest.fixture
def case():
    """A small step."""
    return meta_lstm.Case().quick()


def our_loss_and_gradients(case, weights):
    """Loss, and what the optimizer descends."""
    model = meta_lstm.filled_model(case, weights)
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64"),
    )
    before = [keras.ops.copy(weight) for weight in model.learned_variables]
    support, query = training_steps.make_episodes(case.setting)
    episodes, query_y = training_steps.keras_batch(
        support[0].astype("float64"), query[0].astype("float64")
    )
    loss = model.train_on_batch(episodes, query_y)
    return loss, [
        keras.ops.convert_to_numpy(old - new)
        for old, new in zip(before, model.learned_variables, strict=True)
    ]


def test_pytorch_has_our_gradients(case, float64):
    torch = pytest.importorskip("torch")
    weights = [
        weight.astype("float64") for weight in meta_lstm.initial_weights(case)
    ]
    loss, gradients = our_loss_and_gradients(case, weights)
    assert all(np.any(gradient) for gradient in gradients)

    learned = torch_meta_lstm.torch_weights(weights)
    support, queries = (
        torch.from_numpy(images.astype("float64"))
        for images in training_steps.channels_first_batches(case.setting)[0]
    )
    found = torch_meta_lstm.torch_backward(case, learned, support, queries)
    assert float(found) == pytest.approx(loss, rel=1e-6)
    own = len(gradients) - len(torch_meta_lstm.CELL)
    for number, (gradient, tensor) in enumerate(
        zip(gradients, learned, strict=True)
    ):
        if number < own:
            gradient = torch_meta_lstm.torch_layout(gradient)
        np.testing.assert_allclose(
            tensor.grad.numpy(),
            gradient,
            rtol=1e-6,
            atol=1e-9,
            err_msg=f"weight {number}",
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
