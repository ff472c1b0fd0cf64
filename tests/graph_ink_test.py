"""The cleaning of drawings in a graph does what it does in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.drawing_scenes import CAUSES, draw_scene
from benchmarks.photographed_drawings import Scene, photograph
from keras_meta import ink, ink_filters, page, ruled_lines
from keras_meta import strokes as ink_strokes
from keras_meta.graph import ink as graph_ink
from keras_meta.graph import ink_filters as graph_filters
from keras_meta.graph import ordering
from keras_meta.graph import page as graph_page
from keras_meta.graph import preprocessing as graph
from keras_meta.graph import ruled_lines as graph_lines
from keras_meta.graph import strokes as graph_strokes
from keras_meta.preprocessing import Preprocessing

PREPARE = Preprocessing(28, ink=True)


def scan():
    """Strokes of the training data's pen: bool `(105, 105)`."""
    strokes = np.zeros((105, 105), bool)
    strokes[15:90, 30:35] = strokes[15:20, 30:75] = True
    strokes[50:55, 30:60] = True
    for step in range(40):
        across = 55 + step // 2
        strokes[50 + step : 55 + step, across : across + 5] = True
    return strokes


def picture(cause, seed=0):
    """A photograph as uint8 `(height, width, 3)`."""
    rng = np.random.default_rng(seed)
    taken = photograph(scan(), draw_scene(cause, rng), rng)
    return np.asarray(taken.convert("RGB"))


@pytest.fixture(scope="module", params=["ruled", "shadow", "coloured ink"])
def photo(request):
    """float32 `(height, width, 3)` in `[0, 1]`."""
    return picture(request.param).astype("float32") / 255


@pytest.fixture(scope="module")
def dark(photo):
    return ink._darkness(photo)


@pytest.fixture(scope="module")
def strokes(dark):
    """bool `(height, width)`."""
    return dark > ink.edge_level(dark)


def equal(found, expected):
    np.testing.assert_array_equal(found, expected)


def close(found, expected, atol=1e-5):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=atol)


class TestFilters:
    @pytest.mark.parametrize("radius", [0, 1, 7, 400])
    def test_windows(self, radius, photo, dark, strokes):
        close(
            graph_filters.box_means(tf.constant(photo), radius),
            ink_filters.box_means(photo, radius),
        )
        for image in (dark, strokes):
            found = graph_filters.largest(tf.constant(image), radius)
            equal(found, ink_filters.largest(image, radius))
            open_radius = tf.constant(radius)
            equal(graph_filters.largest(tf.constant(image), open_radius), found)
        equal(
            graph_filters.closed(tf.constant(dark), radius),
            ink_filters.closed(dark, radius),
        )

    @pytest.mark.parametrize("size", [1, 4, 17])
    def test_squares(self, size, strokes):
        equal(
            graph_filters.squares(strokes, size),
            ink_filters.squares(strokes, size),
        )

    def test_blur_and_thinning(self, photo, dark, strokes):
        for image in (photo, dark):
            found = graph_filters.blurred(tf.constant(image))
            close(found, ink_filters.blurred(image))
        for bits in (scan(), strokes):
            equal(graph_filters.thinned(bits), ink_filters.thinned(bits))


@pytest.mark.parametrize("size", [1, 2, 9, 1000, 30_001])
def test_medians_and_quantiles(size):
    values = np.random.default_rng(0).normal(size=size).astype("float32")
    close(ordering.median(values), np.median(values))
    rows = np.stack([values, -values])
    close(ordering.median(rows), np.median(rows, axis=1))
    for share in (0.25, 0.995):
        close(ordering.quantile(values, share), np.quantile(values, share))


