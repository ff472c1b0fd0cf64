"""The times of presets in the table of the zoo. No time is asserted."""

import json
import sys

import pytest

import zoo
from benchmarks import presets

# Its model is a plain one, which learns from no support.
PLAIN = "ntm_copy"


@pytest.mark.parametrize(
    "name",
    [
        "prototypical_network_glyphs",
        "zero_shot_prototypical_network_glyphs",
        "maml_sinusoid",
    ],
)
def test_both_verbs_of_a_preset_are_timed(name):
    found = presets.measure(name, length=0)
    assert list(found) == ["adapt", "infer"]
    assert min(found.values()) > 0


def test_a_plain_model_has_no_verbs():
    assert presets.measure(PLAIN, length=0) is None


def test_a_run_is_stored_with_its_machine(tmp_path, monkeypatch, capsys):
    path = tmp_path / "times.json"
    name = "prototypical_network_glyphs"
    arguments = f"presets --only {name} --seconds 0 --json {path}".split()
    monkeypatch.setattr(sys, "argv", arguments)
    presets.main()
    stored = json.loads(path.read_text("utf-8"))
    assert list(stored["milliseconds"]) == [name]
    assert {"processor", "cores", "tensorflow"} <= set(stored["machine"])
    assert f"{stored['milliseconds'][name]['infer']:.2f}" in (
        capsys.readouterr().out
    )


def test_a_missing_extra_is_named_and_keeps_its_numbers(
    tmp_path, monkeypatch, capsys
):
    def fail(name, length):
        raise ValueError("needs an extra")

    path = tmp_path / "times.json"
    numbers = {"a": {"adapt": 1, "infer": 2}}
    here = presets.workers.machine()
    path.write_text(
        json.dumps({"machine": here, "milliseconds": numbers}), "utf-8"
    )
    monkeypatch.setattr(presets, "measure", fail)
    arguments = f"presets --only a --json {path}".split()
    monkeypatch.setattr(sys, "argv", arguments)
    presets.main()
    assert "a: needs an extra" in capsys.readouterr().out
    stored = json.loads(path.read_text("utf-8"))
    assert stored["milliseconds"] == numbers
    # Those of another machine would stand under a wrong name.
    path.write_text(
        json.dumps({"machine": {}, "milliseconds": numbers}), "utf-8"
    )
    other = {"adapt": 3, "infer": 4}
    monkeypatch.setattr(presets, "measure", lambda name, length: other)
    arguments = f"presets --only b --json {path}".split()
    monkeypatch.setattr(sys, "argv", arguments)
    presets.main()
    stored = json.loads(path.read_text("utf-8"))
    assert stored["milliseconds"] == {"b": other}
    assert stored["machine"] == here


def test_every_preset_that_learns_is_stored():
    stored = presets.stored()["milliseconds"]
    # The extra `photos` may have been missing.
    needed = set(zoo.list_presets()) - {PLAIN, "prototypical_network_photos"}
    assert needed <= set(stored)
    for numbers in stored.values():
        assert numbers["adapt"] > 0 and numbers["infer"] > 0
