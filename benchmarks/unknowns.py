"""How well models know what they do not know, on Omniglot.

An episode has `--way` classes to learn from `--shot` drawings each, and as many
classes that it never learns. Measured are the expected calibration error of the
classes' queries, with and without `calibrate=True`, and how well the unknown
queries are told from them by `novelty` and by the probability of the predicted
class. The parts of the rule were chosen on training and validation characters.
Intervals of 95% are those of drawing episodes, by resampling them.
"""

import argparse
import dataclasses
import json
import pathlib

CLASSIFIERS = (
    "prototypical_network_omniglot",
    "matching_network_omniglot",
    "siamese_network_omniglot",
    "relation_network_omniglot",
    "maml_omniglot_5way",
)
# The share of images of the classes that may be refused.
LOST = 0.05
BINS = 15
# How often the episodes are drawn again, for the intervals.
RESAMPLES = 200


@dataclasses.dataclass(frozen=True)
class Setting:
    """Which episodes are measured.

    Args:
        split: Split of Omniglot's characters, without rotations.
        way: Classes to learn, and as many that are unknown.
        shot: Support drawings of a class.
        queries: Query drawings of a class.
        within: Whether all classes of an episode come from one alphabet.
        episodes: How many.
    """

    split: str = "test"
    way: int = 5
    shot: int = 5
    queries: int = 10
    within: bool = False
    episodes: int = 100


def episodes(setting):
    """Yields `(support, support_labels, queries, query_labels)` in NumPy.

    Labels are integers; those of `setting.way` and above are unknown.

    Args:
        setting: A `Setting`.
    """
    import keras_meta as km

    images, names = km.data.load_omniglot(setting.split, rotations=False)
    dataset = km.data.episode_dataset(
        images,
        names,
        way=2 * setting.way,
        shot=setting.shot,
        queries=setting.queries,
        seed=1,
        groups=km.data.label_groups(names) if setting.within else None,
    )
    for episode, query_y in dataset.take(setting.episodes):
        arrays = {key: part.numpy() for key, part in episode.items()}
        yield parted({**arrays, "query_y": query_y.numpy()}, setting.way)


def parted(episode, way):
    """An episode of which only the first classes are learned.

    Args:
        episode: Dict of the arrays of one episode, with `query_y`.
        way: How many are learned.

    Returns:
        As `episodes` yields it.
    """
    codes = episode["support_y"].argmax(axis=1)
    known = codes < way
    true = episode["query_y"].argmax(axis=1)
    return episode["support_x"][known], codes[known], episode["query_x"], true


def measure(name, setting):
    """Measures a preset; see `measure_episodes`.

    Args:
        name: Name of a preset of the zoo.
        setting: A `Setting`.
    """
    import keras_meta as km
    import zoo

    classifier = km.FewShotClassifier(zoo.load(name))
    return measure_episodes(classifier, episodes(setting), setting.way)


def measure_episodes(classifier, episodes, way):
    """Measures a classifier.

    Args:
        classifier: A `keras_meta.FewShotClassifier`.
        episodes: What `episodes` yields.
        way: The number of classes that are learned.

    Returns:
        Dict of shares: `accuracy`; `error` and `calibrated_error`, expected
        calibration errors; for `novelty` and for `probability`, one less the
        confidence, the area under the ROC curve `..._auroc`, the mean over
        episodes, and `..._refused`, the share of all unknown queries refused
        by the score that 5% of all known ones exceed; and at the thresholds
        of `predict(..., unknown=0.05)`, `lost` and `refused`. Those of
        novelty are absent for a model that embeds nothing. The half width of
        the interval of each is under its name and `_interval`.
    """
    import numpy as np

    found = [_one_episode(classifier, way, *episode) for episode in episodes]
    results = _summary(found)
    rng = np.random.default_rng(0)
    samples = [
        _summary([found[i] for i in rng.integers(0, len(found), len(found))])
        for _ in range(RESAMPLES)
    ]
    for name in list(results):
        spread = np.std([sample[name] for sample in samples])
        results[f"{name}_interval"] = float(1.96 * spread)
    return results


