"""The version is stated once, and `keras_meta.zoo` is the zoo."""

import importlib.machinery
import pathlib
import re
import subprocess
import sys

import pytest

import keras_meta as km
import zoo
from zoo import __main__ as command_line
from zoo.version import version

ROOT = pathlib.Path(__file__).parents[1]


def test_every_place_has_the_same_version(capsys):
    assert re.fullmatch(r"\d+\.\d+\.\d+", km.__version__)
    assert version() == km.__version__
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"keras-meta {km.__version__}\n"
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {km.__version__}\n" in citation
    assert f"\n## {km.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(
        "utf-8"
    )


def test_the_version_needs_no_tensorflow():
    code = (
        "import sys\nfrom zoo.version import version\nversion()\n"
        "assert not {'keras', 'tensorflow', 'keras_meta'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_library_reaches_the_zoo():
    assert km.zoo is zoo
    # It is looked up each time, so that an import of the library needs none.
    assert "zoo" not in vars(km)


@pytest.mark.parametrize("with_file", [True, False], ids=["package", "folder"])
def test_a_foreign_zoo_is_an_error_that_names_it(
    tmp_path, monkeypatch, with_file
):
    foreign = tmp_path / "zoo"
    foreign.mkdir()
    if with_file:
        (foreign / "__init__.py").write_text("animals = 3\n")
    for name in [name for name in sys.modules if name.startswith("zoo")]:
        if name == "zoo" or name.startswith("zoo."):
            monkeypatch.delitem(sys.modules, name)
    # Nothing but the foreign one: a folder without `__init__.py` comes last.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    with pytest.raises(ImportError, match=f"(?s)hides .*{foreign}"):
        _ = km.zoo
    with pytest.raises(ImportError, match="hides that of keras_meta"):
        km.models.EpisodicModel.from_preset("maml_sinusoid")
    monkeypatch.delitem(sys.modules, "zoo")


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="'keras_meta' has no attribute"):
        km.zoology  # noqa: B018


def test_types_are_marked():
    for package in (km, zoo):
        assert (pathlib.Path(package.__file__).parent / "py.typed").exists()
