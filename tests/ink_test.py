"""Drawings in photographs get the look of training data; scans keep it."""

import numpy as np
import pytest

from benchmarks.drawing_scenes import CAUSES, draw_scene
from benchmarks.photographed_drawings import Scene, photograph
from keras_meta import ink as ink_module
from keras_meta.ink import EXTENT, block_means, drawing, has_training_look
from keras_meta.ink_filters import (
    box_means,
    closed,
    largest,
    squares,
    thinned,
)
from keras_meta.page import page_inside
from keras_meta.preprocessing import Preprocessing, invert_bright_ground
from keras_meta.resizing import resize
from keras_meta.ruled_lines import without_rules
from keras_meta.strokes import without_specks

PREPARE = Preprocessing(28, ink=True)


def scan():
    """Strokes of the training data's pen: bool `(105, 105)`."""
    ink = np.zeros((105, 105), bool)
    ink[15:90, 30:35] = ink[15:20, 30:75] = ink[50:55, 30:60] = True
    for step in range(40):
        ink[50 + step : 55 + step, 55 + step // 2 : 60 + step // 2] = True
    return ink


def agreement(one, other):
    """Correlation of two pictures."""
    return np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]


class TestScans:
    @pytest.mark.parametrize("bright", [True, False])
    @pytest.mark.parametrize("copies", [1, 3])
    def test_a_scan_is_only_resized(self, bright, copies):
        pixels = np.where(scan() == bright, 255, 0).astype("uint8")
        plain = pixels.astype("float32")[None, ..., None] / 255
        plain = np.clip(resize(plain, (28, 28)), 0, 1)
        expected = invert_bright_ground(plain)
        found = PREPARE(np.stack([pixels] * copies))
        np.testing.assert_array_equal(found, np.repeat(expected, copies, 0))

    @pytest.mark.parametrize("size", [20, 28])
    def test_small_pictures_are_not_judged(self, size):
        noise = np.random.default_rng(0).random((2, 28, 28, 1), "float32")
        expected = invert_bright_ground(resize(noise, (size, size)))
        found = Preprocessing(size, ink=True)(noise)
        np.testing.assert_array_equal(found, expected)

    def test_no_scan_is_what_differs_from_one_in_one_way(self):
        white = np.where(scan(), 0, 1).astype("float32")[..., None]
        assert has_training_look(white) and has_training_look(1 - white)
        small = np.ones((210, 210, 1), "float32")
        small[50:155, 50:155] = white
        for other in (
            0.8 * white + 0.1,
            white[:, :-1],
            small,
            np.where(largest(scan(), 2), 0, 1)[..., None],
            np.where(~largest(~scan(), 1), 0, 1)[..., None],
        ):
            assert not has_training_look(other.astype("float32"))


@pytest.fixture(scope="module")
def clean():
    """The strokes as they come from a scan that needs cleaning."""
    return PREPARE([photograph(scan(), Scene(200, 200, side=0.8), rng())])


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_photograph_gives_the_strokes_of_the_scan(cause, clean):
    generator = rng()
    picture = photograph(scan(), draw_scene(cause, generator), generator)
    # Turned strokes overlap less: their own bar.
    bar = 0.4 if cause in ("turned", "everything", "table") else 0.75
    assert agreement(PREPARE([picture]), clean) > bar


def test_without_cleaning_a_photograph_is_none_of_it(clean):
    """The bars of the test above can fail."""
    picture = photograph(scan(), draw_scene("margin", rng()), rng())
    plain = Preprocessing(28)([picture])
    assert agreement(1 - plain, clean) < 0.4


class TestForms:
    def test_unequal_sizes_equal_one_at_a_time(self):
        generator = rng()
        pictures = [
            photograph(scan(), draw_scene("sizes", generator), generator)
            for _ in range(3)
        ]
        single = [PREPARE([picture])[0] for picture in pictures]
        np.testing.assert_array_equal(PREPARE(pictures), single)
        np.testing.assert_array_equal(
            PREPARE([np.asarray(picture) for picture in pictures]), single
        )

    def test_a_turned_camera_changes_nothing(self):
        upright = PREPARE(
            [photograph(scan(), Scene(200, 200, side=0.7), rng())]
        )
        for orientation in (3, 6):
            scene = Scene(200, 200, side=0.7, orientation=orientation)
            found = PREPARE([photograph(scan(), scene, rng())])
            np.testing.assert_array_equal(found, upright)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_model_of_colours_gets_equal_channels(self, channels):
        picture = photograph(scan(), draw_scene("kraft", rng()), rng())
        found = Preprocessing(28, channels, ink=True)([picture])
        assert found.shape == (1, 28, 28, channels)
        assert np.ptp(found, axis=-1).max() < 1e-6 and found.max() > 0.9

    def test_a_filled_shape_stays_filled(self):
        pixels = np.full((200, 300), 255, "uint8")
        pixels[40:120, 60:140] = 0
        found = PREPARE([pixels])
        assert found.mean() == pytest.approx((80 / 105) ** 2, abs=0.05)


