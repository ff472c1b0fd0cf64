"""mini-ImageNet is read in both layouts in which people have it."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

import keras_meta as km
from zoo import datasets, evaluate, recipes, train

COUNTS = {"train": 64, "val": 16, "test": 20}


def write_picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 12, 3), value, "uint8")).save(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two classes' worth of pictures in each class, one layout in each."""
    root = tmp_path_factory.mktemp("mini_imagenet")
    for split, count in COUNTS.items():
        lines = ["filename,label"]
        for number in range(count):
            label = f"n{split}{number:02}"
            for picture in range(2):
                name = f"{label}_{picture}.png"
                write_picture(root / "by_class" / split / label / name, number)
                write_picture(root / "by_table/images" / name, number)
                lines.append(f"{name},{label}")
        (root / f"by_table/{split}.csv").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize("layout", ["by_class", "by_table"])
@pytest.mark.parametrize(
    "split, name", [("train", "train"), ("validation", "val"), ("test", "test")]
)
def test_both_layouts_have_the_same_pictures(layout, split, name, folders):
    examples, labels = km.data.load_mini_imagenet(folders / layout, split)
    assert examples.shape == (2 * COUNTS[name], 84, 84, 3)
    assert labels[:3].tolist() == [f"n{name}00"] * 2 + [f"n{name}01"]
    found = 255 * examples.numpy()[:, 0, 0, 0]
    expected = np.repeat(np.arange(COUNTS[name]), 2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_episodes_are_drawn_from_it(folders):
    loaded = km.data.load_mini_imagenet(folders / "by_table", "test", size=20)
    episodes = km.data.episode_dataset(
        *loaded, way=5, shot=1, queries=1, seed=0
    )
    (episode, _), *_ = episodes.take(1)
    assert episode["query_x"].shape == (5, 20, 20, 3)


def test_a_whole_preprocessing_is_that_of_the_photographs(folders):
    prepare = km.Preprocessing(12, 3, value_range=(0, 255))
    examples, _ = km.data.load_mini_imagenet(
        folders / "by_class", "test", preprocessing=prepare
    )
    assert examples.preprocessing == prepare
    assert examples.numpy().max() == pytest.approx(19)


def test_a_folder_of_neither_layout_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must hold mini-ImageNet"):
        km.data.load_mini_imagenet(tmp_path, "train")


def test_another_number_of_classes_is_an_error(folders, tmp_path):
    for label in ("a", "b"):
        write_picture(tmp_path / "train" / label / "x.png", 0)
    with pytest.raises(ValueError, match="must have 64 classes.*with 2"):
        km.data.load_mini_imagenet(tmp_path, "train")


def test_an_unknown_split_is_an_error(folders):
    with pytest.raises(ValueError, match="split"):
        km.data.load_mini_imagenet(folders / "by_class", "trainval")


def test_the_recipe_runs_when_the_photographs_are_there(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    recipe = recipes.find("meta_lstm_mini_imagenet_5way_1shot")
    recipe = dataclasses.replace(
        recipe,
        stream=dataclasses.replace(recipe.stream, queries=1),
        steps=2,
        epoch_steps=1,
    )
    with pytest.raises(ValueError, match="must hold mini-ImageNet"):
        train.train(recipe, tmp_path / "run", verbose=0)
    shutil.copytree(folders / "by_class", tmp_path / "datasets/mini_imagenet")
    model, state = train.train(recipe, tmp_path / "again", verbose=0)
    assert np.isfinite(state["history"]["loss"]).all()
    (measured,) = recipe.evaluations
    stream = dataclasses.replace(measured.stream, queries=1)
    found = evaluate.evaluate(
        model, dataclasses.replace(measured, stream=stream, episodes=2)
    )
    assert 0 <= found.numbers["accuracy"] <= 100


def test_photographs_are_not_turned():
    with pytest.raises(ValueError, match="`rotations` must be False"):
        datasets.load_split("mini-imagenet", "test")
