"""Small pure functions on tensors with a leading `tasks` axis."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops
from numpy.typing import DTypeLike

from keras_meta.batch_statistics import (
    UNROLLED_TASKS,
    StatisticsScope,
    merged_tasks,
    one_update,
)
from keras_meta.convolution_blocks import run_network
from keras_meta.typing import Distance, Shape, Tensor, TensorLike

# The logit of a class without a support example: finite, so that neither a
# loss nor its gradient turns NaN.
ABSENT_LOGIT = -1e9
HALF_PRECISION = ("bfloat16", "float16")
# The least length that `unit_vectors` divides by.
LEAST_LENGTH = 1e-8
# The largest tensor of `in_chunks`, in numbers: 256 MB of float32.
CHUNK_NUMBERS = 2**26


def wide(dtype: DTypeLike) -> str:
    """Returns `"float64"` for float64 and `"float32"` for any other dtype.

    Half precision is too coarse even for counts: in bfloat16, 301 is 300.
    """
    return "float64" if dtype == "float64" else "float32"


def at_least_float32(tensor: TensorLike) -> Tensor:
    """Casts to float32, unless the tensor is float64 already."""
    return ops.cast(tensor, wide(tensor.dtype))


@contextlib.contextmanager
def uncast_inputs(module: keras.Layer, shape: Shape) -> Iterator[None]:
    """Leaves the precision of a network's inputs to its layers.

    Under a half-precision policy a Keras model casts its inputs, which rounds
    token ids before an Embedding sees them: in bfloat16, 301 is 300. All
    layers but models cast their inputs themselves, so the models of a network
    need not. A `Sequential` casts in two places: as a layer, and in the
    functional model it keeps, without which it runs layer by layer.

    Args:
        module: Keras model or layer.
        shape: Shape of its input, to build a `Sequential` that is not.
    """
    changed = []
    for model in getattr(module, "_flatten_layers", list)():
        if not isinstance(model, keras.Model) or (
            model.compute_dtype not in HALF_PRECISION
        ):
            continue
        change: dict[str, Any] = {"autocast": False}
        if isinstance(model, keras.Sequential):
            if model is module and not model.built:
                model.build(shape)
            change["_functional"] = None
        own = vars(model)
        changed.append((own, {name: own[name] for name in change}))
        own.update(change)
    try:
        yield
    finally:
        for own, before in changed:
            own.update(before)


def batch_apply(
    module: Callable[..., Tensor], inputs: TensorLike, training: bool = False
) -> Tensor:
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
    if isinstance(module, keras.Sequential) and not module.built:
        # By itself it would keep the size of its first batch as its input.
        module.build((None, *inputs.shape[2:]))
    with merged_tasks(tasks), uncast_inputs(module, merged.shape):
        outputs = run_network(module, merged, training)
    # Not -1, which cannot be inferred without examples.
    return ops.reshape(outputs, (tasks, examples, *outputs.shape[1:]))


def joint_apply(
    module: Callable[..., Tensor],
    support_x: TensorLike,
    query_x: TensorLike,
    training: bool = True,
) -> tuple[Tensor, Tensor]:
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
    examples = ops.concatenate([support_x, query_x], axis=1)
    tasks = ops.shape(examples)[0]
    with StatisticsScope("batch"):
        if _is_run_by_task(module, tasks):
            with one_update(passes=tasks):
                outputs = ops.concatenate(
                    [
                        batch_apply(module, task, training)
                        for task in ops.split(examples, tasks)
                    ]
                )
        else:
            outputs = batch_apply(module, examples, training)
    return outputs[:, :support], outputs[:, support:]


def _is_run_by_task(module, tasks):
    """Whether a network runs once for each task instead of once for all.

    This is faster on a CPU where batch norm has moments of each task: the maps
    of all tasks are not taken apart and put together in each layer. A GPU
    wants few large operations. Layers with another state, such as that of a
    random generator, would notice.
    """
    if keras.distribution.list_devices("gpu"):
        return False
    if not isinstance(tasks, int) or not 1 < tasks <= UNROLLED_TASKS:
        return False
    layers = getattr(module, "_flatten_layers", list)()
    norms = [layer for layer in layers if hasattr(layer, "move_averages")]
    state = getattr(module, "non_trainable_variables", ())
    averages = [v for norm in norms for v in norm.non_trainable_variables]
    return bool(norms) and {id(v) for v in state} == {id(v) for v in averages}


def check_vectors(name: str, embeddings: TensorLike) -> Tensor:
    """Returns embeddings `(tasks, examples, dim)`, or raises a ValueError.

    Args:
        name: The argument that holds the encoder, for the message.
        embeddings: Output of the encoder, `(tasks, examples, ...)`.

    Raises:
        ValueError: If they are no vectors.
    """
    if len(embeddings.shape) != 3:
        raise ValueError(
            f"`{name}` must return a vector for each example, (batch, dim); "
            "end it with a Flatten or GlobalAveragePooling2D layer. "
            f"Received: an output of shape {(None, *embeddings.shape[2:])}"
        )
    return embeddings


def unit_vectors(vectors: TensorLike) -> Tensor:
    """Divides vectors `(..., dim)` by their length; a zero vector stays.

    The result is of float32 at least.
    """
    vectors = at_least_float32(vectors)
    squares = ops.sum(vectors * vectors, axis=-1, keepdims=True)
    # Equal to dividing by max(length, least length), with a finite gradient
    # at 0.
    return vectors * ops.rsqrt(ops.maximum(squares, LEAST_LENGTH**2))


def class_counts(support_y: TensorLike) -> Tensor:
    """Support examples of each class.

    Args:
        support_y: One-hot rows `(tasks, support, way)`; zero rows are
            padding.

    Returns:
        Tensor `(tasks, way)`.
    """
    return ops.sum(at_least_float32(support_y), axis=1)


def class_sums(embeddings: TensorLike, support_y: TensorLike) -> Tensor:
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


def class_means(embeddings: TensorLike, support_y: TensorLike) -> Tensor:
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


def class_maxima(values: TensorLike, labels: TensorLike) -> Tensor:
    """Largest value of each class; -1e9 for a class without any.

    Args:
        values: `(tasks, query, support)`.
        labels: One-hot rows `(tasks, support, way)`; zero rows are padding.

    Returns:
        Tensor `(tasks, query, way)`.
    """
    tasks, support, way = ops.shape(labels)
    # Padding belongs to one class more. Segments need no tensor of the size
    # query x support x way.
    each = way + 1
    numbers = _class_numbers(labels) + each * ops.expand_dims(
        ops.arange(tasks), 1
    )
    rows = ops.reshape(ops.swapaxes(values, 1, 2), (tasks * support, -1))
    found = ops.segment_max(
        rows, ops.reshape(numbers, (-1,)), num_segments=tasks * each
    )
    found = ops.reshape(found, (tasks, each, ops.shape(values)[1]))[:, :way]
    return mask_absent(ops.swapaxes(found, 1, 2), class_counts(labels))


def class_log_sums(values: TensorLike, labels: TensorLike) -> Tensor:
    """`log sum_{i in class} exp(value_i)`; -1e9 for a class without any.

    Args:
        values: `(tasks, query, support)`.
        labels: One-hot rows `(tasks, support, way)`; zero rows are padding.

    Returns:
        Tensor `(tasks, query, way)`.
    """
    labels = ops.cast(labels, values.dtype)
    largest = ops.stop_gradient(class_maxima(values, labels))
    # The maximum of its own class, for each support example.
    numbers = ops.minimum(_class_numbers(labels), ops.shape(labels)[2] - 1)
    numbers = ops.broadcast_to(ops.expand_dims(numbers, 1), ops.shape(values))
    shifted = values - ops.take_along_axis(largest, numbers, axis=2)
    filled = ops.expand_dims(ops.any(labels > 0, axis=-1), 1)
    sums = ops.matmul(ops.exp(ops.where(filled, shifted, 0)), labels)
    present = class_counts(labels)
    logs = ops.log(ops.where(ops.expand_dims(present, 1) > 0, sums, 1))
    return mask_absent(largest + logs, present)


def _class_numbers(labels):
    """The class of each row, `(tasks, support)`; `way` for padding."""
    filled = ops.any(labels > 0, axis=-1)
    # Of integers, as the largest float is found by its bits, which phones
    # have no operation for.
    numbers = ops.argmax(ops.cast(labels, "int32"), axis=-1)
    return ops.where(filled, numbers, ops.shape(labels)[2])


def in_chunks(compare: Distance, x: TensorLike, y: TensorLike) -> Tensor:
    """`compare(x, y)` of all pairs, some rows of `x` at a time.

    It bounds the memory of a comparison that makes a tensor `(..., n, m,
    dim)`. Sizes that are unknown while a graph is made are not bounded.

    Args:
        compare: Function of `(..., n, dim)` and `(..., m, dim)` that returns
            `(..., n, m)`.
        x: `(..., n, dim)`.
        y: `(..., m, dim)`.

    Returns:
        Tensor `(..., n, m)`.
    """
    n, m, dim = x.shape[-2], y.shape[-2], y.shape[-1]
    if None in (n, m, dim) or n * m * dim <= CHUNK_NUMBERS:
        return compare(x, y)
    rows = max(1, CHUNK_NUMBERS // (m * dim))
    parts = [
        compare(x[..., start : start + rows, :], y)
        for start in range(0, n, rows)
    ]
    return ops.concatenate(parts, axis=-2)


def mask_absent(logits: TensorLike, present: TensorLike) -> Tensor:
    """Gives classes without support examples the logit -1e9.

    Args:
        logits: `(tasks, query, way)`.
        present: `(tasks, way)`, 0 where a class has no support.

    Returns:
        Tensor of the shape of `logits`.
    """
    absent = ops.cast(ABSENT_LOGIT, logits.dtype)
    return ops.where(ops.expand_dims(present, 1) > 0, logits, absent)


def row_shares(scores: TensorLike) -> Tensor:
    """Divides non-negative scores by the sum of their row.

    A row of zeros stays a row of zeros.

    Args:
        scores: `(..., way)`.

    Returns:
        Tensor of the shape of `scores`.
    """
    total = ops.sum(scores, axis=-1, keepdims=True)
    return scores / ops.where(total > 0, total, 1)
