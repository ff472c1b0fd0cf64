"""Small pure functions on tensors with a leading `tasks` axis."""

from keras import ops

from keras_meta.batch_statistics import StatisticsScope, merged_tasks

# The logit of a class without a support example: finite, so that neither a
# loss nor its gradient turns NaN.
ABSENT_LOGIT = -1e9


def wide(dtype):
    """`"float64"` for itself, `"float32"` for any other dtype.

    Counts and distances lose whole examples in half precision: in bfloat16,
    301 is 300.
    """
    return "float64" if dtype == "float64" else "float32"


def at_least_float32(tensor):
    """Casts to float32, unless the tensor is float64 already."""
    return ops.cast(tensor, wide(tensor.dtype))


def batch_apply(module, inputs, training=False):
    """Runs a network over the examples of all tasks as one batch.

    Args:
        module: Callable `(batch, training=...) -> (batch, ...)`.
        inputs: Tensor `(tasks, examples, ...)`.
        training: Python bool, handed on.

    Returns:
        Tensor `(tasks, examples, ...)`.
    """
    tasks, examples = ops.shape(inputs)[:2]
    merged = ops.reshape(inputs, (-1, *inputs.shape[2:]))
    with merged_tasks(tasks):
        outputs = module(merged, training=training)
    # Examples may be none, so the axis is not left to be inferred.
    return ops.reshape(outputs, (tasks, examples, *outputs.shape[1:]))


def joint_apply(module, support_x, query_x, training=True):
    """Runs a network over support and queries as one batch of each task.

    Batch norm then uses their joint moments, as the code of Prototypical
    Networks does in training.

    Args:
        module: Callable `(batch, training=...) -> (batch, ...)`.
        support_x: Tensor `(tasks, support, ...)`.
        query_x: Tensor `(tasks, query, ...)`.
        training: Python bool, handed on.

    Returns:
        Two tensors, `(tasks, support, ...)` and `(tasks, query, ...)`.
    """
    support = ops.shape(support_x)[1]
    with StatisticsScope("batch"):
        outputs = batch_apply(
            module, ops.concatenate([support_x, query_x], axis=1), training
        )
    return outputs[:, :support], outputs[:, support:]


def check_vectors(name, embeddings):
    """Returns embeddings `(tasks, examples, dim)`, or raises a ValueError.

    Args:
        name: The argument that holds the encoder, for the message.
        embeddings: What the encoder made of examples.
    """
    if len(embeddings.shape) != 3:
        raise ValueError(
            f"`{name}` must return a vector for each example, (batch, dim); "
            "end it with a Flatten or GlobalAveragePooling2D layer. "
            f"Received: an output of shape {(None, *embeddings.shape[2:])}"
        )
    return embeddings


def class_counts(support_y):
    """Support examples of each class.

    Args:
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way)`.
    """
    return ops.sum(at_least_float32(support_y), axis=1)


def class_sums(embeddings, support_y):
    """Sum of the embeddings of each class; zero for a class without any.

    Args:
        embeddings: `(tasks, support, ...)`, vectors or feature maps.
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way, ...)`, float32 at least.
    """
    embeddings = at_least_float32(embeddings)
    support_y = ops.cast(support_y, embeddings.dtype)
    return ops.einsum("ts...,tsw->tw...", embeddings, support_y)


def class_means(embeddings, support_y):
    """Mean of the embeddings of each class; zero for a class without any.

    Args:
        embeddings: `(tasks, support, ...)`, vectors or feature maps.
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way, ...)`, float32 at least.
    """
    sums = class_sums(embeddings, support_y)
    counts = ops.cast(class_counts(support_y), sums.dtype)
    extra = (1,) * (len(sums.shape) - 2)
    counts = ops.reshape(counts, (*ops.shape(counts), *extra))
    return sums / ops.maximum(counts, 1)


def mask_absent(logits, present):
    """Gives classes without support examples the logit -1e9.

    Args:
        logits: `(tasks, query, way)`.
        present: `(tasks, way)`, 0 where a class has no support.

    Returns:
        Tensor of the shape of `logits`.
    """
    absent = ops.cast(ABSENT_LOGIT, logits.dtype)
    return ops.where(present[:, None, :] > 0, logits, absent)


def row_shares(scores):
    """Non-negative scores as shares of their row: what sums to 1.

    A row of zeros stays one.

    Args:
        scores: `(..., way)`.

    Returns:
        Tensor of the shape of `scores`.
    """
    total = ops.sum(scores, axis=-1, keepdims=True)
    return scores / ops.where(total > 0, total, 1)
