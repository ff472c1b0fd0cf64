"""Slow, obvious NumPy versions of what the library computes."""

import numpy as np


def class_means(embeddings, labels, way):
    """`(way, dim)`: the mean row of each class; zero for a class without."""
    means = np.zeros((way, embeddings.shape[1]))
    for k in range(way):
        if np.any(labels == k):
            means[k] = embeddings[labels == k].mean(axis=0)
    return means


def pairwise(kernel, x, y):
    """`(n, m)`: the kernel of each row of `x` with each row of `y`."""
    return np.array([[kernel(a, b) for b in y] for a in x])


def unit(vector):
    return vector / max(np.linalg.norm(vector), 1e-8)


# By the names of the functions of `keras_meta.distances`.
KERNELS = {
    "squared_euclidean": lambda a, b: np.sum((a - b) ** 2),
    "euclidean": lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
    "manhattan": lambda a, b: np.sum(np.abs(a - b)),
    "negative_dot": lambda a, b: -np.dot(a, b),
    "cosine": lambda a, b: 1 - np.dot(unit(a), unit(b)),
    "semi_cosine": lambda a, b: -np.dot(a, unit(b)),
}


def softmax(logits):
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def task_accuracy(query_y, predictions):
    """Of one task: a tie counts as one over the classes tied."""
    credits = []
    for target, prediction in zip(query_y, predictions, strict=True):
        if target.any():
            best = np.flatnonzero(prediction == prediction.max())
            credits.append(float(target.argmax() in best) / max(len(best), 1))
    return np.mean(credits)


def accuracy_interval(accuracies):
    """Mean and half width of the 95% interval, ddof 0."""
    return (
        np.mean(accuracies),
        1.96 * np.std(accuracies) / np.sqrt(len(accuracies)),
    )


def area_resize(image, size):
    """The mean over the area of each new pixel, for whole factors."""
    height, width = image.shape[0] // size[0], image.shape[1] // size[1]
    resized = np.zeros((*size, image.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            block = image[
                i * height : (i + 1) * height, j * width : (j + 1) * width
            ]
            resized[i, j] = block.mean(axis=(0, 1))
    return resized
