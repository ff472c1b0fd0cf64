"""Names of the types in the signatures of this package.

| name | stands for |
|---|---|
| `Tensor` | what a function gives: a tensor; in a Keras graph a symbolic one |
| `TensorLike` | what a function takes: a tensor or a NumPy array |
| `Task` | what `adapt` returns: a tensor, or a flat dict of tensors |
| `Episode` | the dict of tensors that is the input of a model |
| `Shape` | sizes of axes, None where one is open |
| `ImageSource` | examples that are read when they are asked for |
| `Examples` | `(n, ...)`: array, table, list of pictures, or image source |
| `Images` | the same, or one picture |
| `Label` | what names a class: str, int, member of an enum |
| `Labels` | `(n,)`: an array, a list, a column of a table |
| `Path` | str or path-like: a file or folder |
| `Size` | pixels: one number, or `(height, width)` |
| `Config` | what `get_config` returns |
| `Distance` | function `(x, y) -> distance`, as of `keras_meta.distances` |
| `InnerLoss` | function `(targets, outputs) -> loss`: `keras_meta.losses` |
| `Augmentation` | function `(images, classes, seed) -> images` |

TensorFlow and Keras have no type hints of their own, so mypy takes tensors,
data sets and Keras models for `Any`; NumPy's and this package's types it knows.
"""

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike
from PIL import Image

Tensor: TypeAlias = tf.Tensor | keras.KerasTensor
TensorLike: TypeAlias = tf.Tensor | keras.KerasTensor | np.ndarray
Task: TypeAlias = Tensor | dict[str, Tensor]
Episode: TypeAlias = Mapping[str, TensorLike]
Shape: TypeAlias = Sequence[int | None]
Path: TypeAlias = str | os.PathLike[str]
Size: TypeAlias = int | tuple[int, int]
Config: TypeAlias = dict[str, Any]
InnerLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Augmentation: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class ImageSource(Protocol):
    """Examples that are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape `(n, ...)` of all examples together."""

    def take(self, indices: Any, /) -> Any:
        """Examples `(n, ...)` of an integer tensor or array `(n,)`."""


Examples: TypeAlias = ArrayLike | ImageSource | Sequence[Image.Image]
Images: TypeAlias = Examples | Image.Image
Label: TypeAlias = Hashable
Labels: TypeAlias = ArrayLike | Sequence[Label]
