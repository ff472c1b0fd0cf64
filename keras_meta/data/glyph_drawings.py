"""Drawings of letters, made from the fonts that Matplotlib ships."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DRAWINGS = 20
# Matplotlib's font files with letters of the scripts of `load_glyphs`; its
# others hold mathematical symbols, or ASCII under encodings of their own.
STYLES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)
# The longer side of a letter's ink as a share of the picture.
INK_SPAN = 20 / 28

# Distortions: the first drawing in each style has none. Angles are in
# radians, shifts are shares of the picture.
SEED = 0
ROTATION = np.radians(10)
SHEAR = 0.15
SCALE = (0.85, 1.1)
SHIFT = 2 / 28
# Drawings are rendered this many times larger, then averaged.
OVERSAMPLING = 3


def style_font(style, height):
    """The Pillow font of a style, `height` in pixels."""
    # The basic layout gives the same glyphs with and without Raqm.
    return ImageFont.truetype(
        _font_path(style), height, layout_engine=ImageFont.Layout.BASIC
    )


def style_charmaps():
    """List of sets: the characters that each of STYLES has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return [
        # Glyph 0 is the box drawn for a missing character.
        {
            chr(code)
            for code, glyph in FT2Font(_font_path(style)).get_charmap().items()
            if glyph
        }
        for style in STYLES
    ]


def letter_ink(letter, font):
    """The letter as a grey picture, cropped to its ink; None if blank."""
    left, top, right, bottom = font.getbbox(letter)
    if right <= left or bottom <= top:
        return None
    # A margin of one pixel, because the box is rounded.
    picture = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(picture).text(
        (1 - left, 1 - top), letter, fill=255, font=font
    )
    box = picture.getbbox()
    return picture.crop(box) if box else None


def letter_drawings(letter, fonts, charmaps, size):
    """Draws a letter plainly in each of its styles, then distorted.

    Args:
        letter: Character.
        fonts: List of the fonts of STYLES.
        charmaps: What `style_charmaps` returns.
        size: Height and width in pixels.

    Returns:
        uint8 `(DRAWINGS, size, size)`.
    """
    styles = [
        letter_ink(letter, font)
        for font, charmap in zip(fonts, charmaps, strict=True)
        if letter in charmap
    ]
    styles = [ink for ink in styles if ink is not None]
    plain = [_draw(ink, np.eye(2), np.zeros(2), size) for ink in styles]
    # Styles may share the drawing of a rare letter, which then counts once.
    unlike = {image.tobytes(): k for k, image in reversed([*enumerate(plain)])}
    styles = [styles[k] for k in sorted(unlike.values())]
    plain = [plain[k] for k in sorted(unlike.values())]
    # Seeded by the letter, so that its drawings depend on no other letter.
    rng = np.random.default_rng([SEED, ord(letter)])
    distorted = [
        _draw(styles[k % len(styles)], *_distortion(rng), size)
        for k in range(len(styles), DRAWINGS)
    ]
    return np.stack((plain + distorted)[:DRAWINGS])


def _distortion(rng):
    """A random matrix `(2, 2)`, and a shift `(2,)` as a share of the size."""
    angle = rng.uniform(-ROTATION, ROTATION)
    sine, cosine = np.sin(angle), np.cos(angle)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    shear = np.array([[1, rng.uniform(-SHEAR, SHEAR)], [0, 1]])
    matrix = rotation @ shear @ np.diag(rng.uniform(*SCALE, 2))
    return matrix, rng.uniform(-SHIFT, SHIFT, 2)


def _draw(ink, matrix, shift, size):
    """Draws ink, scaled to INK_SPAN, under an affine map.

    Ink that would leave the picture is scaled and shifted less.

    Args:
        ink: Grey picture, cropped to its ink.
        matrix: `(2, 2)`, in coordinates `(x, y)` from the centre.
        shift: `(2,)`, as a share of the size.
        size: Height and width in pixels.

    Returns:
        uint8 `(size, size)`.
    """
    half = np.array(ink.size) / 2
    # From pixels of the ink to shares of the size.
    matrix = matrix * INK_SPAN / (2 * half.max())
    extent = np.abs(matrix) @ half
    matrix = matrix * min(1, 0.5 / extent.max())
    room = np.maximum(0.5 - np.abs(matrix) @ half, 0)
    shift = np.clip(shift, -room, room)
    # Pillow wants the map from the result back to the ink.
    fine = size * OVERSAMPLING
    inverse = np.linalg.inv(matrix) / fine
    offset = half - inverse @ (fine * (0.5 + shift))
    image = ink.transform(
        (fine, fine),
        Image.Transform.AFFINE,
        np.column_stack([inverse, offset]).ravel().tolist(),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(image.reduce(OVERSAMPLING))


def _font_path(style):
    # Imported here because it costs time, and reads the environment.
    import matplotlib

    folder = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    return str(folder / f"{style}.ttf")
