"""What the embedding of a Meta Network is told about its support set.

Each loss is a function `(embeddings, support_y, chunks) -> loss` of one task:
the sum over chunks of the mean loss of each. An example is in one chunk only,
so the gradient of an example's embedding is that of its own chunk.
"""

from keras import ops

from keras_meta import distances

# Below this distance, examples of different classes are pushed apart.
MARGIN = 1.0


def split_support(support_y, most, least):
    """Divides the support into chunks of about equal size, in its order.

    Args:
        support_y: One-hot `(support, way)`; zero rows are padding, and in no
            chunk.
        most: Python integer, how many chunks there are at most.
        least: Examples that a chunk holds at least, if there are so many.

    Returns:
        `(chunks, count)`: one-hot rows `(support, most)`, and how many
        chunks have examples; they come first.
    """
    filled = ops.cast(ops.any(support_y > 0, axis=-1), "int32")
    examples = ops.sum(filled)
    count = ops.clip(examples // ops.cast(least, "int32"), 1, most)
    rank = ops.cumsum(filled) - 1
    number = rank * count // ops.maximum(examples, 1)
    chunks = ops.one_hot(number, most, dtype=support_y.dtype)
    return chunks * ops.cast(filled, support_y.dtype)[:, None], count


def mean_in_chunks(losses, weights):
    """Sums over chunks the weighted mean of each.

    Args:
        losses: `(n,)`.
        weights: `(n, chunks)`, zeros and ones.

    Returns:
        Scalar.
    """
    counts = ops.maximum(ops.sum(weights, axis=0), 1)
    return ops.sum(losses[:, None] * weights / counts)


def classification_loss(logits, support_y, chunks):
    """Cross-entropy of the classes.

    Args:
        logits: `(support, way)`.
        support_y: One-hot `(support, way)`.
        chunks: One-hot `(support, chunks)`.

    Returns:
        Scalar.
    """
    losses = -ops.sum(support_y * ops.log_softmax(logits, axis=-1), axis=-1)
    return mean_in_chunks(losses, chunks)


def verification_loss(logits, support_y, chunks):
    """Cross-entropy of "these two are of one class", over all pairs.

    Args:
        logits: `(support, support)`, of each example with each.
        support_y: One-hot `(support, way)`.
        chunks: One-hot `(support, chunks)`; both of a pair are in one.

    Returns:
        Scalar.
    """
    same, pairs = _pairs(support_y, chunks)
    losses = ops.binary_crossentropy(same, logits, from_logits=True)
    return mean_in_chunks(ops.reshape(losses, (-1,)), pairs)


def contrastive_loss(embeddings, support_y, chunks):
    """`d^2` for a pair of one class, else `max(0, 1 - d)^2`.

    With `d` the Euclidean distance of two embeddings (Hadsell, Chopra and
    LeCun 2006, without their factor 1/2).

    Args:
        embeddings: `(support, dim)`.
        support_y: One-hot `(support, way)`.
        chunks: One-hot `(support, chunks)`; both of a pair are in one.

    Returns:
        Scalar.
    """
    same, pairs = _pairs(support_y, chunks)
    distance = distances.euclidean(embeddings, embeddings)
    short = ops.maximum(MARGIN - distance, 0)
    losses = same * distance**2 + (1 - same) * short**2
    return mean_in_chunks(ops.reshape(losses, (-1,)), pairs)


def _pairs(support_y, chunks):
    """Of every two examples, each pair once.

    Returns:
        `(same, pairs)`: `(support, support)`, 1 for one class, and
        `(support * support, chunks)`, 1 in the chunk that holds both.
    """
    same = ops.matmul(support_y, ops.transpose(support_y))
    numbers = ops.arange(ops.shape(support_y)[0])
    once = ops.cast(numbers[:, None] < numbers, chunks.dtype)
    pairs = chunks[:, None] * chunks[None] * once[..., None]
    return same, ops.reshape(pairs, (-1, chunks.shape[-1]))
