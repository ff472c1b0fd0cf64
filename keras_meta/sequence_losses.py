"""Losses of label-offset sequences whose labels are strings of letters.

A label of `keras_meta.data.sequence_dataset(encoding="letters")` is a string
of five letters a to e: five one-hot rows of five, one after the other. The
letter at place `p` is in the columns `5 * p` to `5 * p + 4`.
"""

import keras
from keras import ops

from keras_meta.serialization import register
from keras_meta.typing import Tensor

# How the labels of a sequence are written.
ENCODINGS = ("one_hot", "letters")
# As many letters in a string as in its alphabet, so one number serves for
# both.
LETTERS = 5


@register
class StringCrossentropy(keras.losses.Loss):
    """Cross-entropy of strings: the sum of those of their five letters.

    `loss = -sum_p log softmax(logits[5 p : 5 p + 5])[letter p]`, one value
    for each step (Santoro et al. 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", section 4.2). A step whose target is a zero row is
    padding and has loss and gradient zero.

    `y_true` and `y_pred`, which holds logits, are of shape `(..., 25)`; the
    losses before the reduction are of shape `(...)`.

    Args:
        reduction: As for every Keras loss: the default is the mean over all
            steps of all sequences, padding included; `None` leaves a loss
            for each step.
        name: Name of the loss.
        dtype: Type of the computation.

    Raises:
        ValueError: When called, if the last axis is not 25.

    >>> loss = StringCrossentropy()
    >>> target = np.tile(np.eye(5)[:1], 5)
    >>> float(loss(target, 0 * target) / np.log(5).astype("float32"))
    5.0
    """

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "string_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        log_p = ops.log_softmax(split_letters("y_pred", y_pred), axis=-1)
        # Not an op for cross-entropy: its gradient at a zero row is not zero.
        letters = split_letters("y_true", y_true)
        return -ops.sum(letters * log_p, axis=(-2, -1))


def split_letters(name: str, strings: Tensor) -> Tensor:
    """One axis for the letters of a string, one for the alphabet.

    Args:
        name: The argument's name, for the message.
        strings: Tensor `(..., 25)`.

    Returns:
        Tensor `(..., 5, 5)`.

    Raises:
        ValueError: If the last axis is not 25.
    """
    if strings.shape[-1] != LETTERS**2:
        raise ValueError(
            f"`{name}` must have {LETTERS**2} columns, {LETTERS} for each of "
            f"{LETTERS} letters. Received: {name} of shape "
            f"{tuple(strings.shape)}"
        )
    return ops.reshape(strings, (*ops.shape(strings)[:-1], LETTERS, LETTERS))
