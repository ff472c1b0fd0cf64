"""Projections of embeddings to the plane."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits


def project(embeddings, prototypes, method, seed):
    """Projects embeddings and prototypes to the plane.

    Args:
        embeddings: Array `(n, dim)`.
        prototypes: Array `(classes, dim)`, `classes` may be 0.
        method: `"pca"` or `"tsne"`.
        seed: Integer: the seed of the method.

    Returns:
        Embeddings `(n, 2)`, prototypes `(classes, 2)` and the labels of both
        axes.

    Raises:
        ValueError: If the method is unknown.
    """
    stacked = np.concatenate([embeddings, prototypes])
    if method == "pca":
        points, axis_labels = _pca(embeddings, stacked, seed)
    elif method == "tsne":
        points, axis_labels = _tsne(stacked, seed)
    else:
        raise ValueError(
            f"`method` must be 'pca' or 'tsne'. Received: method={method!r}"
        )
    return points[: len(embeddings)], points[len(embeddings) :], axis_labels


def _pca(embeddings, stacked, seed):
    """Projects all to the plane of largest variance of the embeddings."""
    # If all embeddings are equal, scikit-learn divides zero by zero.
    with np.errstate(invalid="ignore"):
        pca = PCA(2, random_state=seed).fit(embeddings)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    axis_labels = [
        f"Principal component {i} ({share:.0%} of the variance)"
        for i, share in enumerate(shares, start=1)
    ]
    return pca.transform(stacked), axis_labels


def _tsne(stacked, seed):
    """Maps all jointly, so that neighbours stay together."""
    perplexity = min(30, (len(stacked) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, random_state=seed)
    # One thread is quick enough for a figure. Two wait for each other, which
    # takes 20 times as long on a busy machine.
    with threadpool_limits(1):
        return tsne.fit_transform(stacked), ["t-SNE 1", "t-SNE 2"]
