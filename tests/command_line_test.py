"""The command line: results on standard output, one clear line on errors."""

import csv
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_meta as km
import zoo
from keras_meta.data import encoded_images
from zoo import __main__ as command_line
from zoo import pictures as pictures_module
from zoo import preset_folder, recipes

NAME = "prototypical_network_glyphs"


@pytest.fixture(autouse=True)
def _quiet_already(monkeypatch):
    monkeypatch.setattr(command_line, "filter_startup_lines", lambda: None)


@pytest.fixture
def pictures(tmp_path):
    """Black-on-white scans: a folder per letter, and queries beside it."""
    images, labels = km.data.load_glyphs("test")
    for code, label in enumerate(np.unique(labels)[[0, 40, 100]]):
        folder = tmp_path / "support" / f"letter{code}"
        folder.mkdir(parents=True)
        for number, image in enumerate(images[labels == label][:3]):
            scan = Image.fromarray(255 - image[..., 0]).resize((70, 60))
            path = folder / f"{number}.png"
            if number == 2:
                path = tmp_path / f"query{code}.png"
            scan.save(path)
    return tmp_path


def run(capsys, *arguments):
    code = command_line.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_names_presets_with_their_accuracy(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert any(
        line.startswith(NAME) and "5-way 1-shot" in line
        for line in out.splitlines()
    )


def test_show_prints_the_card(capsys):
    code, out, _ = run(capsys, "show", NAME)
    assert code == 0 and out.startswith(f"# {NAME}")


def test_evaluate_runs_the_measurement_of_the_flags(capsys):
    flags = "--dataset glyphs --way 3 --shot 2 --queries 4 --episodes 5"
    code, out, _ = run(
        capsys, "evaluate", NAME, *flags.split(), "--within-groups", "--json"
    )
    (found,) = json.loads(out)
    assert code == 0
    assert (found["way"], found["shot"], found["episodes"]) == (3, 2, 5)
    assert found["within_groups"] and found["accuracy"] > 50
    code, out, _ = run(
        capsys, "evaluate", NAME, *flags.split(), "--statistics", "support"
    )
    assert code == 0
    assert "3-way 2-shot, 4 queries of each class, glyphs test" in out


def test_evaluate_does_not_store_a_measurement_of_flags(capsys):
    code, _, err = run(capsys, "evaluate", NAME, "--way", "3", "--write")
    assert code == 1 and "leave out --way" in err


def test_predict_prints_a_table_or_json(capsys, pictures):
    queries = [pictures / f"query{code}.png" for code in range(3)]
    command = ["predict", NAME, "--support", pictures / "support", "--query"]
    code, out, _ = run(capsys, *command, *queries)
    assert code == 0
    header, *rows = out.splitlines()
    assert header.split() == "file label letter0 letter1 letter2".split()
    assert [row.split()[1] for row in rows] == "letter0 letter1 letter2".split()
    code, out, _ = run(capsys, *command, *queries, "--json")
    for number, row in enumerate(json.loads(out)):
        assert row["label"] == f"letter{number}"
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_predict_names_a_broken_picture(capsys, pictures):
    broken = pictures / "broken.png"
    broken.write_bytes((pictures / "query0.png").read_bytes()[:60])
    support = pictures / "support"
    command = ["predict", NAME, "--support", support, "--query", broken]
    code, out, err = run(capsys, *command)
    assert (code, out) == (1, "") and "broken.png" in err
    code, _, err = run(
        capsys, "predict", NAME, "--support", pictures / "no", "--query", broken
    )
    assert code == 1 and "existing folder" in err


def test_predict_decodes_each_picture_once(capsys, pictures, monkeypatch):
    decoded = []
    whole = encoded_images.decode_picture

    def counting(file, name, *options):
        decoded.append(name)
        return whole(file, name, *options)

    monkeypatch.setattr(encoded_images, "decode_picture", counting)
    query = pictures / "query0.png"
    support = pictures / "support"
    code, *_ = run(
        capsys, "predict", NAME, "--support", support, "--query", query
    )
    assert code == 0
    assert len(decoded) == len(set(decoded)) == 3 * 2 + 1


def test_predict_names_a_broken_picture_of_the_support(capsys, pictures):
    broken = pictures / "support/letter1/0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    query = pictures / "query0.png"
    support = pictures / "support"
    code, out, err = run(
        capsys, "predict", NAME, "--support", support, "--query", query
    )
    assert (code, out) == (1, "") and str(broken) in err


def test_predict_needs_a_model_of_pictures(capsys, pictures):
    command = ["predict", "maml_sinusoid", "--support", pictures / "support"]
    code, _, err = run(capsys, *command, "--query", pictures / "query0.png")
    assert code == 1 and "maml_sinusoid was not trained on pictures" in err


@pytest.mark.parametrize(
    "name, purpose",
    [
        ("maml_sinusoid", "this preset is for regression"),
        ("reptile_sinusoid", "this preset is for regression"),
        (
            "zero_shot_prototypical_network_glyphs",
            "this preset is for zero-shot classification",
        ),
    ],
)
@pytest.mark.parametrize("saved", [False, True])
def test_predict_says_what_a_preset_is_for(
    capsys, pictures, name, purpose, saved
):
    if saved:
        # A folder without a recipe.
        km.presets.save(zoo.load(name), pictures / "saved")
        name = pictures / "saved"
    command = ["predict", name, "--support", pictures / "support"]
    code, out, err = run(capsys, *command, "--query", pictures / "query0.png")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert purpose in err and str(name) in err


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_predict_names_files_that_are_ignored(capsys, pictures, flags):
    (pictures / "support/letter1/photo.heic").write_bytes(b"something")
    (pictures / "support/letter1/Thumbs.db").write_bytes(b"something")
    command = ["predict", NAME, "--support", pictures / "support", *flags]
    code, out, err = run(capsys, *command, "--query", pictures / "query1.png")
    assert code == 0 and "letter1" in out
    assert err.startswith("keras-meta: warning: ") and err.count("\n") == 1
    assert "letter1/photo.heic'" in err and "Thumbs.db" not in err


def test_pictures_get_the_range_of_values_of_their_model_once(capsys, pictures):
    model = zoo.load(NAME)
    model.preprocessing = km.Preprocessing(28, ink=True, value_range=(0, 255))
    model.save_to_preset(pictures / "preset")
    code, out, err = run(
        capsys,
        "predict",
        pictures / "preset",
        "--support",
        pictures / "support",
        "--query",
        pictures / "query0.png",
        "--json",
    )
    assert code == 0, err
    (row,) = json.loads(out)
    support, labels = km.data.load_image_folder(
        pictures / "support", size=28, channels=1, ink=True
    )
    classifier = km.FewShotClassifier(model).fit(support.numpy(), labels)
    query = km.data.read_picture(pictures / "query0.png")
    expected = classifier.predict_proba([query])[0]
    for name, probability in zip(classifier.classes_, expected, strict=True):
        assert abs(row["probabilities"][name] - probability) < 1e-4


def test_a_fitted_classifier_predicts_folders_as_a_table(capsys, pictures):
    support, mine = pictures / "support", pictures / "mine"
    # A class may have one picture.
    (support / "letter1/1.png").unlink()
    command = ["fit", NAME, "--support", support, "--output", mine]
    code, out, err = run(capsys, *command, "--calibrate")
    assert (code, err) == (0, "") and f"keras-meta predict {mine}" in out
    noise = np.random.default_rng(0).integers(0, 2, (60, 70)) * 255
    Image.fromarray(noise.astype("uint8")).save(pictures / "query9.png")
    (pictures / "query.txt").write_text("no picture")
    table = pictures / "found.csv"
    flags = ["--query", pictures, "--top", 2, "--unknown", 0.01]
    code, out, err = run(capsys, "predict", mine, *flags, "--csv", table)
    assert (code, out, err) == (0, f"Wrote {table}\n", "")
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "label", "class1", "p1", "class2", "p2"]
    assert [row[0] for row in rows] == [
        str(pictures / f"query{number}.png") for number in (0, 1, 2, 9)
    ]
    assert rows[3][1] == "none of these"
    assert [row[2] for row in rows[:3]] == ["letter0", "letter1", "letter2"]
    assert all(float(row[3]) >= float(row[5]) for row in rows)
    code, out, _ = run(capsys, "predict", mine, *flags, "--json")
    found = json.loads(out)
    assert found[3]["label"] is None
    assert [len(row["probabilities"]) for row in found] == [2] * 4
    assert km.FewShotClassifier.load(mine).temperature_ > 0


