"""Counts the episodes per second of `keras_meta.data.episode_dataset`.

The peers are a plain Python sampler and, if PyTorch is installed, its
`DataLoader` of that sampler. `benchmarks/README.md` is the manual.
"""

import argparse
import contextlib
import dataclasses
import statistics

import numpy as np

from benchmarks.hyperparameters import META_BATCH
from benchmarks.peers.python_episodes import python_step
from benchmarks.peers.torch_data_loader import LOADER_PROCESSES, loader_step
from benchmarks.workers import (
    Step,
    Worker,
    has_torch,
    interleave,
    machine,
    print_table,
    write_json,
)

# Episodes per second of ours in the first setting.
TARGET = 10_000


@dataclasses.dataclass(frozen=True)
class Setting:
    """How episodes are drawn.

    Args:
        way, shot, queries: As for `episode_dataset`.
        affine: Whether `Affine` distorts the images. Only ours can, so such a
            setting has no peer.
    """

    way: int
    shot: int
    queries: int
    affine: bool = False

    def __str__(self):
        text = f"{self.way}-way {self.shot}-shot {self.queries} queries"
        return f"{text}, Affine" if self.affine else text


SETTINGS = (
    Setting(5, 1, 15),
    Setting(20, 5, 15),
    Setting(60, 1, 5),
    Setting(5, 1, 15, affine=True),
)


def load_drawings(synthetic=False):
    """The data that all sources draw from.

    Args:
        synthetic: Whether to make noise of Omniglot's shapes. It is also made
            where Omniglot cannot be loaded.

    Returns:
        `(images, codes, name)`: uint8 `(n, 28, 28, 1)`, integers `(n,)`, and
        the name of the data.
    """
    if not synthetic:
        from keras_meta.data import load_omniglot

        # TensorFlow Datasets raises many kinds of errors without a network.
        with contextlib.suppress(Exception):
            images, labels = load_omniglot("train")
            codes = np.unique(labels, return_inverse=True)[1]
            return images, codes, "Omniglot, training split"
    classes, drawings = 4112, 20
    rng = np.random.default_rng(0)
    shape = (classes * drawings, 28, 28, 1)
    images = rng.integers(0, 256, shape, dtype="uint8")
    codes = np.repeat(np.arange(classes), drawings)
    return images, codes, "synthetic noise of Omniglot's shapes"


def our_step(images, codes, setting):
    """Draws a meta-batch through `episode_dataset`."""
    from keras_meta.data import episode_dataset
    from keras_meta.data.augmentation import Affine

    episodes = episode_dataset(
        images,
        codes,
        way=setting.way,
        shot=setting.shot,
        queries=setting.queries,
        seed=0,
        augmentation=Affine() if setting.affine else None,
    )
    batches = iter(episodes.batch(META_BATCH))
    return Step(lambda: next(batches))


def measure(setting, images, codes, rounds, seconds):
    """Episodes per second of each source, as a dict."""
    sources = {"ours": our_step}
    if not setting.affine:
        sources["plain Python"] = python_step
        if has_torch():
            sources[f"DataLoader, {LOADER_PROCESSES} processes"] = loader_step
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(name, build, (images, codes, setting)))
            for name, build in sources.items()
        ]
        timings = interleave(workers, rounds, seconds, statistics.fmean)
    return {
        name: {
            "episodes_per_second": META_BATCH / timing.seconds,
            "spread": timing.spread,
        }
        for name, timing in timings.items()
    }


def report(results):
    """Prints the table of all settings and the target."""
    rows = []
    for setting, sources in results.items():
        ours = sources["ours"]["episodes_per_second"]
        for name, source in sources.items():
            rate = source["episodes_per_second"]
            rows.append(
                [
                    setting if name == "ours" else "",
                    name,
                    f"{rate:,.0f}",
                    f"{source['spread']:.0%}",
                    "" if name == "ours" else f"{ours / rate:.1f}",
                ]
            )
    header = ["setting", "source", "episodes/s", "spread", "ours/it"]
    print_table(header, rows, texts=2)
    first = results[str(SETTINGS[0])]["ours"]["episodes_per_second"]
    verdict = "met" if first >= TARGET else "MISSED"
    print(
        f"\nTarget, {SETTINGS[0]}: at least {TARGET:,} episodes/s; "
        f"{first:,.0f}: {verdict}"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.episodes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="length of a turn, about"
    )
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="noise instead of Omniglot; also used where Omniglot cannot be "
        "loaded",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short turn: a smoke test"
    )
    parser.add_argument("--json", metavar="FILE", help="where results go")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 0.2
    images, codes, data = load_drawings(options.synthetic)
    print(f"Data: {data}, {images.shape} {images.dtype}")
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if not has_torch():
        print(
            "PyTorch is not installed, so its DataLoader is left out; "
            "install the extra `bench`: pip install 'keras-meta[bench]'"
        )
    print(flush=True)
    results = {
        str(setting): measure(
            setting, images, codes, options.rounds, options.seconds
        )
        for setting in SETTINGS
    }
    report(results)
    write_json(
        options.json,
        {"machine": facts, "data": data, "results": results},
    )


if __name__ == "__main__":
    main()
