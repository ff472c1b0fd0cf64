"""Recipes on sequences: trained, measured, described, compared and drawn."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_meta as km
import zoo
from zoo import __main__ as command_line
from zoo import datasets, evaluate, measures, recipes, train
from zoo.streams import Sequences

NUMBERS = {
    "instance_1": 30.0,
    "instance_1_interval": 1.0,
    "instance_2": 80.1234,
    "instance_2_interval": 0.256,
}


def two_patterns(split, rotations):
    """Two classes of any data set are easily told apart."""
    rng = np.random.default_rng({"train": 0, "test": 1}[split])
    patterns = rng.random((6, 1, 4, 4, 1))
    images = np.clip(patterns + rng.normal(0, 0.1, (6, 6, 4, 4, 1)), 0, 1)
    return images.reshape(-1, 4, 4, 1).astype("float32"), np.repeat(
        [f"class{k}" for k in range(6)], 6
    )


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "tiny", two_patterns)
    stream = Sequences("tiny", "train", way=2, length=8, rotations=False)
    return recipes.Recipe(
        name="tiny_memory",
        title="A tiny memory",
        paper="None",
        model=lambda: km.models.MemoryAugmentedNetwork(
            keras.layers.LSTMCell(4), labels=2
        ),
        stream=stream,
        steps=4,
        tasks=3,
        epoch_steps=2,
        half_precision=True,
        evaluations=(
            recipes.Evaluation(
                dataclasses.replace(stream, split="test"),
                episodes=8,
                published="82.8 / 94.9",
            ),
        ),
    )


def trained_preset(recipe, folder):
    """Trains a recipe and measures the preset that it wrote."""
    model, state = train.train(recipe, folder / "run", verbose=0)
    preset = folder / recipe.name
    train.write_preset(recipe, model, state, preset)
    stored = zoo.load(preset)
    found = [evaluate.evaluate(stored, one) for one in recipe.evaluations]
    evaluate.write_results(preset, found)
    return preset, found[0], state


def test_a_recipe_of_sequences_trains_and_is_measured(recipe, tmp_path):
    preset, found, state = trained_preset(recipe, tmp_path)
    presentations = [f"instance_{k}" for k in (1, 2, 3, 4)]
    intervals = [f"{key}_interval" for key in presentations]
    assert set(state["history"]) == {"loss", *presentations, *intervals}
    assert set(found.numbers) == {*presentations, *intervals}
    # Rounded weights are what was measured.
    weights = np.concatenate(
        [weight.ravel() for weight in zoo.load(preset).get_weights()]
    )
    np.testing.assert_array_equal(weights, weights.astype("float16"))

    card = (preset / "README.md").read_text("utf-8")
    assert "Mean accuracy at the 2nd presentation of a class over" in card
    assert (
        "| tiny test | 2-way sequences of 8, 2nd | running | "
        f"{found.words} (82.8 / 94.9) |" in card
    )
    assert "- Steps: 4 of 3 2-way sequences of 8 examples; cross" in card
    assert "Compared" not in card


def test_the_flags_choose_sequences(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "filter_startup_lines", lambda: None)
    preset, _, _ = trained_preset(recipe, tmp_path)
    flags = ["--length", "6", "--episodes", "5", "--json"]
    assert command_line.main(["evaluate", str(preset), *flags]) == 0
    (measured,) = json.loads(capsys.readouterr().out)
    kept = [measured[key] for key in ("stream", "length", "encoding")]
    assert kept == ["sequences", 6, "one_hot"]
    assert "instance_3" in measured and "instance_4" not in measured
    for flag, message in (
        (["--shot", "2"], "sequences, which the flags --dataset, --split"),
        (["--length", "1"], r"`length` (`--length`) must be at least 2"),
        (["--way", "3"], "must be 2"),
    ):
        assert command_line.main(["evaluate", str(preset), *flag]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["LSTMCell", "LRUACell"])
def test_plot_draws_the_memory_that_a_model_has(
    recipe, cell, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(command_line, "filter_startup_lines", lambda: None)
    if cell == "LRUACell":
        recipe = dataclasses.replace(
            recipe,
            model=lambda: km.models.MemoryAugmentedNetwork(
                km.layers.LRUACell(4, 6, 3, 2), labels=2
            ),
        )
    preset, _, _ = trained_preset(recipe, tmp_path)
    folder = tmp_path / "pictures"
    assert (
        command_line.main(["plot", str(preset), "--output", str(folder)]) == 0
    )
    expected = ["instance_accuracy", "learning_curves"]
    expected += ["memory"] * (cell == "LRUACell")
    assert sorted(path.stem for path in folder.iterdir()) == expected
    assert capsys.readouterr().out.count(".png\n") == len(expected)


def test_strings_of_letters_are_trained_with_their_loss(recipe, tmp_path):
    letters = dataclasses.replace(recipe.stream, way=4, encoding="letters")
    recipe = dataclasses.replace(
        recipe,
        stream=letters,
        loss="string_cross_entropy",
        model=lambda: km.models.MemoryAugmentedNetwork(
            keras.layers.LSTMCell(4), labels=25, encoding="letters"
        ),
        steps=2,
        evaluations=(),
    )
    model, state = train.train(recipe, tmp_path, verbose=0)
    assert isinstance(model.loss, km.sequence_losses.StringCrossentropy)
    # Five letters of five are a guess at first.
    assert abs(state["history"]["loss"][0] - 5 * np.log(5)) < 1
    # A string serves any number of classes.
    asked = recipes.Evaluation(
        dataclasses.replace(letters, split="test", way=2), episodes=4
    )
    assert set(evaluate.evaluate(model, asked).numbers) >= {"instance_4"}


def test_a_card_compares_presets_on_the_same_tasks(
    recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr(zoo, "PRESETS", tmp_path)
    baseline = dataclasses.replace(recipe, name="tiny_baseline")
    _, others, _ = trained_preset(baseline, tmp_path / "baseline")
    (tmp_path / "baseline" / "tiny_baseline").rename(tmp_path / "tiny_baseline")
    compared = dataclasses.replace(
        recipe, compared_with=("tiny_baseline", "not_trained")
    )
    monkeypatch.setitem(recipes.RECIPES, "tiny_memory", compared)
    preset, own, _ = trained_preset(compared, tmp_path)
    card = (preset / "README.md").read_text("utf-8")
    rows = card.partition("## Compared\n\n")[2].splitlines()[:4]
    assert rows[0] == (
        "| preset | data | setting | statistics | 1st | 2nd | 3rd | 4th |"
    )
    for row, name, found in (
        (rows[2], "tiny_memory", own),
        (rows[3], "tiny_baseline", others),
    ):
        cells = found.evaluation.stream.measure.columns(found.numbers)
        assert row == (
            f"| `{name}` | tiny test | 2-way sequences of 8, 2nd | running | "
            f"{' | '.join(cells.values())} |"
        )


def test_the_measure_names_the_presentations_that_it_has():
    short = measures.InstanceMeasure(2, "one_hot")
    assert short.quoted == "2nd"
    assert short.words(NUMBERS) == "80.12 ± 0.26"
    assert short.columns(NUMBERS) == {
        "1st": "30.00 ± 1.00",
        "2nd": "80.12 ± 0.26",
    }
    assert measures.InstanceMeasure(10, "one_hot").quoted == "2nd / 5th / 10th"
    logs = {
        f"instance_{k}{end}": k / 100
        for k in (1, 2, 3)
        for end in ("", "_interval")
    }
    assert short.numbers(logs) == {
        "instance_1": 1.0,
        "instance_1_interval": 1.0,
        "instance_2": 2.0,
        "instance_2_interval": 2.0,
    }


def test_a_stream_of_sequences_says_itself_in_words():
    stream = Sequences("omniglot-random1200-20", way=5, length=50)
    assert stream.setting == "5-way sequences of 50, 2nd / 5th / 10th"
    letters = dataclasses.replace(stream, way=15, encoding="letters")
    assert letters.setting == (
        "15-way sequences of 50, strings of letters, 2nd"
    )
    assert stream.as_measured(5) == stream
    assert stream.meta_batch(16) == "16 5-way sequences of 50 examples"
