"""Episodes from a folder of many small pictures: speed and memory.

The pictures are written once, then `load_image_folder` and `episode_dataset`
run in a process of their own, whose memory is measured. `benchmarks/README.md`
is the manual.
"""

import argparse
import io
import itertools
import pathlib
import tempfile
import time

from benchmarks import workers

SIDE, EACH = 32, 100
WAY, SHOT, QUERIES = 5, 1, 15


def write_pictures(folder, count):
    """Writes PNG files of noise, `EACH` of each class.

    Args:
        folder: Path of where to.
        count: How many, a multiple of `EACH`.

    Returns:
        MiB that all of them take as float32.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    # Noise of 8 x 8 blocks, which is quickly written and read.
    files = []
    for _ in range(EACH):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype="uint8")
        file = io.BytesIO()
        Image.fromarray(pixels).resize((SIDE, SIDE), 0).save(file, "png")
        files.append(file.getvalue())
    for number in range(count // EACH):
        place = folder / f"class{number:05}"
        place.mkdir(parents=True)
        for row, file in enumerate(files):
            (place / f"{row}.png").write_bytes(file)
    return count * SIDE * SIDE * 3 * 4 / 2**20


def streaming_step(folder, check):
    """Draws an episode from the files of a folder.

    Args:
        folder: What `write_pictures` wrote.
        check: As for `load_image_folder`.

    Returns:
        `workers.Step`.
    """
    from keras_meta import data

    pictures, labels = data.load_image_folder(folder, size=SIDE, check=check)
    episodes = iter(
        data.episode_dataset(
            pictures, labels, way=WAY, shot=SHOT, queries=QUERIES, seed=0
        )
    )
    return workers.Step(lambda: next(episodes))


def imported_step(folder, check):
    """What a process holds that has imported the library, without pictures."""
    import numpy as np

    from keras_meta import data

    rows = np.zeros((200, SIDE, SIDE, 3), "uint8")
    episodes = iter(
        data.episode_dataset(
            rows,
            np.arange(200) // 20,
            way=WAY,
            shot=SHOT,
            queries=QUERIES,
            seed=0,
        )
    )
    return workers.Step(lambda: next(episodes))


def measure(folder, count, episodes, check):
    """Speed and memory of episodes from files.

    Args:
        folder: Path of an empty folder.
        count: How many pictures.
        episodes: How many episodes.
        check: As for `load_image_folder`.

    Returns:
        Dict of what `report` prints.
    """
    size = write_pictures(folder, count)
    found = {}
    for name, build in (
        ("library", imported_step),
        ("folder", streaming_step),
    ):
        began = time.perf_counter()
        with workers.Worker(name, build, (str(folder), check)) as worker:
            opened = time.perf_counter() - began
            memory, seconds = [], []
            # The memory is the most that was ever held: it must not grow.
            for part in itertools.repeat(max(1, episodes // 4), 4):
                seconds += worker.time(part)
                memory.append(worker.peak_memory)
        found[name] = {
            "opened": opened,
            "per_second": len(seconds) / sum(seconds),
            "memory": memory,
        }
    return {"pictures": count, "decoded": size, **found}


def report(results):
    """Prints the table.

    Args:
        results: What `measure` returned.
    """
    print(
        f"{results['pictures']:,} pictures of {SIDE} x {SIDE}, "
        f"{results['decoded']:.0f} MiB as float32; episodes of {WAY}-way "
        f"{SHOT}-shot with {QUERIES} queries"
    )
    rows = []
    for name in ("library", "folder"):
        row = results[name]
        held = [
            "-" if part is None else f"{part:.0f}" for part in row["memory"]
        ]
        rows.append(
            [name, f"{row['opened']:.0f}", f"{row['per_second']:.0f}", *held]
        )
    header = ["source", "start s", "episodes/s", "MiB", "1/2", "3/4", "end"]
    workers.print_table(header, rows)


def main(arguments=None):
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streaming",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pictures", type=int, default=100_000, metavar="N")
    parser.add_argument("--episodes", type=int, default=2000, metavar="N")
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="do not decode every picture once at the start",
    )
    parser.add_argument("--json", metavar="FILE", help="where results go")
    options = parser.parse_args(arguments)
    facts = workers.machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    with tempfile.TemporaryDirectory() as folder:
        results = measure(
            pathlib.Path(folder) / "pictures",
            options.pictures,
            options.episodes,
            not options.no_check,
        )
    report(results)
    workers.write_json(options.json, {"machine": facts, **results})


if __name__ == "__main__":
    main()
