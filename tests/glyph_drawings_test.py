"""Tests of the drawing of letters from fonts."""

import numpy as np
import pytest
from PIL import ImageFont

from keras_meta.data import glyph_drawings


@pytest.mark.parametrize("size", [8, 28, 105])
def test_a_drawing_of_any_size_stays_in_the_frame(size):
    font = ImageFont.truetype(glyph_drawings._font_path("DejaVuSans"), 4 * size)
    ink = glyph_drawings.letter_ink("M", font)
    rng = np.random.default_rng(0)
    plain = glyph_drawings._draw(ink, np.eye(2), np.zeros(2), size)
    assert plain.shape == (size, size)
    for _ in range(20):
        matrix, shift = glyph_drawings._distortion(rng)
        image = glyph_drawings._draw(ink, matrix, shift, size)
        # Ink is kept: its area changes as the determinant says.
        area = image.sum() / plain.sum() / np.linalg.det(matrix)
        assert area == pytest.approx(1, abs=0.15)


def test_blank_glyphs_are_skipped():
    font = ImageFont.truetype(glyph_drawings._font_path("DejaVuSans"), 40)
    assert glyph_drawings.letter_ink(" ", font) is None
    assert glyph_drawings.letter_ink("\u200b", font) is None
