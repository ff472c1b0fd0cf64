"""What the README shows runs as it stands, and gives what it says."""

import pathlib
import re

import pytest
from markdown_blocks import (
    command_lines,
    parse_line,
    python_blocks,
    run_blocks,
)

import keras_meta as km

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = python_blocks(README)
LINES = command_lines(README)
# The same program with less of it: the epochs and what is measured.
SHORTER = {
    "steps_per_epoch=100, epochs=20": "steps_per_epoch=2, epochs=1",
    ".take(50)": ".take(2)",
}
# A link, but not to the web or to a heading.
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)\)")


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
    assert {path.name for path in tmp_path.iterdir()} == {"served"}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_command_line_is_understood(line):
    parse_line(line)


def test_links_lead_somewhere():
    links = LINK.findall(README)
    assert len(links) > 30
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_method_is_in_the_table():
    for name, value in vars(km.models).items():
        is_method = isinstance(value, type) and name not in (
            "EpisodicModel",
            "GradientBasedModel",
        )
        assert not is_method or f"`{name}`" in README, name


def test_the_two_commands_and_a_screen_of_text():
    assert "make quickstart" in README and "make test" in README
    table = README.split("<details>")[1].split("</details>")[0]
    lines = README.replace(table, "").splitlines()
    # All but the table of presets, which is folded.
    assert len(lines) <= 150
