"""The answers of the demo, without a page."""

import io

import numpy as np
import pytest
from demo_drawings import drawing, examples, file_of
from PIL import Image

import keras_meta as km
import zoo
from zoo import demo_answers


@pytest.fixture(scope="module")
def model():
    return zoo.load("prototypical_network_omniglot")


@pytest.fixture(scope="module")
def learned(model):
    # One of them is still without a picture.
    classes = (examples("ring"), ("empty", ()), examples("cross", 3))
    return demo_answers.learn(model, classes)


@pytest.mark.parametrize("name, place", [("ring", 0), ("cross", 2)])
def test_a_drawing_gets_its_class_its_neighbours_and_its_place(
    model, learned, name, place
):
    found = demo_answers.answer(learned, model, drawing(name, 70))
    assert (found["missing"], found["label"]) == ("", place)
    assert found["calibrated"]
    (first, share), (_, other) = found["probabilities"]
    assert first == place and share == found["confidence"] > other
    assert share + other == pytest.approx(1, abs=1e-4)
    distances = [one["distance"] for one in found["nearest"]]
    assert distances == sorted(distances)
    assert found["nearest"][0]["class"] == place
    image = Image.open(io.BytesIO(found["seen"]))
    assert image.size == (28, 28) and image.getpixel((0, 0)) == 255


def test_the_map_keeps_distances_as_well_as_a_plane_can(model, learned):
    found = demo_answers.answer(learned, model, drawing("ring", 70))
    points = found["map"]["points"]
    places = [(k, i) for k, i, _, _ in points]
    assert places == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]
    everything = np.array([[x, y] for _, _, x, y in points])
    query = np.array(found["map"]["query"])
    nearest = found["nearest"][0]
    row = places.index((nearest["class"], nearest["picture"]))
    flat = np.linalg.norm(everything - query, axis=1)
    # A projection shortens; the classes here are far from each other.
    distances = {
        (o["class"], o["picture"]): o["distance"] for o in found["nearest"]
    }
    for place, distance in distances.items():
        assert flat[places.index(place)] <= distance + 1e-4
    assert flat[row] < flat[2:].min()
    assert len(found["map"]["axes"]) == 2


def test_without_a_query_there_is_a_map_and_what_to_do(model, learned):
    found = demo_answers.answer(learned, model, None)
    assert "new picture" in found["missing"]
    assert len(found["map"]["points"]) == 5 and found["map"]["query"] is None
    assert found["label"] is found["nearest"] is found["seen"] is None


@pytest.mark.parametrize(
    "classes, text",
    [
        ((), "No classes yet"),
        ((("a", ()), ("b", ())), "No classes yet"),
        ((examples("ring"), ("b", ())), "one class so far, 'ring'"),
    ],
)
def test_too_few_classes_are_explained(model, classes, text):
    learned = demo_answers.learn(model, classes)
    for query in (None, drawing("ring")):
        found = demo_answers.answer(learned, model, query)
        assert text in found["missing"]
        assert found["label"] is found["map"] is None
        # What is drawn is seen nevertheless.
        assert (found["seen"] is None) == (query is None)


def test_one_example_of_a_class_is_enough_but_calibrates_nothing(model):
    classes = (examples("ring", 1), examples("bar", 3))
    learned = demo_answers.learn(model, classes)
    found = demo_answers.answer(learned, model, drawing("bar", 50))
    assert found["label"] == 1 and not found["calibrated"]


def test_the_classes_are_those_of_a_classifier(model, learned):
    """The page says what `FewShotClassifier` says of the same pictures."""
    classes = (examples("ring"), examples("cross", 3))
    pictures = [
        np.asarray(Image.open(io.BytesIO(file)))
        for _, files in classes
        for file in files
    ]
    classifier = km.FewShotClassifier(model).fit(
        pictures, ["ring"] * 2 + ["cross"] * 3, calibrate=True
    )
    query = drawing("cross", 75)
    found = demo_answers.answer(learned, model, query)
    image = np.asarray(Image.open(io.BytesIO(query)))
    shares = dict(
        zip(
            classifier.classes_,
            classifier.predict_proba([image])[0].tolist(),
            strict=True,
        )
    )
    for place, share in found["probabilities"]:
        name = {0: "ring", 2: "cross"}[place]
        assert share == pytest.approx(shares[name], abs=1e-5)


