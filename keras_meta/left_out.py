"""Support examples predicted by a task that was learned without them."""

import numpy as np
from keras import ops

# The most tasks that are learned, each without other examples.
ROUNDS = 20
# Support examples of all tasks that are learned at once: to bound memory.
EXAMPLES = 1024


def left_out(model, images, codes, way):
    """Log-probabilities of examples that the task did not learn from.

    Round `r` leaves out the `r`-th example of each class, learns a task from
    the others and predicts those that are left out, so each example is
    predicted once. A class has one example less than in the real task, all
    classes alike. Classes of more than `ROUNDS` examples leave out several
    in a round, which bounds the cost. A class with one example is always
    learned and never predicted.

    Args:
        model: A built `EpisodicModel`.
        images: float32 examples `(n, ...)`, as the model takes them.
        codes: Integer array `(n,)`: the class of each, from 0.
        way: The number of classes that the model is given; those beyond the
            classes of `codes` have no examples.

    Returns:
        log_probabilities: float64 array `(m, classes)`; `m` is 0 if no class
            has two examples.
        codes: Integer array `(m,)`: the true classes.
    """
    rounds = _rounds(codes)
    targets = np.eye(way, dtype="float32")[codes]
    classes = codes.max() + 1
    found, true = [np.zeros((0, classes))], [codes[:0]]
    for tasks in _tasks_at_once(rounds):
        queries = np.stack([np.flatnonzero(rounds == task) for task in tasks])
        support = np.stack([np.flatnonzero(rounds != task) for task in tasks])
        task = model.adapt(images[support], targets[support])
        predictions = model.infer(task, images[queries])[..., :classes]
        logs = ops.convert_to_numpy(model.log_probabilities(predictions))
        found.append(logs.reshape(-1, classes).astype("float64"))
        true.append(codes[queries].reshape(-1))
    return np.concatenate(found), np.concatenate(true)


def _rounds(codes):
    """The round that leaves out each example `(n,)`; -1 for never."""
    counts = np.bincount(codes)
    rounds = np.empty(len(codes), int)
    for code, count in enumerate(counts):
        rounds[codes == code] = np.arange(count)
    rounds %= min(counts.max(), ROUNDS)
    return np.where(counts[codes] > 1, rounds, -1)


def _tasks_at_once(rounds):
    """Lists of rounds that leave out equally many examples."""
    size = max(1, EXAMPLES // len(rounds))
    numbers, counts = np.unique(rounds[rounds >= 0], return_counts=True)
    for count in np.unique(counts):
        alike = numbers[counts == count]
        for start in range(0, len(alike), size):
            yield alike[start : start + size]
