"""A cosine classifier fitted to each task, Baseline++ (Chen et al., 2019)."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_integer, check_positive
from keras_meta.distances import negative_dot
from keras_meta.models.functional import repeat
from keras_meta.models.prototypical_network import PrototypicalNetwork
from keras_meta.ops import (
    class_counts,
    class_means,
    mask_absent,
    unit_vectors,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Tensor, TensorLike


@register
class BaselinePlusPlus(PrototypicalNetwork):
    """Fits a classifier of cosines to the embeddings of each task.

    With `L` the mean cross-entropy of the support (Chen, Liu, Kira, Wang and
    Huang 2019, "A Closer Look at Few-shot Classification", section 3.3):

        logits_k(x) = scale * cos(encoder(x), w_k)
        w_k <- w_k - inner_learning_rate * grad L(w_k),  w_k <- w_k / |w_k|

    The encoder is not adapted. It needs no episodes: any encoder serves, such
    as one trained to classify. `fit` on episodes trains it through the steps
    of the classifier.

    The paper starts from random weights and takes steps on random
    mini-batches of four. Here `w_k` starts from the mean of the unit-length
    embeddings of class `k`, and a step is on the whole support: a task has
    one result, which does not depend on the order of examples or of classes.

    The task is that of a `PrototypicalNetwork`; `prototypes` are the `w_k`,
    and like the embeddings of `embed` of the length `sqrt(scale)`.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        scale: Positive; the authors' code has 2 for at most 200 classes, and
            10 for more.
        inner_learning_rate: Positive.
        inner_steps: Steps on the support, at least 1.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an encoder whose output is not a vector for each
            example, or a number out of range.

    Example:

    >>> model = BaselinePlusPlus(keras_meta.encoders.conv4(filters=8))
    >>> support_x = np.random.rand(1, 3, 28, 28, 1).astype("float32")
    >>> task = model.adapt(support_x, np.eye(3, dtype="float32")[None])
    >>> tuple(task["prototypes"].shape)
    (1, 3, 8)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        scale: float = 10.0,
        inner_learning_rate: float = 0.1,
        inner_steps: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, distance=negative_dot, **kwargs)
        self.scale = check_positive("scale", scale)
        self.inner_learning_rate = check_positive(
            "inner_learning_rate", inner_learning_rate
        )
        self.inner_steps = check_integer("inner_steps", inner_steps, 1)

    def transform(self, embeddings: TensorLike) -> Tensor:
        # Products with the `w_k`, as long, are then multiplied by the scale.
        return unit_vectors(embeddings) * self.scale**0.5

    def class_vectors(
        self, embeddings: TensorLike, support_y: TensorLike
    ) -> Tensor:
        present = class_counts(support_y)
        y = ops.cast(support_y, embeddings.dtype)
        # Padding has no share in the mean loss.
        shares = ops.cast(ops.any(y > 0, axis=-1, keepdims=True), y.dtype)
        shares = shares / ops.maximum(ops.sum(shares, 1, keepdims=True), 1)
        factor = self.scale**0.5

        def step(_, weights):
            logits = ops.einsum("tsd,twd->tsw", embeddings, factor * weights)
            chances = ops.softmax(mask_absent(logits, present))
            errors = shares * (chances - y)
            slopes = factor * ops.einsum("tsw,tsd->twd", errors, embeddings)
            # A cosine does not change along its vector.
            along = ops.sum(slopes * weights, axis=-1, keepdims=True)
            slopes = slopes - along * weights
            return unit_vectors(weights - self.inner_learning_rate * slopes)

        start = unit_vectors(class_means(embeddings, support_y))
        weights = repeat(step, self.inner_steps, start, unrolled=False)
        return factor * weights

    def get_config(self) -> Config:
        config = super().get_config()
        # The classifier is one of cosines.
        del config["distance"]
        return {
            **config,
            "scale": self.scale,
            "inner_learning_rate": self.inner_learning_rate,
            "inner_steps": self.inner_steps,
        }
