"""Measures photographs of 12 megapixels, as telephones take them.

A JPEG is decoded at a fraction of its sides, as far as a model needs no more.
Measured against decoding it whole: the time and the memory of a photograph,
and what becomes of the predictions. The photographs are those of `gcompris`
(see `benchmarks.photos`), enlarged to 4000 x 3000 with the noise of a sensor.
`benchmarks/README.md` is the manual.
"""

import argparse
import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks import photos, workers
from zoo import photographs

NAME = "prototypical_network_photos"
WIDTH, HEIGHT = 4000, 3000
CLASSES = ("fish", "mammal", "monument", "tool")
SHOT = 5
# Seconds and MiB.
TARGETS = {"a photograph": 0.1, "memory": 200, "first answer": 15}


def enlarged(data, rng):
    """A JPEG file of 12 megapixels.

    Args:
        data: Bytes of a picture file.
        rng: `numpy.random.Generator`, for the noise of the sensor.

    Returns:
        bytes.
    """
    import numpy as np
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 4, (HEIGHT, WIDTH, 1)).astype("float32")
    pixels = np.clip(np.asarray(image) + noise, 0, 255).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=92)
    return file.getvalue()


def write(folder, gcompris):
    """Writes the photographs, the first of each class before the second.

    Args:
        folder: Where to.
        gcompris: Where the package is unpacked.

    Returns:
        `(files, labels)`: lists of paths and of str, `SHOT` of each class to
        learn and as many to predict.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    pairs = zip(*photographs.load("gcompris", gcompris), strict=True)
    found = {label: [] for label in CLASSES}
    for data, label in pairs:
        if label in found and len(found[label]) < 2 * SHOT:
            path = folder / f"{label}{len(found[label])}.jpg"
            path.write_bytes(enlarged(data, rng))
            found[label].append(path)
    files = [file for row in zip(*found.values(), strict=True) for file in row]
    return files, list(CLASSES) * (2 * SHOT)


class Whole:
    """A preprocessing of photographs that decodes and resizes them whole."""

    def __init__(self, preprocessing):
        self.preprocessing = preprocessing
        self.size, self.channels = preprocessing.size, preprocessing.channels

    def shrinkage(self, height, width):
        return 1

    def __call__(self, images):
        pixels = images[0].astype("float32") / 255
        return self.preprocessing.resize(pixels[None])


def decode(files, preprocessing, count):
    """Decodes and resizes photographs.

    Args:
        files: List of paths.
        preprocessing: A `Preprocessing`, or `Whole`.
        count: How many; files are taken in turn.

    Returns:
        `(images, facts)`: array `(count, ...)`, and the seconds and the
        processor's seconds of a photograph, and the MiB that all took.
    """
    from keras_meta.data import EncodedImages

    turns = [files[place % len(files)] for place in range(count)]
    source = EncodedImages(turns, preprocessing)
    source.numpy([0])
    reset_peak()
    before = workers.held_memory("VmRSS")
    began, used = time.perf_counter(), time.process_time()
    images = source.numpy()
    facts = {
        "seconds": (time.perf_counter() - began) / count,
        "processor": (time.process_time() - used) / count,
    }
    if before is not None:
        facts["memory"] = workers.held_memory("VmHWM") - before
    return images, facts


def reset_peak():
    """Lets the peak of the memory begin from what is held now, on Linux."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def compare(model, shrunk, whole):
    """What shrinking while decoding changes in the predictions.

    Args:
        model: The preset.
        shrunk, whole: Arrays `(n, ...)` of the same photographs, in the
            order of `write`.

    Returns:
        Dict: `images`, the mean absolute difference of values in `[0, 1]`;
        `embeddings`, the largest distance over the norm; `probabilities`, the
        largest difference; and `agree`, the share of equal labels.
    """
    import numpy as np

    import keras_meta as km

    embeddings = [
        model.encoder.predict(images, batch_size=16, verbose=0)
        for images in (shrunk, whole)
    ]
    codes = np.arange(len(whole)) % len(CLASSES)
    support = len(CLASSES) * SHOT
    found = []
    for images in (shrunk, whole):
        classifier = km.FewShotClassifier(model)
        classifier.fit(images[:support], codes[:support])
        found.append(classifier.predict_proba(images[support:]))
    norms = np.linalg.norm(embeddings[1], axis=1)
    moved = np.linalg.norm(embeddings[0] - embeddings[1], axis=1) / norms
    return {
        "images": float(np.abs(shrunk - whole).mean()),
        "embeddings": float(moved.max()),
        "probabilities": float(np.abs(found[0] - found[1]).max()),
        "agree": float((found[0].argmax(1) == found[1].argmax(1)).mean()),
    }