class TestPens:
    """The frame follows the middle of strokes, so that no pen moves it."""

    @pytest.mark.parametrize("pen", [0.4, 1, 2.4])
    @pytest.mark.parametrize("side", [0.25, 0.8])
    def test_any_pen_gives_strokes_of_the_same_extent(self, pen, side, clean):
        scene = Scene(400, 400, side=side, pen=pen)
        found = drawing(pixels(scene))
        rows, columns = (
            np.flatnonzero(found.any(1)),
            np.flatnonzero(found.any(0)),
        )
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert extent == pytest.approx(EXTENT, abs=4)
        assert agreement(resize(found[None, ..., None], (28, 28)), clean) > 0.75

    def test_a_small_drawing_of_a_thick_pen_is_no_filled_shape(self):
        angle = np.zeros((105, 105), bool)
        angle[40:70, 50:55] = angle[40:45, 50:75] = True
        thick = photograph(angle, Scene(300, 300, pen=2.2), rng())
        thin = photograph(angle, Scene(300, 300), rng())
        assert agreement(PREPARE([thick]), PREPARE([thin])) > 0.75

    def test_ink_on_paper_as_rough_as_a_third_of_it_is_seen(self, clean):
        scene = Scene(300, 300, pen=2, ink=(0.5,) * 3, noise=0.16)
        assert (
            agreement(PREPARE([photograph(scan(), scene, rng())]), clean) > 0.6
        )


def pixels(scene):
    """A photograph of the scan as float32 `(height, width, 3)`."""
    return np.float32(photograph(scan(), scene, rng())) / 255


class TestRules:
    @pytest.mark.parametrize("tilt", [(0.0, 0.12), (0.1, -0.08), (0.0, 0.0)])
    @pytest.mark.parametrize("grid", [False, True])
    def test_lines_that_meet_far_away_are_left_out(self, tilt, grid):
        """As on paper seen from a side, with a pen no darker than they."""
        scene = {"pen": 0.5, "side": 0.5, "tilt": tilt, "turn": 3.0}
        rules = {"rules": 0.05, "rule_ink": (0.3, 0.3, 0.4), "grid": grid}
        ink = (0.2, 0.2, 0.3)
        plain = drawing(pixels(Scene(400, 500, ink=ink, **scene)))
        ruled = drawing(pixels(Scene(400, 500, ink=ink, **scene, **rules)))
        assert (
            agreement(
                resize(plain[None, ..., None], (28, 28)),
                resize(ruled[None, ..., None], (28, 28)),
            )
            > 0.7
        )

    def test_a_stroke_stays_if_it_is_darker_or_does_not_cross_the_page(self):
        dark = np.zeros((200, 300), "float32")
        dark[50:54] = 0.9
        dark[100:104, 80:220] = 0.4
        ruled = dark.copy()
        ruled[120:123] = 0.3
        np.testing.assert_array_equal(without_rules(dark), dark)
        np.testing.assert_array_equal(without_rules(ruled), dark)

    @pytest.mark.parametrize("slope", [-0.13, 0.06])
    def test_many_lines_are_rules_be_they_as_dark_as_ink(self, slope):
        y, x = np.mgrid[:200, :300]
        dark = np.float32((y - slope * x) % 25 < 3)
        left = without_rules(dark)
        assert left.sum() < 0.15 * dark.sum()
        # The rest is where a line leaves the page before it is half across.
        assert left[50:150].sum() < 0.02 * dark[50:150].sum()


def test_specks_and_hairlines_go_and_dots_stay():
    ink = np.zeros((100, 100), bool)
    ink[20:80, 40:46] = ink[8:14, 40:46] = True
    dirty = ink.copy()
    dirty[50:52, 65:95] = dirty[90, 10] = True
    np.testing.assert_array_equal(without_specks(dirty), ink)
    np.testing.assert_array_equal(without_specks(ink), ink)


