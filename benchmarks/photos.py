"""Measures the preset for photographs, against logistic regression.

Both learn from the same embeddings of the same 5-way episodes. How images are
resized was chosen on `tuxpaint`; nothing was chosen on `gcompris`. Then the
confidence of the preset is measured as in `benchmarks.unknowns`; the classes
that an episode does not learn are unknown. The photographs are those of two
Debian packages, which are downloaded once.
`benchmarks/README.md` is the manual.
"""

import argparse
import contextlib
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import unknowns, workers
from zoo import photographs

WAY, QUERIES = 5, 5
SHOTS = (1, 5)
# How images are resized, by data set. The preset's own is the last.
RESIZED = {
    "tuxpaint": ("area", "bilinear", "bicubic"),
    "gcompris": ("bicubic",),
}
# The shot at which confidence is measured, and the largest calibration error.
CONFIDENT_SHOT, LARGEST_ERROR = 5, 0.05
# Accuracies in percent, by data set and shot.
TARGETS = {("gcompris", 1): 79, ("gcompris", 5): 92}


def fetch(dataset, folder):
    """Downloads and unpacks a Debian package, if it is not there yet.

    Args:
        dataset: A name of `zoo.photographs.PACKAGES`.
        folder: Where to.

    Raises:
        ValueError: If that fails; it says what to do by hand.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir():
        return
    package = photographs.PACKAGES[dataset]
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Downloading {package} to {folder}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        part = pathlib.Path(part)
        try:
            subprocess.run(
                ["apt-get", "download", package],
                cwd=part,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            (file,) = part.glob("*.deb")
            subprocess.run(
                ["dpkg-deb", "-x", file, part / "unpacked"], check=True
            )
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise ValueError(
                f"{package} cannot be downloaded ({error}). On a Debian or "
                f"Ubuntu machine run `apt-get download {package}`, unpack it "
                f"with `dpkg-deb -x {package}_*.deb FOLDER`, and pass "
                f"--{dataset} FOLDER"
            ) from error
        shutil.move(part / "unpacked", folder)


def embed(model, examples):
    """Embeds photographs.

    Args:
        model: The preset.
        examples: `EncodedImages`.

    Returns:
        `(embeddings, prepare, encode)`: array `(n, dim)`, and the
        milliseconds that a photograph takes to decode and resize, and to
        embed.
    """
    began = time.perf_counter()
    images = examples.numpy()
    prepared = time.perf_counter()
    model.encoder.predict(images[:16], batch_size=16, verbose=0)
    traced = time.perf_counter()
    embeddings = model.encoder.predict(images, batch_size=16, verbose=0)
    encoded = time.perf_counter()
    each = 1000 / len(images)
    return embeddings, (prepared - began) * each, (encoded - traced) * each


def episodes(embeddings, labels, shot, count, seed=1, way=WAY):
    """Draws episodes of embeddings; returns a list of dicts of arrays."""
    from keras_meta import data

    elements = data.episode_dataset(
        embeddings, labels, way=way, shot=shot, queries=QUERIES, seed=seed
    )
    return [
        {**inputs, "query_y": query_y}
        for inputs, query_y in elements.take(count).as_numpy_iterator()
    ]


def prototypical_network(model):
    """What a Prototypical Network predicts: `episode -> (query,)`."""
    import keras
    import numpy as np

    import keras_meta as km

    head = km.models.PrototypicalNetwork(
        keras.layers.Identity(), model.distance
    )

    def predict(episode):
        support_x, support_y, query_x = (
            episode[key][None] for key in ("support_x", "support_y", "query_x")
        )
        logits = head.infer(head.adapt(support_x, support_y), query_x)
        return np.asarray(logits)[0].argmax(1)

    return predict


def logistic_regression(_):
    """What scikit-learn's logistic regression predicts."""
    from sklearn.linear_model import LogisticRegression

    def predict(episode):
        codes = episode["support_y"].argmax(1)
        learner = LogisticRegression(max_iter=1000)
        return learner.fit(episode["support_x"], codes).predict(
            episode["query_x"]
        )

    return predict


METHODS = {
    "prototypical network": prototypical_network,
    "logistic regression": logistic_regression,
}


