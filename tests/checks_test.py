"""One rule for numbers and names, wherever they are passed."""

import json

import numpy as np
import pytest

import keras_meta as km
from keras_meta import checks


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_an_integer_may_be_of_numpy_and_comes_back_as_an_int(value):
    found = checks.check_integer("way", value, 3)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, [3]])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ValueError, match="`way` must be an integer. Received"):
        checks.check_integer("way", value)


def test_an_integer_below_the_least_is_refused():
    with pytest.raises(ValueError, match="at least 2. Received: way=1"):
        checks.check_integer("way", np.int32(1), 2)
    assert checks.check_integer("seed", -7) == -7


@pytest.mark.parametrize(
    "value, kind", [(0.5, float), (np.float32(0.5), float), (np.int64(2), int)]
)
def test_a_positive_number_comes_back_as_one_of_python(value, kind):
    found = checks.check_positive("rate", value)
    assert found == value and type(found) is kind


@pytest.mark.parametrize(
    "value", [True, 0, -1.0, float("nan"), float("inf"), "1", None, 1j]
)
def test_what_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match="`rate` must be a positive number"):
        checks.check_positive("rate", value)


def test_a_choice_is_one_of_the_names():
    assert checks.check_choice("mode", "max", {"max": 1, "mean": 2}) == "max"
    for value in ("min", None, 1, ["max"]):
        with pytest.raises(ValueError, match=r"one of \('max', 'mean'\). Rec"):
            checks.check_choice("mode", value, ("max", "mean"))


def network():
    return km.encoders.mlp((4,))


@pytest.mark.parametrize(
    "build, name",
    [
        (lambda true: km.models.MAML(network(), true), "inner_learning_rate"),
        (
            lambda true: km.models.Reptile(network(), true),
            "inner_learning_rate",
        ),
        (lambda true: km.layers.LearnedScale(true), "initial"),
        (
            lambda true: km.models.MatchingNetwork(network(), scale=true),
            "scale",
        ),
        (
            lambda true: km.layers.EpisodicBatchNormalization(momentum=true),
            "momentum",
        ),
        (
            lambda true: km.layers.EpisodicBatchNormalization(epsilon=true),
            "epsilon",
        ),
        (lambda true: km.Preprocessing(size=true), "size"),
        (lambda true: km.Preprocessing(28, channels=true), "channels"),
        (
            lambda true: km.data.sinusoid_dataset(x_range=(0, true)),
            "x_range",
        ),
        (lambda true: km.layers.QueryContext(true), "read_steps"),
        (lambda true: km.layers.ResidualBlock(true), "filters"),
        (lambda true: km.encoders.conv4(true), "filters"),
        (lambda true: km.encoders.conv4_strided(true), "filters"),
        (lambda true: km.encoders.relation_encoder(true), "filters"),
        (lambda true: km.encoders.koch(true), "convolution_l2"),
        (lambda true: km.encoders.koch(dense_l2=true), "dense_l2"),
        (lambda true: km.encoders.koch_small(true), "filters"),
        (lambda true: km.encoders.koch_small(units=true), "units"),
        (lambda true: km.encoders.mlp((4, true)), "units"),
        (lambda true: km.encoders.resnet12((4, true)), "filters"),
        (lambda true: km.data.Affine(rotation=true), "rotation"),
        (lambda true: km.data.Affine(scale=(true, 2)), "scale"),
    ],
)
def test_true_is_no_number(build, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        build(True)


@pytest.mark.parametrize(
    "model",
    [
        lambda three: km.models.MAML(
            network(), inner_steps=three, tasks_at_once=three
        ),
        lambda three: km.models.Reptile(
            network(),
            inner_steps=three,
            inner_batch_size=three,
            evaluation_inner_steps=three,
            inner_learning_rate=np.float32(0.5),
        ),
        lambda three: km.models.MatchingNetwork(
            network(), full_context=True, read_steps=three, scale=three
        ),
        lambda three: km.models.RelationNetwork(
            network(), km.layers.RelationHead(filters=three, units=three)
        ),
        lambda three: km.models.PrototypicalNetwork(
            network(), preprocessing=km.Preprocessing(three, three)
        ),
        lambda three: km.models.PrototypicalNetwork(
            km.encoders.resnet12((three,))
        ),
        lambda three: km.models.PrototypicalNetwork(
            km.encoders.mlp((three, three))
        ),
        lambda three: km.models.SiameseNetwork(
            km.encoders.koch_small(three, three)
        ),
        lambda three: km.models.SiameseNetwork(
            km.encoders.koch(np.float32(0.5), three)
        ),
    ],
)
def test_a_number_of_numpy_makes_a_config_of_plain_numbers(model):
    json.dumps(model(np.int64(3)).get_config())


def test_numbers_of_numpy_draw_the_same_episodes():
    images = np.random.default_rng(0).random((24, 4, 4, 1)).astype("float32")
    labels = np.repeat(np.arange(4), 6)
    plain, numpy = (
        next(
            km.data.episode_dataset(
                images,
                labels,
                way=kind(2),
                shot=(kind(1), kind(2)),
                queries=kind(3),
                seed=kind(5),
                start=kind(7),
            ).as_numpy_iterator()
        )
        for kind in (int, np.int64)
    )
    np.testing.assert_array_equal(plain[0]["query_x"], numpy[0]["query_x"])
