"""What the embedding of a Meta Network is asked of its support set."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_meta import distances
from keras_meta.checks import check_choice, check_integer
from keras_meta.layers.weighted_l1 import WeightedL1
from keras_meta.ops import at_least_float32
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

LOSSES = ("auto", "cross_entropy", "verification", "contrastive")
# Below this distance, examples of different classes are pushed apart.
MARGIN = 1.0


@register
class EmbeddingLoss(keras.layers.Layer):
    """The loss `L_emb` of Meta Networks, whose gradients `F_w` reads.

    The support of one task is divided into chunks in its order, of about
    equal size; the loss is the sum over chunks of the mean loss of each. An
    example is in one chunk only, so the gradient at its embedding is that of
    its own chunk.

    - `"cross_entropy"`: of the classes, by a linear classifier of the ReLU of
      the embedding. Nothing trains it: classes are shuffled from task to task.
    - `"verification"`: of "these two are of one class", by a weighted L1
      distance as in Siamese networks, over the pairs of a chunk.
    - `"contrastive"`: `d^2` for a pair of one class, else `max(0, 1 - d)^2`,
      with `d` the Euclidean distance (Hadsell, Chopra and LeCun 2006, without
      their factor 1/2).
    - `"auto"`: cross-entropy if no two examples are of one class, and
      verification otherwise (Munkhdalai and Yu 2017, section 3.1).

    Args:
        loss: One of these names.
        steps: The most chunks, at least 1.

    Raises:
        ValueError: For another name, or if `steps` is no positive integer.
    """

    def __init__(
        self,
        loss: str | Callable[..., Tensor] = "auto",
        steps: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.loss = check_choice("embedding_loss", loss, LOSSES)
        self.steps = check_integer("embedding_steps", steps, 1)
        self.verification = None
        if loss in ("auto", "verification"):
            self.verification = WeightedL1(dtype=self.dtype_policy)

    def build(
        self,
        embeddings_shape: Shape,
        support_y_shape: Shape,
        chunks_shape: Shape | None = None,
    ) -> None:
        dim, way = embeddings_shape[-1], support_y_shape[-1]
        self.classifier = None
        if self.loss in ("auto", "cross_entropy"):
            self.classifier = self.add_weight(
                shape=(dim, way),
                initializer="lecun_normal",
                trainable=False,
                name="classifier",
            )
        if self.verification is not None:
            self.verification.build((None, None, dim), (None, None, dim))

    def split(self, support_y: Tensor) -> tuple[Tensor, Tensor]:
        """Divides the support into chunks.

        Args:
            support_y: One-hot `(support, way)`; zero rows are padding, and in
                no chunk.

        Returns:
            `(chunks, steps)`: one-hot rows `(support, most steps)`, and how
            many chunks have examples; they come first.
        """
        most = self.steps
        if support_y.shape[0] is not None:
            most = min(most, support_y.shape[0])
        least = ops.cast(ops.where(self._of_pairs(support_y), 2, 1), "int32")
        return split_support(support_y, most, least)

    def call(
        self, embeddings: Tensor, support_y: Tensor, chunks: Tensor
    ) -> Tensor:
        """The loss of one task.

        Args:
            embeddings: `(support, dim)`.
            support_y: One-hot `(support, way)`.
            chunks: One-hot `(support, most steps)`, as `split` returns it.

        Returns:
            Scalar.
        """
        embeddings = at_least_float32(embeddings)
        found = []
        if self.loss == "contrastive":
            found.append(contrastive_loss(embeddings, support_y, chunks))
        if self.verification is not None:
            logits = self.verification(embeddings[None], embeddings[None])
            found.append(verification_loss(logits[0], support_y, chunks))
        if self.classifier is not None:
            logits = ops.matmul(ops.relu(embeddings), self.classifier)
            found.append(classification_loss(logits, support_y, chunks))
        if self.loss != "auto":
            return found[0]
        return ops.where(self._of_pairs(support_y), *found)

    def _of_pairs(self, support_y):
        """Whether the loss is of pairs, for which a chunk needs two."""
        if self.loss == "auto":
            return ops.max(ops.sum(support_y, axis=0)) > 1
        return self.loss != "cross_entropy"

    def compute_output_shape(
        self,
        embeddings_shape: Shape,
        support_y_shape: Shape,
        chunks_shape: Shape | None = None,
    ) -> Shape:
        return ()

    def get_config(self) -> Config:
        return {**super().get_config(), "loss": self.loss, "steps": self.steps}


def split_support(
    support_y: Tensor, most: int, least: int
) -> tuple[Tensor, Tensor]:
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
    count = ops.clip(examples // least, 1, most)
    rank = ops.cumsum(filled) - 1
    number = rank * count // ops.maximum(examples, 1)
    chunks = ops.one_hot(number, most, dtype=support_y.dtype)
    return chunks * ops.cast(filled, support_y.dtype)[:, None], count


def mean_in_chunks(losses: Tensor, weights: Tensor) -> Tensor:
    """Sums over chunks the weighted mean of each.

    Args:
        losses: `(n,)`.
        weights: `(n, chunks)`, zeros and ones.

    Returns:
        Scalar.
    """
    counts = ops.maximum(ops.sum(weights, axis=0), 1)
    return ops.sum(losses[:, None] * weights / counts)


def classification_loss(
    logits: Tensor, support_y: Tensor, chunks: Tensor
) -> Tensor:
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


def verification_loss(
    logits: Tensor, support_y: Tensor, chunks: Tensor
) -> Tensor:
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


def contrastive_loss(
    embeddings: Tensor, support_y: Tensor, chunks: Tensor
) -> Tensor:
    """`d^2` for a pair of one class, else `max(0, 1 - d)^2`.

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
