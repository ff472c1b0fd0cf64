"""Streams of tasks: what they store, and that a new kind is one class."""

import dataclasses
import json

import pytest

from zoo import streams
from zoo.recipes.recipe import EVALUATION_LAYOUT, RECIPE_LAYOUT

STREAMS = {
    "episodes": streams.Episodes("glyphs", "train", way=7, shot=2, queries=3),
    "pairs": streams.Pairs("glyphs", rotations=False, within_groups=True),
    "zero_shot": streams.ZeroShot("cub", way=9, rotations=False),
    "sinusoids": streams.Sinusoids(shot=4, queries=6),
}
every_stream = pytest.mark.parametrize("kind", STREAMS)


def test_every_kind_is_tested():
    assert set(STREAMS) == set(streams.KINDS)


@every_stream
def test_a_stream_is_read_as_it_was_written(kind):
    record = json.loads(json.dumps(STREAMS[kind].record()))
    assert record["stream"] == kind
    assert streams.from_record(record) == STREAMS[kind]


@every_stream
def test_a_stored_stream_has_the_keys_of_the_files(kind):
    """All kinds of the shipped presets share the keys of `Episodes`."""
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


def test_sinusoids_cannot_be_augmented():
    with pytest.raises(ValueError, match="`augmentation` must be None"):
        STREAMS["sinusoids"].elements(seed=0, augmentation=lambda *_: None)
