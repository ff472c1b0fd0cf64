"""Proto-MAML (Triantafillou et al., 2020)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_meta.models.functional import run
from keras_meta.models.maml import MAML
from keras_meta.ops import (
    ABSENT_LOGIT,
    at_least_float32,
    batch_apply,
    check_vectors,
    class_counts,
    class_means,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Episode, Task, Tensor, TensorLike


@register
class ProtoMAML(MAML):
    """MAML whose linear head begins as the prototypes of the task.

    With `c_k` the mean embedding of class `k` of the support, `L0` the loss
    on the support and `L1` that on the queries (Triantafillou et al. 2020,
    "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
    Examples", section 3):

        W_k = 2 c_k,  b_k = -|c_k|^2
        logits(x) = W encoder(x) + b
        phi_0 = (theta, W, b)
        phi_{j+1} = phi_j - inner_learning_rate * grad L0(phi_j)
        theta <- optimizer step along the mean over tasks of
                 grad_theta L1(phi_k)

    Before the first step it is a Prototypical Network, as `2 c_k z - |c_k|^2`
    is the negative squared Euclidean distance but for `|z|^2`, which all
    classes share. The gradient also goes through `W` and `b` to the encoder.
    The head is made for the task, so one set of weights serves any way, and
    classes have no arbitrary order.

    The task is that of `MAML` for the weights of the encoder; the last two
    parts are the head, `(tasks, dim, way)` and `(tasks, way)`. A class
    without support examples gets the logit -1e9.

    Args:
        encoder: Keras model, examples `(batch, ...)` to embeddings `(batch,
            dim)`. For second-order gradients see `network` of `MAML`.
        inner_learning_rate: Positive. The gradients of a head with logits of
            squared distances are large: 0.4, that of `MAML`, is the default
            for embeddings of a norm of about 1 to 10.
        **kwargs: `inner_steps`, `evaluation_inner_steps`, `first_order`,
            `adapt_normalization` as for `MAML`; `tasks_at_once`,
            `statistics`, `preprocessing`, `name`: see `GradientBasedModel`.

    Raises:
        ValueError: As for `MAML`; if the encoder does not return a vector
            for each example.

    Example:

    >>> model = ProtoMAML(keras_meta.encoders.conv4_strided(8))
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> {name: tuple(task[name].shape) for name in ("weight_12", "weight_13")}
    {'weight_12': (2, 8, 3), 'weight_13': (2, 3)}
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    network_argument = "encoder"

    def __init__(
        self,
        encoder: keras.Layer,
        inner_learning_rate: float = 0.4,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, inner_learning_rate, **kwargs)

    @property
    def encoder(self) -> keras.Layer:
        """The network whose embeddings the head classifies."""
        return self.network

    def inner_rates(
        self, learned: list[Tensor]
    ) -> Sequence[float | Tensor | None]:
        return [*super().inner_rates(learned), *[self.inner_learning_rate] * 2]

    def adapt_task(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        weights = self._of_network(learned)
        embeddings, _ = run(self.encoder, weights, state, support_x, training)
        start = [*weights, *prototype_head(embeddings, support_y)]
        return super().adapt_task(start, state, support_x, support_y, training)

    def forward(
        self,
        weights: list[Tensor],
        state: list[Tensor],
        x: TensorLike,
        training: bool,
        then: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        *weights, kernel, bias = weights

        def classify(embeddings):
            logits = ops.matmul(at_least_float32(embeddings), kernel) + bias
            return logits if then is None else then(logits)

        return run(self.encoder, weights, state, x, training, classify)

    def weight_specs(
        self, learned: list[Tensor], outputs: int
    ) -> list[tf.TensorSpec]:
        dtype = self.predictions_dtype
        return [
            *super().weight_specs(learned, outputs),
            tf.TensorSpec((self.embedding_size, outputs), dtype),
            tf.TensorSpec((outputs,), dtype),
        ]

    def outputs_of(self, task: Task) -> int | None:
        return task[f"weight_{self.adapted_positions[-1]}"].shape[-1]

    def embed(self, examples: TensorLike, training: bool = False) -> Tensor:
        """Embeds examples `(tasks, n, ...)` as `(tasks, n, dim)`.

        It is done with the weights that tasks start from.
        """
        embeddings = batch_apply(self.encoder, examples, training)
        return check_vectors("encoder", embeddings)

    def compute_output_spec(
        self, episodes: Episode, training: bool = False
    ) -> keras.KerasTensor:
        self.check_episodes(episodes)
        query_x, support_y = episodes["query_x"], episodes["support_y"]
        self.embedding_size = self.output_size(query_x.shape[2:])
        shape = (*query_x.shape[:2], support_y.shape[-1])
        return keras.KerasTensor(shape, self.predictions_dtype)

    def check_outputs(self, support_y: TensorLike) -> None:
        """Any number of classes will do."""

    def get_config(self) -> Config:
        config = super().get_config()
        # The head is for classes, so there is one loss.
        del config["inner_loss"]
        return {"encoder": config.pop("network"), **config}


def prototype_head(
    embeddings: TensorLike, support_y: TensorLike
) -> tuple[Tensor, Tensor]:
    """The linear classifier that compares with the mean of each class.

    Args:
        embeddings: `(support, dim)`.
        support_y: One-hot rows `(support, way)`; zero rows are padding.

    Returns:
        `(kernel, bias)`, `(dim, way)` and `(way,)`: `2 c_k` and `-|c_k|^2`;
        a class without examples has the bias -1e9.
    """
    means = class_means(embeddings[None], support_y[None])[0]
    present = class_counts(support_y[None])[0] > 0
    squares = ops.sum(means * means, axis=-1)
    absent = ops.cast(ABSENT_LOGIT, squares.dtype)
    return 2 * ops.transpose(means), ops.where(present, -squares, absent)
