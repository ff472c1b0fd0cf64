"""Pictures that stay encoded until an episode asks for them."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike
from PIL import UnidentifiedImageError

from keras_meta.pictures import open_picture, picture_pixels
from keras_meta.preprocessing import Preprocessing
from keras_meta.typing import Path, Size


class EncodedImages:
    """An image source of picture files, or of their bytes in memory.

    Every loader returns `(examples, labels)`; this is the `examples` of a
    data set that is too large, or too unequal in size, for one array. It has
    a length, a `shape`, and `take`, which works inside a `tf.data` map: the
    pictures of an episode are decoded when the episode is drawn, in parallel
    when the map is. A small data set is quicker as an array: `numpy()`.

    It is indexed like an array: `images[3]` decodes one picture, a float32
    array `(height, width, channels)`; a slice, a boolean mask or an integer
    array selects pictures, as `EncodedImages`, and decodes none. Iteration
    decodes one picture after the other.

    Args:
        pictures: List of paths, or of `bytes` (the contents of files), in
            any format that Pillow reads.
        preprocessing: `keras_meta.preprocessing.Preprocessing`, applied to
            every picture.

    Example:

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("1", (105, 105), 1).save(file, "png")
    >>> images = EncodedImages([file.getvalue()] * 3, Preprocessing(28))
    >>> images.shape
    (3, 28, 28, 1)
    >>> images.take(tf.constant([0, 2])).shape
    TensorShape([2, 28, 28, 1])
    >>> images[1:].shape, images[-1].shape
    ((2, 28, 28, 1), (28, 28, 1))
    """

    def __init__(
        self, pictures: Sequence[Path | bytes], preprocessing: Preprocessing
    ) -> None:
        self.pictures = list(pictures)
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Any) -> Any:
        # NumPy knows all kinds of indices, and the errors of wrong ones.
        rows = np.arange(len(self))[key]
        if rows.ndim == 0:
            return self.numpy([rows])[0]
        if rows.ndim > 1:
            raise IndexError(
                "Pictures are indexed along their first axis only, by an "
                "integer, a slice, a boolean mask or an integer array. "
                f"Received: {key!r}"
            )
        chosen = [self.pictures[row] for row in rows]
        return EncodedImages(chosen, self.preprocessing)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple `(n, height, width, channels)`."""
        channels = self.preprocessing.channels
        return (len(self), *self.preprocessing.size, channels)

    def take(self, indices: ArrayLike) -> tf.Tensor:
        """Decodes some of the pictures, in a graph or eagerly.

        Args:
            indices: Integer tensor `(n,)`.

        Returns:
            float32 tensor `(n, height, width, channels)`, by default in `[0,
            1]`.

        Raises:
            tf.errors.InvalidArgumentError: When the tensor is computed, with
                the text of the ValueError of `numpy`.
        """
        indices = tf.convert_to_tensor(indices)
        # Not stateful, so that tf.data may run calls in parallel.
        images = tf.numpy_function(
            self.numpy, [indices], tf.float32, stateful=False
        )
        images.set_shape((indices.shape[0], *self.shape[1:]))
        return images

    def numpy(
        self, indices: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """Decodes some or all of the pictures.

        Args:
            indices: Integers `(n,)`; all pictures if None.

        Returns:
            float32 array `(n, height, width, channels)`, by default in `[0,
            1]`.

        Raises:
            ValueError: For a picture that cannot be decoded; it is named.
        """
        if indices is None:
            indices = range(len(self))
        images = np.empty((len(indices), *self.shape[1:]), "float32")
        # One at a time, so that only resized pictures are held together.
        for row, index in enumerate(indices):
            images[row] = self.preprocessing([self._decode(index)])[0]
        return images

    def _decode(self, index):
        picture, shrinkage = self.pictures[index], self.preprocessing.shrinkage
        if isinstance(picture, bytes):
            name = f"picture {index}"
            return decode_picture(io.BytesIO(picture), name, shrinkage)
        return read_picture(picture, shrinkage)


def loader_preprocessing(
    size: Size | None,
    channels: int | None,
    ink: bool | None,
    preprocessing: Preprocessing | None,
) -> Preprocessing:
    """The preprocessing of a loader, given as a whole or by its parts.

    Args:
        size, channels, ink: As for `Preprocessing`; None for what was not
            given. By default pictures are RGB and no drawings.
        preprocessing: A `Preprocessing` instead, or None.

    Raises:
        ValueError: If both or neither are given.
    """
    parts = {"size": size, "channels": channels, "ink": ink}
    parts = {name: part for name, part in parts.items() if part is not None}
    if preprocessing is None and size is not None:
        return Preprocessing(**{"channels": 3, **parts})
    if parts or not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            "A loader must be given a `size`, with `channels` and `ink` if "
            "wanted, or a `keras_meta.Preprocessing` as `preprocessing` "
            f"instead. Received: preprocessing={preprocessing!r} and {parts}"
        )
    return preprocessing


def read_picture(
    path: Path, shrinkage: Callable[[int, int], int] | None = None
) -> np.ndarray:
    """Reads one picture file as 8-bit grey, RGB or RGBA.

    Args:
        path: Path of a file in any format that Pillow reads. Of an
            animation, the first frame counts.
        shrinkage: Optional `Preprocessing.shrinkage`: a photograph of which
            that preprocessing needs few pixels is decoded smaller, which is
            quicker and takes less memory. None keeps all pixels.

    Returns:
        uint8 array `(height, width, channels)` with 1, 3 or 4 channels, the
        right way up if the camera noted its orientation (EXIF).

    Raises:
        ValueError: If the file is missing, is no picture, is truncated or
            corrupt, has more than 16 bits per value, or more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`: 89 million, unless you set it.
    """
    return decode_picture(path, f"'{path}'", shrinkage)


def decode_picture(
    file: Path | BinaryIO,
    name: str,
    shrinkage: Callable[[int, int], int] | None = None,
) -> np.ndarray:
    """Decodes one picture; see `read_picture`.

    Args:
        file: Path, or binary file object in memory.
        name: Name of the picture, for the error.
        shrinkage: As for `read_picture`.

    Returns:
        uint8 array `(height, width, channels)` with 1, 3 or 4 channels.

    Raises:
        ValueError: If it cannot be decoded.
    """
    try:
        with open_picture(file) as image:
            return picture_pixels(image, shrinkage)
    # What a broken file raises depends on its format and on where it broke:
    # OSError, SyntaxError, EOFError, struct.error ...
    except Exception as error:
        reason = str(error)
        if isinstance(error, UnidentifiedImageError):
            # Its own text names an object where the file is in memory.
            reason = "UnidentifiedImageError: no format that Pillow knows"
        # Our own say enough.
        elif type(error) is not ValueError:
            reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            "A picture must be a whole file that Pillow can decode. "
            f"Received: {name} ({reason})"
        ) from error
