"""The pixels of pictures, which may be photographs of any size.

A model needs few pixels of a photograph, so one of 12 megapixels is shrunk as
early as its format allows, in 8 bits: JPEG by libjpeg, which decodes 1 / 2, 1
/ 4 or 1 / 8 of each side from the same file, others by means over areas.
"""

import io
import re

import numpy as np
from PIL import Image, UnidentifiedImageError

# Pictures of no more pixels are never shrunk before they are resized: those of
# the usual data sets, and a frame of full HD.
WHOLE = 2**21
HEIC_HINT = (
    "a photo program exports HEIC as JPEG, and so does `magick in.heic out.jpg`"
)
# The first of the kinds that a file in ISO's base media format names.
HEIC_KINDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
# Pillow hands these to Ghostscript: a program of the file's own would run.
NOT_READ = ("EPS",)
EXIF_ORIENTATION = 0x0112
# What turns a picture the right way up, by its orientation in EXIF.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_picture(file):
    """Opens a picture file, whose size is known before it is decoded.

    Args:
        file: Path, or binary file object.

    Returns:
        `PIL.Image.Image`, not decoded yet.

    Raises:
        ValueError: With what is wrong, for more pixels than Pillow's limit
            and for HEIC.
        Exception: What Pillow raises for what is no picture.
    """
    Image.init()
    formats = [name for name in Image.ID if name not in NOT_READ]
    try:
        return Image.open(file, formats=formats)
    except (
        Image.DecompressionBombError,
        # An error where warnings are.
        Image.DecompressionBombWarning,
    ) as error:
        # Nothing else tells the size.
        pixels = re.search(r"\d+", str(error))
        raise ValueError(_too_large(int(pixels[0]))) from error
    except UnidentifiedImageError as error:
        if _is_heic(file):
            raise ValueError(
                f"HEIC, which Pillow cannot decode; {HEIC_HINT}"
            ) from error
        raise


def picture_pixels(image, shrinkage=None):
    """The pixels of a PIL picture, as 8-bit grey, RGB or RGBA.

    Args:
        image: `PIL.Image.Image` of any mode but 32 bits per value. If there
            is a `shrinkage` and it is not decoded yet, its own size changes.
        shrinkage: Optional function from height and width to the factor by
            which a picture may shrink: `Preprocessing.shrinkage`.

    Returns:
        uint8 array `(height, width, channels)` with 1, 3 or 4 channels, the
        right way up if the camera noted its orientation (EXIF).

    Raises:
        ValueError: For more than 16 bits per value, and for more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS` (89 million unless it is set; None
            is no limit).
        Exception: What Pillow raises for a damaged file.
    """
    pixels = image.width * image.height
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        raise ValueError(_too_large(pixels))
    if shrinkage is not None:
        # Only JPEG has drafts. They are at least as large as asked for.
        factor = shrinkage(image.height, image.width)
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
    # Some formats note the orientation after the pixels.
    image.load()
    turn = TURNS.get(image.getexif().get(EXIF_ORIENTATION))
    image = _eight_bits(image)
    if shrinkage is not None:
        image = _reduced(image, shrinkage(image.height, image.width))
    return _array(image if turn is None else image.transpose(turn))


def reduced(pixels, factor):
    """Pixels as means over areas; those of colours count what is opaque.

    Args:
        pixels: uint8 array `(height, width, 1, 3 or 4)`.
        factor: Positive integer: the side of an area, about.

    Returns:
        uint8 array `(height // factor, width // factor, channels)`.
    """
    grey = pixels.shape[-1] == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    return _array(_reduced(image, factor))


def _reduced(image, factor):
    if factor == 1:
        return image
    # `Image.reduce` would let areas at the edges be smaller, and so move the
    # others.
    size = (image.width // factor, image.height // factor)
    return image.resize(size, Image.Resampling.BOX)


def _too_large(pixels):
    limit = Image.MAX_IMAGE_PIXELS
    return (
        f"{pixels:,} pixels, of which at most {limit:,} are decoded, since a "
        "small file may fill the memory; shrink it or, if you trust it, set "
        "`PIL.Image.MAX_IMAGE_PIXELS`"
    )


def _is_heic(file):
    """Whether a file, a path or a file object, says that it is HEIC."""
    if isinstance(file, io.BytesIO):
        head = file.getvalue()[:12]
    else:
        with open(file, "rb") as opened:
            head = opened.read(12)
    return head[4:8] == b"ftyp" and head[8:] in HEIC_KINDS


def _eight_bits(image):
    """A picture as `"L"`, `"RGB"`, or `"RGBA"` if it has transparency."""
    # Pillow's own conversion clips 16-bit values at 255 instead of scaling.
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
            raise ValueError("values of 32 bits; save it with 8 or 16 bits")
        return Image.fromarray((pixels >> 8).astype("uint8"))
    if image.mode == "F":
        raise ValueError("floating-point values; save it with 8 or 16 bits")
    if image.mode == "La":
        # Pillow has no direct way from premultiplied grey to colour.
        image = image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    # Mode "1" would become an array of bool.
    grey = image.mode in ("1", "L")
    return image.convert("L" if grey else "RGB")


def _array(image):
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]