def _one_episode(classifier, way, support, codes, queries, true):
    """What a classifier finds in an episode, as a dict of arrays."""
    from sklearn.metrics import roc_auc_score

    model = classifier.model
    known = true < way
    classifier.fit(support, codes)
    raw = classifier.predict_proba(queries)
    scores = {"probability": 1 - raw.max(axis=1)}
    found = {"codes": true[known], "raw": raw[known]}
    if model.transductive:
        # Its errors are those among queries of the classes alone.
        found["raw"] = classifier.predict_proba(queries[known])
    if (model.embed or model.feature_maps) is not None:
        refused = classifier.predict(queries, LOST, unknown_label=-1) == -1
        found |= {"lost": refused[known], "refused": refused[~known]}
        scores["novelty"] = classifier.novelty(queries)
    classifier.fit(support, codes, calibrate=True)
    found["calibrated"] = classifier.predict_proba(queries[known])
    for name, score in scores.items():
        found[f"{name}_auroc"] = [roc_auc_score(~known, score)]
        found[f"{name}_known"] = score[known]
        found[f"{name}_unknown"] = score[~known]
    return found


def _summary(found):
    """The shares of `measure_episodes`, of a list of `_one_episode`."""
    import numpy as np

    from keras_meta.calibration import expected_calibration_error

    all_of = {
        name: np.concatenate([episode[name] for episode in found])
        for name in found[0]
    }
    codes = all_of["codes"]
    results = {
        "accuracy": np.mean(all_of["raw"].argmax(axis=1) == codes),
        "error": expected_calibration_error(all_of["raw"], codes, BINS),
        "calibrated_error": expected_calibration_error(
            all_of["calibrated"], codes, BINS
        ),
    }
    for name in ("novelty", "probability"):
        if f"{name}_auroc" in all_of:
            known, unknown = all_of[f"{name}_known"], all_of[f"{name}_unknown"]
            results[f"{name}_auroc"] = np.mean(all_of[f"{name}_auroc"])
            threshold = np.quantile(known, 1 - LOST)
            results[f"{name}_refused"] = np.mean(unknown > threshold)
    for name in ("lost", "refused"):
        if name in all_of:
            results[name] = np.mean(all_of[name])
    return {name: float(value) for name, value in results.items()}


def table(results):
    """Text of a table in Markdown.

    Args:
        results: Dict of the dicts of `measure`, by name.
    """
    columns = (
        "accuracy",
        "error",
        "calibrated_error",
        "novelty_auroc",
        "novelty_refused",
        "lost",
        "refused",
        "probability_auroc",
        "probability_refused",
    )
    lines = [
        "| preset | accuracy | ECE | ECE calibrated | AUROC | refused at 5% "
        "lost | lost, own threshold | refused, own threshold | AUROC of "
        "probability | its refused at 5% lost |",
        "|---|" + "---|" * len(columns),
    ]
    for name, found in results.items():
        cells = []
        for column in columns:
            value = found.get(column)
            if value is None:
                cells.append("-")
            elif column.endswith("auroc"):
                half = found[f"{column}_interval"]
                cells.append(f"{value:.3f} ± {half:.3f}")
            else:
                half = found[f"{column}_interval"]
                cells.append(f"{value:.1%} ± {100 * half:.1f}")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=CLASSIFIERS)
    parser.add_argument("--split", default=Setting.split)
    for name in ("way", "shot", "queries", "episodes"):
        default = getattr(Setting, name)
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--within", action="store_true", help="one alphabet")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = vars(parser.parse_args())
    only, file = options.pop("only"), options.pop("json")
    if options.pop("quick"):
        options["episodes"] = 2
    setting = Setting(**options)
    print(setting, flush=True)
    results = {}
    for name in only:
        results[name] = measure(name, setting)
        print(table({name: results[name]}).splitlines()[-1], flush=True)
    print("\n" + table(results))
    if file:
        record = {"setting": dataclasses.asdict(setting), "results": results}
        file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
