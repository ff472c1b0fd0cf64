"""Resizing of images: one matrix product for each axis.

A new pixel is a weighted mean of old ones. Its centre `c` lies at `(i + 0.5) *
old / new` in old pixels, and old pixel `j` gets a weight from its distance to
it:

| name | weight of old pixel `j` |
|---|---|
| `area` | the share of the new pixel's area that it covers |
| `bilinear` | a triangle, `max(0, 1 - abs(x))` |
| `bicubic` | Keys' cubic convolution (1981) with `a = -0.5` |

with `x = (j + 0.5 - c) / max(1, old / new)`: where an image shrinks, the two
last are as much wider, which antialiases. They are Pillow's `BILINEAR` and
`BICUBIC`.
"""

import numpy as np


def _bilinear(x):
    return np.maximum(0, 1 - np.abs(x))


def _bicubic(x):
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# Weights by distance; `area` has none, as a new pixel has two edges.
KERNELS = {"bilinear": _bilinear, "bicubic": _bicubic}
INTERPOLATIONS = ("area", *KERNELS)


def resize(images, size, interpolation="area"):
    """Resizes images.

    Args:
        images: float array `(n, height, width, channels)`.
        size: Pair `(height, width)` of the result.
        interpolation: A name of `INTERPOLATIONS`.

    Returns:
        Array `(n, *size, channels)` of the same dtype; those of the right
        size as they are. Bicubic interpolation overshoots at edges, out of
        the range of the pixels.
    """
    if images.shape[1:3] == tuple(size):
        return images
    rows, columns = (
        weights(old, new, interpolation).astype(images.dtype)
        for old, new in zip(images.shape[1:3], size, strict=True)
    )
    # (n, h, w, c): rows first, then columns, each one matrix product.
    images = np.tensordot(images, rows, (1, 1))
    images = np.tensordot(images, columns, (1, 1))
    return np.ascontiguousarray(np.moveaxis(images, 1, 3))


def weights(old, new, interpolation):
    """The matrix that resizes one axis.

    Args:
        old, new: Its pixels before and after, positive integers.
        interpolation: A name of `INTERPOLATIONS`.

    Returns:
        float64 `(new, old)` whose rows are the weights of the new pixels.
    """
    pixels = np.arange(old)
    if interpolation == "area":
        edges = np.arange(new + 1) * (old / new)
        overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
            edges[:-1, None], pixels
        )
        shares = np.maximum(overlap, 0)
    else:
        centres = (np.arange(new)[:, None] + 0.5) * (old / new)
        distances = (pixels + 0.5 - centres) / max(1, old / new)
        shares = KERNELS[interpolation](distances)
    return shares / shares.sum(axis=1, keepdims=True)
