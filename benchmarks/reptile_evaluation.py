"""What the details of Reptile's evaluation change, on one pretrained network.

Nichol et al. (2018) evaluate with one query of each class, predicted all at
once ("transductive") or each with the support alone, with the state that the
inner Adam had at the end of training. Each row below changes one of these.
"""

import argparse
import json
import pathlib

PRESET = "reptile_omniglot_5way_random1200"
SHOTS = (1, 5)
# What a row changes: the statistics, the queries of a class, and attributes
# of the model; `inner_state` tells whether the trained one is kept.
ROWS = {
    "all queries at once, 15 of a class": ("batch", 15, {}),
    "all queries at once, 1 of a class (the paper's)": ("batch", 1, {}),
    "each query with the support (the paper's)": ("support_plus_one", 1, {}),
    "15 of a class, inner Adam begins anew": (
        "batch",
        15,
        {"inner_state": False},
    ),
    "15 of a class, inner batches of 10": (
        "batch",
        15,
        {"evaluation_inner_batch_size": 10},
    ),
    "15 of a class, 10 inner steps": (
        "batch",
        15,
        {"evaluation_inner_steps": 10},
    ),
}


def measure(name, row, episodes, split="test"):
    """Measures a row.

    Args:
        name: A preset of Reptile.
        row: A key of `ROWS`.
        episodes: How many test episodes of each shot.
        split: Split of the preset's data set.

    Returns:
        Dict of a `zoo.results.Result` by shot.
    """
    import zoo
    from zoo import evaluate, recipes
    from zoo.recipes.recipe import Evaluation
    from zoo.streams import Episodes

    statistics, queries, changed = ROWS[row]
    model = zoo.load(name)
    changed = dict(changed)
    if not changed.pop("inner_state", True):
        for variable in model.inner_state:
            variable.assign(0 * variable)
    trained = recipes.find(name).stream
    found = {}
    for shot in SHOTS:
        stream = Episodes(
            trained.dataset,
            split,
            way=trained.way,
            shot=shot,
            queries=queries,
            rotations=False,
        )
        asked = Evaluation(stream, statistics, episodes)
        with evaluate.with_attributes(model, changed):
            result = evaluate.evaluate(model, asked)
        found[shot] = result
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--split", default="test")
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    episodes = 2 if options.quick else options.episodes
    print(f"{options.preset}, {options.split}, {episodes} episodes")
    print("| evaluation | " + " | ".join(f"{k}-shot" for k in SHOTS) + " |")
    print("|---|" + "---|" * len(SHOTS))
    results = {}
    for row in options.only:
        found = measure(options.preset, row, episodes, options.split)
        results[row] = {shot: one.record() for shot, one in found.items()}
        cells = " | ".join(one.words for one in found.values())
        print(f"| {row} | {cells} |", flush=True)
    if options.json:
        record = {"preset": options.preset, "results": results}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
