"""Turns pictures into images of the form that a model was trained on."""

import dataclasses
from typing import Self

import numpy as np

from keras_meta.arrays import (
    CHANNELS,
    is_source,
    one_picture,
    picture_arrays,
    source_array,
)
from keras_meta.checks import check_choice, check_integer, check_number
from keras_meta.ink import (
    LONGEST,
    SMALLEST,
    block_means,
    drawing,
    has_training_look,
)
from keras_meta.pictures import WHOLE, reduced
from keras_meta.resizing import INTERPOLATIONS, resize
from keras_meta.serialization import register
from keras_meta.typing import Config, Images

# ITU-R BT.601 luma, the weights that Pillow's "L" mode uses.
LUMA = np.array([0.299, 0.587, 0.114], "float32")
# How many times the size of the result a shrunk photograph keeps at least.
MARGIN = 2
# Pictures of an image source in memory at once.
CHUNK = 64


@register
@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Size, colour and polarity of the images a model expects.

    It is saved with the model, so that a user's pictures of any size get the
    form of its training images. Calling the object applies, in this order:
    values to `[0, 1]`, transparency onto white, cleaning of drawings, colour
    to grey (or grey to colour), resize, ink polarity, the range of values.

    Args:
        size: Positive integer, or a pair `(height, width)`: pixels.
        channels: 1 (grey) or 3 (RGB).
        ink: Whether the images are drawings that the model needs as bright
            ink (1) on a dark ground (0). A picture whose median border pixel
            is above 0.5, such as a black-on-white scan, is then inverted. A
            picture larger than `size` and 32 pixels that is no clean scan,
            such as a photograph of paper, is cleaned first: see
            `keras_meta.ink`.
        interpolation: `"area"`, `"bilinear"` or `"bicubic"`: see
            `keras_meta.resizing`. Photographs that must grow need one of the
            last two, as area makes blocks of them.
        value_range: Pair of numbers: what black and white become. The
            episodes of the loaders have `(0, 1)`, the default, and so have
            networks that learned from them; `(0, 255)` and `(-1, 1)` are for
            networks of `keras.applications`.

    Raises:
        ValueError: For an unknown interpolation, for a range whose second
            number is not the larger, and for a size, a number of channels or
            pixels out of range.

    Example:

    >>> scan = np.full((1, 56, 56), 255, "uint8")
    >>> scan[:, 20:36, 20:36] = 0
    >>> image = Preprocessing(size=28, ink=True)(scan)
    >>> image.shape, float(image[0, 0, 0, 0]), float(image[0, 14, 14, 0])
    ((1, 28, 28, 1), 0.0, 1.0)
    """

    size: int | tuple[int, int]
    channels: int = 1
    ink: bool = False
    interpolation: str = "area"
    value_range: tuple[float, float] = (0, 1)

    def __post_init__(self):
        given = self.size if np.iterable(self.size) else (self.size,) * 2
        try:
            height, width = (check_integer("size", n, 1) for n in given)
        except ValueError as error:
            raise ValueError(
                "`size` must be a positive integer or a pair of them "
                f"(height, width). Received: size={self.size!r}"
            ) from error
        try:
            channels = check_integer("channels", self.channels)
        except ValueError:
            channels = None
        if channels not in (1, 3):
            raise ValueError(
                "`channels` must be 1 (grey) or 3 (RGB). "
                f"Received: channels={self.channels!r}"
            )
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        object.__setattr__(self, "value_range", _range(self.value_range))
        object.__setattr__(self, "size", (height, width))
        object.__setattr__(self, "channels", channels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: `(height, width, channels)`."""
        return (*self.size, self.channels)

    def __call__(self, images: Images) -> np.ndarray:
        """Applies the preprocessing.

        Args:
            images: Pictures: an array or tensor `(n, height, width)` or `(n,
                height, width, channels)`, a list of PIL pictures or of
                arrays `(height, width)` or `(height, width, channels)` of
                any sizes, an image source such as `EncodedImages`, or one
                PIL picture. Channels may be 1, 3 (RGB) or 4 (RGBA). Integers
                are 0 to 255, floats 0 to 1; a PIL picture may be of any mode
                of at most 16 bits.

        Returns:
            float32 array `(n, *size, channels)` in `value_range`.

        Raises:
            ValueError: For another rank, one colour picture that is not in a
                list, pictures without pixels, or values that are not finite
                or out of range.
        """
        if is_source(images):
            rows = np.arange(images.shape[0])
            return self._joined(
                self(source_array(images, rows[start : start + CHUNK]))
                for start in range(0, len(rows), CHUNK)
            )
        pictures = picture_arrays(images)
        if isinstance(pictures, list | tuple):
            # One at a time, so that only resized ones are held together.
            return self._joined(
                self._scaled(self._prepare(one_picture(picture, row)[None]))
                for row, picture in enumerate(pictures)
            )
        if pictures.shape == (0,):
            return self._joined(())
        # Rank 3 is a batch of grey pictures. One that ends like a colour
        # picture is surely meant as one, unless it has the model's own size.
        if pictures.ndim == 3 and (
            pictures.shape[-1] not in CHANNELS
            or pictures.shape[1:] == self.size
        ):
            pictures = pictures[..., None]
        if pictures.ndim != 4 or pictures.shape[-1] not in CHANNELS:
            raise ValueError(
                "`images` must have the shape (n, height, width) or (n, "
                "height, width, channels) with 1, 3 or 4 channels; put one "
                "picture in a list. Received: an array of shape "
                f"{pictures.shape}"
            )
        return self._scaled(self._prepare(pictures))

    def shrinkage(self, height: int, width: int) -> int:
        """By which factor a picture may shrink before the preprocessing.

        Args:
            height, width: Positive integers: its pixels.

        Returns:
            Positive integer: 1 for a picture of at most 2^21 pixels.
            Otherwise twice `size` is left, of a drawing twice what
            `keras_meta.ink` analyses.
        """
        if height * width <= WHOLE:
            return 1
        least, side = MARGIN * max(self.size), min(height, width)
        if self.ink:
            least, side = max(least, MARGIN * LONGEST), max(height, width)
        return max(1, side // least)

    def _prepare(self, images):
        """The preprocessing of an array `(n, height, width, channels)`."""
        if not len(images):
            return self._joined(())
        if 0 in images.shape:
            raise ValueError(
                "`images` must hold pictures of at least one pixel. Received: "
                f"pictures of shape {images.shape[1:]}"
            )
        if self.ink and max(images.shape[1:3]) > max(*self.size, SMALLEST):
            return self._joined(self._prepare_drawing(one) for one in images)
        factor = self.shrinkage(*images.shape[1:3])
        if factor > 1 and images.dtype == np.uint8:
            images = np.stack([reduced(image, factor) for image in images])
        return self.resize(_unit_range(images))

    def _prepare_drawing(self, picture):
        """A batch of one picture, which is cleaned if it is no scan."""
        picture = _unit_range(block_means(picture))
        if not has_training_look(picture):
            picture = drawing(picture)[..., None]
        return self.resize(picture[None])

    def resize(self, images: Images) -> np.ndarray:
        """Applies it to clean pictures, such as scans: nothing is judged.

        Args:
            images: float32 `(n, height, width, 1 or 3)` in `[0, 1]`.

        Returns:
            float32 array `(n, *size, channels)` in `[0, 1]`.
        """
        images = self._recolour(images)
        # Rounding may put an average just outside the range, and bicubic
        # interpolation overshoots at edges.
        images = np.clip(resize(images, self.size, self.interpolation), 0, 1)
        return invert_bright_ground(images) if self.ink else images

    def _scaled(self, images):
        """Images in `[0, 1]` with the range of values that is asked for."""
        low, high = self.value_range
        if (low, high) == (0, 1):
            return images
        return low + (high - low) * images

    def unscaled(self, images: Images) -> np.ndarray:
        """Images of the range of values, back in `[0, 1]`.

        Args:
            images: float array `(n, ...)` that the preprocessing gave.

        Returns:
            Array of the same shape.
        """
        low, high = self.value_range
        return (
            images if (low, high) == (0, 1) else (images - low) / (high - low)
        )

    def _joined(self, parts):
        nothing = np.zeros((0, *self.shape), "float32")
        return np.concatenate([nothing, *parts])

    def _recolour(self, images):
        if self.channels == images.shape[-1]:
            return images
        if self.channels == 1:
            return (images @ LUMA)[..., None]
        return np.repeat(images, 3, axis=-1)

    def get_config(self) -> Config:
        config = dataclasses.asdict(self)
        # As older versions wrote it, which they can read.
        for name in ("interpolation", "value_range"):
            if config[name] == getattr(Preprocessing, name):
                del config[name]
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config)


