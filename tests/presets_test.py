"""A preset comes back whole or not at all."""

import json
import os

import h5py
import keras
import numpy as np
import pytest

import keras_meta as km
from keras_meta import presets


def built():
    model = km.models.PrototypicalNetwork(
        km.encoders.mlp((8,)),
        distance="manhattan",
        preprocessing=km.Preprocessing(size=(6, 5), channels=3),
    )
    model(episode())
    return model


def episode():
    rng = np.random.default_rng(0)
    return {
        "support_x": rng.random((1, 2, 6, 5, 3)).astype("float32"),
        "support_y": np.eye(2, dtype="float32")[None],
        "query_x": rng.random((1, 3, 6, 5, 3)).astype("float32"),
    }


def test_a_preset_is_config_weights_and_sums(tmp_path):
    model = built()
    presets.save(model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "SHA256SUMS",
        "config.json",
        "model.weights.h5",
    ]
    loaded = presets.load(tmp_path)
    assert loaded.preprocessing == model.preprocessing
    assert loaded.distance is km.distances.manhattan
    np.testing.assert_array_equal(loaded(episode()), model(episode()))


def test_a_class_loads_its_presets_by_name_and_folder(tmp_path):
    model = built()
    model.save_to_preset(tmp_path)
    loaded = km.models.PrototypicalNetwork.from_preset(tmp_path)
    np.testing.assert_array_equal(loaded(episode()), model(episode()))
    pretrained = km.models.EpisodicModel.from_preset(
        "prototypical_network_glyphs"
    )
    assert type(pretrained) is km.models.PrototypicalNetwork
    with pytest.raises(ValueError, match="`name` .* of a MatchingNetwork"):
        km.models.MatchingNetwork.from_preset(tmp_path)
    with pytest.raises(ValueError, match="Did you mean"):
        km.models.EpisodicModel.from_preset("prototypical_network_glyph")


def functional_network(outputs=4):
    """A functional model, as all of `keras.applications` are."""
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.Concatenate()([inputs, keras.layers.ReLU()(x)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


FUNCTIONAL = {
    "metric": lambda: km.models.PrototypicalNetwork(functional_network()),
    "two": lambda: km.models.MatchingNetwork(
        functional_network(), support_encoder=functional_network()
    ),
    "within": lambda: km.models.SiameseNetwork(
        keras.Sequential([functional_network(), keras.layers.Dense(3)])
    ),
    "gradient": lambda: km.models.MAML(functional_network(2)),
}


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_a_functional_network_comes_back(name, tmp_path):
    model = FUNCTIONAL[name]()
    expected = np.array(model(episode()))
    presets.save(model, tmp_path / "preset")
    found = presets.load(tmp_path / "preset")(episode())
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    images = np.random.default_rng(1).random((4, 6, 5, 3)).astype("float32")
    classifier = km.FewShotClassifier(model).fit(images, ["a", "b"] * 2)
    classifier.save(tmp_path / "classifier")
    loaded = km.FewShotClassifier.load(tmp_path / "classifier")
    np.testing.assert_allclose(
        loaded.predict_proba(images),
        classifier.predict_proba(images),
        rtol=1e-6,
    )


def recurrent():
    """A plain Keras model with a registered layer of this package."""
    cell = km.layers.NTMCell(units=6, memory_slots=5, memory_width=4)
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.RNN(cell, return_sequences=True),
            keras.layers.Dense(2, "sigmoid"),
        ]
    )


