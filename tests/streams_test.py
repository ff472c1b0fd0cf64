"""Streams of tasks: what they store, and that a new kind is one class."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km
from zoo import __main__ as command_line
from zoo import evaluate, measures, recipes, streams, train
from zoo.recipes.recipe import EVALUATION_LAYOUT, RECIPE_LAYOUT
from zoo.stream import Stream

STREAMS = {
    "episodes": streams.Episodes("glyphs", "train", way=7, shot=2, queries=3),
    "photographs": streams.Photographs("tuxpaint", way=3, shot=2),
    "pairs": streams.Pairs("glyphs", rotations=False, within_groups=True),
    "zero_shot": streams.ZeroShot("cub", way=9, rotations=False),
    "sequences": streams.Sequences(
        "glyphs", "train", way=4, length=12, encoding="letters"
    ),
    "sinusoids": streams.Sinusoids(shot=4, queries=6),
    "copies": streams.Copies(length=5, bits=3, shortest=2),
}
# The kinds of the first presets, which share the keys of `Episodes`.
FIRST_KINDS = ("episodes", "pairs", "zero_shot", "sinusoids")
every_stream = pytest.mark.parametrize("kind", STREAMS)


def test_every_kind_is_tested():
    assert set(STREAMS) == set(streams.KINDS)


@pytest.mark.parametrize(
    "stream",
    [
        streams.Episodes("glyphs", way=5, shot=1, queries=2, rotations=False),
        streams.ZeroShot(
            "glyph-combinations", way=5, queries=2, rotations=False
        ),
    ],
    ids=["episodes", "zero_shot"],
)
def test_class_names_are_those_of_the_first_task(stream):
    names = stream.class_names(seed=3)
    assert len(set(names)) == 5
    examples, labels = stream.load()
    task, query_y = next(iter(stream.elements(seed=3)))
    for picture, column in zip(
        task["query_x"].numpy(), query_y.numpy().argmax(axis=1), strict=True
    ):
        same = examples[labels == names[column]] / np.float32(255)
        assert np.isclose(same, picture).all(axis=(1, 2, 3)).any()


def test_classes_without_names_have_none():
    assert STREAMS["sinusoids"].class_names(seed=0) is None


@every_stream
def test_a_stream_is_read_as_it_was_written(kind):
    record = json.loads(json.dumps(STREAMS[kind].record()))
    assert record["stream"] == kind
    assert streams.from_record(record) == STREAMS[kind]


def test_episodes_may_draw_their_shot():
    stream = dataclasses.replace(STREAMS["episodes"], shot=(1, 3))
    assert stream.setting == "7-way 1- to 3-shot"
    assert stream.examples_per_task == 7 * 6
    record = json.loads(json.dumps(stream.record()))
    assert streams.from_record(record) == stream
    weights = [
        int(tf.reduce_sum(episode["support_y"])) // 7
        for episode, *_ in stream.elements(seed=0).take(20)
    ]
    assert set(weights) == {1, 2, 3}


@pytest.mark.parametrize("kind", FIRST_KINDS)
def test_a_stored_stream_has_the_keys_of_the_files(kind):
    keys = set(STREAMS["episodes"].record())
    assert set(STREAMS[kind].record()) == keys
    assert keys == set(RECIPE_LAYOUT) & set(EVALUATION_LAYOUT) - {"seed"}


def test_what_a_kind_has_no_field_for_is_stored_as_a_constant():
    assert streams.Sinusoids(shot=4).record() == {
        "way": 1,
        "shot": 4,
        "queries": 15,
        "dataset": "sinusoids",
        "split": "all",
        "rotations": False,
        "within_groups": False,
        "stream": "sinusoids",
    }
    pairs = streams.Pairs("glyphs").record()
    assert [pairs[key] for key in ("way", "shot", "queries")] == [1, 1, 1]
    assert streams.ZeroShot("cub", way=5).record()["shot"] == 0


@every_stream
def test_a_stream_names_no_field_that_its_kind_ignores(kind):
    names = {field.name for field in dataclasses.fields(STREAMS[kind])}
    assert not names & set(STREAMS[kind].stored_constants)


def test_an_unknown_kind_lists_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'episodes'"):
        streams.from_record({"stream": "episode"})


@pytest.mark.parametrize("kind", ["sinusoids", "copies"])
def test_what_is_no_image_cannot_be_augmented(kind):
    with pytest.raises(ValueError, match="`augmentation` must be None"):
        STREAMS[kind].elements(seed=0, augmentation=lambda *_: None)


@pytest.mark.parametrize("layout", [RECIPE_LAYOUT, EVALUATION_LAYOUT])
def test_no_field_of_a_stream_is_one_of_what_holds_it(layout):
    """Both are in one flat dict."""
    holder = {
        RECIPE_LAYOUT: recipes.Recipe,
        EVALUATION_LAYOUT: recipes.Evaluation,
    }[layout]
    own = {field.name for field in dataclasses.fields(holder)} - {"stream"}
    for kind in streams.KINDS.values():
        assert not own & {field.name for field in dataclasses.fields(kind)}


@dataclasses.dataclass(frozen=True)
class Lines(Stream):
    """Regression of lines: a kind of tasks that the zoo does not know."""

    shot: int
    slope: float = 1.0

    kind = "lines"
    noun = "lines"
    measure = dataclasses.replace(
        measures.SQUARED_ERROR,
        text="error of lines {value:.1f} ± {interval:.1f}",
        heading="Error over {episodes} lines",
    )
    data = "straight lines"
    trained_on = "lines, drawn at random"
    batch_norm = False

    def elements(self, seed, start=0, augmentation=None):
        def draw(number):
            drawn = tf.random.stateless_uniform(
                (1 + 2 * self.shot, 1), (seed, number)
            )
            x, y = drawn[1:], self.slope * drawn[1:] + drawn[:1]
            episode = {
                "support_x": x[: self.shot],
                "support_y": y[: self.shot],
                "query_x": x[self.shot :],
            }
            return episode, y[self.shot :]

        return tf.data.Dataset.counter(start).map(draw)

    def training_metrics(self):
        return [keras.metrics.MeanAbsoluteError(name="distance")]

    @property
    def examples_per_task(self):
        return 2 * self.shot

    @property
    def setting(self):
        return f"slope {self.slope}"

    def meta_batch(self, tasks):
        return f"{tasks} lines"

    def as_measured(self, fixed_way):
        return Lines(shot=5, slope=self.slope)


def test_a_new_kind_is_one_class(tmp_path, monkeypatch, capsys):
    """It trains, is measured, described, drawn and chosen by flags."""
    monkeypatch.setitem(streams.KINDS, "lines", Lines)
    monkeypatch.setattr(command_line, "filter_startup_lines", lambda: None)
    lines = recipes.Recipe(
        name="tiny_lines",
        title="Lines",
        paper="None",
        model=lambda: km.models.MAML(
            keras.Sequential([keras.layers.Dense(1)]),
            inner_loss="mean_squared_error",
        ),
        stream=Lines(shot=3, slope=2.0),
        steps=4,
        tasks=2,
        epoch_steps=2,
        loss="mean_squared_error",
    )
    preset = tmp_path / "preset"
    model, state = train.train(lines, tmp_path / "run", verbose=0)
    assert set(state["history"]) == {"loss", "distance"}
    train.write_preset(lines, model, state, preset)
    asked = recipes.Evaluation(Lines(shot=4), episodes=6, statistics="batch")
    found = evaluate.evaluate(model, asked)
    evaluate.write_results(preset, [found])
    card = (preset / "README.md").read_text("utf-8")
    assert f"| straight lines | slope 1.0 | batch | {found.words} |" in card
    assert "Error over 6 lines with its 95% interval" in card
    assert "- Data: lines, drawn at random." in card
    assert "- Steps: 4 of 2 lines; mean squared error" in card

    flags = ["--shot", "6", "--episodes", "7", "--json"]
    assert command_line.main(["evaluate", str(preset), *flags]) == 0
    (measured,) = json.loads(capsys.readouterr().out)
    kept = [measured[key] for key in ("stream", "shot", "slope", "episodes")]
    assert kept == ["lines", 6, 2.0, 7]
    assert command_line.main(["evaluate", str(preset), "--way", "3"]) == 1
    assert "lines, which the flags --shot choose" in capsys.readouterr().err
    assert (
        command_line.main(["plot", str(preset), "--output", str(tmp_path)]) == 0
    )
    assert capsys.readouterr().out.endswith("learning_curves.png\n")
