"""Small pure functions on tensors with a leading `tasks` axis."""

from keras import ops

from keras_meta.statistics import merged_tasks

# The logit of a class without a support example: finite, so that neither a
# loss nor its gradient turns NaN.
ABSENT_LOGIT = -1e9


def at_least_float32(tensor):
    """Casts to float32, unless the tensor is float64 already.

    Counts and distances lose whole examples in half precision: in bfloat16,
    301 is 300.
    """
    wide = "float64" if tensor.dtype == "float64" else "float32"
    return ops.cast(tensor, wide)


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


def class_counts(support_y):
    """Support examples of each class.

    Args:
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way)`.
    """
    return ops.sum(at_least_float32(support_y), axis=1)


def class_means(embeddings, support_y):
    """Mean of the embeddings of each class; zero for a class without any.

    Args:
        embeddings: `(tasks, support, dim)`.
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way, dim)`, float32 at least.
    """
    embeddings = at_least_float32(embeddings)
    support_y = ops.cast(support_y, embeddings.dtype)
    sums = ops.einsum("tsd,tsw->twd", embeddings, support_y)
    counts = ops.sum(support_y, axis=1)[..., None]
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
