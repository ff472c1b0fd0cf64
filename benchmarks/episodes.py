"""Counts the episodes per second of `keras_meta.data.episode_dataset`.

Each source draws meta-batches of 16 episodes from the training split of
Omniglot (82,240 drawings of 4,112 classes, 28 x 28, uint8, in memory):

- ours: `episode_dataset(...).batch(16)`, iterated as `fit` does;
- a plain Python sampler, as most few-shot libraries have one: classes and
  drawings by `random.sample`, each image taken, converted to floats and
  collected on its own, episodes stacked to a batch;
- the same sampler behind PyTorch's `DataLoader` with two processes, if
  PyTorch is installed.

They run in processes of their own and take turns. A turn's episodes per
second are counted over the whole turn, since sources work ahead; the table
shows the median of the turns. Run it from the root of a checkout:

    python -m benchmarks.episodes [--quick] [--json FILE]
"""

import argparse
import contextlib
import dataclasses
import random
import statistics

import numpy as np

from benchmarks.workers import (
    Step,
    Worker,
    has_torch,
    interleave,
    machine,
    print_table,
    write_json,
)

META_BATCH = 16
TARGET = 10_000
LOADER_PROCESSES = 2


@dataclasses.dataclass(frozen=True)
class Setting:
    """How episodes are drawn.

    Args:
        way, shot, queries: As for `episode_dataset`.
        affine: Whether images are distorted by `Affine`; ours only.
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
        synthetic: Whether noise of the shapes of Omniglot is made instead.

    Returns:
        `(images, codes, name)`: uint8 `(n, 28, 28, 1)`, integers `(n,)`
        and what the data are.
    """
    if not synthetic:
        from keras_meta.data import load_omniglot

        # TensorFlow Datasets has many ways to say that it has no network.
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


def python_step(images, codes, setting):
    """Draws a meta-batch through the plain Python sampler."""
    episodes = python_episodes(images, codes, setting, seed=0)

    def run():
        drawn = [next(episodes) for _ in range(META_BATCH)]
        return [np.stack(parts) for parts in zip(*drawn, strict=True)]

    return Step(run)


def loader_step(images, codes, setting):
    """Draws a meta-batch through PyTorch's loader of the plain sampler."""
    import torch

    class Episodes(torch.utils.data.IterableDataset):
        def __iter__(self):
            worker = torch.utils.data.get_worker_info()
            return python_episodes(images, codes, setting, seed=worker.id)

    loader = torch.utils.data.DataLoader(
        Episodes(),
        batch_size=META_BATCH,
        num_workers=LOADER_PROCESSES,
        # Shares the images, and `Episodes` needs no name of its own.
        multiprocessing_context="fork",
    )
    batches = iter(loader)
    return Step(lambda: next(batches))


def python_episodes(images, codes, setting, seed):
    """Draws episodes image by image, without end.

    Args:
        images: uint8 `(n, height, width, channels)`.
        codes: `(n,)`, the class of each image.
        setting: `Setting`.
        seed: Integer.

    Yields:
        `(support_x, support_y, query_x, query_y)`: float32 images in
        `[0, 1]` and the integers of their classes in the episode.
    """
    members = {}
    for row, code in enumerate(codes.tolist()):
        members.setdefault(code, []).append(row)
    classes = list(members)
    rng = random.Random(seed)
    while True:
        support_x, support_y, query_x, query_y = [], [], [], []
        for position, code in enumerate(rng.sample(classes, setting.way)):
            rows = rng.sample(members[code], setting.shot + setting.queries)
            for number, row in enumerate(rows):
                image = images[row].astype("float32") / 255
                is_support = number < setting.shot
                (support_x if is_support else query_x).append(image)
                (support_y if is_support else query_y).append(position)
        yield (
            np.stack(support_x),
            np.array(support_y),
            np.stack(query_x),
            np.array(query_y),
        )


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
