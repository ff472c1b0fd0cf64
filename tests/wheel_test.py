"""The built wheel holds the zoo: it loads presets from any folder."""

import os
import subprocess
import sys
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
    print(*zoo.list_presets())
"""


def run(*command, **kwargs):
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        **kwargs,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_wheel_carries_package_and_presets(tmp_path):
    # A copy, so that the build leaves nothing in the checkout.
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in (
        "keras_meta",
        "zoo",
        "setup.py",
        "README.md",
        "LICENSE",
        "NOTICE",
    ):
        (source / name).symlink_to(ROOT / name)
    (source / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
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