class TestPages:
    def test_the_inside_of_a_page_is_cropped(self):
        picture = np.full((300, 400, 3), 0.2, "float32")
        picture[60:240, 100:300] = 0.9
        inside = page_inside(picture)
        assert (inside == np.float32(0.9)).all()
        assert 160 <= len(inside) <= 180 and 180 <= inside.shape[1] <= 200

    @pytest.mark.parametrize("table", [(0.15, 0.15, 0.15), (1.0, 1.0, 1.0)])
    def test_a_page_may_be_darker_or_brighter_than_the_table(
        self, table, clean
    ):
        scene = Scene(400, 500, side=0.5, table=table, paper=(0.7, 0.7, 0.3))
        assert page_inside(pixels(scene)) is not None
        assert (
            agreement(PREPARE([photograph(scan(), scene, rng())]), clean) > 0.75
        )

    @pytest.mark.parametrize("cause", [*CAUSES])
    def test_a_picture_of_paper_alone_is_not_cropped(self, cause):
        picture = photograph(scan(), draw_scene(cause, rng()), rng())
        picture = np.float32(picture.convert("RGB")) / 255
        assert (page_inside(picture) is not None) == (cause == "table")

    def test_tiny_pictures_have_no_page(self):
        assert page_inside(np.zeros((40, 90, 1), "float32")) is None


class TestNothing:
    @pytest.mark.parametrize("noise", [0, 0.02, 0.1])
    @pytest.mark.parametrize("shape", [(90, 130, 3), (200, 200, 1)])
    def test_blank_paper_stays_blank(self, shape, noise):
        shades = np.linspace(0.6, 0.9, shape[1])[:, None]
        page = shades + noise * rng().normal(size=shape)
        page = np.clip(page, 0, 1).astype("float32")
        assert PREPARE([page]).max() == 0

    @pytest.mark.parametrize(
        "shape", [(1, 29), (29, 1), (1, 600), (30, 31), (700, 2)]
    )
    def test_tiny_and_narrow_pictures_are_no_error(self, shape):
        found = PREPARE([rng().random(shape, "float32")])
        assert found.shape == (1, 28, 28, 1) and np.isfinite(found).all()

    def test_values_are_checked_as_before(self):
        page = np.full((40, 40), 0.5)
        page[3, 3] = np.nan
        with pytest.raises(ValueError, match="finite, but holds NaN"):
            PREPARE([page])


@pytest.mark.parametrize("shape", [(700, 300, 3), (513, 900, 1), (600, 1, 3)])
def test_a_shrunk_picture_is_a_product_with_triangles(shape):
    picture = rng().random(shape, "float32")
    found = ink_module._shrunk(picture)
    rows, columns = (
        ink_module._sampling(old, 0, old, new)
        for old, new in zip(shape[:2], found.shape[:2], strict=True)
    )
    assert max(found.shape) == ink_module.LONGEST
    expected = np.einsum(
        "ih,hwc,jw->ijc", rows, picture, columns, optimize=True
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_large_picture_is_that_of_its_small_form():
    picture = photograph(scan(), draw_scene("shading", rng()), rng())
    large = np.asarray(picture.convert("RGB").resize((2400, 2000)))
    small = np.asarray(picture.convert("RGB").resize((480, 400)))
    shrunk = block_means(large)
    assert shrunk.shape == (500, 600, 3) and shrunk.dtype == np.float32
    np.testing.assert_allclose(
        shrunk[:5, :5],
        large[:20, :20].reshape(5, 4, 5, 4, 3).mean((1, 3)) / 255,
        rtol=1e-5,
    )
    found = drawing(shrunk)
    assert agreement(found, drawing(np.float32(small) / 255)) > 0.9


class TestFilters:
    def test_windows_are_clipped_at_the_border(self):
        image = rng().random((7, 9)).astype("float32")
        for filtered, function in (
            (box_means(image, 2), np.mean),
            (largest(image, 2), np.max),
        ):
            expected = [
                [
                    function(
                        image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                    )
                    for x in range(9)
                ]
                for y in range(7)
            ]
            np.testing.assert_allclose(filtered, expected, rtol=1e-5)

    def test_closing_keeps_the_edge_of_a_shadow_and_removes_a_stroke(self):
        image = np.ones((30, 30), "float32")
        image[:, 15:] = 0.5
        shadow = image.copy()
        image[8:11, 3:27] = 0.1
        np.testing.assert_array_equal(closed(image, 2), shadow)

    def test_squares_cover_what_they_fit_into(self):
        ink = np.zeros((12, 12), bool)
        ink[2:6, 2:6] = True
        block = ink.copy()
        ink[3, 6:12] = True
        np.testing.assert_array_equal(squares(ink, 4), block)
        assert not squares(ink, 5).any()

    def test_middle_lines_are_thin_and_connected(self):
        ink = np.zeros((20, 40), bool)
        ink[8:13, 3:37] = True
        line = thinned(ink)
        assert (line <= ink).all() and line.any(0).sum() >= 28
        assert (line.sum(0) <= 1).all() and line[10].sum() >= 25