def test_what_cannot_be_learned_is_an_error(model):
    ring, bar = examples("ring"), examples("bar")
    with pytest.raises(ValueError, match="called 'ring'"):
        demo_answers.learn(model, (ring, bar, ring))
    blank = file_of(Image.new("L", (256, 256), 255))
    with pytest.raises(ValueError, match="example of 'x' is empty"):
        demo_answers.learn(model, (ring, ("x", (blank,))))
    with pytest.raises(ValueError, match="new picture is empty"):
        demo_answers.answer(
            demo_answers.learn(model, (ring, bar)), model, blank
        )
    many = ("many", ring[1] * demo_answers.PICTURES)
    with pytest.raises(ValueError, match=f"{demo_answers.PICTURES} pictures"):
        demo_answers.learn(model, (bar, many))


def test_a_model_that_embeds_nothing_has_no_map(model):
    maml = zoo.load("maml_omniglot_5way")
    classes = (examples("ring"), examples("cross"), examples("bar"))
    learned = demo_answers.learn(maml, classes)
    # It takes the moments of all queries at once, and gets one query.
    assert maml.transductive
    for place, (name, _) in enumerate(classes):
        found = demo_answers.answer(learned, maml, drawing(name, 70))
        assert found["label"] == place and len(found["probabilities"]) == 3
        assert found["map"] is found["nearest"] is None
        # Examples left out would each take the steps of learning anew.
        assert not found["calibrated"]


def test_a_colour_model_of_another_range_gets_what_it_expects():
    prepare = km.Preprocessing(28, channels=3, value_range=(-1, 1))
    model = km.models.PrototypicalNetwork(
        km.encoders.conv4(filters=8), preprocessing=prepare
    )

    def photo(red):
        rows = np.linspace(0, 255, 40)[:, None].repeat(60, 1)
        pixels = np.stack([rows * red, rows * (1 - red), rows], axis=-1)
        return file_of(Image.fromarray(pixels.astype("uint8")))

    classes = (("red", (photo(1.0),)), ("green", (photo(0.0),)))
    learned = demo_answers.learn(model, classes)
    found = demo_answers.answer(learned, model, photo(0.9))
    assert found["label"] == found["nearest"][0]["class"] == 0
    seen = np.asarray(Image.open(io.BytesIO(found["seen"])), int)
    assert seen.shape == (28, 28, 3)
    assert seen[..., 0].mean() > 5 * seen[..., 1].mean()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_a_file_becomes_a_small_picture(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    file = file_of(Image.new(mode, (1000, 400)), kind)
    picture = Image.open(io.BytesIO(demo_answers.read_picture(file, "it")))
    assert picture.size == (512, 205) and picture.format == "PNG"


def test_what_is_transparent_shows_white():
    file = file_of(Image.new("RGBA", (20, 10), (0, 0, 0, 0)))
    picture = Image.open(io.BytesIO(demo_answers.read_picture(file, "it")))
    assert picture.size == (20, 10)
    assert picture.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("cut", [0, 60])
def test_a_file_that_is_no_picture_is_named(cut):
    with pytest.raises(ValueError, match="^notes.txt cannot be read as a pic"):
        demo_answers.read_picture(drawing("ring")[:cut], "notes.txt")


def test_a_classifier_opens_with_its_classes(model, tmp_path):
    images, _ = km.data.load_glyphs("test")
    labels = [7, 7, 3, 3]
    km.FewShotClassifier(model).fit(images[:4], labels).save(tmp_path / "it")
    _, classes = demo_answers.opening("it", tmp_path / "it")
    assert [(name, len(files)) for name, files in classes] == [
        ("7", 2),
        ("3", 2),
    ]
    shown = np.asarray(Image.open(io.BytesIO(classes[1][1][0])))
    # Black on white, and again what the model was given.
    (again,) = model.preprocessing([shown])
    given = model.preprocessing(images[2:3])[0]
    np.testing.assert_allclose(again, given, atol=1 / 255)


def test_a_preset_opens_without_classes_if_it_learns_pictures(tmp_path):
    name = "prototypical_network_glyphs"
    model, classes = demo_answers.opening(name, zoo.preset_directory(name))
    assert model.built and classes == ()
    name = "maml_sinusoid"
    with pytest.raises(ValueError, match="for regression"):
        demo_answers.opening(name, zoo.preset_directory(name))