def test_unreadable_pictures_are_skipped_where_asked(capsys, pictures):
    broken = pictures / "broken.png"
    broken.write_bytes((pictures / "query0.png").read_bytes()[:60])
    (pictures / "support/letter1/0.png").write_bytes(b"nothing")
    command = ["predict", NAME, "--support", pictures / "support"]
    command += ["--query", broken, pictures / "query0.png"]
    code, out, err = run(capsys, *command, "--skip-unreadable")
    assert code == 0 and "letter0" in out and "broken" not in out
    assert err.count("\n") == err.count("keras-meta: warning: skipped") == 2
    assert "broken.png" in err and "letter1/0.png" in err
    code, out, err = run(capsys, *command)
    assert (code, out) == (1, "") and "`--skip-unreadable` leaves" in err
    (pictures / "support/letter1/1.png").write_bytes(b"nothing")
    code, out, err = run(capsys, *command, "--skip-unreadable")
    assert code == 1 and "none in letter1" in err


@pytest.mark.parametrize(
    "flags, message",
    [
        (["predict", NAME, "--query", "x.png"], "`--support` must name"),
        (["predict", "mine", "--query", "x", "--support", "y"], "leave out"),
        (
            ["predict", "mine", "--query", "x", "--csv", "no/x.csv"],
            "existing folder",
        ),
        (["predict", "mine", "--query", "x", "--top", "0"], "(`--top`)"),
        (["predict", "mine", "--query", "x", "--unknown", "5"], "a share"),
        (["fit", NAME, "--support", "x", "--output", "preset"], "of a model"),
    ],
)
def test_flags_of_a_classifier_are_checked_first(
    capsys, tmp_path, monkeypatch, flags, message
):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "preset"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    (tmp_path / "mine/support.npz").touch()
    code, out, err = run(capsys, *flags)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert message in err


