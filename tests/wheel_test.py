"""The built wheel holds the zoo, and the source distribution its tests."""

import email
import os
import re
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]

SCRIPT = """
    import pathlib, sys
    import keras_meta, zoo

    for module in (keras_meta, zoo):
        assert pathlib.Path(module.__file__).is_relative_to(sys.argv[1])
    for name in zoo.list_presets():
        try:
            assert zoo.load(name).built
        except ValueError as error:
            # Weights that an extra holds, which may be installed or not.
            assert "keras-meta[photos]" in str(error)
            assert name == "prototypical_network_photos"
    page = pathlib.Path(zoo.__file__).parent / "demo_page"
    assert {"index.html", "page.js", "style.css"} <= {
        path.name for path in page.iterdir()
    }
    for module in (keras_meta, zoo):
        assert (pathlib.Path(module.__file__).parent / "py.typed").exists()
    print(*zoo.list_presets())
"""


# What a wheel is built from.
NEEDED = (
    "keras_meta",
    "zoo",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "NOTICE",
)


def run(*command, **kwargs):
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        **kwargs,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def copy_of(names, source):
    """A copy, so that a build leaves nothing in the checkout."""
    source.mkdir()
    for name in names:
        (source / name).symlink_to(ROOT / name)


def test_the_wheel_carries_package_and_presets(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    copy_of(NEEDED, source)
    pip = ("-m", "pip", "--disable-pip-version-check")
    run(
        *(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", tmp_path, source),
    )
    (wheel,) = tmp_path.glob("keras_meta-*.whl")
    run(*pip, "install", "--quiet", "--no-deps", "--target", target, wheel)
    out = run(
        "-c",
        textwrap.dedent(SCRIPT),
        target,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
    )
    assert "prototypical_network_omniglot" in out.split()


def metadata(source, citation):
    """What the index would show of a build with a CITATION.cff."""
    copy_of(NEEDED, source)
    (source / "CITATION.cff").write_text(citation)
    build = "from setuptools import build_meta as b; "
    build += "b.prepare_metadata_for_build_wheel('.')"
    run("-c", build, cwd=source)
    (path,) = source.glob("*.dist-info/METADATA")
    return email.message_from_string(path.read_text("utf-8"))


def test_links_of_the_description_lead_to_the_repository(tmp_path):
    relative = re.compile(r"\]\((?!https?:|mailto:|#)[^)\s]+\)")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert relative.search(readme)
    found = metadata(tmp_path / "without", "version: 1\n")
    assert not relative.search(found.get_payload())
    assert found.get_all("Project-URL") is None
    address = "https://example.org/keras_meta"
    found = metadata(tmp_path / "with", f"repository-code: {address}/\n")
    assert not relative.search(found.get_payload())
    assert f"]({address}/raw/main/LICENSE)" in found.get_payload()
    assert f"Source, {address}" in found.get_all("Project-URL")


def test_the_source_distribution_can_be_tested(tmp_path):
    source = tmp_path / "source"
    folders = ("benchmarks", "docs", "examples", "notebooks", "tests")
    files = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Makefile")
    copy_of((*NEEDED, *folders, *files, "MANIFEST.in"), source)
    build = "from setuptools import build_meta as b; b.build_sdist('dist')"
    run("-c", build, cwd=source)
    (archive,) = (source / "dist").glob("keras_meta-*.tar.gz")
    with tarfile.open(archive) as files_of:
        names = {name.partition("/")[2] for name in files_of.getnames()}
    for name in (*NEEDED, *files, "docs/conf.py", "tests/conftest.py"):
        assert name in names
    for name in (*folders, "zoo/presets"):
        for path in (ROOT / name).rglob("*.py" if name in folders else "*"):
            inside = path.relative_to(ROOT).as_posix()
            if path.is_file() and "docs/_build" not in inside:
                assert inside in names
    written = ("_build", "api/", "gallery/", "notebooks/", "zoo/")
    written = tuple(f"docs/{name}" for name in written)
    assert not any(name.startswith(written) for name in names)
