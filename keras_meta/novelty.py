"""How unlike all classes of a task an example is, for "none of these"."""

import dataclasses

import numpy as np
from keras import ops

from keras_meta import distances

# Examples that are embedded at once.
CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Novelty:
    """Distances from the classes of a task, in units of the task's spread.

    With `c_k` the mean embedding of class `k`, and `c_k \\ i` the mean of the
    class without its example `i`:

        spread^2 = mean over support examples of |z_i - c_y(i) \\ i|^2
        novelty(x) = min_k |z - c_k| / spread

    The support examples get the score of an example that was not learned:
    neither their own class mean nor the spread counts them.

    Args:
        means: Array `(classes, dim)`.
        spread: Positive float.
        left_out: Array `(m,)`: the scores of the support examples whose class
            has another one.
    """

    means: np.ndarray
    spread: float
    left_out: np.ndarray

    @classmethod
    def fit(cls, embeddings, codes):
        """Measures a support set.

        Args:
            embeddings: Array `(n, dim)`.
            codes: Integer array `(n,)`: the class of each, from 0.

        Raises:
            ValueError: If no class has two examples.
        """
        counts = np.bincount(codes)
        several = counts[codes] > 1
        if not several.any():
            raise ValueError(
                "`novelty` and `unknown` need a class with two examples or "
                "more, whose distance is the measure. Received: one example "
                f"of each of {len(counts)} classes"
            )
        sums = np.zeros((len(counts), embeddings.shape[1]))
        np.add.at(sums, codes, embeddings)
        means = sums / counts[:, None]
        rows = np.flatnonzero(several)
        own = codes[rows]
        others = (sums[own] - embeddings[rows]) / (counts[own] - 1)[:, None]
        squares = np.sum((embeddings[rows] - others) ** 2, axis=1)
        nearest = _distances(embeddings[rows], means)
        nearest[np.arange(len(rows)), own] = np.sqrt(squares)
        # Equal pictures have no spread; their distance is all rounding.
        least = 1e-6 * np.sqrt(np.mean(np.sum(embeddings**2, axis=1))) or 1.0
        without = (squares.sum() - squares) / (len(rows) - 1)
        left_out = nearest.min(axis=1) / np.maximum(np.sqrt(without), least)
        spread = max(float(np.sqrt(squares.mean())), least)
        return cls(means, spread, left_out)

    def score(self, embeddings):
        """The novelty `(n,)` of examples, from 0.

        Args:
            embeddings: Array `(n, dim)`.
        """
        return _distances(embeddings, self.means).min(axis=1) / self.spread

    def threshold(self, share):
        """The score above which a share of the left-out examples lies.

        Args:
            share: Float in `(0, 1)`.
        """
        return float(np.quantile(self.left_out, 1 - share))


def embed(model, images):
    """Embeddings in which distances say what is unlike.

    They are those of the model's own `embed`, or its `feature_maps` as
    vectors. Embeddings that a model compares by their cosine, and feature
    maps, are divided by their norm.

    Args:
        model: An `EpisodicModel`.
        images: float32 examples `(n, ...)`, as the model takes them.

    Returns:
        float64 array `(n, dim)`.

    Raises:
        ValueError: If the model has neither.
    """
    run = model.embed or model.feature_maps
    if run is None:
        raise ValueError(
            "`novelty` and `unknown` need a model that embeds examples, such "
            "as a PrototypicalNetwork, MatchingNetwork, SiameseNetwork or "
            f"RelationNetwork. Received: a {type(model).__name__}"
        )
    parts = [
        ops.convert_to_numpy(run(images[None, start : start + CHUNK]))[0]
        for start in range(0, len(images), CHUNK)
    ]
    found = np.concatenate(parts).reshape(len(images), -1).astype("float64")
    directions = model.embed is None or (
        getattr(model, "distance", None) is distances.cosine
    )
    if directions:
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        found /= np.maximum(norms, np.finfo("float32").tiny)
    return found


def _distances(embeddings, means):
    """Euclidean distances `(n, classes)`."""
    # One class at a time, as a difference loses no digits to rounding.
    columns = [np.linalg.norm(embeddings - mean, axis=1) for mean in means]
    return np.stack(columns, axis=1)