def test_export_writes_a_saved_model_once(capsys, tmp_path):
    code, out, _ = run(capsys, "export", NAME, tmp_path / "served")
    assert code == 0 and (tmp_path / "served/saved_model.pb").exists()
    code, _, err = run(capsys, "export", NAME, tmp_path / "served")
    assert code == 1 and "must be a new folder" in err


def test_export_takes_pictures_of_any_size(capsys, tmp_path):
    code, _, _ = run(
        capsys, "export", NAME, tmp_path / "served", "--preprocessing"
    )
    assert code == 0
    served = tf.saved_model.load(str(tmp_path / "served")).signatures
    # Grey paper with a margin, which is cleaned.
    pictures = np.full((1, 2, 90, 120, 3), 180, "uint8")
    pictures[0, 0, 30:34, 40:80] = pictures[0, 1, 20:60, 50:54] = 40
    model = km.models.EpisodicModel.from_preset(NAME)
    images = model.preprocessing(pictures[0])[None]
    targets = np.eye(2, dtype="float32")[None]
    found = served["serving_default"](
        support_x=tf.constant(pictures),
        support_y=tf.constant(targets),
        query_x=tf.constant(pictures),
    )
    expected = model.infer(model.adapt(images, targets), images)
    np.testing.assert_allclose(
        found["probabilities"], model.probabilities(expected), atol=1e-5
    )


def test_export_writes_a_file_for_phones(capsys, tmp_path):
    command = ["export", NAME, tmp_path / "a.tflite", "--format", "litert"]
    code, out, _ = run(capsys, *command)
    assert code == 0 and out.endswith("with the signatures adapt and infer\n")
    assert (tmp_path / "a.tflite").stat().st_size > 100_000
    code, _, err = run(capsys, *command)
    assert code == 1 and "must be a new folder or file" in err
    command[2] = tmp_path / "b.tflite"
    code, _, err = run(capsys, *command, "--preprocessing")
    assert code == 1 and "must be False for 'litert'" in err


def test_a_plain_keras_model_is_no_classifier_and_is_exported(capsys, pictures):
    cell = km.layers.NTMCell(units=6, memory_slots=5, memory_width=4)
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.RNN(cell, return_sequences=True),
            keras.layers.Dense(2, "sigmoid"),
        ]
    )
    name, served = pictures / "plain", pictures / "served"
    km.presets.save(model, name)
    command = ["predict", name, "--support", pictures / "support"]
    code, out, err = run(capsys, *command, "--query", pictures / "query0.png")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "does not learn classes: it is a plain Keras model" in err
    for command in ("evaluate", "plot"):
        code, out, err = run(capsys, command, name)
        assert (code, out) == (1, "") and "without the recipe.json" in err
    code, out, _ = run(capsys, "export", name, served)
    assert code == 0
    assert out.startswith(f"Wrote {served}, with the signatures serve and ")
    loaded = tf.saved_model.load(str(served))
    assert set(loaded.signatures) == {"serve", "serving_default"}
    for shape in ((2, 5, 3), (1, 9, 3)):
        inputs = np.random.default_rng(0).random(shape).astype("float32")
        np.testing.assert_allclose(
            loaded.serve(inputs), model(inputs), rtol=1e-5
        )
    code, _, err = run(capsys, "export", name, served)
    assert code == 1 and "must be a new folder" in err
    code, _, err = run(capsys, "export", name, served, "--format", "litert")
    assert code == 1 and "that learn from a support" in err


