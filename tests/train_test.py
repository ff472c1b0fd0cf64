"""A training run: resumable, reproducible, and never half-written."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest

import keras_meta as km
import zoo
from keras_meta.callbacks import ResumableTraining, checkpoint
from zoo import cards, datasets, evaluate, recipes, streams, train
from zoo.recipes.omniglot import DRAWING


def tiny_data(split, rotations):
    rng = np.random.default_rng({"train": 0, "test": 1}[split])
    patterns = rng.random((12, 1, 8, 8, 1))
    images = np.clip(patterns + rng.normal(0, 0.1, (12, 8, 8, 8, 1)), 0, 1)
    return images.reshape(-1, 8, 8, 1).astype("float32"), np.repeat(
        [f"group{k % 2}/{k}" for k in range(12)], 8
    )


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "tiny", tiny_data)
    return recipes.Recipe(
        name="tiny",
        title="A tiny recipe",
        paper="None",
        model=lambda: km.models.PrototypicalNetwork(
            km.encoders.mlp((8,)), preprocessing=km.Preprocessing(size=8)
        ),
        stream=streams.Episodes("tiny", "train", way=4, shot=1, queries=2),
        steps=6,
        tasks=2,
        epoch_steps=2,
        augmentation=DRAWING,
        evaluations=(
            recipes.Evaluation(
                streams.Episodes("tiny", way=3, shot=1, queries=5), episodes=8
            ),
            recipes.Evaluation(
                streams.Episodes(
                    "tiny", way=3, shot=1, queries=5, within_groups=True
                ),
                episodes=8,
                published=99.0,
            ),
        ),
    )


class Interrupt(Exception):
    pass


def interrupted(recipe, folder, monkeypatch, epochs):
    """Runs until after so many epochs, then dies."""
    whole = ResumableTraining.on_epoch_end

    def dies(self, epoch, logs=None):
        if epoch == epochs:
            raise Interrupt
        whole(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableTraining, "on_epoch_end", dies)
        with pytest.raises(Interrupt):
            train.train(recipe, folder, verbose=0)


def test_a_resumed_run_ends_like_an_unbroken_one(recipe, tmp_path, monkeypatch):
    whole, state = train.train(recipe, tmp_path / "whole", verbose=0)
    interrupted(recipe, tmp_path / "broken", monkeypatch, epochs=1)
    again, resumed = train.train(
        recipe, tmp_path / "broken", resume=True, verbose=0
    )
    assert state["epochs"] == resumed["epochs"] == 3
    assert state["history"].keys() == resumed["history"].keys()
    np.testing.assert_allclose(
        state["history"]["loss"], resumed["history"]["loss"], rtol=1e-4
    )
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_that_is_saved_within_an_epoch_changes_not_a_bit(
    recipe, tmp_path, monkeypatch
):
    whole, state = train.train(recipe, tmp_path / "whole", verbose=0)
    write = checkpoint.write

    def dies(*arguments):
        write(*arguments)
        if arguments[2]["steps"] == 1 and arguments[2]["epochs"] == 1:
            raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", dies)
        with pytest.raises(Interrupt):
            train.train(recipe, tmp_path / "run", verbose=0, save_steps=1)
    again, resumed = train.train(recipe, tmp_path / "run", True, verbose=0)
    assert state["history"] == resumed["history"]
    assert resumed["episodes"] == recipe.steps * recipe.tasks
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_without_a_counter_goes_on(recipe, tmp_path, monkeypatch):
    """An older version wrote none, and saved after whole epochs alone."""
    whole, _ = train.train(recipe, tmp_path / "whole", verbose=0)
    interrupted(recipe, tmp_path / "run", monkeypatch, epochs=1)
    file = tmp_path / "run" / checkpoint.CHECKPOINT
    state = checkpoint.read_state(tmp_path / "run")
    old = {k: v for k, v in state.items() if k not in ("episodes", "steps")}
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            if name == checkpoint.STATE:
                data = json.dumps(old)
            archive.writestr(name, data)
    again, _ = train.train(recipe, tmp_path / "run", True, verbose=0)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_replicas_share_the_tasks_of_a_step(recipe, tmp_path, strategy):
    alone, state = train.train(recipe, tmp_path / "alone", verbose=0)
    shared, same = train.train(
        recipe, tmp_path / "shared", verbose=0, strategy=strategy
    )
    np.testing.assert_allclose(
        same["history"]["loss"], state["history"]["loss"], rtol=1e-4
    )
    for a, b in zip(alone.get_weights(), shared.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    odd = dataclasses.replace(recipe, tasks=3)
    with pytest.raises(ValueError, match="3 tasks, which 2 replicas cannot"):
        train.train(odd, tmp_path / "odd", strategy=strategy)
    assert not (tmp_path / "odd").exists()


def test_tensorboard_logs_are_written_on_request(recipe, tmp_path):
    train.train(recipe, tmp_path, tensorboard=True, verbose=0)
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_a_run_is_not_overwritten_nor_mixed_up(recipe, tmp_path):
    train.train(recipe, tmp_path, verbose=0)
    with pytest.raises(ValueError, match="--resume"):
        train.train(recipe, tmp_path, verbose=0)
    three_way = dataclasses.replace(recipe.stream, way=3)
    other = dataclasses.replace(recipe, stream=three_way)
    with pytest.raises(ValueError, match="another recipe"):
        train.train(other, tmp_path, resume=True, verbose=0)
    # A finished run is loaded, not trained on.
    _, state = train.train(recipe, tmp_path, resume=True, verbose=0)
    assert state["epochs"] == 3


def test_a_run_is_not_resumed_with_another_model(recipe, tmp_path):
    """`recipe.json` does not hold the model, the state of a run does."""
    train.train(recipe, tmp_path, verbose=0)
    wider = dataclasses.replace(
        recipe,
        model=lambda: km.models.PrototypicalNetwork(
            km.encoders.mlp((9,)), preprocessing=km.Preprocessing(size=8)
        ),
    )
    assert wider.record() == recipe.record()
    with pytest.raises(ValueError, match="made with another model"):
        train.train(wider, tmp_path, resume=True, verbose=0)


@pytest.mark.parametrize("field", ["loss", "optimizer"])
def test_an_unknown_name_in_a_recipe_is_an_error(recipe, field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of"):
        dataclasses.replace(recipe, **{field: "best"})


def test_a_preset_is_written_measured_and_described(recipe, tmp_path):
    model, state = train.train(recipe, tmp_path / "run", verbose=0)
    preset = tmp_path / "preset"
    train.write_preset(recipe, model, state, preset)
    results = [evaluate.evaluate(model, e) for e in recipe.evaluations]
    evaluate.write_results(preset, results)
    assert sorted(path.name for path in preset.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "config.json",
        "model.weights.h5",
        "recipe.json",
        "results.json",
    ]
    assert (preset / "README.md").read_text() == cards.render(preset)
    card = cards.render(preset)
    assert f"{results[0].numbers['accuracy']:.2f}" in card
    assert "(99.0)" in card and "within one alphabet" in card
    assert json.loads((preset / "recipe.json").read_text())["steps"] == 6
    # New weights are not described by old measurements.
    train.write_preset(recipe, model, state, preset)
    assert not (preset / "results.json").exists()


@pytest.fixture
def pairs(recipe):
    """A Siamese network that is trained on pairs."""
    return dataclasses.replace(
        recipe,
        model=lambda: km.models.SiameseNetwork(
            keras.Sequential(
                [keras.layers.Flatten(), keras.layers.Dense(16, "relu")]
            ),
            preprocessing=km.Preprocessing(size=8),
        ),
        stream=streams.Pairs("tiny", "train", within_groups=True),
        loss="binary_cross_entropy",
        clip_norm=1.0,
        tasks=64,
        steps=40,
        epoch_steps=20,
        augmentation=None,
        learning_rate=0.01,
    )


def test_random_weights_do_not_look_right_on_pairs(pairs):
    """A pair has one class, so the largest of its scores says nothing."""
    model = pairs.model()
    train.compile_model(model, pairs)
    drawn = pairs.stream.elements(seed=0).batch(64).take(4)
    scores = model.predict(drawn, verbose=0)
    same = np.concatenate([query_y for _, query_y in drawn])
    share = np.mean((scores > 0.5) == (same == 1))
    logs = model.evaluate(drawn, return_dict=True, verbose=0)
    assert set(logs) == {"loss", "pair_accuracy"}
    assert logs["pair_accuracy"] == pytest.approx(share, abs=1e-6)
    assert 0.2 < share < 0.8
    measured = recipes.Evaluation(pairs.stream, episodes=256, seed=0)
    found = evaluate.evaluate(model, measured).numbers
    assert found["accuracy"] == pytest.approx(100 * share, abs=1e-3)


def test_a_recipe_of_pairs_trains_and_is_measured(pairs, tmp_path):
    model, state = train.train(pairs, tmp_path / "run", verbose=0)
    assert state["history"]["loss"][1] < state["history"]["loss"][0]
    assert 0.4 < state["history"]["pair_accuracy"][0] < 0.95
    measured = recipes.Evaluation(
        streams.Pairs("tiny", rotations=False, within_groups=True),
        episodes=400,
    )
    found = evaluate.evaluate(model, measured)
    assert found.numbers["accuracy"] > 60
    share = found.numbers["accuracy"] / 100
    # A pair is right or wrong, so its variance is known.
    expected = 196 * (share * (1 - share) / 400) ** 0.5
    assert found.numbers["interval"] == pytest.approx(expected, abs=1e-3)
    train.write_preset(pairs, model, state, tmp_path / "preset")
    evaluate.write_results(tmp_path / "preset", [found])
    card = cards.render(tmp_path / "preset")
    assert "40 of 64 pairs within one alphabet each" in card
    assert "gradients clipped to a norm of 1.0" in card


def test_a_recipe_of_descriptions_trains_and_is_measured(
    recipe, tmp_path, monkeypatch
):
    def descriptions(labels):
        names = np.unique(labels)
        return dict(zip(names, np.eye(len(names)), strict=True))

    monkeypatch.setitem(datasets.DESCRIPTIONS, "tiny", descriptions)
    zero_shot = dataclasses.replace(
        recipe,
        model=lambda: km.models.ZeroShotPrototypicalNetwork(
            km.encoders.mlp((8,)), keras.layers.Dense(8)
        ),
        stream=streams.ZeroShot("tiny", "train", way=4, queries=2),
    )
    model, state = train.train(zero_shot, tmp_path / "run", verbose=0)
    measured = recipes.Evaluation(
        streams.ZeroShot("tiny", way=5, queries=5), episodes=8
    )
    found = evaluate.evaluate(model, measured)
    train.write_preset(zero_shot, model, state, tmp_path / "preset")
    evaluate.write_results(tmp_path / "preset", [found])
    assert "5-way zero-shot" in cards.render(tmp_path / "preset")
    monkeypatch.delitem(datasets.DESCRIPTIONS, "tiny")
    with pytest.raises(ValueError, match="no data set with descriptions"):
        measured.stream.elements(seed=0)


def fake_birds(folder, classes=110, each=12, attributes=312):
    """The files of CUB-200-2011 with made-up birds."""
    names = [f"{k:03d}.Bird" for k in range(classes)]
    owners = np.repeat(np.arange(classes), each)
    lists = {
        "classes": [f"{k} {name}" for k, name in enumerate(names)],
        "images": [f"{i} {k}/{i}.jpg" for i, k in enumerate(owners)],
        "image_class_labels": [f"{i} {k}" for i, k in enumerate(owners)],
        "trainclasses": names[:50],
        "valclasses": names[50:60],
        "testclasses": names[60:],
    }
    (folder / "attributes").mkdir(parents=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 101, (classes, attributes))
    np.savetxt(
        folder / "attributes/class_attribute_labels_continuous.txt", seen
    )
    # Pictures show their attributes.
    features = seen[owners] / 100 + rng.normal(0, 0.1, (len(owners), 1))
    np.save(folder / "features.npy", features.astype("float32"))


def test_the_recipe_of_birds_runs_when_the_files_are_there(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    birds = dataclasses.replace(
        recipes.find("zero_shot_prototypical_network_cub"),
        steps=40,
        epoch_steps=20,
        learning_rate=1e-3,
    )
    with pytest.raises(ValueError, match="must hold the file"):
        train.train(birds, tmp_path / "run", verbose=0)
    fake_birds(tmp_path / "datasets/CUB_200_2011")
    (measured,) = birds.evaluations
    model, _ = train.train(birds, tmp_path / "again", verbose=0)
    found = evaluate.evaluate(model, dataclasses.replace(measured, episodes=4))
    # Chance is 2 %.
    assert found.record()["way"] == 50 and found.numbers["accuracy"] > 20


def test_an_evaluation_counts_its_episodes_and_leaves_the_statistics(recipe):
    model = recipe.model()
    model.statistics = "support"
    found = evaluate.evaluate(model, recipe.evaluations[0])
    again = evaluate.evaluate(model, recipe.evaluations[0])
    assert found == again
    assert found.record()["statistics"] == "running"
    assert model.statistics == "support"
    assert 0 <= found.numbers["accuracy"] <= 100
    episodes = evaluate.evaluation_episodes(recipe.evaluations[0])
    assert sum(len(query_y) for _, query_y in episodes) == 8


def test_an_unknown_recipe_or_data_set_lists_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'prototypical"):
        recipes.find("prototypical_network_glyph")
    with pytest.raises(ValueError, match="Did you mean 'omniglot"):
        datasets.load_split("omniglott", "test")
    with pytest.raises(ValueError, match="`rotations` must be False"):
        datasets.load_split("cub", "test", rotations=True)


@pytest.fixture
def sinusoids():
    """Reptile on sinusoids: no data set, another optimizer and unit."""
    network = keras.Sequential(
        [keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)]
    )
    return recipes.Recipe(
        name="tiny_sinusoid",
        title="A tiny recipe of regression",
        paper="None",
        model=lambda: km.models.Reptile(
            keras.models.clone_model(network), inner_loss="mean_squared_error"
        ),
        stream=streams.Sinusoids(shot=10, queries=5),
        steps=6,
        tasks=2,
        epoch_steps=2,
        learning_rate=1.0,
        optimizer="sgd",
        loss="mean_squared_error",
        evaluations=(
            recipes.Evaluation(
                streams.Sinusoids(shot=10),
                statistics="batch",
                inner_steps=3,
                episodes=8,
            ),
        ),
    )


def test_a_gradient_based_run_resumes_with_its_inner_moments(
    sinusoids, tmp_path, monkeypatch
):
    whole, _ = train.train(sinusoids, tmp_path / "whole", verbose=0)
    assert float(whole.inner_state[-1]) == 6 * whole.inner_steps
    interrupted(sinusoids, tmp_path / "stopped", monkeypatch, epochs=1)
    resumed, _ = train.train(
        sinusoids, tmp_path / "stopped", resume=True, verbose=0
    )
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_recipe_of_regression_is_measured_and_described(sinusoids, tmp_path):
    model, state = train.train(sinusoids, tmp_path / "run", verbose=0)
    preset = tmp_path / "preset"
    train.write_preset(sinusoids, model, state, preset)
    results = [evaluate.evaluate(model, e) for e in sinusoids.evaluations]
    evaluate.write_results(preset, results)
    card = (preset / "README.md").read_text("utf-8")
    assert (
        "| sinusoids | 10-shot, 3 inner steps | batch | squared error" in card
    )
    assert "SGD, learning rate 1.0 to 0 along a line" in card
    assert "Mean squared error over 8 tasks with 15 queries" in card
    assert "FewShotClassifier" not in card


@pytest.mark.parametrize("way", [5, 3])
def test_a_run_begins_with_the_network_of_a_preset(recipe, way):
    later = dataclasses.replace(
        recipe,
        start="fomaml_omniglot_5way",
        model=lambda: km.models.MAML(
            keras.Sequential(
                [
                    km.encoders.conv4_strided(filters=64),
                    keras.layers.Dense(way),
                ]
            )
        ),
    )
    model = later.model()
    train.compile_model(model, later)
    encoder, head = model.network.layers
    start_encoder, start_head = zoo.load(later.start).network.layers
    # Moving averages are weights as well.
    for ours, theirs in zip(
        encoder.get_weights(), start_encoder.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    same_head = [
        np.array_equal(ours, theirs)
        for ours, theirs in zip(
            head.get_weights(), start_head.get_weights(), strict=True
        )
    ]
    assert same_head == [way == 5] * 2


def test_a_run_of_any_model_begins_with_a_preset(recipe):
    def model():
        return km.models.PrototypicalNetwork(km.encoders.conv4(filters=64))

    later = dataclasses.replace(
        recipe, start="prototypical_network_glyphs", model=model
    )
    ours, theirs = model(), zoo.load(later.start)
    train.compile_model(ours, later)
    assert ours.optimizer is not None
    for own, other in zip(
        ours.get_weights(), theirs.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(own, other)


def test_a_network_with_a_head_begins_with_the_encoder_of_a_preset(recipe):
    later = dataclasses.replace(
        recipe,
        start="prototypical_network_glyphs",
        model=lambda: km.models.MAML(
            keras.Sequential(
                [km.encoders.conv4(filters=64), keras.layers.Dense(5)]
            )
        ),
    )
    model = later.model()
    train.compile_model(model, later)
    encoder, _ = model.network.layers
    for ours, theirs in zip(
        encoder.get_weights(),
        zoo.load(later.start).encoder.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_on_sequences_begins_with_a_preset():
    recipe = recipes.find("mann_omniglot_5way")
    later = dataclasses.replace(recipe, start=recipe.name)
    ours, theirs = train.untrained_model(later), zoo.load(recipe.name)
    train.compile_model(ours, later)
    for own, other in zip(
        ours.get_weights(), theirs.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize(
    "encoder",
    [
        # Other shapes, another number of layers, other inputs.
        lambda: km.encoders.conv4(filters=8),
        lambda: keras.Sequential([keras.layers.Flatten()]),
        lambda: keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)]),
    ],
)
def test_a_start_that_fits_no_layer_is_an_error(recipe, encoder):
    later = dataclasses.replace(
        recipe,
        start="prototypical_network_glyphs",
        model=lambda: km.models.PrototypicalNetwork(encoder()),
    )
    with pytest.raises(ValueError, match="`start` must name a preset.*glyphs"):
        train.compile_model(later.model(), later)


@pytest.mark.parametrize(
    "name", [name for name, r in recipes.RECIPES.items() if r.start]
)
def test_no_recipe_begins_with_weights_that_saw_its_test_classes(name):
    recipe = recipes.find(name)
    start = recipes.find(recipe.start)
    for field in ("dataset", "split", "rotations"):
        assert recipe.record()[field] == start.record()[field]


def test_recipes_say_where_they_begin_and_which_split_is_harder():
    for recipe in recipes.RECIPES.values():
        if recipe.start:
            assert f"`{recipe.start}`" in recipe.changes, recipe.name
        if recipe.name.endswith("random1200"):
            assert "harder" not in recipe.changes, recipe.name
