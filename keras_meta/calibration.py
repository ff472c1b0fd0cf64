"""Probabilities that say how often they are right (Guo et al., 2017)."""

import numpy as np
from numpy.typing import ArrayLike

from keras_meta.checks import check_integer
from keras_meta.data.labels import label_array
from keras_meta.typing import Labels

# How far below 0 the logarithm of a temperature is expected to be.
DEVIATION = 2.0
# The range of that logarithm, and a search that narrows it.
RANGE, POINTS, ROUNDS = 12.0, 41, 6


def fit_temperature(log_probabilities: ArrayLike, codes: np.ndarray) -> float:
    """The temperature that makes predictions as sure as they are right.

    `p_T = softmax(log p / T)`. For a model of logits `z` that is
    `softmax(z / T)`, temperature scaling (Guo et al. 2017, equation 9); for
    a model of scores it divides the logs of their shares. With `y` the true
    classes, `T` minimises

        -sum_i log p_T(y_i | x_i) + min(ln T, 0)^2 / (2 * 2^2)

    the paper's cross-entropy and a prior, which a few examples need: were
    all of them predicted rightly, `T` would be 0 and every probability 1.
    Errors alone make a model less sure, so nothing holds back a large `T`.
    The prior was chosen on Omniglot's validation characters, where it is
    better than softened targets (Platt 1999).

    Args:
        log_probabilities: Array `(n, way)` of examples that were not learned.
        codes: Integer array `(n,)`: the true classes.

    Returns:
        A positive float; below 1 it makes probabilities surer.
    """
    rows = np.arange(len(codes))

    def cost(logarithm):
        found = tempered(log_probabilities, np.exp(logarithm))
        likely = np.maximum(found[rows, codes], np.finfo("float64").tiny)
        prior = min(logarithm, 0) ** 2 / (2 * DEVIATION**2)
        return prior - np.sum(np.log(likely))

    best, width = 0.0, RANGE
    for _ in range(ROUNDS):
        grid = best + width * np.linspace(-1, 1, POINTS)
        best = min(grid, key=cost)
        width /= POINTS // 4
    return float(np.exp(best))


def tempered(log_probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """`softmax(log p / T)`, the same classes in the same order.

    Args:
        log_probabilities: Array `(n, way)`.
        temperature: Positive float.

    Returns:
        float64 array `(n, way)` whose rows sum to 1.
    """
    logits = np.asarray(log_probabilities, "float64") / temperature
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def expected_calibration_error(
    probabilities: ArrayLike,
    labels: Labels,
    bins: int = 15,
    classes: Labels | None = None,
) -> float:
    """How far the confidence of predictions is from their accuracy.

    With `B_m` the predictions whose confidence, the probability of the
    predicted class, is in bin `m` (Guo et al. 2017, "On Calibration of
    Modern Neural Networks", equations 3 and 5):

        ECE = sum_m |B_m| / n * |accuracy(B_m) - confidence(B_m)|

    Args:
        probabilities: Array `(n, way)`, rows that sum to 1, as of
            `FewShotClassifier.predict_proba`; at least one.
        labels: `n` true labels among `classes`.
        bins: Positive integer: bins of equal width in `[0, 1]`; a bin holds
            its upper end. The paper takes 15.
        classes: The label of each column, such as `classifier.classes_`; by
            default 0, 1 and so on.

    Returns:
        A float from 0, perfectly calibrated, to 1.

    Raises:
        ValueError: If shapes do not fit, rows do not sum to 1, a label is
            not among the classes, or `bins` is no positive integer.

    Example:

    >>> probabilities = [[0.75, 0.25]] * 4
    >>> expected_calibration_error(probabilities, [0, 0, 0, 1])
    0.0
    >>> expected_calibration_error(
    ...     probabilities, ["dog"] * 4, classes=["cat", "dog"])
    0.75
    """
    counts, confidence, accuracy = confidence_bins(
        probabilities, labels, bins, classes
    )
    filled = counts > 0
    gaps = np.abs(accuracy - confidence)[filled]
    return float(np.sum(counts[filled] * gaps) / counts.sum())


def confidence_bins(
    probabilities: ArrayLike,
    labels: Labels,
    bins: int = 15,
    classes: Labels | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The predictions in bins of their confidence.

    Args:
        probabilities, labels, bins, classes: As for
            `expected_calibration_error`.

    Returns:
        Three arrays `(bins,)`: integers, the predictions in each bin; their
        mean confidence, NaN for an empty bin; and the share of them that are
        right, NaN for an empty bin.

    Raises:
        ValueError: As for `expected_calibration_error`.
    """
    bins = check_integer("bins", bins, 1)
    probabilities = _check_probabilities(probabilities)
    codes = _codes(labels, classes, probabilities.shape)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == codes
    # Rounded, so that an end of a bin is not missed by the last digit.
    places = np.ceil(np.round(confidence * bins, 6)).astype(int) - 1
    places = np.clip(places, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = [
        np.bincount(places, weights=values, minlength=bins)
        for values in (confidence, right)
    ]
    with np.errstate(invalid="ignore"):
        return counts, sums[0] / counts, sums[1] / counts


def _check_probabilities(probabilities):
    array = np.asarray(probabilities)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iuf":
        raise ValueError(
            "`probabilities` must be numbers of shape (n, way), with at least "
            f"one row. Received: shape {array.shape}, dtype {array.dtype}"
        )
    array = array.astype("float64")
    # NaN fails both.
    rows = (array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) < 1e-3)
    if not rows.all():
        row = int(np.argmin(rows))
        raise ValueError(
            "`probabilities` must have rows of numbers from 0 that sum to 1. "
            f"Received: {array[row]} in row {row}"
        )
    return array


def _codes(labels, classes, shape):
    """The column of each label, `(n,)`."""
    labels = label_array(labels)
    classes = np.arange(shape[1]) if classes is None else label_array(classes)
    if labels.shape != shape[:1] or classes.shape != shape[1:]:
        raise ValueError(
            "`labels` must hold a label for each row of `probabilities`, and "
            f"`classes` one for each column. Received: {len(labels)} labels, "
            f"{len(classes)} classes and probabilities of shape {shape}"
        )
    place = {label: number for number, label in enumerate(classes.tolist())}
    codes = [place.get(label, -1) for label in labels.tolist()]
    if -1 in codes:
        raise ValueError(
            f"`labels` must be among the classes {classes.tolist()}. "
            f"Received: {labels[codes.index(-1)]!r}"
        )
    return np.array(codes)
