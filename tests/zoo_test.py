"""Every shipped preset is whole, described and as good as it says."""

import dataclasses
import json
import os

import numpy as np
import pytest

import keras_meta as km
import zoo
from zoo import (
    cards,
    datasets,
    evaluate,
    photographs,
    preset_folder,
    recipes,
)

FILES = {
    "README.md",
    "SHA256SUMS",
    "config.json",
    "model.weights.h5",
    "recipe.json",
    "results.json",
}
# Those whose weights an extra of the package holds.
FROM_EXTRA = {"prototypical_network_photos"}
# The largest number and the widest interval of a kind that has no accuracy.
LIMITS = {"sinusoids": (10, 5), "copies": (1000, 25)}
PRESETS = zoo.list_presets()
every_preset = pytest.mark.parametrize("name", PRESETS)


def files_of(name):
    if name in FROM_EXTRA:
        return FILES - {"model.weights.h5"} | {"weights.json"}
    return FILES


def load(name):
    """The model of a preset; skips where the extra is missing."""
    try:
        return zoo.load(name)
    except ValueError as error:
        if name in FROM_EXTRA and "pip install" in str(error):
            pytest.skip("the extra `photos` is not installed")
        raise


def stored(name, file):
    return json.loads((zoo.PRESETS / name / file).read_text("utf-8"))


def test_there_are_presets():
    assert "prototypical_network_omniglot" in PRESETS
    assert "prototypical_network_glyphs" in PRESETS


@every_preset
def test_a_preset_has_its_six_files_and_is_small(name):
    files = list((zoo.PRESETS / name).iterdir())
    assert {path.name for path in files} == files_of(name)
    assert set(preset_folder.FILES) == FILES
    assert sum(path.stat().st_size for path in files) < 2_000_000


@every_preset
def test_every_file_has_the_right_sum(name):
    km.presets.check_sums(zoo.PRESETS / name)
    sums = (zoo.PRESETS / name / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in sums} == files_of(name) - {
        "SHA256SUMS"
    }


@every_preset
def test_the_card_is_up_to_date(name):
    card = (zoo.PRESETS / name / "README.md").read_bytes()
    assert card == cards.render(zoo.PRESETS / name).encode("utf-8")


@every_preset
def test_the_results_read_and_written_again_are_the_same_bytes(name, tmp_path):
    results = preset_folder.read_results(zoo.PRESETS / name)
    preset_folder.write_results(tmp_path, results)
    written = (tmp_path / "results.json").read_bytes()
    assert written == (zoo.PRESETS / name / "results.json").read_bytes()


@every_preset
def test_the_results_are_those_of_the_recipe(name):
    measured = preset_folder.read_results(zoo.PRESETS / name).evaluations
    asked = recipes.find(name).evaluations
    for found, evaluation in zip(measured, asked, strict=True):
        largest, widest = LIMITS.get(found.evaluation.stream.kind, (100, 5))
        for key, number in found.numbers.items():
            limit = widest if key.endswith("interval") else largest
            assert 0 <= number <= limit
            # A perfect copy has no wrong bits, and no spread of them.
            assert number > 0 or key.endswith(("interval", "wrong_bits"))
        assert found.evaluation == evaluation


@every_preset
def test_the_recipe_is_the_one_that_was_trained(name):
    trained = stored(name, "recipe.json")
    # JSON has no tuples.
    record = json.loads(json.dumps(recipes.find(name).record()))
    # The same keys in the same order, and then what the training took.
    assert list(trained) == [
        *record,
        "seconds",
        "cpus",
        "parameters",
        "history",
    ]
    for key, value in record.items():
        assert trained[key] == value, key


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_measurement_is_read_as_it_was_written(name):
    for evaluation in recipes.find(name).evaluations:
        record = json.loads(json.dumps(evaluation.record()))
        assert recipes.Evaluation.from_record(record) == evaluation


@every_preset
def test_a_stored_task_gives_the_stored_output(name):
    found = evaluate.sample_probabilities(load(name))
    expected = stored(name, "results.json")["sample_probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@every_preset
def test_the_accuracy_measured_again_agrees(name):
    first = preset_folder.read_results(zoo.PRESETS / name).evaluations[0]
    # Of several numbers the second: of a sequence, the first is a guess.
    key = [key for key in first.numbers if not key.endswith("interval")][:2][-1]
    alone = "interval" in first.numbers
    interval = "interval" if alone else f"{key}_interval"
    downloaded = first.evaluation.stream.data.startswith("omniglot")
    if downloaded and not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("Omniglot is not here (TFDS_DATA_DIR is not set)")
    stream = first.evaluation.stream
    if stream.kind == "photographs" and not (
        datasets.own_files(photographs.PACKAGES[stream.dataset]).is_dir()
    ):
        pytest.skip("the photographs are not here: see `zoo.photographs`")
    episodes = 40
    again = evaluate.evaluate(
        load(name),
        dataclasses.replace(first.evaluation, episodes=episodes, seed=2),
    )
    # The interval of so few episodes, four standard errors wide: where nearly
    # all is right, a few hard letters make a tail longer than a normal one.
    more = (first.evaluation.episodes / episodes) ** 0.5
    allowed = first.numbers[interval] * more * 4 / 1.96
    assert abs(again.numbers[key] - first.numbers[key]) <= allowed


def test_the_readme_holds_the_current_table():
    readme = zoo.PRESETS.parents[1] / "README.md"
    text = readme.read_text("utf-8")
    assert text == cards.with_zoo_table(text)
    with pytest.raises(ValueError, match="must hold the marks"):
        cards.with_zoo_table("no table")


def test_an_unknown_preset_lists_the_nearest():
    with pytest.raises(ValueError, match="'prototypical_network_omniglot'"):
        zoo.load("prototypical_networks_omniglot")


def test_a_stale_card_is_noticed(tmp_path):
    name = "prototypical_network_glyphs"
    for path in (zoo.PRESETS / name).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    results = stored(name, "results.json")
    results["evaluations"][0]["accuracy"] += 1
    km.presets.write_json(tmp_path / "results.json", results)
    assert cards.render(tmp_path) != (tmp_path / "README.md").read_text()
    with pytest.raises(ValueError, match="results.json' is damaged"):
        zoo.load(tmp_path)


def test_a_pretrained_model_learns_black_on_white_scans():
    """The practitioner's path: letters as scans, no word of polarity."""
    images, labels = km.data.load_glyphs("test")
    names = np.unique(labels)[::30][:5]
    scans = [
        255 - np.kron(image[..., 0], np.ones((3, 3), "uint8"))
        for name in names
        for image in images[labels == name][:6]
    ]
    codes = np.repeat(names, 6)
    support = np.arange(len(scans)) % 6 == 0
    classifier = km.FewShotClassifier(zoo.load("prototypical_network_omniglot"))
    classifier.fit([scans[i] for i in np.flatnonzero(support)], codes[support])
    queries = [scans[i] for i in np.flatnonzero(~support)]
    assert classifier.score(queries, codes[~support]) > 0.8
