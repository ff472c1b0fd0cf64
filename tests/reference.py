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


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(inputs, before, c, kernel, bias, recurrent_kernel):
    """`h, c (units,)` after one step; gates in Keras' order i, f, g, o.

    `before` holds `h` and whatever else comes from the step before.
    """
    gates = inputs @ kernel + bias + before @ recurrent_kernel
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lrua_access(
    memory,
    read_weights,
    usage,
    keys,
    content,
    gates,
    least_used="shared",
    zeroed_rows="one",
    address_memory="current",
    usage_decay=0.95,
):
    """One access of one sample; all that `LRUACell.access` returns.

    `memory (slots, width)`, `read_weights (heads, slots)`, `usage (slots,)`,
    `keys` and `content (heads, width)`, `gates (heads,)`.
    """
    heads, slots = read_weights.shape
    # Python's sort is stable: the lowest of equal rows comes first.
    rows = sorted(range(slots), key=lambda i: usage[i])[:heads]
    marks = np.zeros((heads, slots))
    for head in range(heads):
        if least_used == "per_head":
            marks[head, rows[head]] = 1
        elif least_used == "shared":
            marks[head, rows] = 1
        else:
            marks[head, usage <= usage[rows[-1]]] = 1
    previous, memory = memory, memory.copy()
    memory[marks.any(axis=0) if zeroed_rows == "all" else rows[0]] = 0
    write_weights = np.zeros((heads, slots))
    for head in range(heads):
        write_weights[head] = (
            gates[head] * read_weights[head] + (1 - gates[head]) * marks[head]
        )
        memory = memory + np.outer(write_weights[head], content[head])
    addressed = memory if address_memory == "current" else previous
    read_weights = softmax(-pairwise(KERNELS["cosine"], keys, addressed) + 1)
    return {
        "memory": memory,
        "read_weights": read_weights,
        "write_weights": write_weights,
        "usage_weights": usage_decay * usage
        + read_weights.sum(axis=0)
        + write_weights.sum(axis=0),
        "reads": read_weights @ memory,
    }


def ntm_weights(memory, previous, raw, addressing="content_and_location"):
    """Weights `(slots,)` of one head, from its numbers before activation.

    `memory (slots, width)`, `previous (slots,)`, `raw`: key, beta and, with
    location, g, the shifts in order of their offsets, gamma.
    """
    slots, width = memory.shape
    key, beta, location = raw[:width], raw[width], raw[width + 1 :]
    cosines = 1 - pairwise(KERNELS["cosine"], [np.tanh(key)], memory)[0]
    weights = softmax(np.log1p(np.exp(beta)) * cosines)
    if addressing == "content":
        return weights
    gate, shifts = sigmoid(location[0]), softmax(location[1:-1])
    gated = gate * weights + (1 - gate) * previous
    moved, reach = np.zeros(slots), len(shifts) // 2
    for i in range(slots):
        for o in range(-reach, reach + 1):
            moved[i] += gated[(i - o) % slots] * shifts[o + reach]
    powers = moved ** (1 + np.log1p(np.exp(location[-1])))
    return powers / powers.sum()
