"""The pages of the site: their code runs, and none of the names is missing.

What Sphinx writes is checked by `make docs`, which takes a warning for an
error.
"""

import dataclasses
import pathlib
import re
import sys

import architecture_test
import numpy as np
import pytest
from markdown_blocks import (
    command_lines,
    parse_line,
    python_blocks,
    run_blocks,
)
from PIL import Image

import keras_meta as km
import zoo
from zoo import evaluation_flags, preset_folder

DOCS = pathlib.Path(__file__).parents[1] / "docs"
sys.path += [str(DOCS), str(DOCS / "extensions")]

import api_pages  # noqa: E402
import code_of  # noqa: E402
import costs  # noqa: E402
import docstring_markup  # noqa: E402
import gallery_pages  # noqa: E402
import notebook_pages  # noqa: E402
import run_examples  # noqa: E402
import zoo_pages  # noqa: E402

# Those that a build writes into these folders hold cards and docstrings, which
# have tests of their own.
WRITTEN = ("_build", "api", "gallery", "notebooks", "zoo")
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text("utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] not in WRITTEN
}
WITH_CODE = [name for name, text in PAGES.items() if python_blocks(text)]
LINES = sorted(
    {line for text in PAGES.values() for line in command_lines(text)}
)


def shorten(code):
    """The same program with less training and no download."""
    code = re.sub(
        r"steps_per_epoch=\d+, epochs=\d+", "steps_per_epoch=2, epochs=1", code
    )
    code = re.sub(r"\.take\(\d+\)", ".take(1)", code)
    return code.replace('weights="imagenet"', "weights=None")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The folder in which a reader works: scans of three symbols, and one."""
    monkeypatch.chdir(tmp_path)
    letters, names = km.data.load_glyphs("test")
    for folder, name in zip(
        ("anchor", "bell", "crown"), np.unique(names), strict=False
    ):
        (tmp_path / "my_symbols" / folder).mkdir(parents=True)
        for number, letter in enumerate(letters[names == name][:3]):
            scan = Image.fromarray(255 - letter[..., 0]).resize((80, 90))
            scan.save(tmp_path / "my_symbols" / folder / f"{number}.png")
    scan.save(tmp_path / "scan.png")


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs(page, pictures):
    run_blocks(python_blocks(PAGES[page]), page, shorten)


def test_what_does_not_run_is_little():
    blocks = [
        block for page in WITH_CODE for block in python_blocks(PAGES[page])
    ]
    left_out = [block for block in blocks if block.reason]
    assert len(left_out) <= len(blocks) / 5


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_command_line_is_understood(line):
    parse_line(line)


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in command_lines(PAGES["how-to/command-line.md"])
        if " evaluate " in line
    ],
)
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
    assert found.words in zoo_pages.measurements([options.name])


def test_the_threads_are_set_at_the_beginning_of_a_program():
    """Nowhere else does it work, so a block that runs cannot show it."""
    for page in WITH_CODE:
        for block in python_blocks(PAGES[page]):
            assert block.reason or "set_threads" not in block.code


def test_every_public_name_has_a_page():
    texts = api_pages.pages()
    documented = {
        id(value)
        for module in api_pages.MODULES
        for value in api_pages.public_names(sys.modules[module]).values()
    }
    assert len(texts) == len(documented) + len(api_pages.MODULES)
    for parameter in architecture_test.public_objects():
        (value,) = parameter.values
        # A module also imports names that others offer.
        offered_by = parameter.id.rpartition(".")[0]
        if f"{value.__module__}.".startswith(f"{offered_by}."):
            assert id(value) in documented, parameter.id


SHOWN = [
    (page, *found)
    for page, text in PAGES.items()
    for found in re.findall(r"^```\{code-of\} (\S+) (\S+)$", text, re.M)
]


@pytest.mark.parametrize("page, file, name", SHOWN)
def test_the_code_that_a_page_shows_is_there(page, file, name):
    code = code_of.code_of((DOCS.parent / file).read_text("utf-8"), name)
    assert code.startswith(("def ", "@")) and '"""' not in code
    compile(code, f"{name} on {page}", "exec")


def test_code_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no 'A.b'"):
        code_of.code_of("class A:\n    def c(self): pass", "A.b")


def test_code_is_shown_without_docstring_and_indentation():
    text = 'class A:\n    def b(self):\n        """C."""\n\n        return 1\n'
    assert code_of.code_of(text, "A.b") == "def b(self):\n    return 1"


def test_every_module_of_the_api_is_in_its_menu():
    for module in api_pages.MODULES:
        assert f"\napi/{module}\n" in PAGES["api.md"]


def test_every_preset_is_in_the_tables_and_has_a_page():
    table, every = (
        zoo_pages.preset_table(),
        zoo_pages.measurements(zoo.list_presets()),
    )
    for name in zoo.list_presets():
        assert table.count(f"(zoo/{name}.md)") == 1
        assert f"(../zoo/{name}.md)" in every
        assert f"{name}.md" in zoo_pages.pages()


def test_the_page_of_a_preset_leaves_out_the_head_of_its_card():
    for page, text in zoo_pages.pages().items():
        first = int(re.search(r"^:start-line: (\d+)$", text, re.M)[1])
        card = zoo.PRESETS / page.removesuffix(".md") / "README.md"
        lines = card.read_text("utf-8").splitlines()
        assert first > 2 and lines[first] == f"# {page.removesuffix('.md')}"


