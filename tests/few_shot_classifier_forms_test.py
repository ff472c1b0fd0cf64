"""Forms of examples and labels that a few-shot classifier takes."""

import enum

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from PIL import Image
from scan_tasks import KINDS, fitted, model, pictures

import keras_meta as km


class TestForms:
    """What `fit`, `predict` and the others take besides arrays."""

    def test_one_colour_picture_is_no_batch(self):
        classifier = fitted()
        picture = np.repeat(pictures("bar", 1)[0][..., None], 3, axis=-1)
        for use in (
            lambda: classifier.predict(picture),
            lambda: classifier.add_class(picture, "new"),
            lambda: km.FewShotClassifier(model()).fit(picture, ["a"] * 40),
        ):
            with pytest.raises(ValueError, match="put one picture in a list"):
                use()
        assert classifier.predict([picture]).tolist() == ["bar"]

    def test_pil_pictures_are_read_by_their_mode(self):
        classifier = fitted()
        for kind in KINDS:
            scan = Image.fromarray(pictures(kind, 1, seed=5)[0])
            modes = ["L", "P", "CMYK", "LA", "YCbCr", "RGBA"]
            batch = [scan.convert("RGB").convert(mode) for mode in modes]
            assert classifier.predict(batch).tolist() == [kind] * len(batch)
            # One alone needs no list.
            assert classifier.predict(batch[2]).tolist() == [kind]
        classifier.add_class(Image.new("CMYK", (9, 9)), "empty")
        assert classifier.predict(Image.new("L", (5, 5), 255)) == ["empty"]

    def test_a_folder_of_pictures_is_fitted_as_it_is(self, tmp_path):
        for kind in KINDS:
            (tmp_path / kind).mkdir()
            for number, scan in enumerate(pictures(kind, 3)):
                path = tmp_path / kind / f"{number}.png"
                Image.fromarray(scan).save(path)
        images, labels = km.data.load_image_folder(tmp_path, 28)
        support = np.arange(9) % 3 < 2
        classifier = km.FewShotClassifier(model())
        classifier.fit(images[support], labels[support])
        assert classifier.predict(images[~support]).tolist() == sorted(KINDS)
        assert classifier.score(images, labels) == 1
        bare = km.FewShotClassifier(model(preprocessing=None))
        assert bare.fit(images, labels).score(images, labels) == 1

    @pytest.mark.parametrize("empty", [(0, 15, 3), (15, 0), (15, 0, 1)])
    def test_a_picture_without_pixels_is_an_error(self, empty):
        classifier = fitted()
        scans = [*pictures("bar", 1), np.zeros(empty)]
        for use in (
            lambda: classifier.predict(scans),
            lambda: classifier.add_class(scans, "new"),
            lambda: km.FewShotClassifier(model()).fit(scans, ["a", "b"]),
        ):
            with pytest.raises(ValueError, match="at least one pixel"):
                use()

    @pytest.mark.parametrize("nothing", [[], (), np.zeros(0)])
    def test_no_images_have_no_labels(self, nothing):
        bare = km.FewShotClassifier(model(preprocessing=None))
        bare.fit(np.eye(3), KINDS)
        for classifier in (fitted(), bare):
            assert classifier.predict(nothing).shape == (0,)
            assert classifier.predict_proba(nothing).shape == (0, 3)
            with pytest.raises(ValueError, match="at least one image"):
                classifier.add_class(nothing, "new")
            with pytest.raises(ValueError, match="at least one image"):
                classifier.score(nothing, [])


# Two classes that differ by less than the rounding of a division by 255.
EXAMPLES = {
    "features": np.repeat([[-900.0, 3.5], [900.0, 2.5]], 3, axis=0),
    "integers": np.repeat([[40, 70, 3], [41, 70, 3]], 3, axis=0),
    "large integers": np.repeat([[90000, 7], [3, -70000]], 3, axis=0),
    "spectrograms": np.repeat([np.eye(4) * -80, np.ones((4, 4))], 3, axis=0),
    "triples": np.repeat([np.ones((5, 3)), -np.ones((5, 3))], 3, axis=0),
    "videos": np.random.default_rng(0).normal(size=(6, 2, 3, 3, 1)),
    "images": np.random.default_rng(0).random((6, 5, 5, 3)),
    "bytes": np.arange(24, dtype="uint8").reshape(6, 4),
    "byte images": np.arange(96).reshape(6, 4, 4, 1) * 2,
}