def test_plot_writes_the_pictures_and_names_them(capsys, tmp_path):
    code, out, _ = run(capsys, "plot", NAME, "--output", tmp_path)
    assert code == 0
    paths = out.split()
    assert [path.rsplit("/")[-1] for path in paths] == [
        "episode.png",
        "embeddings.png",
        "learning_curves.png",
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 300


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "matching_network_fce_omniglot",
            ["episode", "embeddings", "attention", "learning_curves"],
        ),
        (
            "siamese_network_omniglot",
            ["episode", "embeddings", "pair_scores", "learning_curves"],
        ),
        ("relation_network_omniglot", ["episode", "learning_curves"]),
        (
            "zero_shot_prototypical_network_glyphs",
            ["embeddings", "learning_curves"],
        ),
        ("maml_omniglot_5way", ["episode", "learning_curves"]),
        ("maml_sinusoid", ["adaptation", "learning_curves"]),
    ],
)
def test_plot_draws_what_a_model_has(capsys, tmp_path, name, expected):
    flags = ["--dataset", "glyphs"]
    if "zero_shot" in name or "sinusoid" in name:
        # The first was trained on glyphs, the second has no data set.
        flags = []
    code, out, err = run(capsys, "plot", name, *flags, "--output", tmp_path)
    assert code == 0, err
    files = [path.rsplit("/")[-1] for path in out.split()]
    assert files == [f"{name}.png" for name in expected]


def test_plot_heeds_statistics_and_inner_steps(capsys, tmp_path, monkeypatch):
    seen = []

    def draw(model, *_):
        seen.append((model.statistics, model.evaluation_inner_steps))
        return []

    monkeypatch.setattr(pictures_module, "draw", draw)
    flags = ["--dataset", "glyphs", "--output", tmp_path]
    flags += ["--statistics", "support", "--inner-steps", 7]
    assert run(capsys, "plot", "maml_omniglot_5way", *flags)[0] == 0
    assert seen == [("support", 7)]


@pytest.mark.parametrize("command", ["evaluate", "plot"])
@pytest.mark.parametrize(
    "name, flags, leave_out",
    [
        ("maml_sinusoid", "--within-groups", "--within-groups"),
        ("maml_sinusoid", "--way 5 --shot 3 --split test", "--split, --way"),
        ("maml_sinusoid", "--no-rotations", "--rotations"),
        ("zero_shot_prototypical_network_glyphs", "--shot 2", "--shot"),
    ],
)
def test_a_flag_without_meaning_is_an_error(
    capsys, command, name, flags, leave_out
):
    code, out, err = run(capsys, command, name, *flags.split())
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert f"leave out {leave_out}." in err


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_inner_steps_without_meaning_are_an_error(capsys, command, tmp_path):
    flags = ["--inner-steps", 3, "--dataset", "glyphs"]
    code, out, err = run(capsys, command, NAME, *flags)
    assert (code, out) == (1, "")
    assert "(`--inner-steps`) must be left out" in err


def test_evaluate_writes_no_card_without_a_recipe(capsys, tmp_path):
    km.presets.save(zoo.load(NAME), tmp_path)
    code, out, err = run(capsys, "evaluate", tmp_path, "--write")
    assert (code, out) == (1, "") and "needs the recipe.json" in err
    assert not (tmp_path / "results.json").exists()


def test_evaluate_heeds_the_flags_of_sinusoids(capsys):
    flags = ["--shot", 5, "--queries", 4, "--inner-steps", 2, "--episodes", 9]
    code, out, _ = run(capsys, "evaluate", "maml_sinusoid", *flags, "--json")
    (found,) = json.loads(out)
    assert code == 0 and found["mean_squared_error"] > 0
    assert [found[key] for key in ("shot", "queries", "inner_steps")] == [
        5,
        4,
        2,
    ]


def test_evaluate_knows_a_zero_shot_model(capsys):
    name = "zero_shot_prototypical_network_glyphs"
    code, out, _ = run(capsys, "evaluate", name, "--episodes", 20, "--way", 7)
    assert code == 0 and "7-way zero-shot, glyph-combinations test" in out


