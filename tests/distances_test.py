"""Tests of the distances between two sets of vectors."""

import functools
import json
import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from keras_meta import distances
from keras_meta.serialization import register

VECTORS = pathlib.Path(__file__).parent / "vectors"
NAMES = sorted(distances.DISTANCES)

# How each distance follows from the fields of the vector.
EXPECTED = {
    "squared_euclidean": lambda e: e["sq_euclidean"],
    "euclidean": lambda e: e["euclidean"],
    "manhattan": lambda e: e["l1"],
    "negative_dot": lambda e: -np.array(e["dot"]),
    "cosine": lambda e: e["cosine_distance"],
    "semi_cosine": lambda e: -np.array(e["semi_cosine"]),
}


@register
def first_coordinate(x, y):
    """A distance of somebody's own."""
    return keras.ops.abs(x[..., :, None, 0] - y[..., None, :, 0])


@pytest.fixture(scope="module")
def vector():
    return json.loads((VECTORS / "kernels.json").read_text())


def arrays(vector, *names):
    return [np.array(vector["inputs"][name], "float64") for name in names]


def points(shape, seed, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def test_every_distance_has_a_reference():
    assert set(NAMES) == set(EXPECTED) == set(reference.KERNELS)


@pytest.mark.parametrize("name", NAMES)
def test_distances_vector(name, vector):
    distance = distances.get(name)(*arrays(vector, "x", "y"))
    np.testing.assert_allclose(
        distance, EXPECTED[name](vector["expected"]), rtol=0, atol=1e-10
    )


def test_cosine_of_a_zero_row_vector(vector):
    similarity = 1 - distances.cosine(*arrays(vector, "x_with_zero_row", "y"))
    np.testing.assert_allclose(
        similarity,
        vector["expected"]["cosine_similarity_zero_row"],
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_distances_equal_a_loop_over_pairs(name, leading):
    x, y = points((*leading, 4, 5), 0), points((*leading, 6, 5), 1)
    actual = distances.get(name)(x, y).numpy()
    assert actual.shape == (*leading, 4, 6)
    for index in np.ndindex(leading):
        np.testing.assert_allclose(
            actual[index],
            reference.pairwise(reference.KERNELS[name], x[index], y[index]),
            atol=1e-10,
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zero", ["x", "y"])
def test_a_zero_row_gives_the_reference_and_finite_gradients(name, zero):
    pair = {"x": points((4, 5), 0), "y": points((3, 5), 1)}
    pair[zero][1] = 0
    x, y = tf.constant(pair["x"]), tf.constant(pair["y"])
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        distance = distances.get(name)(x, y)
    np.testing.assert_allclose(
        distance,
        reference.pairwise(reference.KERNELS[name], pair["x"], pair["y"]),
        atol=1e-10,
    )
    for gradient in tape.gradient(distance, [x, y]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["squared_euclidean", "euclidean"])
def test_close_points_far_from_the_origin_keep_their_digits(name):
    # Expanded naively, all digits cancel in float32: |x|^2 is 1e8.
    far = np.full(64, 1000.0)
    x = (far + points((5, 64), 0)).astype("float32")
    y = (far + points((4, 64), 1)).astype("float32")
    exact = reference.pairwise(
        reference.KERNELS[name], x.astype("float64"), y.astype("float64")
    )
    np.testing.assert_allclose(distances.get(name)(x, y), exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["squared_euclidean", "euclidean"])
def test_rounding_does_not_make_a_distance_negative(name):
    x = points((40, 16), 0, "float32")
    distance = distances.get(name)(x, x).numpy()
    assert distance.min() >= 0
    np.testing.assert_allclose(np.diag(distance), 0, atol=5e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_of_euclidean_at_coinciding_points_is_finite(dtype):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]], dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        same = distances.euclidean(x, x[:1])
        # One point against itself leaves nothing but the zero distance.
        alone = distances.euclidean(x[:1], x[:1])
    assert same.numpy()[0] == 0 and alone.numpy() == 0
    for distance in (same, alone):
        assert np.isfinite(tape.gradient(distance, x)).all()


def test_gradient_of_euclidean_is_the_unit_difference():
    x = tf.constant(points((1, 3), 0))
    y = tf.constant(points((1, 3), 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        distance = distances.euclidean(x, y)
    np.testing.assert_allclose(
        tape.gradient(distance, x)[0],
        reference.unit((x - y).numpy()[0]),
        atol=1e-10,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(name, dtype):
    x = tf.cast(points((3, 256), 0), dtype)
    y = tf.cast(points((2, 256), 1), dtype)
    distance = distances.get(name)(x, y)
    assert distance.dtype == "float32"
    exact = reference.pairwise(
        reference.KERNELS[name],
        tf.cast(x, "float64").numpy(),
        tf.cast(y, "float64").numpy(),
    )
    np.testing.assert_allclose(distance, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_give_no_distances(name):
    assert distances.get(name)(
        tf.zeros((2, 0, 3)), tf.zeros((2, 4, 3))
    ).shape == (2, 0, 4)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_survives_serialization(name):
    function = distances.get(name)
    assert distances.serialize(function) == name
    assert distances.get(function) is function
    assert keras.saving.get_registered_object(f"keras_meta>{name}") is function


@pytest.mark.parametrize(
    "wrong, near",
    [
        ("euclid", "euclidean"),
        ("cosin", "cosine"),
        ("squared_euclidian", "squared_euclidean"),
        ("manhatan", "manhattan"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(
        ValueError, match=f"did you mean '{near}'.*distance='{wrong}'"
    ):
        distances.get(wrong)


def test_a_name_that_resembles_nothing_is_answered_with_all():
    with pytest.raises(ValueError, match="must be one of .*'semi_cosine'"):
        distances.get("")


@pytest.mark.parametrize(
    "distance",
    [
        lambda x, y: x,
        np.dot,
        functools.partial(first_coordinate),
        keras.layers.Dense(1),
        None,
        3,
        ["cosine"],
    ],
    ids=["lambda", "foreign", "partial", "layer", "none", "number", "list"],
)
def test_what_is_not_registered_is_refused(distance):
    with pytest.raises(ValueError, match="`distance` must be registered"):
        distances.get(distance)


def test_a_registered_function_is_accepted_and_deserialized():
    assert distances.get(first_coordinate) is first_coordinate
    config = distances.serialize(first_coordinate)
    assert keras.saving.deserialize_keras_object(config) is first_coordinate