class TestWithoutPreprocessing:
    @pytest.mark.parametrize("kind", EXAMPLES)
    def test_examples_are_those_of_an_episode(self, kind):
        """The model sees what `episode_dataset` would draw."""
        examples = EXAMPLES[kind]
        labels = np.repeat(["a", "b"], 3)
        dataset = km.data.episode_dataset(examples, labels, 2, 3, 0, seed=0)
        drawn = next(iter(dataset))[0]["support_x"].numpy()
        classifier = km.FewShotClassifier(model(preprocessing=None))
        classifier.fit(examples, labels)
        for given in (
            examples,
            tf.constant(examples),
            list(examples),
            examples.tolist() if examples.dtype != np.uint8 else examples,
        ):
            found = classifier.fit(given, labels)._images
            np.testing.assert_allclose(
                np.sort(found, axis=0), np.sort(drawn, axis=0), rtol=1e-6
            )
        assert classifier.score(examples, labels) == 1

    def test_token_ids_are_told_apart_as_by_adapt_and_infer(self):
        rng = np.random.default_rng(0)
        codes = np.repeat(np.arange(2), 20)
        tokens = rng.integers(0, 30, (40, 6)) + 30 * codes[:, None]
        network = keras.Sequential(
            [
                keras.layers.Embedding(60, 16),
                keras.layers.GlobalAveragePooling1D(),
            ]
        )
        bare = km.models.PrototypicalNetwork(network)
        classifier = km.FewShotClassifier(bare)
        classifier.fit(tokens[::2], codes[::2])
        task = bare.adapt(
            tokens[None, ::2].astype("float32"),
            np.eye(2, dtype="float32")[None, codes[::2]],
        )
        logits = bare.infer(task, tokens[None].astype("float32"))
        np.testing.assert_allclose(
            classifier.predict_proba(tokens),
            bare.probabilities(logits)[0],
            atol=1e-6,
        )
        assert classifier.score(tokens, codes) > 0.9

    def test_one_pil_picture_needs_no_list(self):
        scans = [Image.new("CMYK", (6, 5), (0, 0, 0, k)) for k in (0, 255)]
        classifier = km.FewShotClassifier(model(preprocessing=None))
        classifier.fit(scans, ["white", "black"])
        assert classifier.predict(scans[1]).tolist() == ["black"]
        classifier.add_class(Image.new("RGB", (6, 5), "red"), "red")
        assert classifier.predict(scans).tolist() == ["white", "black"]

    def test_a_table_is_fitted_with_its_columns(self):
        table = pd.DataFrame(
            {"x": [1, 2, 300, 310], "y": [0.5, 0.1, -4, -5], "k": list("aabb")}
        )
        classifier = km.FewShotClassifier(model(preprocessing=None))
        classifier.fit(table[["x", "y"]], table["k"])
        assert classifier.predict(table[["x", "y"]]).tolist() == list("aabb")
        assert classifier.score(table[["x", "y"]], table["k"]) == 1

    @pytest.mark.parametrize(
        "shape", [(5, 5, 1), (1, 5, 5), (2, 5, 6, 1), (2, 5), (2,)]
    )
    def test_another_shape_is_an_error(self, shape):
        classifier = km.FewShotClassifier(model(preprocessing=None))
        classifier.fit(np.random.rand(4, 5, 5, 1), ["a", "a", "b", "b"])
        with pytest.raises(ValueError, match=r"shape \(n, 5, 5, 1\).*one pict"):
            classifier.predict(np.zeros(shape))

    @pytest.mark.parametrize(
        "examples, message",
        [
            (np.full((2, 4, 4, 1), -3.0), "in another rank, such as `images.r"),
            (np.full((2, 4, 4, 1), 256), "in another rank, such as `images.r"),
            (np.full((2, 3), np.nan), "`images` must be finite"),
            (np.full((2, 3), np.inf), "`images` must be finite"),
            ([np.zeros(3), np.zeros(4)], r"`images` .*\(4,\) in row 1"),
            (scipy.sparse.eye_array(2), "`images` .*dia_array; make it dense"),
            ((row for row in np.eye(2)), "`images` .*type generator"),
            (["a.png", "b.png"], "`images` .*read_picture"),
            (np.zeros(2), "`images` must hold an array or row"),
            (np.zeros((2, 0)), "`images` must hold at least one value"),
        ],
    )
    def test_anything_else_is_named(self, examples, message):
        classifier = km.FewShotClassifier(model(preprocessing=None))
        with pytest.raises(ValueError, match=message):
            classifier.fit(examples, ["a", "b"])


class Species(enum.Enum):
    HEN = "h"
    CAT = "c"


