"""Runs the examples and keeps what they print and draw, for the gallery.

    python docs/run_examples.py [NAME ...] [--steps 100 ...]

NAME is `examples/quickstart` or `presets/ntm_copy`, say; without one, all run.
Other flags are passed on to the examples. Examples train, which takes minutes,
so a build of the site does not run them: it shows what lies in `docs/executed`,
with the command. A test fails when an example or the weights of a preset have
changed since. Times of epochs are left out, as they are the machine's. Presets
whose figures need Omniglot find it where `TFDS_DATA_DIR` says.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
EXECUTED = ROOT / "docs" / "executed"
# Of the code or the weights that made the files beside it.
DIGEST = "source.sha256"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
# What `serve_saved_model` serves.
SERVED = "prototypical_network_glyphs"
WEIGHTS = "model.weights.h5"
# The figures of presets that pages show, and the flags of `keras-meta plot`.
PRESETS = {
    "maml_sinusoid": ((), ("adaptation",)),
    "mann_omniglot_5way": ((), ("memory",)),
    "matching_network_fce_omniglot": ((), ("attention",)),
    "matching_network_omniglot": ((), ("episode",)),
    "meta_lstm_omniglot_5way": ((), ("gates",)),
    "meta_network_omniglot_5way_random1200": ((), ("attention",)),
    "ntm_copy": ((), ("copy",)),
    "prototypical_network_omniglot": (
        ("--way", "20", "--shot", "1"),
        ("episode", "embeddings"),
    ),
    "relation_network_omniglot": ((), ("episode",)),
    "reptile_sinusoid": ((), ("adaptation",)),
    "siamese_network_omniglot": ((), ("pair_scores",)),
    "zero_shot_prototypical_network_glyphs": ((), ("embeddings",)),
}
NAMES = [
    *(f"examples/{name}" for name in EXAMPLES),
    *(f"presets/{name}" for name in PRESETS),
]


def digest_of(name):
    """The digest of what an example or a preset depends on.

    Args:
        name: One of `NAMES`.

    Returns:
        str: of the example's code, or of the preset's weights.
    """
    kind, _, name = name.partition("/")
    if kind == "examples":
        data = (ROOT / "examples" / f"{name}.py").read_bytes()
    else:
        data = (ROOT / "zoo" / "presets" / name / WEIGHTS).read_bytes()
    return hashlib.sha256(data).hexdigest()


def without_times(text):
    """What a program printed, without how long Keras' epochs took."""
    return re.sub(r" - \d+m?s - \d+m?s/step", "", text)


def run(*command, cwd):
    """Runs a program of this repository and returns what it printed."""
    found = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    if found.returncode:
        raise RuntimeError(found.stderr)
    return found.stdout


def run_example(name, folder, flags):
    """Runs an example in a folder that is thrown away.

    Args:
        name: One of `EXAMPLES`.
        folder: Where its command, its output and its figures go.
        flags: List of its flags.
    """
    with tempfile.TemporaryDirectory() as temporary:
        arguments = flags
        if name == "serve_saved_model":
            arguments = ["served"]
            run("-m", "zoo", "export", SERVED, "served", cwd=temporary)
        printed = run(
            ROOT / "examples" / f"{name}.py", *arguments, cwd=temporary
        )
        command = " ".join(["python", f"examples/{name}.py", *arguments])
        text = f"$ {command}\n{without_times(printed)}"
        (folder / "output.txt").write_text(text, "utf-8")
        for path in sorted(pathlib.Path(temporary).rglob("*.png")):
            shutil.copy(path, folder)


def draw_preset(name, folder):
    """Draws the figures of a preset that pages show.

    Args:
        name: One of `PRESETS`.
        folder: Where they go.
    """
    flags, figures = PRESETS[name]
    with tempfile.TemporaryDirectory() as temporary:
        run("-m", "zoo", "plot", name, "--output", ".", *flags, cwd=temporary)
        for figure in figures:
            shutil.copy(pathlib.Path(temporary) / f"{figure}.png", folder)


def renew(name, flags):
    """Runs an example or draws a preset, and replaces what is kept of it.

    Args:
        name: One of `NAMES`.
        flags: List of flags for an example.
    """
    kind, _, own = name.partition("/")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / own
        folder.mkdir()
        if kind == "examples":
            run_example(own, folder, flags)
        else:
            draw_preset(own, folder)
        (folder / DIGEST).write_text(digest_of(name) + "\n", "utf-8")
        kept = EXECUTED / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*")
    options, flags = parser.parse_known_args()
    for name in options.names or NAMES:
        print(name, flush=True)
        renew(name, flags)


if __name__ == "__main__":
    main()
