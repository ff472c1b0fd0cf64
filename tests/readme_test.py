"""What the README shows runs as it stands, and gives what it says."""

import dataclasses
import pathlib

import pytest
from markdown_blocks import (
    command_lines,
    parse_line,
    python_blocks,
    run_blocks,
)

import zoo
from zoo import cards, evaluation_flags, preset_folder

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCKS = python_blocks(README)
LINES = command_lines(README)
EVALUATIONS = [line for line in LINES if " evaluate " in line]
# The same program with less of it: the epochs, what is measured, and what is
# downloaded.
SHORTER = {
    "steps_per_epoch=100, epochs=20": "steps_per_epoch=2, epochs=1",
    ".take(50)": ".take(2)",
    'weights="imagenet"': "weights=None",
}


def shorten(code):
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    return code


def test_the_blocks_run_one_after_another_in_one_session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(block.code for block in BLOCKS)
    for long in SHORTER:
        assert text.count(long) == 1
    run_blocks(BLOCKS, "README.md", shorten)
    assert len(BLOCKS) >= 3
    assert {path.name for path in tmp_path.iterdir()} == {
        "my_classifier",
        "served",
    }


def test_the_threads_are_set_at_the_beginning_of_a_program():
    """Nowhere else does it work, so no block but the first can show it."""
    assert "set_threads(side_by_side=True)" in README
    for block in BLOCKS[1:]:
        assert "set_threads" not in block.code


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_command_line_is_understood(line):
    parse_line(line)


@pytest.mark.parametrize("line", EVALUATIONS)
def test_a_measurement_gives_a_figure_of_the_table(line):
    options = parse_line(line)
    directory = zoo.preset_directory(options.name)
    asked = evaluation_flags.evaluation(
        zoo.load(options.name), preset_folder.read_recipe(directory), options
    )
    results = preset_folder.read_results(directory).evaluations
    (found,) = [
        found
        for found in results
        if dataclasses.replace(found.evaluation, published=None) == asked
    ]
    assert cards._is_main(found.evaluation)
    row = (
        f"[`{options.name}`](zoo/presets/{options.name}/README.md) | "
        f"{asked.stream.data}, {asked.setting} | {asked.statistics} | "
        f"{found.words} |"
    )
    assert README.count(row) == 1


def test_the_readme_measures_something():
    assert len(EVALUATIONS) >= 2
