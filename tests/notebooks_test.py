"""The notebooks run from top to bottom, and store what they show."""

import json
import pathlib
import re
import sys

import matplotlib
import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"
sys.path.append(str(FOLDER))

import run_notebooks as notebooks  # noqa: E402

PATHS = sorted(FOLDER.glob("*.ipynb"))


def shorten(code):
    """The same cell with less training."""
    code = re.sub(
        r"steps_per_epoch=\d+,\s+epochs=\d+",
        "steps_per_epoch=2, epochs=2",
        code,
    )
    return re.sub(r"\.take\(\d+\)", ".take(1)", code)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_stores(path, monkeypatch):
    monkeypatch.setattr(matplotlib, "rcParams", matplotlib.rcParams.copy())
    stored, again = notebooks.read(path), notebooks.read(path)
    notebooks.run(again, shorten)
    trains = "model.fit(" in path.read_text("utf-8")
    for old, new in zip(
        notebooks.code_cells(stored), notebooks.code_cells(again), strict=True
    ):
        assert [output["output_type"] for output in old["outputs"]] == [
            output["output_type"] for output in new["outputs"]
        ]
        if trains:
            continue
        for one, other in zip(old["outputs"], new["outputs"], strict=True):
            if "image/png" not in one.get("data", {}):
                assert one == other


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_one_that_jupyter_reads(path):
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    assert notebook["cells"][0]["source"][0].startswith("# ")
    for number, cell in enumerate(notebooks.code_cells(notebook), start=1):
        assert cell["execution_count"] == number


def test_there_is_one_for_each_use():
    assert [path.stem for path in PATHS] == [
        "export_a_saved_model",
        "fit_on_episodes",
        "zoo_on_your_classes",
    ]


def test_a_cell_gives_what_it_prints_and_its_last_value():
    session = {"a": 1}
    assert notebooks.run_cell("print(a)\nb = 2\na + b", session) == ("1\n", 3)
    assert notebooks.run_cell("b += 1", session) == ("", None)
    assert session["b"] == 3