def first_answer(files, labels, folder):
    """Times `keras-meta predict`, its start included.

    Args:
        files: List of paths: `SHOT` of each class and one more.
        labels: Their classes.
        folder: Where folders of the classes are made.

    Returns:
        `(seconds, processor)`: those that passed, and those of all cores.
    """
    support = folder / "support"
    for file, label in zip(files[:-1], labels[:-1], strict=True):
        (support / label).mkdir(parents=True, exist_ok=True)
        (support / label / file.name).symlink_to(file)
    command = [sys.executable, "-m", "zoo", "predict", NAME]
    command += ["--support", support, "--query", files[-1]]
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = [
        after.children_user - before.children_user,
        after.children_system - before.children_system,
    ]
    return after.elapsed - before.elapsed, sum(used)


def report(rows, changed, answer):
    """Prints what was measured, and the targets.

    Args:
        rows: Dict of the facts of `decode`, by name.
        changed: What `compare` returned.
        answer: What `first_answer` returned.
    """
    workers.print_table(
        ["decoded", "s/photo", "processor", "MiB"],
        [
            [
                name,
                f"{row['seconds']:.3f}",
                f"{row['processor']:.3f}",
                f"{row['memory']:.0f}" if "memory" in row else "-",
            ]
            for name, row in rows.items()
        ],
        texts=1,
    )
    print(
        f"images differ by {changed['images']:.4f} of the range in the mean, "
        f"embeddings by {changed['embeddings']:.1%} of their norm and "
        f"probabilities by {changed['probabilities']:.3f} at most; "
        f"{changed['agree']:.0%} of the labels agree"
    )
    found = {
        "a photograph": rows["shrunk"]["seconds"],
        "memory": rows["shrunk"].get("memory"),
        "first answer": answer[0],
    }
    print(f"first answer: {answer[1]:.1f} s of the processor")
    for name, target in TARGETS.items():
        if found[name] is not None:
            met = "met" if found[name] < target else "missed"
            print(f"{name}: {found[name]:.3g}, target {target}: {met}")


def main(arguments=None):
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large_photos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gcompris", metavar="FOLDER", help="as for benchmarks.photos"
    )
    parser.add_argument("--photographs", type=int, default=100)
    parser.add_argument("--json", metavar="FILE", help="where results go")
    options = parser.parse_args(arguments)
    from zoo import datasets

    package = photographs.PACKAGES["gcompris"]
    gcompris = options.gcompris or datasets.own_files(package)
    photos.fetch("gcompris", gcompris)
    import zoo

    facts = workers.machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files, labels = write(folder, gcompris)
        support = SHOT * len(CLASSES) + 1
        answer = first_answer(files[:support], labels[:support], folder)
        model = zoo.load(NAME)
        shrunk = model.preprocessing
        rows = {
            "shrunk": decode(files, shrunk, options.photographs)[1],
            "whole": decode(files[:4], Whole(shrunk), 4)[1],
        }
        images = [
            decode(files, kind, len(files))[0]
            for kind in (shrunk, Whole(shrunk))
        ]
        changed = compare(model, *images)
    report(rows, changed, answer)
    workers.write_json(
        options.json,
        {"machine": facts, "rows": rows, "first": answer, **changed},
    )


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        with contextlib.suppress(BrokenPipeError):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