def measure(model, dataset, folder, resized, count):
    """Measures all methods on a data set.

    Args:
        model: The preset.
        dataset, folder: As for `zoo.photographs.images`.
        resized: Name of an interpolation.
        count: How many episodes.

    Returns:
        rows: List of dicts: `dataset`, `resized`, `shot`, `method`,
            `accuracy` and `interval` in percent, `ms` of an episode,
            `prepare` and `encode`, the milliseconds of a photograph.
        confidence: What `confidence` returns.
    """
    examples, labels = photographs.images(
        dataset, folder, interpolation=resized
    )
    embeddings, prepare, encode = embed(model, examples)
    rows = []
    for shot in SHOTS:
        drawn = episodes(embeddings, labels, shot, count)
        for name, method in METHODS.items():
            predict = method(model)
            predict(drawn[0])
            began = time.perf_counter()
            shares = [
                100 * float((predict(e) == e["query_y"].argmax(1)).mean())
                for e in drawn
            ]
            seconds = time.perf_counter() - began
            spread = statistics.stdev(shares) / math.sqrt(count)
            rows.append(
                {
                    "dataset": dataset,
                    "photographs": len(labels),
                    "resized": resized,
                    "shot": shot,
                    "method": name,
                    "accuracy": statistics.mean(shares),
                    "interval": 1.96 * spread,
                    "ms": 1000 * seconds / count,
                    "prepare": prepare,
                    "encode": encode,
                }
            )
    return rows, confidence(model, embeddings, labels, count)


def confidence(model, embeddings, labels, count):
    """Measures how sure the preset is, and what it does not know.

    Args:
        model: The preset.
        embeddings, labels: Those of a data set; `WAY` of its classes are
            learned in an episode, and the others are unknown.
        count: How many episodes.

    Returns:
        What `benchmarks.unknowns.measure_episodes` returns.
    """
    import keras

    import keras_meta as km

    head = km.models.PrototypicalNetwork(
        keras.layers.Identity(), model.distance
    )
    way = len(set(labels.tolist()))
    drawn = (
        unknowns.parted(episode, WAY)
        for episode in episodes(
            embeddings, labels, CONFIDENT_SHOT, count, way=way
        )
    )
    return unknowns.measure_episodes(km.FewShotClassifier(head), drawn, WAY)


def report(rows):
    """Prints the table and the targets."""
    workers.print_table(
        [
            *("data", "photographs", "resized", "shot", "method"),
            *("accuracy", "±", "ms/episode", "ms/photo", "to embed"),
        ],
        [
            [
                *(row["dataset"], str(row["photographs"]), row["resized"]),
                *(str(row["shot"]), row["method"], f"{row['accuracy']:.2f}"),
                *(f"{row['interval']:.2f}", f"{row['ms']:.2f}"),
                *(f"{row['prepare']:.1f}", f"{row['encode']:.1f}"),
            ]
            for row in rows
        ],
        texts=5,
    )
    for row in rows:
        target = TARGETS.get((row["dataset"], row["shot"]))
        if target and row["method"] == "prototypical network":
            met = "met" if row["accuracy"] >= target else "missed"
            print(
                f"{row['dataset']}, {row['shot']} shot: {row['accuracy']:.2f}, "
                f"target {target}: {met}"
            )


def report_confidence(found):
    """Prints the table of `benchmarks.unknowns` and the target.

    Args:
        found: Dict of the dicts of `confidence`, by data set.
    """
    print(f"\nConfidence, {WAY}-way {CONFIDENT_SHOT}-shot:\n")
    print(unknowns.table(found))
    for dataset, results in found.items():
        error = results["calibrated_error"]
        met = "met" if error < LARGEST_ERROR else "missed"
        print(
            f"{dataset}, calibration error: {error:.1%}, target below "
            f"{LARGEST_ERROR:.0%}: {met}"
        )


def parser():
    """The command line's parser."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.photos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for dataset, package in photographs.PACKAGES.items():
        found.add_argument(
            f"--{dataset}",
            metavar="FOLDER",
            help=f"where {package} is unpacked, or to be",
        )
    found.add_argument(
        "--only", nargs="+", choices=RESIZED, default=list(RESIZED)
    )
    found.add_argument("--episodes", type=int, default=1000)
    found.add_argument("--json", metavar="FILE", help="where results go")
    return found


def main(arguments=None):
    """Runs the benchmark."""
    options = parser().parse_args(arguments)
    if options.episodes < 2:
        raise ValueError(
            "`--episodes` must be at least 2, for an interval. Received: "
            f"--episodes={options.episodes}"
        )
    from zoo import datasets

    folders = {
        name: getattr(options, name)
        or datasets.own_files(photographs.PACKAGES[name])
        for name in options.only
    }
    for name, folder in folders.items():
        fetch(name, folder)
    # TensorFlow, whose memory is not the model's.
    import keras_meta  # noqa: F401
    import zoo

    facts = workers.machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    before = workers.held_memory("VmHWM")
    model = zoo.load("prototypical_network_photos")
    rows, sure = [], {}
    for name, folder in folders.items():
        for resized in RESIZED[name]:
            # The preset's own is the last.
            found, sure[name] = measure(
                model, name, folder, resized, options.episodes
            )
            rows += found
    report(rows)
    report_confidence(sure)
    memory = workers.held_memory("VmHWM")
    if memory is not None:
        print(f"memory: {memory:.0f} MiB at most, {before:.0f} before loading")
    workers.write_json(
        options.json,
        {"machine": facts, "memory": memory, "rows": rows, "confidence": sure},
    )


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        with contextlib.suppress(BrokenPipeError):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