class TestLabels:
    @pytest.mark.parametrize(
        "labels, message",
        [
            (["a", None, "b", "b"], "`labels` .* None in row 1"),
            ([1.0, np.nan, 2.0, 2.0], "`labels` .* nan in row 1"),
            (pd.Series([1, pd.NA, 2, 2], dtype="Int64"), "`labels` .* row 1"),
            (["a", 1, "b", "b"], "`labels` .* one kind.* int in row 1"),
            ("abcd", "`labels` must be a list or array"),
        ],
    )
    def test_no_label_is_missing(self, labels, message):
        images = np.zeros((4, 8, 8))
        with pytest.raises(ValueError, match=message):
            km.FewShotClassifier(model()).fit(images, labels)
        with pytest.raises(ValueError, match=message):
            fitted().score(images, labels)

    @pytest.mark.parametrize("label", [None, np.nan, pd.NA, 3, True, ["x"]])
    def test_one_label_is_of_the_same_kind(self, label):
        classifier = fitted()
        for use in (
            lambda: classifier.add_class(pictures("bar", 1), label),
            lambda: classifier.remove_class(label),
        ):
            with pytest.raises(ValueError, match="`label` must"):
                use()
        assert classifier.classes_.tolist() == ["bar", "box", "dash"]
        with pytest.raises(ValueError, match="`labels` must be of one kind"):
            classifier.score(pictures("bar", 2), [1, 2])

    def test_series_and_categories_are_their_values(self):
        images = np.concatenate([pictures(kind, 2) for kind in KINDS])
        labels = pd.Series(np.repeat(KINDS, 2), index=[5, 4, 3, 2, 1, 0])
        for given in (labels, labels.astype("category"), labels.array):
            classifier = km.FewShotClassifier(model()).fit(images, given)
            assert classifier.classes_.tolist() == sorted(KINDS)
            assert classifier.score(images, given) == 1

    @pytest.mark.parametrize(
        "kind",
        [
            Species,
            enum.IntEnum("Rank", ["HEN", "CAT"]),
            enum.StrEnum("Word", ["HEN", "CAT"]),
        ],
    )
    def test_members_of_an_enum_stay_members(self, kind, tmp_path):
        images = np.concatenate([pictures("bar", 2), pictures("box", 2)])
        classifier = km.FewShotClassifier(model())
        classifier.fit(images, [kind.HEN] * 2 + [kind.CAT] * 2)
        predicted = classifier.predict(pictures("bar", 2, seed=3)).tolist()
        assert [*map(type, predicted)] == [kind] * 2
        assert predicted == [kind.HEN] * 2
        assert {*classifier.classes_} == {*kind}
        with pytest.raises(ValueError, match="Only labels of type str"):
            classifier.save(tmp_path / "mine")
        assert not (tmp_path / "mine").exists()
        classifier.add_class(pictures("dash", 1), kind.CAT)
        with pytest.raises(ValueError, match="at least two classes"):
            classifier.remove_class(kind.CAT)

    def test_dates_are_not_saved_as_numbers(self, tmp_path):
        days = np.array(["2024-01-01", "2024-01-02"], "M8[ns]")
        classifier = km.FewShotClassifier(model())
        classifier.fit(np.eye(2)[:, None], days)
        assert classifier.predict(np.eye(2)[:1, None]).tolist()
        with pytest.raises(ValueError, match="Only labels of type str"):
            classifier.save(tmp_path)


@pytest.mark.parametrize(
    "build",
    [
        km.models.PrototypicalNetwork,
        km.models.SiameseNetwork,
        km.models.MatchingNetwork,
        lambda encoder: km.models.MatchingNetwork(encoder, full_context=True),
    ],
)
def test_chunks_shrink_with_the_support_and_change_nothing(build, monkeypatch):
    keras.utils.set_random_seed(0)
    examples = np.random.default_rng(0).normal(size=(60, 6))
    classifier = km.FewShotClassifier(build(km.encoders.mlp((8,))))
    classifier.fit(examples[:20], np.arange(20) % 10)
    whole = classifier.predict_proba(examples)
    infer, sizes = classifier.model.infer, []

    def counted(task, query_x):
        sizes.append(query_x.shape[1])
        return infer(task, query_x)

    monkeypatch.setattr(classifier.model, "infer", counted)
    monkeypatch.setattr(km.few_shot_classifier, "PAIRS", 20 * 7 + 3)
    parts = classifier.predict_proba(examples)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert sizes == [7] * 8 + [4]
    # More support examples than pairs: one by one.
    monkeypatch.setattr(km.few_shot_classifier, "PAIRS", 5)
    parts = classifier.predict_proba(examples[:3])
    np.testing.assert_allclose(parts, whole[:3], atol=1e-6)


def test_queries_of_a_transductive_model_stay_together(monkeypatch):
    classifier = fitted(statistics="batch")
    queries = pictures("bar", 5, seed=2)
    whole = classifier.predict_proba(queries)
    monkeypatch.setattr(km.few_shot_classifier, "PAIRS", 1)
    np.testing.assert_array_equal(classifier.predict_proba(queries), whole)
