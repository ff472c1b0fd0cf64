"""Tests of the random changes of images."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_meta.data.augmentation import (
    Affine,
    Chain,
    QuarterTurns,
    about_centre,
    affine_matrices,
    warp,
)
from keras_meta.data.episodes import episode_dataset
from keras_meta.data.rotations import rotations_as_classes

VECTORS = pathlib.Path(__file__).parent / "vectors"
STILL = {
    "rotation": 0.0,
    "shear": 0.0,
    "scale": (1.0, 1.0),
    "translation": 0.0,
    "probability": 1.0,
}


def noise(count, height=9, width=9, channels=1):
    """Images in [0, 1] that no turn or mirror maps to themselves."""
    generator = np.random.default_rng(0)
    return generator.random((count, height, width, channels), "float32")


def run(augmentation, images, classes=None, seed=0):
    if classes is None:
        classes = np.arange(len(images))
    changed = augmentation(
        tf.constant(images),
        tf.constant(classes, "int32"),
        tf.constant([seed, 7], "int64"),
    )
    assert changed.shape == images.shape
    return changed.numpy()


def turns_of(images, changed):
    """How many quarter turns map each image to what it became."""
    found = []
    for before, after in zip(images, changed, strict=True):
        errors = [np.abs(np.rot90(before, k) - after).max() for k in range(4)]
        assert min(errors) < 1e-5
        found.append(int(np.argmin(errors)))
    return found


class TestAffineVector:
    @pytest.fixture(scope="class")
    @staticmethod
    def vector():
        return json.loads((VECTORS / "protocol.json").read_text())

    def matrices(self, vector):
        affine = vector["inputs"]["affine"]
        keys = ("theta", "shear_x", "shear_y", "scale_x", "scale_y", "tx", "ty")
        return affine_matrices(
            *(tf.constant([affine[key]], "float64") for key in keys)
        )

    def centred(self, vector):
        x, y = np.broadcast_to(vector["inputs"]["affine"]["centre"], 2)
        return about_centre(self.matrices(vector), 2 * y + 1, 2 * x + 1)

    def test_affine_matrix_vector(self, vector):
        np.testing.assert_allclose(
            self.matrices(vector)[0],
            vector["expected"]["affine_matrix"],
            rtol=0,
            atol=1e-10,
        )

    def test_affine_matrix_about_centre_vector(self, vector):
        np.testing.assert_allclose(
            self.centred(vector)[0],
            vector["expected"]["affine_matrix_about_centre"],
            rtol=0,
            atol=1e-10,
        )

    def test_affine_inverse_about_centre_vector(self, vector):
        np.testing.assert_allclose(
            tf.linalg.inv(self.centred(vector))[0],
            vector["expected"]["affine_inverse_about_centre"],
            rtol=0,
            atol=1e-10,
        )

    def test_rotations_vector(self, vector):
        image = np.array(vector["inputs"]["image"])[None, ..., None]
        turned, labels = rotations_as_classes(image, ["c"])
        expected = vector["expected"]["rotations"]
        assert len(turned) == len(expected) == 4
        for one, label in zip(turned, labels, strict=True):
            degrees = str(int(label.split("/")[1]))
            np.testing.assert_array_equal(one[..., 0], expected[degrees])

    def test_rotated_class_ids_vector(self, vector):
        chars = vector["inputs"]["chars"]
        # Enough characters, whose names sort as their numbers do.
        names = [f"{number:05d}" for number in range(max(chars) + 1)]
        _, labels = rotations_as_classes(np.zeros((len(names), 1, 1, 1)), names)
        place = {name: k for k, name in enumerate(np.unique(labels))}
        ids = [
            [place[f"{char:05d}/{90 * turns:03d}"] for turns in range(4)]
            for char in chars
        ]
        assert ids == vector["expected"]["rotated_class_ids"]


class TestAffineMatrices:
    def zeros(self):
        return tf.zeros(1, "float64")

    def test_a_point_is_scaled_sheared_turned_and_shifted(self):
        zero, one = self.zeros(), self.zeros() + 1
        point = np.array([2.0, 3.0, 1.0])
        for arguments, expected in [
            ((zero, zero, zero, one, one), [2, 3]),
            ((zero, zero, zero, one * 5, one * 7), [10, 21]),
            ((zero, one * 0.5, zero, one, one), [3.5, 3]),
            ((zero, zero, one * 0.5, one, one), [2, 4]),
            # The axis y points down: a positive angle takes x to y.
            ((one * 90, zero, zero, one, one), [-3, 2]),
            ((zero, zero, zero, one, one, one * 10, one * 20), [12, 23]),
            # All at once: scale, then shear, then turn, then shift.
            (
                (one * 90, one, zero, one * 5, one * 7, one, one * 2),
                [-21 + 1, 10 + 21 + 2],
            ),
        ]:
            moved = affine_matrices(*arguments)[0] @ point[:, None]
            np.testing.assert_allclose(moved[:, 0], [*expected, 1], atol=1e-12)

    def test_the_centre_stays(self):
        angle = tf.constant([33.0], "float64")
        matrix = affine_matrices(angle, angle / 99, angle / 77, 1.1, 0.9)
        centre = np.array([[3.0], [2.0], [1.0]])
        np.testing.assert_allclose(
            about_centre(matrix, 5, 7)[0] @ centre, centre, atol=1e-12
        )


class TestWarp:
    def matrix(self, degrees=0.0, scale=1.0, x=0.0, y=0.0):
        zero = tf.zeros(1)
        return affine_matrices(
            zero + degrees, zero, zero, zero + scale, zero + scale, x, y
        )

    def test_a_shift_moves_right_and_down(self):
        images = noise(1, 6, 8)
        moved = warp(images, self.matrix(x=2.0, y=1.0)).numpy()
        np.testing.assert_allclose(
            moved[:, 1:, 2:], images[:, :-1, :-2], atol=1e-5
        )
        assert not moved[:, 0].any() and not moved[:, :, :2].any()

    def test_half_a_pixel_is_the_mean_of_two(self):
        images = noise(1)
        moved = warp(images, self.matrix(x=0.5)).numpy()
        expected = (images[:, :, 1:] + images[:, :, :-1]) / 2
        np.testing.assert_allclose(moved[:, :, 1:], expected, atol=1e-5)

    @pytest.mark.parametrize("size", [8, 9])
    def test_ninety_degrees_are_a_quarter_turn_clockwise(self, size):
        images = noise(1, size, size, 3)
        np.testing.assert_allclose(
            warp(images, self.matrix(90.0)),
            np.rot90(images, -1, axes=(1, 2)),
            atol=1e-5,
        )

    def test_a_larger_scale_enlarges(self):
        image = np.zeros((1, 9, 9, 1), "float32")
        image[0, 4, 6] = 1
        enlarged = warp(image, self.matrix(scale=2.0)).numpy()
        # Two right of the centre becomes four right of it.
        assert np.unravel_index(enlarged.argmax(), enlarged.shape) == (
            0,
            4,
            8,
            0,
        )


class TestQuarterTurns:
    @pytest.mark.parametrize("size", [8, 9])
    def test_each_image_is_turned_by_some_quarters(self, size):
        images = noise(12, size, size, 2)
        found = [
            turns_of(images, run(QuarterTurns(), images, seed=seed))
            for seed in range(4)
        ]
        assert {turns for one in found for turns in one} == {0, 1, 2, 3}

    def test_all_images_of_a_class_turn_alike(self):
        images = noise(30)
        classes = np.random.default_rng(1).integers(0, 6, 30)
        found = turns_of(images, run(QuarterTurns(), images, classes))
        by_class = {}
        for k, turns in zip(classes, found, strict=True):
            by_class.setdefault(k, set()).add(turns)
        assert all(len(turns) == 1 for turns in by_class.values())
        assert len(set.union(*by_class.values())) > 1

    def test_all_four_turns_are_about_as_frequent(self):
        images = noise(400, 5, 5)
        found = turns_of(images, run(QuarterTurns(), images))
        assert min(np.bincount(found, minlength=4)) > 70


class TestAffine:
    def test_without_probability_and_flips_nothing_changes(self):
        images = noise(6, 7, 10, 3)
        changed = run(Affine(probability=0.0), images)
        np.testing.assert_allclose(changed, images, atol=1e-6)

    def test_without_ranges_nothing_changes(self):
        images = noise(6)
        np.testing.assert_allclose(
            run(Affine(**STILL), images), images, atol=1e-6
        )

    def test_each_image_has_a_distortion_of_its_own(self):
        images = np.repeat(noise(1), 8, axis=0)
        changed = run(Affine(probability=1.0), images, np.zeros(8, int))
        assert len(np.unique(changed, axis=0)) == 8

    def test_per_class_shares_one_distortion(self):
        images = np.repeat(noise(1), 12, axis=0)
        classes = np.array([0, 1, 2] * 4)
        augmentation = Affine(probability=1.0, per_class=True, flips=True)
        changed = run(augmentation, images, classes)
        firsts = changed[:3]
        np.testing.assert_allclose(changed, firsts[classes], atol=1e-5)
        for one, other in [(0, 1), (0, 2), (1, 2)]:
            assert np.abs(firsts[one] - firsts[other]).max() > 0.1

    @pytest.mark.parametrize("per_class", [False, True])
    def test_flips_mirror_about_half_of_the_images(self, per_class):
        images = noise(200, 6, 7)
        augmentation = Affine(probability=0.0, flips=True, per_class=per_class)
        changed = run(augmentation, images)
        same = np.abs(changed - images).max((1, 2, 3)) < 1e-5
        mirrored = np.abs(changed - images[:, :, ::-1]).max((1, 2, 3)) < 1e-5
        assert np.all(same ^ mirrored)
        assert 70 < mirrored.sum() < 130

    @pytest.mark.parametrize(
        "change", [{"rotation": 40.0}, {"shear": 0.5}, {"translation": 0.3}]
    )
    def test_a_component_is_present_with_its_probability(self, change):
        images = np.repeat(noise(1), 200, axis=0)
        augmentation = Affine(**{**STILL, "probability": 0.3, **change})
        changed = run(augmentation, images)
        share = np.mean(np.abs(changed - images).max((1, 2, 3)) < 1e-5)
        # Two components, but for the rotation.
        expected = 0.7 if "rotation" in change else 0.49
        assert share == pytest.approx(expected, abs=0.1)

    def test_a_scale_without_spread_is_that_scale(self):
        images = noise(3)
        zero = tf.zeros(3)
        matrices = affine_matrices(zero, zero, zero, zero + 2, zero + 2)
        np.testing.assert_allclose(
            run(Affine(**{**STILL, "scale": (2.0, 2.0)}), images),
            warp(images, matrices),
            atol=1e-5,
        )

    def test_shifts_are_shares_of_the_size_within_the_range(self):
        images = np.zeros((200, 21, 41, 1), "float32")
        images[:, 10, 20] = 1
        changed = run(Affine(**{**STILL, "translation": 0.1}), images)[..., 0]
        rows = (changed.sum(2) @ np.arange(21)) - 10
        columns = (changed.sum(1) @ np.arange(41)) - 20
        for shift, limit in [(rows, 2.1), (columns, 4.1)]:
            assert np.abs(shift).max() <= limit + 1e-3
            assert shift.max() > 0.8 * limit and shift.min() < -0.8 * limit

    @pytest.mark.parametrize(
        "name", ["rotation", "shear", "translation", "probability"]
    )
    @pytest.mark.parametrize("value", [True, "1", None, np.nan, (1, 2)])
    def test_what_is_no_number_is_refused(self, name, value):
        with pytest.raises(
            ValueError, match=f"`{name}` must be a finite number. Received: "
        ):
            Affine(**{name: value})

    @pytest.mark.parametrize("probability", [-0.1, 1.5])
    def test_a_probability_is_in_the_unit_range(self, probability):
        with pytest.raises(
            ValueError, match=rf"in \[0, 1\]. Received: .*={probability}"
        ):
            Affine(probability=probability)

    @pytest.mark.parametrize(
        "scale, text",
        [
            (1.2, r"`scale` must be a pair .* scale=1.2"),
            (
                (0.8, 1.0, 1.2),
                r"`scale` must be a pair .* scale=\(0.8, 1.0, 1.2\)",
            ),
            ((0, 1.2), "`scale` must be a positive number. Received: scale=0"),
            ((0.8, True), "`scale` must be a positive number.*scale=True"),
        ],
    )
    def test_a_scale_is_a_pair_of_positive_numbers(self, scale, text):
        with pytest.raises(ValueError, match=text):
            Affine(scale=scale)

    def test_numbers_of_numpy_become_those_of_python(self):
        half, one = np.float32(0.5), np.int64(1)
        augmentation = Affine(one, half, np.array([0.5, 2]), half, half)
        assert augmentation == Affine(1, 0.5, (0.5, 2.0), 0.5, 0.5)
        assert [type(n) for n in augmentation.scale] == [float, float]
        assert type(augmentation.rotation) is int


AUGMENTATIONS = {
    "turns": QuarterTurns(),
    "affine": Affine(),
    "affine_class": Affine(probability=1.0, per_class=True, flips=True),
    "chain": Chain((QuarterTurns(), Affine(translation=0.2, flips=True))),
}
every = pytest.mark.parametrize(
    "augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS
)


@every
def test_the_same_seed_gives_the_same_images(augmentation):
    images = noise(20)
    one, two = (run(augmentation, images, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert np.abs(run(augmentation, images, seed=4) - one).max() > 0.1


@every
def test_values_stay_in_the_unit_range(augmentation):
    images = np.round(noise(40, 11, 11, 2))
    changed = run(augmentation, images)
    assert changed.dtype == np.float32
    assert -1e-6 <= changed.min() and changed.max() <= 1 + 1e-6


@every
@pytest.mark.parametrize("way", [3, (2, 3)], ids=["fixed", "range"])
def test_it_works_inside_an_episode_dataset(augmentation, way):
    images = noise(16, 8, 8, 1)
    labels = np.repeat(np.arange(4), 4)
    one, two, plain = (
        episode_dataset(images, labels, way, 1, 2, 0, augmentation=own)
        for own in (augmentation, augmentation, None)
    )
    assert one.element_spec == plain.element_spec
    first, second, unchanged = (
        next(dataset.batch(3).as_numpy_iterator())
        for dataset in (one, two, plain)
    )
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)
    # Only the images are other ones.
    np.testing.assert_array_equal(first[1], unchanged[1])
    for part in ("support_x", "query_x"):
        assert np.abs(first[0][part] - unchanged[0][part]).max() > 0.1


def test_support_and_queries_of_a_class_turn_alike_in_an_episode():
    # All images of a class are one image, so a class that is one image
    # after the turns was turned as one.
    images = np.repeat(noise(5, 8, 8, 1), 4, axis=0)
    labels = np.repeat(np.arange(5), 4)
    dataset = episode_dataset(
        images, labels, 4, 1, 3, seed=0, augmentation=QuarterTurns()
    )
    for episode, query_y in dataset.take(5).as_numpy_iterator():
        drawn = np.concatenate([episode["support_x"], episode["query_x"]])
        targets = np.concatenate([episode["support_y"], query_y])
        for k in range(4):
            same = drawn[targets[:, k] == 1]
            assert len(same) == 4
            np.testing.assert_allclose(same, same[:1] + 0 * same, atol=1e-6)


class TestChain:
    def test_nothing_is_the_identity(self):
        images = noise(3)
        np.testing.assert_array_equal(run(Chain(()), images), images)

    def test_each_step_draws_for_itself(self):
        images = noise(40)
        chain = Chain((QuarterTurns(), QuarterTurns()))
        # With one seed for both, every sum of turns would be even.
        assert {1, 3} & set(turns_of(images, run(chain, images)))

    def test_steps_run_in_order(self):
        seen = []

        def step(name):
            def augment(images, classes, seed):
                seen.append(name)
                return images

            return augment

        run(Chain((step("first"), step("second"))), noise(1))
        assert seen == ["first", "second"]
