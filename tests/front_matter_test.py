"""The head of a card is YAML in the form of the hub's model cards."""

import json

import pytest

import zoo
from zoo import front_matter, preset_folder

yaml = pytest.importorskip("yaml")


def head_of(name):
    head, _ = front_matter.split(preset_folder.read_card(zoo.PRESETS / name))
    return yaml.safe_load(head.removesuffix(front_matter.LINE))


@pytest.mark.parametrize("name", zoo.list_presets())
def test_the_head_of_a_card_holds_what_was_measured(name):
    head = head_of(name)
    assert head["library_name"] == "keras" and head["license"] == "apache-2.0"
    assert {"keras_meta", "meta-learning"} <= {*head["tags"]}
    (index,) = head["model-index"]
    assert index["name"] == name
    directory = zoo.PRESETS / name
    measured = json.loads((directory / "results.json").read_text("utf-8"))
    numbers = [{*map(str, each.values())} for each in measured["evaluations"]]
    assert len(index["results"]) == len(numbers)
    for result, values in zip(index["results"], numbers, strict=True):
        assert result["task"]["type"] == head.get("pipeline_tag", "other")
        assert {"name", "type", "args"} <= result["dataset"].keys()
        for metric in result["metrics"]:
            assert metric["type"] in head["metrics"]
            assert str(metric["value"]) in values
            assert metric["name"].rpartition("± ")[2] in values


def test_kinds_of_tasks_are_told_apart():
    assert head_of("maml_omniglot_5way")["datasets"] == ["omniglot"]
    described = head_of("zero_shot_prototypical_network_glyphs")
    assert described["pipeline_tag"] == "zero-shot-image-classification"
    assert "pipeline_tag" not in head_of("ntm_copy")
    assert head_of("mann_omniglot_5way")["metrics"] == ["accuracy"]


def test_a_card_is_its_head_and_its_text():
    card = preset_folder.read_card(zoo.PRESETS / "ntm_copy")
    head, text = front_matter.split(card)
    assert head + text == card and text.startswith("# ntm_copy\n")
    assert front_matter.split("# A\n\n---\n") == ("", "# A\n\n---\n")
