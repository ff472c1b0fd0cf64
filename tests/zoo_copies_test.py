"""Recipes on sequences to copy: trained, measured, described and drawn."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_meta as km
import zoo
from zoo import __main__ as command_line
from zoo import evaluate, recipes, train
from zoo.copies import Copies


def tiny_ntm():
    return keras.Sequential(
        [
            keras.Input((None, 4)),
            keras.layers.RNN(
                km.layers.NTMCell(6, memory_slots=5, memory_width=4),
                return_sequences=True,
            ),
            keras.layers.Dense(2, "sigmoid"),
        ],
        name="ntm",
    )


RECIPE = recipes.Recipe(
    name="tiny_copy",
    title="A tiny copy",
    paper="None",
    model=tiny_ntm,
    stream=Copies(length=3, bits=2, shortest=1),
    steps=4,
    tasks=5,
    epoch_steps=2,
    loss="binary_cross_entropy",
    evaluations=(recipes.Evaluation(Copies(length=4, bits=2), episodes=30),),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A preset, what was measured of it, and the state of its training."""
    folder = tmp_path_factory.mktemp("copy")
    model, state = train.train(RECIPE, folder / "run", verbose=0)
    preset = folder / RECIPE.name
    train.write_preset(RECIPE, model, state, preset)
    found = evaluate.evaluate(zoo.load(preset), RECIPE.evaluations[0])
    evaluate.write_results(preset, [found])
    return preset, found, state


def run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(command_line, "filter_startup_lines", lambda: None)
    code = command_line.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_loss_and_the_wrong_bits_are_those_of_the_recall(trained):
    preset, found, state = trained
    assert set(state["history"]) == {
        "loss",
        "wrong_bits",
        "wrong_bits_interval",
    }
    # Not diluted by the steps whose target is zero.
    assert state["history"]["loss"][0] == pytest.approx(np.log(2), abs=0.1)
    model = zoo.load(preset)
    counts = []
    for inputs, target, weight in km.data.copy_dataset(
        bits=2, shortest=4, longest=4, seed=1
    ).take(30):
        predicted = model.predict(inputs[None], verbose=0)[0]
        wrong = (predicted > 0.5) != (target.numpy() > 0.5)
        counts.append(wrong[weight.numpy() == 1].sum())
    interval = 1.96 * np.std(counts) / 30**0.5
    np.testing.assert_allclose(
        [found.numbers["wrong_bits"], found.numbers["interval"]],
        [np.mean(counts), interval],
        atol=1e-4,
    )


def test_the_card_says_what_was_measured(trained):
    preset, found, _ = trained
    card = (preset / "README.md").read_text("utf-8")
    assert "wrong bits in a sequence\nover 30 sequences, with its" in card
    assert (
        "| random bits | copies of 4 vectors of 2 bits | running | "
        f"{found.words} |" in card
    )
    assert found.words.endswith(" wrong bits")
    assert "- Data: random bits, drawn anew for each sequence." in card
    assert "- Steps: 4 of 5 copies of 1 to 3 vectors of 2 bits; " in card


def test_a_stored_input_gives_the_stored_output(trained):
    preset, _, _ = trained
    stored = json.loads((preset / "results.json").read_text("utf-8"))
    expected = stored["sample_probabilities"]
    assert np.shape(expected) == (4, 2)
    found = evaluate.sample_probabilities(zoo.load(preset))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_flags_choose_the_length(trained, capsys, monkeypatch):
    preset = trained[0]
    flags = ["--length", "6", "--episodes", "5", "--json"]
    code, out, _ = run(capsys, monkeypatch, "evaluate", preset, *flags)
    (measured,) = json.loads(out)
    kept = [measured[key] for key in ("stream", "length", "shortest", "bits")]
    assert (code, kept) == (0, ["copies", 6, None, 2])
    for flag, message in (
        (["--way", "2"], "sequences to copy, which the flags --length choose"),
        (["--statistics", "batch"], "must be 'running' for a plain Keras"),
        (["--inner-steps", "1"], "must be left out for a model"),
    ):
        code, _, err = run(capsys, monkeypatch, "evaluate", preset, *flag)
        assert code == 1 and message in err


def test_the_picture_is_that_of_the_memory(
    trained, capsys, monkeypatch, tmp_path
):
    command = ["plot", trained[0], "--output", tmp_path]
    code, out, _ = run(capsys, monkeypatch, *command)
    assert code == 0
    drawn = [path.rsplit("/")[-1] for path in out.split()]
    assert drawn == ["copy.png", "learning_curves.png"]


def test_a_stream_of_copies_says_itself_in_words():
    stream = Copies(length=20, shortest=1)
    assert stream.setting == "copies of 1 to 20 vectors of 8 bits"
    assert stream.as_measured(None) == Copies(length=20)
    assert stream.as_measured(None).setting == "copies of 20 vectors of 8 bits"


def test_a_stream_draws_the_copies_of_its_fields():
    stream = Copies(length=5, bits=3, shortest=2)
    for fields, shortest in (({}, 2), ({"shortest": None}, 5)):
        chosen = dataclasses.replace(stream, **fields)
        drawn = next(iter(chosen.elements(seed=4, start=7).batch(9)))
        expected = next(
            iter(km.data.copy_dataset(3, shortest, 5, 4, 7).batch(9))
        )
        for array, same in zip(drawn, expected, strict=True):
            np.testing.assert_array_equal(array, same)


def test_the_recipe_is_that_of_the_paper():
    recipe = recipes.find("ntm_copy")
    model = recipe.model()
    cell = model.layers[0].cell
    assert isinstance(cell, km.layers.NTMCell)
    sizes = (cell.units, cell.memory_slots, cell.memory_width)
    assert sizes == (100, 128, 20)
    assert (cell.read_heads, cell.write_heads) == (1, 1)
    assert cell.controller == "dense"
    inputs, target, _ = recipe.stream.elements(seed=0).element_spec
    assert model.input_shape[2:] == inputs.shape[1:]
    assert model.output_shape[2:] == target.shape[1:]