@keras.saving.register_keras_serializable("presets_test")
class Doubled(keras.Model):
    """A user's own class of models."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return 2 * self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Unregistered(Doubled):
    """A class that a config cannot name."""


PLAIN = {
    "sequential": lambda: (recurrent(), np.ones((2, 7, 3), "float32")),
    "functional": lambda: (
        functional_network(),
        episode()["query_x"][0],
    ),
    "own": lambda: (Doubled(4), np.ones((2, 3), "float32")),
}


@pytest.mark.parametrize("name", PLAIN)
def test_any_keras_model_comes_back(name, tmp_path):
    model, inputs = PLAIN[name]()
    expected = np.array(model(inputs))
    presets.save(model, tmp_path)
    loaded = presets.load(tmp_path)
    assert type(loaded) is type(model) and not loaded.compiled
    np.testing.assert_allclose(loaded(inputs), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="`model` must be a .*EpisodicModel"):
        km.FewShotClassifier(loaded)


def test_a_class_that_is_not_registered_is_refused_before_anything_is_written(
    tmp_path,
):
    model = Unregistered(4)
    model(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match="`model` must have a config.*regist"):
        presets.save(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_layer_is_no_model(tmp_path):
    presets.save(recurrent(), tmp_path)
    config = keras.saving.serialize_keras_object(keras.layers.Dense(2))
    presets.write_json(tmp_path / "config.json", config)
    presets.write_sums(tmp_path)
    with pytest.raises(ValueError, match="config.json: it holds a Dense, no"):
        presets.load(tmp_path)


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_a_config_serves_more_than_once(name):
    model = FUNCTIONAL[name]()
    config = keras.saving.serialize_keras_object(model)
    before = json.dumps(config)
    for _ in range(2):
        keras.saving.deserialize_keras_object(config)
    assert json.dumps(config) == before


def test_a_trained_model_is_saved_without_its_optimizer(tmp_path):
    model = built()
    model.compile("adam", keras.losses.CategoricalCrossentropy(True))
    model.train_on_batch(episode(), np.zeros((1, 3, 2), "float32"))
    presets.save(model, tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        stored = []
        file.visititems(lambda _, item: stored.append(getattr(item, "size", 0)))
    assert sum(stored) == model.count_params()
    config = json.loads((tmp_path / "config.json").read_text())
    assert "compile_config" not in config
    assert not presets.load(tmp_path).compiled


def test_weights_are_rounded_on_request(tmp_path):
    model = built()
    presets.save(model, tmp_path / "whole")
    presets.save(model, tmp_path / "half", half_precision=True)
    whole, half = (
        (tmp_path / name / "model.weights.h5") for name in ("whole", "half")
    )
    assert half.stat().st_size < whole.stat().st_size
    loaded = presets.load(tmp_path / "half")
    for weight, value in zip(loaded.weights, model.get_weights(), strict=True):
        assert weight.dtype == "float32"
        np.testing.assert_array_equal(weight, value.astype("float16"))


def test_weights_saved_again_replace_the_old_ones(tmp_path):
    presets.save(built(), tmp_path)
    changed = built()
    changed.encoder.layers[1].kernel.assign_add(
        np.ones(changed.encoder.layers[1].kernel.shape)
    )
    presets.save(changed, tmp_path)
    np.testing.assert_array_equal(
        presets.load(tmp_path)(episode()), changed(episode())
    )


@pytest.mark.parametrize("make", [built, recurrent])
@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_damaged_file_is_named(name, make, tmp_path):
    presets.save(make(), tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-7] + b"garbage")
    with pytest.raises(ValueError, match=f"{name}' is damaged"):
        presets.load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=f"without {name}"):
        presets.load(tmp_path)


@pytest.mark.parametrize("make", [built, recurrent])
def test_a_preset_without_sums_that_is_damaged_cannot_be_loaded(make, tmp_path):
    presets.save(make(), tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    (tmp_path / "model.weights.h5").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="cannot be loaded"):
        presets.load(tmp_path)


def test_no_code_of_a_preset_is_run(tmp_path):
    presets.save(built(), tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    stolen = keras.saving.serialize_keras_object(
        keras.layers.Lambda(lambda x: x)
    )
    config["config"]["encoder"] = stolen
    path.write_text(json.dumps(config))
    presets.write_sums(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded"):
        presets.load(tmp_path)


def test_an_unbuilt_model_is_not_saved(tmp_path):
    model = km.models.PrototypicalNetwork(km.encoders.mlp((8,)))
    with pytest.raises(ValueError, match="must be built"):
        presets.save(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


class TestFilesOfTheUser:
    NAMES = ("log.csv", "README.md", "results.json", "notes/a.txt", ".hidden")

    def write(self, folder, text):
        for name in self.NAMES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    @pytest.mark.parametrize("kind", ["preset", "classifier"])
    def test_they_may_change(self, kind, tmp_path):
        self.write(tmp_path, "before")
        if kind == "preset":
            save, load = lambda: presets.save(built(), tmp_path), presets.load
        else:
            images = np.random.default_rng(1).random((4, 6, 5, 3))
            classifier = km.FewShotClassifier(built()).fit(images, [1, 1, 2, 2])
            save, load = (
                lambda: classifier.save(tmp_path),
                km.FewShotClassifier.load,
            )
        save()
        presets.write_sums(tmp_path)
        self.write(tmp_path, "after")
        load(tmp_path)
        save()
        assert (tmp_path / "log.csv").read_text() == "after"
        for name in self.NAMES:
            (tmp_path / name).unlink()
        load(tmp_path)

    def test_those_of_a_preset_of_the_zoo_are_checked(self, tmp_path):
        presets.save(built(), tmp_path)
        for name in ("recipe.json", "results.json", "README.md", "log.csv"):
            (tmp_path / name).write_text("{}")
        presets.write_sums(tmp_path)
        (tmp_path / "log.csv").write_text("more")
        presets.load(tmp_path)
        for name in ("recipe.json", "results.json", "README.md"):
            (tmp_path / name).write_text("more")
            with pytest.raises(ValueError, match=f"{name}' is damaged"):
                presets.load(tmp_path)
            (tmp_path / name).unlink()
            with pytest.raises(ValueError, match=f"{name}' .*: no file"):
                presets.load(tmp_path)
            (tmp_path / name).write_text("{}")


class Killed(BaseException):
    """Ends a save as the death of the process would."""


def outcome(load, folder):
    """The predictions of what a folder holds, or None if it is refused."""
    try:
        return load(folder).predict_proba(episode()["query_x"][0])
    except ValueError as error:
        assert "damaged" in str(error) or "without" in str(error)
        return None


def same_array(one, other):
    return one.shape == other.shape and np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_an_interrupted_save_leaves_the_old_or_is_refused(
    first, tmp_path, monkeypatch
):
    """It is interrupted before each file it moves, one save after another."""
    images = np.random.default_rng(1).random((4, 6, 5, 3))
    old, new = (
        km.FewShotClassifier(built()).fit(images, labels)
        for labels in ([1, 1, 2, 2], ["a", "b", "c", "c"])
    )
    load, move = km.FewShotClassifier.load, os.replace
    results = []
    for moves in range(20):
        folder = tmp_path / str(moves)
        if not first:
            old.save(folder)
        left = moves

        def replace(source, target):
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            move(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            new.save(folder)
        except Killed:
            results.append(outcome(load, folder))
        else:
            break
        finally:
            monkeypatch.setattr(os, "replace", move)
        # The next save is as if nothing had been.
        new.save(folder)
        assert load(folder).classes_.tolist() == ["a", "b", "c"]
    assert 5 < moves < 20
    assert any(result is None for result in results)
    # Files that are alike in both need no move to be the new ones.
    query = episode()["query_x"][0]
    possible = [new] if first else [old, new]
    expected = {c: c.predict_proba(query) for c in possible}
    found = set()
    for result in results:
        if result is not None:
            same = [c for c in expected if same_array(expected[c], result)]
            assert len(same) == 1
            found.update(same)
    assert first or old in found


def test_a_failed_save_leaves_no_folder_behind(tmp_path, monkeypatch):
    presets.save(built(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(keras.Model, "save_weights", fail)
    with pytest.raises(OSError, match="no space"):
        presets.save(built(), tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after == before


def test_the_folder_of_a_killed_save_is_removed_by_the_next(tmp_path):
    with presets.replaced_files(tmp_path) as part:
        prefix = part.name[: len(presets.TEMPORARY)]
    assert prefix == presets.TEMPORARY
    presets.save(built(), tmp_path)
    left_over = tmp_path / f"{presets.TEMPORARY}abc"
    left_over.mkdir()
    (left_over / "config.json").write_text("half")
    own = tmp_path / "tmpabc"
    own.mkdir()
    presets.load(tmp_path)
    presets.write_sums(tmp_path)
    presets.save(built(), tmp_path)
    assert not left_over.exists()
    assert own.exists()