def _range(value):
    """A range of values as a pair of numbers."""
    try:
        low, high = (check_number("value_range", number) for number in value)
    except (TypeError, ValueError):
        low = high = 0
    if low >= high:
        raise ValueError(
            "`value_range` must be a pair of numbers (low, high), low below "
            f"high. Received: value_range={value!r}"
        )
    return low, high


def to_unit_range(values: np.ndarray, name: str) -> np.ndarray:
    """Checks pixels and converts them to float32 in `[0, 1]`.

    Args:
        values: Array: bool, integers 0 to 255, or floats 0 to 1.
        name: Name of the argument, for the error.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: For NaN, infinities or values out of range.
    """
    values = np.asarray(values)
    if values.dtype == bool:
        return values.astype("float32")
    if values.dtype.kind not in "iuf":
        raise ValueError(
            f"`{name}` must hold numbers. Received: dtype={values.dtype}"
        )
    integer = np.issubdtype(values.dtype, np.integer)
    top = 255 if integer else 1
    if values.size and values.dtype != np.uint8:
        check_range(values, top, name)
    values = values.astype("float32")
    return values / 255 if integer else values


def check_range(values: np.ndarray, top: float, name: str) -> None:
    """Raises a ValueError unless all values lie in `[0, top]`.

    Args:
        values: Array of numbers, not empty.
        top: The largest value allowed.
        name: Name of the argument, for the error.

    Raises:
        ValueError: If a value is NaN, infinite or out of range.
    """
    low, high = float(np.min(values)), float(np.max(values))
    if np.isnan(low) or np.isnan(high):
        raise ValueError(
            f"`{name}` must be finite, but holds NaN values. Received: "
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN"
        )
    # Rounding may put resampled float32 values just outside the range.
    if low < -1e-5 or high > top * (1 + 1e-5):
        raise ValueError(
            f"`{name}` must hold values in [0, {top}] (integers 0 to 255 or "
            "floats 0 to 1; divide by the largest value). "
            f"Received: values from {low:g} to {high:g}"
        )


def _unit_range(images):
    """Pictures `(..., channels)` as float32 in `[0, 1]`, without alpha.

    What is transparent shows white.
    """
    images = to_unit_range(images, "images")
    if images.shape[-1] < 4:
        return images
    alpha = images[..., 3:]
    return images[..., :3] * alpha + (1 - alpha)


def invert_bright_ground(images: Images) -> np.ndarray:
    """Inverts each picture whose median border pixel is above 0.5.

    Args:
        images: float array `(n, height, width, channels)` in `[0, 1]`.

    Returns:
        Array of the same shape: bright ink on a dark ground.
    """
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    border = np.concatenate(sides, axis=1)
    # Not -1, which cannot be inferred without pictures.
    border = border.reshape(len(images), border.shape[1] * border.shape[2])
    bright = np.median(border, axis=1) > 0.5
    return np.where(bright[:, None, None, None], 1 - images, images)
