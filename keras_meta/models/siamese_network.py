"""Convolutional Siamese networks (Koch, Zemel and Salakhutdinov, 2015)."""

from typing import Any

import keras
from keras import ops

from keras_meta import distances
from keras_meta.checks import check_choice, check_network
from keras_meta.layers.weighted_l1 import WeightedL1
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import (
    at_least_float32,
    batch_apply,
    check_vectors,
    class_counts,
    class_maxima,
    class_means,
    mask_absent,
    row_shares,
    wide,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Task, Tensor, TensorLike

REDUCTIONS = ("max", "mean", "logit_mean")


@register
class SiameseNetwork(EpisodicModel):
    """Verifies whether two examples are of one class, then classifies.

    With `h` the encoder of both twins and a learned weight `a_d` for each of
    its outputs (Koch et al. 2015, section 3.1):

        p(x, x_i) = sigmoid(sum_d a_d |h_d(x) - h_d(x_i)| + b)
        loss = -[y log p + (1 - y) log(1 - p)],  y = 1 for one class
        predict: the class of argmax_i p(x, x_i)

    It is trained on `keras_meta.data.pair_dataset`, whose pairs are 1-way
    episodes, with the loss `"binary_crossentropy"`; the paper's penalty of
    the weights belongs to the encoder's layers. On any other episode
    `infer` returns the score of each class, the largest of its support
    examples by default.

    Use an encoder without batch norm, as the paper does
    (`keras_meta.encoders.koch` or `koch_small`): two examples are too few
    for moments.

    The task is a dict of `embeddings (tasks, support, dim)` and `labels
    (tasks, support, way)`; a class without support has the score 0.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        distance: Optional name of a distance of `keras_meta.distances` or a
            registered function to use instead of the weighted L1: then
            `p = sigmoid(a * distance + b)`.
        use_bias: Whether there is a `b`. The paper prints none; the `p` of
            equal examples is then 1/2 whatever is learned.
        reduction: How the score of a class comes from its shots: `"max"` of
            `p`, which is the paper's nearest neighbour, `"mean"` of `p`, or
            `"logit_mean"`, the sigmoid of the mean logit.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an unknown distance or reduction, a distance of the
            wrong shape, or an encoder whose output is not a vector for each
            example.

    Example:

    >>> model = SiameseNetwork(keras_meta.encoders.koch_small(units=8))
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> scores = model.infer(task, support_x[:, :1])
    >>> tuple(scores.shape), bool(np.max(scores) < 1)
    ((2, 1, 3), True)
    """

    verifies_pairs = True

    def __init__(
        self,
        encoder: keras.Layer,
        distance: keras.Layer | None = None,
        use_bias: bool = True,
        reduction: str = "max",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = check_network("encoder", encoder)
        self.distance = distance and distances.get(distance)
        self.use_bias = use_bias
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        # Embeddings arrive in float32 at least and stay so.
        after = dict(dtype=wide(self.compute_dtype))
        if self.distance is None:
            self.output_unit = WeightedL1(use_bias, **after)
        else:
            # Closer is more alike from the start.
            self.output_unit = keras.layers.Dense(
                1,
                use_bias=use_bias,
                kernel_initializer=keras.initializers.Constant(-1.0),
                **after,
            )

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        embeddings = self.embed(support_x, training)
        return {
            "embeddings": embeddings,
            "labels": ops.cast(support_y, embeddings.dtype),
        }

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        embeddings = self.embed(query_x, training)
        logits = self._compare(embeddings, task["embeddings"])
        return self._score_classes(logits, task["labels"])

    def embed(self, examples: TensorLike, training: bool = False) -> Tensor:
        """Embeds examples `(tasks, n, ...)` as `(tasks, n, dim)`."""
        embeddings = batch_apply(self.encoder, examples, training)
        return check_vectors("encoder", at_least_float32(embeddings))

    def probabilities(self, predictions: TensorLike) -> Tensor:
        return row_shares(predictions)

    def _compare(self, queries, support):
        """Logits `(tasks, query, support)` of being of one class."""
        if self.distance is None:
            return self.output_unit(queries, support)
        found = distances.pairwise(self.distance, queries, support)
        return self.output_unit(ops.expand_dims(found, -1))[..., 0]

    def _score_classes(self, logits, labels):
        """Scores `(tasks, query, way)` from those of support examples."""
        if self.reduction == "max":
            # The sigmoid increases, so it may follow the maximum; the score
            # of an absent class is then 0.
            return ops.sigmoid(class_maxima(logits, labels))
        if self.reduction == "mean":
            return self._class_means(ops.sigmoid(logits), labels)
        means = self._class_means(logits, labels)
        return ops.sigmoid(mask_absent(means, class_counts(labels)))

    @staticmethod
    def _class_means(values, labels):
        """Means `(tasks, query, way)` over the shots of each class."""
        means = class_means(ops.swapaxes(values, 1, 2), labels)
        return ops.swapaxes(means, 1, 2)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "distance": self.distance and distances.serialize(self.distance),
            "use_bias": self.use_bias,
            "reduction": self.reduction,
        }
