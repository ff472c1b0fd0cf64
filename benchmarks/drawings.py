"""Measures accuracy on drawings as people photograph them.

Test characters of Omniglot are rendered as photographs that differ from scans
in one cause a row, and in all of them at once. `benchmarks/README.md` is the
manual.
"""

import argparse
import time

import numpy as np
from PIL import Image

from benchmarks.drawing_scenes import CAUSES, draw_scene
from benchmarks.photographed_drawings import photograph
from benchmarks.workers import machine, print_table, write_json

WAY, SHOT, QUERIES = 5, 3, 8
# Percent, in every row.
TARGET = 97
SCANS = "clean scans"


def draw_tasks(labels, tasks, rng):
    """Rows of support and queries of each task.

    Args:
        labels: Array `(n,)` of the characters.
        tasks: How many tasks.
        rng: `numpy.random.Generator`.

    Returns:
        Integer array `(tasks, WAY, SHOT + QUERIES)`.
    """
    characters = np.unique(labels)
    rows = np.empty((tasks, WAY, SHOT + QUERIES), int)
    for task in rows:
        for place, character in zip(
            task, rng.choice(characters, WAY, replace=False), strict=True
        ):
            drawings = np.flatnonzero(labels == character)
            place[:] = rng.choice(drawings, place.size, replace=False)
    return rows


def render(scans, rows, cause, seed):
    """The pictures of all tasks, one after another.

    Args:
        scans: uint8 `(n, 105, 105, 1)`, ink 255.
        rows: Array of rows of `scans`.
        cause: A name of `CAUSES`, or `SCANS`.
        seed: Integer. Pictures of a cause do not depend on other causes.

    Returns:
        Iterator of PIL pictures.
    """
    number = [SCANS, *CAUSES].index(cause)
    rng = np.random.default_rng([seed, number])
    for row in rows.ravel():
        scan = scans[row, ..., 0]
        if cause == SCANS:
            yield Image.fromarray(255 - scan)
        else:
            yield photograph(scan > 127, draw_scene(cause, rng), rng)


def prepared(scans, rows, cause, seed, preprocessings):
    """The pictures of a cause, in the form of each model.

    Each picture is rendered once; only prepared ones are held together.

    Returns:
        Dict of preprocessings to arrays `(pictures, height, width, channels)`.
    """
    images = {each: [] for each in preprocessings}
    for picture in render(scans, rows, cause, seed):
        for each, found in images.items():
            found.append(each(picture)[0])
    return {each: np.stack(found) for each, found in images.items()}


def accuracy(model, images):
    """Percent of all queries that a model classifies right.

    Args:
        model: An `EpisodicModel`.
        images: Array `(tasks * WAY * (SHOT + QUERIES), height, width,
            channels)` of prepared pictures.

    Returns:
        float.
    """
    from keras_meta import FewShotClassifier

    shape = images.shape[1:]
    names = np.array([f"class {number}" for number in range(WAY)])
    scores = []
    for task in images.reshape(-1, WAY, SHOT + QUERIES, *shape):
        support = task[:, :SHOT].reshape(-1, *shape)
        queries = task[:, SHOT:].reshape(-1, *shape)
        classifier = FewShotClassifier(model)
        classifier.fit(support, np.repeat(names, SHOT))
        scores.append(classifier.score(queries, np.repeat(names, QUERIES)))
    return 100 * float(np.mean(scores))


def load_models(names):
    """The models that learn drawings from examples, by name."""
    import zoo

    if names is None:
        names = [name for name in zoo.list_presets() if "omniglot" in name]
    return {name: zoo.load(name) for name in names}


def phone_seconds(model, repeats=3):
    """Seconds in which a picture of 12 megapixels is prepared."""
    rng = np.random.default_rng(0)
    scan = np.zeros((105, 105), bool)
    scan[30:75, 50:55] = scan[30:35, 30:75] = True
    picture = photograph(scan, draw_scene("everything", rng), rng)
    pixels = np.asarray(picture.resize((4032, 3024)))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        model.preprocessing([pixels])
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def measure(models, causes, tasks, seed, split):
    """Accuracies by cause and model, in percent; each row is printed."""
    from keras_meta.data import load_omniglot

    scans, labels = load_omniglot(split, rotations=False, size=105)
    rows = draw_tasks(labels, tasks, np.random.default_rng(seed))
    preprocessings = {model.preprocessing for model in models.values()}
    results = {}
    for cause in causes:
        images = prepared(scans, rows, cause, seed, preprocessings)
        results[cause] = {
            name: accuracy(model, images[model.preprocessing])
            for name, model in models.items()
        }
        numbers = [f"{value:.1f}" for value in results[cause].values()]
        print(f"{cause}: {' '.join(numbers)}", flush=True)
    return results


def report(results):
    """Prints the table, a line for each model, and the target."""
    causes = list(results)
    names = list(results[causes[0]])
    rows = [
        [name, *(f"{results[cause][name]:.1f}" for cause in causes)]
        for name in names
    ]
    print_table(["preset", *causes], rows)
    for name in names:
        values = [results[cause][name] for cause in causes]
        needed = min(TARGET, results.get(SCANS, {}).get(name, TARGET))
        verdict = "met" if min(values) >= needed else "MISSED"
        print(
            f"Target, {name}: at least {needed:.1f}% in every row; "
            f"{min(values):.1f}: {verdict}"
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", help="default: all Omniglot")
    parser.add_argument("--only", nargs="+", choices=[SCANS, *CAUSES])
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one task a row")
    parser.add_argument("--json", help="also write the results to this file")
    options = parser.parse_args(argv)
    models = load_models(options.presets)
    tasks = 1 if options.quick else options.tasks
    causes = options.only or [SCANS, *CAUSES]
    print(f"{tasks * WAY * QUERIES} queries a row, {tasks} tasks")
    results = measure(models, causes, tasks, options.seed, options.split)
    report(results)
    seconds = phone_seconds(next(iter(models.values())))
    print(f"A picture of 12 megapixels is prepared in {seconds:.2f} s")
    if options.json:
        facts = {"machine": machine(), "twelve_megapixels": seconds}
        write_json(options.json, {**facts, "accuracies": results})


if __name__ == "__main__":
    main()