def test_the_tables_show_what_was_measured():
    name = "prototypical_network_omniglot"
    results = zoo_pages.preset_folder.read_results(zoo.PRESETS / name)
    first = results.evaluations[0]
    table = zoo_pages.preset_table().replace("\N{NO-BREAK SPACE}", " ")
    assert first.words in table
    found = zoo_pages.measurements([name])
    assert all(result.words in found for result in results.evaluations)


def test_a_recipe_without_weights_is_left_out():
    name = "prototypical_network_glyphs"
    recipe = "siamese_network_omniglot_105"
    both = zoo_pages.measurements([name, recipe])
    assert name in both and recipe not in both
    assert "No trained preset" in zoo_pages.measurements([recipe])
    with pytest.raises(ValueError, match="no recipe"):
        zoo_pages.measurements(["prototypical"])


def test_every_example_has_a_page():
    written = gallery_pages.pages()
    for path in (DOCS.parent / "examples").glob("*.py"):
        page = written[f"{path.stem}.md"]
        assert f"../../examples/{path.name}" in page
        # The docstring is text, and not repeated as code.
        first = int(re.search(r":lines: (\d+)-", page)[1])
        rest = path.read_text("utf-8").splitlines()[first - 1]
        assert rest.startswith(("import ", "from "))


def test_every_example_is_in_the_gallery_with_its_output():
    examples = {path.stem for path in (DOCS.parent / "examples").glob("*.py")}
    assert set(gallery_pages.EXAMPLES) == examples
    cards = gallery_pages.cards()
    for name in examples:
        assert f"(gallery/{name}.md)" in cards
        printed = gallery_pages.EXECUTED / name / "output.txt"
        assert printed.read_text("utf-8").strip()


@pytest.mark.parametrize("name", run_examples.NAMES)
def test_what_is_shown_of_a_program_is_not_stale(name):
    """Else `python docs/run_examples.py NAME` renews it."""
    path = DOCS / "executed" / name / run_examples.DIGEST
    assert path.read_text("utf-8").strip() == run_examples.digest_of(name)


def test_pictures_of_pages_are_there():
    for page, text in PAGES.items():
        for link in re.findall(r"\]\((\S*executed/\S+)\)", text):
            assert (DOCS / page).parent.joinpath(link).exists(), link


def test_a_notebook_becomes_a_page(tmp_path):
    written = notebook_pages.pages(tmp_path)
    assert len(written) == 3
    page = written["fit_on_episodes.md"]
    assert page.startswith("# Fit on episodes")
    pictures = re.findall(r"!\[[^]]*\]\((\S+)\)", page)
    assert len(pictures) == 3
    for picture in pictures:
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_the_times_of_presets_are_in_the_table():
    numbers = zoo_pages.preset_times.stored()["milliseconds"]
    found = f"{numbers['prototypical_network_omniglot']['adapt']:.2f}"
    assert f"  - {found}\n" in zoo_pages.preset_table()
    assert "cores of" in zoo_pages.machine()


def test_the_figure_of_costs_compares_one_kind_of_task():
    figure = costs.plot_costs()
    for axes, data in zip(figure.axes, costs.PANELS, strict=True):
        points = costs.points_of(data)
        assert len(points) == len(axes.texts) >= 5
    names = {
        point[0] for data in costs.PANELS for point in costs.points_of(data)
    }
    assert "reptile_omniglot_5way" in names
    assert "maml_sinusoid" not in names


def test_every_public_method_is_understood():
    """A method has a page, or a page names it as a variant."""
    pages = "".join(
        text
        for name, text in PAGES.items()
        if name.startswith(("understand/", "how-to/"))
    )
    for name in api_pages.public_names(km.models):
        assert f"`km.models.{name}`" in pages, name


def test_an_indented_block_of_a_docstring_is_literal():
    lines = ["With `x`:", "", "    y = |x|", "", "Args:", "    x: This:", ""]
    marked = docstring_markup.mark_literal_blocks([*lines, "    and", "end"])
    assert marked[0] == "With `x`::"
    assert marked[4] == "Args:"


def test_a_doctest_and_a_list_stay_what_they_are():
    for line in ("    >>> 1", "    - one"):
        lines = ["Example:", "", line]
        assert docstring_markup.mark_literal_blocks(lines) == lines


def test_a_name_over_two_lines_is_joined():
    for indent in ("", "    "):
        lines = ["of `keras_meta.layers.", f"{indent}NTMCell`: 1.", "`x`"]
        assert docstring_markup.join_names(lines) == [
            "of `keras_meta.layers.NTMCell`: 1.",
            "`x`",
        ]


def test_a_class_shows_its_own_arguments():
    shown = docstring_markup.signature(
        None, "class", "", km.models.MAML, {}, "(*args)", None
    )
    assert shown[0].startswith("(network, inner_learning_rate=0.4,")


def test_a_table_of_a_docstring_becomes_one():
    lines = ["| a | b |", "|---|---|", "| 1 | `2` |", ""]
    assert docstring_markup.convert_tables(lines) == [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - a",
        "     - b",
        "   * - 1",
        "     - `2`",
        "",
    ]
