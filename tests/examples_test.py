"""The examples run as they stand."""

import os
import pathlib
import subprocess
import sys

import pytest

import zoo

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
# What the gallery shows of a run.
SHOWN = ROOT / "docs" / "executed" / "examples"


def run(name, *arguments):
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def shown(name):
    """What the gallery shows that an example printed, without its command."""
    text = (SHOWN / name / "output.txt").read_text("utf-8")
    command, printed = text.split("\n", 1)
    assert command.startswith(f"$ python examples/{name}.py")
    return printed


def test_quickstart(tmp_path):
    few = ("--steps", "16", "--episodes", "60")
    out = run("quickstart.py", "--output", tmp_path, *few)
    assert "5-way 1-shot on letters of unseen scripts" in out
    for name in ("episode", "embeddings", "learning_curves"):
        assert (tmp_path / f"{name}.png").exists()
    assert (tmp_path / "served/saved_model.pb").exists()


def test_own_image_folder():
    out = run("own_image_folder.py")
    assert "Learned 5 classes" in out
    accuracy = int(out.split("others: ")[1].split("%")[0])
    assert accuracy >= 60
    assert "An empty page is now: nothing" in out
    assert out == shown("own_image_folder")


def test_serve_saved_model(tmp_path):
    zoo.load("prototypical_network_glyphs").export(tmp_path / "served")
    out = run("serve_saved_model.py", tmp_path / "served")
    shares = [line.split("P(") for line in out.splitlines()[1:]]
    horizontal = float(shares[0][1].split()[1].strip(","))
    vertical = float(shares[1][2].split()[1])
    assert horizontal > 0.5 and vertical > 0.5
    assert out == shown("serve_saved_model")


def test_zero_shot_letters():
    out = run("zero_shot_letters.py", "--episodes", "8")
    five, *_ = out.split("20 letters")
    accuracy, interval = five.splitlines()[1].split("%")[0].split("±")
    # Well above chance, on words that were never seen together.
    assert float(accuracy) - 3 * float(interval) > 40
    assert out.count("one example") == 6 and out.count("taken for") == 4


def test_gradient_terms(tmp_path):
    out = run("gradient_terms.py", "--output", tmp_path)
    slopes = [
        float(line.split()[2].strip(",")) for line in out.splitlines()[:3]
    ]
    assert slopes == pytest.approx([2, 2, 2], abs=0.05)
    assert (tmp_path / "remainders.png").exists()


def test_sinusoids(tmp_path):
    out = run("sinusoids.py", "--output", tmp_path, "--steps", "500")
    before, one, ten = (
        float(line.split(":")[1])
        for line in out.splitlines()
        if line.startswith("  after")
    )
    assert before > one > ten
    for name in ("adaptation", "learning_curves"):
        assert (tmp_path / f"{name}.png").exists()
    # A curve has no pictures and no classes.
    assert len(list(tmp_path.iterdir())) == 2


def test_ntm_copy(tmp_path):
    out = run("ntm_copy.py", "--output", tmp_path, "--steps", "800")
    wrong = {
        int(line.split()[0]): float(line.split(":")[1].split("±")[0])
        for line in out.splitlines()
        if " vectors: " in line
    }
    # By chance half of the bits would be wrong: 8, 16 and 32.
    assert list(wrong) == [4, 8, 16]
    assert wrong[4] < 1 and wrong[8] < 1 and wrong[16] < 20
    assert (tmp_path / "copy.png").exists()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_has_no_training_loop(name):
    text = (ROOT / "examples" / name).read_text("utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) < 60
    assert "GradientTape" not in text
