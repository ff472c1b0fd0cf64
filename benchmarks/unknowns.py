"""How well models know what they do not know, on Omniglot.

An episode has `--way` classes to learn from `--shot` drawings each, and as many
classes that it never learns. Measured are the expected calibration error of the
classes' queries, with and without `calibrate=True`, and how well the unknown
queries are told from them by `novelty` and by the probability of the predicted
class. The parts of the rule were chosen on training and validation characters.
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
        codes = episode["support_y"].numpy().argmax(axis=1)
        known = codes < setting.way
        support = episode["support_x"].numpy()[known]
        true = query_y.numpy().argmax(axis=1)
        yield support, codes[known], episode["query_x"].numpy(), true


def measure(name, setting):
    """Measures a preset.

    Args:
        name: Name of a preset of the zoo.
        setting: A `Setting`.

    Returns:
        Dict of shares: `accuracy`; `error` and `calibrated_error`, expected
        calibration errors; for `novelty` and for `probability`, one less the
        confidence, the area under the ROC curve `..._auroc`, the mean over
        episodes, and `..._refused`, the share of all unknown queries refused
        by the score that 5% of all known ones exceed; and at the thresholds
        of `predict(..., unknown=0.05)`, `lost` and `refused`. Those of
        novelty are absent for a model that embeds nothing.
    """
    import numpy as np

    import keras_meta as km
    import zoo

    classifier = km.FewShotClassifier(zoo.load(name))
    model = classifier.model
    embeds = (model.embed or model.feature_maps) is not None
    raw, calibrated, labels, scores = [], [], [], {"probability": []}
    refused = []
    for support, codes, queries, true in episodes(setting):
        known = true < setting.way
        labels.append(true)
        classifier.fit(support, codes)
        found = classifier.predict_proba(queries)
        scores["probability"].append(1 - found.max(axis=1))
        if model.transductive:
            # Its errors are those among queries of the classes alone.
            raw.append(classifier.predict_proba(queries[known]))
        else:
            raw.append(found[known])
        if embeds:
            found = classifier.predict(queries, LOST, unknown_label=-1)
            refused.append(found == -1)
            scores.setdefault("novelty", []).append(classifier.novelty(queries))
        classifier.fit(support, codes, calibrate=True)
        calibrated.append(classifier.predict_proba(queries[known]))
    known = [true < setting.way for true in labels]
    codes = np.concatenate(labels)[np.concatenate(known)]
    raw, calibrated = np.concatenate(raw), np.concatenate(calibrated)
    error = km.calibration.expected_calibration_error
    results = {
        "accuracy": float(np.mean(raw.argmax(axis=1) == codes)),
        "error": error(raw, codes, BINS),
        "calibrated_error": error(calibrated, codes, BINS),
    }
    for score, values in scores.items():
        results |= _told_apart(score, values, known)
    if embeds:
        refused, known = np.concatenate(refused), np.concatenate(known)
        results["lost"] = float(refused[known].mean())
        results["refused"] = float(refused[~known].mean())
    return results


def _told_apart(name, scores, known):
    """How well scores, one array an episode, tell unknown from known."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    areas = [
        roc_auc_score(~mine, values)
        for values, mine in zip(scores, known, strict=True)
    ]
    scores, known = np.concatenate(scores), np.concatenate(known)
    threshold = np.quantile(scores[known], 1 - LOST)
    return {
        f"{name}_auroc": float(np.mean(areas)),
        f"{name}_refused": float(np.mean(scores[~known] > threshold)),
    }


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
                cells.append(f"{value:.3f}")
            else:
                cells.append(f"{value:.1%}")
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