class TestSteps:
    def test_ruled_lines(self, dark):
        for image in (dark, dark.T.copy(), 0 * dark):
            found = graph_lines.without_rules(tf.constant(image)).numpy()
            expected = ruled_lines.without_rules(image)
            # A level that is rounded otherwise moves single pixels.
            assert (np.abs(found - expected) > 1e-5).mean() < 1e-4
            close(
                graph_lines._bridges(tf.constant(image)),
                ruled_lines._bridges(image),
            )

    def test_the_darkness_of_lines(self, dark):
        for image in (dark, dark[:41, :90], dark[:1], dark[:, :2]):
            found, means = graph_lines._line_darkness(tf.constant(image))
            expected = ruled_lines._line_darkness(image)
            equal(found, expected[0])
            close(means, expected[1])
            score = np.prod(expected, axis=0, dtype="float64")
            given = ruled_lines._convergence(score)
            equal(graph_lines._convergence(tf.constant(score)), given)
            for slopes in (given, (3, -5), (-14, 14)):
                given = tf.constant(slopes, "int64")
                along = graph_lines._along_lines(
                    found, tf.unstack(given), tf.constant(image.shape)
                )
                equal(
                    along,
                    ruled_lines._along_lines(expected[0], slopes, image.shape),
                )

    def test_darkness(self, photo, dark):
        flat = np.ones_like(photo)
        flat[40:60, 50:80] = [0.9, 0.2, 0.1]
        for image in (flat, 1 - flat, flat[..., :1], photo):
            found = graph_ink._darkness(tf.constant(image))
            close(found, ink._darkness(image), 1e-4)

    @pytest.mark.parametrize("medians", [0, 12])
    def test_levels(self, medians, dark):
        for image in (dark, np.zeros_like(dark)):
            close(
                graph_ink.edge_level(image, medians),
                ink.edge_level(image, medians),
            )
        ground = dark < ink.edge_level(dark)
        close(
            graph_ink._ground_level(tf.constant(dark), ground),
            ink._ground_level(dark, ground),
        )

    def test_specks_and_borders(self, strokes):
        ruled = strokes.copy()
        ruled[strokes.shape[0] // 2] = True
        for bits in (strokes, ruled, strokes[:1], strokes[:, :2], ~scan()):
            close(
                graph_strokes.stroke_width(bits), ink_strokes.stroke_width(bits)
            )
            equal(
                graph_strokes.without_specks(bits),
                ink_strokes.without_specks(bits),
            )
            equal(graph_strokes.inside(bits), ink_strokes.inside(bits))

    def test_frames(self, dark, strokes):
        given = ink_strokes.inside(ink_strokes.without_specks(strokes))
        centre, extent = graph_ink._place(given)
        expected = ink._place(given)
        equal(centre, expected[0])
        equal(extent, expected[1])
        for pen in (0.0, 7.5, 1e3):
            found = graph_ink._framed(
                tf.constant(dark), given, tf.constant(pen, "float64")
            )
            expected = ink._framed(dark, given, pen)
            assert (found.numpy() != expected).sum() <= 2
        filled = np.zeros_like(given)
        filled[20:80, 30:70] = True
        for bits in (given, filled):
            assert bool(graph_ink._is_filled(bits)) is ink._is_filled(bits)
        assert ink._is_filled(filled) and not ink._is_filled(given)

    @pytest.mark.parametrize("shape", [(700, 400, 3), (513, 900, 1), (9, 5, 3)])
    def test_shrinking(self, shape):
        rng = np.random.default_rng(0)
        image = rng.random(shape, "float32")
        close(graph_ink._shrunk(image), ink._shrunk(image))
        pixels = rng.integers(0, 256, (*shape[:2], 4), "uint8")
        pixels = np.repeat(pixels, 3, axis=0)
        expected = ink.block_means(pixels)
        if expected.dtype == np.uint8:
            expected = expected.astype("float32") / 255
        close(graph_ink.block_means(pixels), expected, 1e-7)

    def test_the_look_of_training_data(self):
        white = np.where(scan(), 0, 1).astype("float32")[..., None]
        small = np.ones((210, 210, 1), "float32")
        small[50:155, 50:155] = white
        wide = np.where(ink_filters.largest(scan(), 2), 0, 1)[..., None]
        for image in (
            white,
            1 - white,
            np.repeat(np.repeat(white, 2, axis=0), 2, axis=1),
            np.ones_like(white),
            0.8 * white + 0.1,
            white[:, :-1],
            small,
            wide.astype("float32"),
        ):
            found = bool(graph_ink.has_training_look(tf.constant(image)))
            assert found is ink.has_training_look(image)


def pages_and_others():
    """Pictures, and whether each shows a page: float32, bool."""
    clean = np.full((200, 150, 3), [0.2, 0.3, 0.1], "float32")
    clean[40:160, 30:125] = 0.9
    yield clean, True
    yield clean[:, 20:], True
    yield clean[:, :, :1], True
    # It reaches the border, is no rectangle, too small, too pale, or there
    # are too few pixels to tell.
    yield clean[:, 40:], False
    yield np.where(np.tri(200, 150, 0)[..., None] > 0, clean, 0.2), False
    yield np.pad(clean, ((300, 300), (300, 300), (0, 0)), "edge"), False
    yield 0.1 * clean, False
    yield clean[::5, ::5], False
    yield np.zeros_like(clean), False
    for seed in range(3):
        yield picture("table", seed).astype("float32") / 255, None
        yield picture("shading", seed).astype("float32") / 255, None


def test_pages_are_found():
    for image, is_page in pages_and_others():
        image = image.astype("float32")
        expected = page.page_inside(image)
        if is_page is not None:
            assert (expected is not None) is is_page
        spans = graph_page.page_inside(tf.constant(image))
        top, bottom, left, right = spans.numpy()
        if expected is None:
            expected = image[:0, :0]
        equal(image[top:bottom, left:right], expected)


def test_pictures_give_the_same_images():
    """A pixel at a threshold may fall to either side: one image in eight."""
    spec = tf.TensorSpec((None,) * 4, "uint8")
    function = tf.function(
        lambda pictures: graph.prepare(PREPARE, pictures),
        [spec],
        autograph=False,
    )

    def differences(batch):
        return np.abs(function(batch).numpy() - PREPARE(batch))

    found = np.array([differences(picture(cause)[None]) for cause in CAUSES])
    assert (found.max(axis=(1, 2, 3, 4)) < 1e-5).mean() >= 7 / 8
    assert found.mean(axis=(1, 2, 3, 4)).max() < 0.01
    for batch in (*narrow_and_blank(), *scans_and_shapes()):
        assert differences(batch).max() < 1e-5
    assert function(np.zeros((0, 50, 50, 3), "uint8")).shape == (0, 28, 28, 1)


def narrow_and_blank():
    """Blank paper, once in pictures as narrow as can be."""
    for shape in ((1, 40), (40, 1), (34, 33), (700, 2)):
        yield np.full((2, *shape, 3), 200, "uint8")


def scans_and_shapes():
    """A scan, a filled shape, and a drawing on transparent ground."""
    yield np.where(scan(), 0, 255).astype("uint8")[None, ..., None]
    filled = np.full((2, 200, 300, 3), 255, "uint8")
    filled[:, 40:120, 60:140] = 0
    yield filled
    rng = np.random.default_rng(0)
    margin = photograph(scan(), Scene(200, 200, side=0.7), rng)
    clear = np.asarray(margin.convert("RGBA")).copy()[None]
    clear[..., 3] = np.where(clear[..., 0] > 128, 0, 255)
    yield clear