def test_train_writes_a_preset_that_loads(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["train", NAME, "--steps", "1", "--seed", "3"]
    code, out, _ = run(capsys, *command)
    assert code == 0 and "keras-meta evaluate runs/" in out
    assert km.presets.load(f"runs/{NAME}/preset").built
    code, _, err = run(capsys, *command)
    assert code == 1 and "--resume" in err
    assert run(capsys, *command, "--resume")[0] == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["show", "prototypical_network"], "Did you mean"),
        (["evaluate", "nothing"], "There is no preset 'nothing'"),
        (["train", "prototypical_network_glyph"], "Did you mean"),
        (["evaluate", NAME, "--dataset", "glyph"], "Did you mean 'glyphs'"),
        (["evaluate", NAME, "--split", "tset"], "Did you mean 'test'"),
        (["evaluate", NAME, "--dataset", "glyphs", "--way", "999"], "`way`"),
        (
            ["evaluate", "maml_omniglot_5way", "--way", "3"],
            "(`--way`) must be 5",
        ),
        (["plot", "reptile_omniglot_20way", "--way", "5"], "must be 20"),
        (["evaluate", NAME, "--dataset", "glyphs", "--way", "1"], "`way`"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize("command", ["evaluate", "plot"])
@pytest.mark.parametrize("name", [NAME, "relation_network_omniglot"])
@pytest.mark.parametrize(
    "flag, number, least",
    [
        ("--way", 1, 2),
        ("--way", -3, 2),
        ("--shot", 0, 1),
        ("--queries", 0, 1),
        ("--queries", -1, 1),
        ("--inner-steps", -1, 0),
        ("--seed", -1, 0),
        ("--seed", 2**32, 0),
    ],
)
def test_a_number_out_of_range_is_an_error_that_names_the_flag(
    capsys, command, name, flag, number, least
):
    code, out, err = run(capsys, command, name, flag, number)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert f"(`{flag}`) must be " in err and f"={number}" in err
    assert f" {least}" in err


@pytest.mark.parametrize("number", [0, -5])
def test_a_measurement_has_episodes(capsys, number):
    code, out, err = run(capsys, "evaluate", NAME, "--episodes", number)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert (
        f"(`--episodes`) must be at least 1. Received: episodes={number}"
        in (err)
    )


@pytest.mark.parametrize("flag", ["--steps", "--seed"])
def test_a_number_of_train_is_checked(capsys, tmp_path, flag):
    arguments = ["train", NAME, "--run-dir", tmp_path / "run", flag, -1]
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "") and f"(`{flag}`) must be" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [[], ["fly"], ["evaluate"]])
def test_wrong_usage_is_exit_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2


def test_a_process_of_its_own_writes_no_startup_lines():
    command = [sys.executable, "-m", "zoo", "evaluate", NAME]
    flags = "--dataset glyphs --episodes 2 --queries 1".split()
    result = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stderr == ""
    assert "5-way 1-shot" in result.stdout
    result = subprocess.run(
        [*command, "--dataset", "nothing"], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("keras-meta: error: There is no data set")


def test_the_help_does_not_wait_for_tensorflow():
    script = """
import sys
from zoo import __main__ as command_line
try:
    command_line.main(["evaluate", "--help"])
except SystemExit:
    pass
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", NAME],
        ["show", "nothing"],
        ["train", "nothing"],
        ["evaluate", "nothing"],
        ["evaluate", NAME, "--dataset", "nothing"],
        ["evaluate", NAME, "--split", "tset"],
        ["plot", "siamese_network_omniglot_105"],
        ["export", "nothing", "folder"],
        ["predict", "nothing", "--support", "folder", "--query", "file"],
        ["evaluate", "maml_sinusoid", "--way", "5"],
    ],
    ids=" ".join,
)
def test_what_needs_no_model_does_not_wait_for_tensorflow(arguments):
    script = f"""
import sys
from zoo import __main__ as command_line
command_line.main({arguments})
assert not {{"tensorflow", "keras", "keras_meta", "numpy"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert result.returncode == 0, result.stderr


def test_the_names_of_the_recipes_are_theirs():
    assert list(recipes.NAMES) == list(recipes.RECIPES)
    assert set(zoo.list_presets()) <= set(recipes.NAMES)


def test_the_files_of_a_preset_are_named_as_the_library_names_them():
    for name in ("CONFIG", "WEIGHTS", "SUMS", "SUPPORT"):
        assert getattr(preset_folder, name) == getattr(km.presets, name)
