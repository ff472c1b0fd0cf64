"""What an inner loop minimises: losses of one task.

Each is a function `(targets, outputs) -> loss` with `targets: (examples,
outputs)`, `outputs: (examples, outputs)` and a scalar result, computed in
float32 at least. Your own function of this form serves as well; what it
returns is averaged. A model with it can be saved once the function is
registered with `keras_meta.register`.

They are functions because a `keras.losses.Loss` divides by the number of
replicas, which would change the inner learning rate.
"""

import keras
from keras import ops

from keras_meta.ops import at_least_float32
from keras_meta.serialization import check_registered, register
from keras_meta.typing import Config, InnerLoss, Tensor, TensorLike


@register
def cross_entropy(targets: TensorLike, logits: TensorLike) -> Tensor:
    """Mean over examples of `-log p(class)`; a zero row is padding.

    Args:
        targets: One-hot `(examples, way)`.
        logits: `(examples, way)`.

    Returns:
        Scalar.
    """
    logits = at_least_float32(logits)
    targets = ops.cast(targets, logits.dtype)
    present = ops.sum(targets, axis=-1)
    losses = ops.categorical_crossentropy(targets, logits, from_logits=True)
    # The op's gradient at a zero row is not zero; this factor makes it so.
    total = ops.sum(present * losses)
    return total / ops.maximum(ops.sum(present), 1)


@register
def mean_squared_error(targets: TensorLike, values: TensorLike) -> Tensor:
    """Mean over examples and outputs of `(value - target)^2`.

    Args:
        targets: `(examples, outputs)`.
        values: `(examples, outputs)`.

    Returns:
        Scalar.
    """
    values = at_least_float32(values)
    error = values - ops.cast(targets, values.dtype)
    return ops.mean(error * error)


LOSSES = {
    function.__name__: function
    for function in (cross_entropy, mean_squared_error)
}


def get(
    loss: str | InnerLoss,
) -> InnerLoss:
    """Finds an inner loss by its name.

    Args:
        loss: Name of a loss of this module, or a function `(targets,
            outputs) -> loss`.

    Returns:
        The function.

    Raises:
        ValueError: If the name is unknown or it is no function.
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(
            f"`inner_loss` must be one of {tuple(LOSSES)} or a function "
            "registered with `keras_meta.register`. Received: "
            f"inner_loss={loss!r}"
        )
    return LOSSES[loss]


def serialize(loss: InnerLoss) -> str | Config:
    """The name that `get` finds, or a config that Keras deserializes.

    Args:
        loss: A function, as `get` returned it.

    Raises:
        ValueError: If the function is neither of this module nor registered.
    """
    name = getattr(loss, "__name__", "")
    if LOSSES.get(name) is loss:
        return name
    return keras.saving.serialize_keras_object(
        check_registered("inner_loss", loss)
    )
