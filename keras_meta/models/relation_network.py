"""Relation Networks (Sung et al., 2018)."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_choice, check_network
from keras_meta.layers.relation_head import RelationHead
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import (
    at_least_float32,
    batch_apply,
    class_counts,
    class_means,
    class_sums,
    mask_absent,
    row_shares,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Task, Tensor, TensorLike

AGGREGATIONS = {"sum": class_sums, "mean": class_means}
SCORES = ("sigmoid", "softmax")


@register
class RelationNetwork(EpisodicModel):
    """Learns how to compare a query with a class.

    With `v_k` the sum of the feature maps of class `k` and `g` a small
    convolutional network on both maps, put side by side along the channels
    (Sung et al. 2018, equations 1 and 2):

        v_k = sum(encoder(x_i) : y_i = k)
        r_k(x) = sigmoid(g([v_k, encoder(x)]))
        loss = mean over queries and classes of (r_k(x) - [y = k])^2

    `infer` returns the scores `r`, in `[0, 1]`, and compiling with the loss
    `"mse"` gives the paper's. Support and queries are encoded in passes of
    their own, and batch norm uses the moments of each pass, in training and
    afterwards, as the authors do: predictions are then transductive. Set
    `statistics="running"` for predictions that do not depend on each other.

    The task is a dict of `class_maps (tasks, way, height, width, channels)`
    and `present (tasks, way)`; a class without support has the score 0.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to feature
            maps `(batch, height, width, channels)`.
        relation: Optional layer `(class_maps, query_maps, training=...) ->
            logits (tasks, query, way)`; a `RelationHead` by default.
        aggregation: `"sum"` of the maps of a class, the paper's, or
            `"mean"`, which keeps their scale when the shot changes.
        scores: `"sigmoid"`, or `"softmax"`: `infer` then returns the logits
            of `g`, for a cross-entropy loss.
        statistics: As for `EpisodicModel`; `"batch"` by default.
        **kwargs: `preprocessing`, `name`: see `EpisodicModel`.

    Raises:
        ValueError: For an unknown choice, or an encoder whose output is not
            a feature map.

    Example:

    >>> model = RelationNetwork(keras_meta.encoders.relation_encoder(8))
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["class_maps"].shape)
    (2, 3, 5, 5, 8)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        relation: keras.Layer | None = None,
        aggregation: str = "sum",
        scores: str = "sigmoid",
        statistics: str = "batch",
        **kwargs: Any,
    ) -> None:
        super().__init__(statistics=statistics, **kwargs)
        self.encoder = check_network("encoder", encoder)
        if relation is None:
            relation = RelationHead(dtype=self.dtype_policy)
        self.relation = check_network("relation", relation)
        self.aggregation = check_choice(
            "aggregation", aggregation, AGGREGATIONS
        )
        self.scores = check_choice("scores", scores, SCORES)

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        maps = self.feature_maps(support_x, training)
        class_maps = AGGREGATIONS[self.aggregation](maps, support_y)
        if self.statistics == "support":
            self._collect_relation_moments(class_maps, maps, training)
        return {"class_maps": class_maps, "present": class_counts(support_y)}

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        maps = self.feature_maps(query_x, training)
        logits = self.relation(task["class_maps"], maps, training=training)
        logits = mask_absent(at_least_float32(logits), task["present"])
        return logits if self.scores == "softmax" else ops.sigmoid(logits)

    def probabilities(self, predictions: TensorLike) -> Tensor:
        if self.scores == "softmax":
            return super().probabilities(predictions)
        return row_shares(predictions)

    def log_probabilities(self, predictions: TensorLike) -> Tensor:
        if self.scores == "softmax":
            return ops.log_softmax(predictions, axis=-1)
        return super().log_probabilities(predictions)

    def feature_maps(
        self, examples: TensorLike, training: bool = False
    ) -> Tensor:
        """Encodes examples `(tasks, n, ...)` as `(tasks, n, h, w, c)`."""
        maps = batch_apply(self.encoder, examples, training)
        if len(maps.shape) != 5:
            raise ValueError(
                "`encoder` must return feature maps, (batch, height, width, "
                "channels), such as `keras_meta.encoders.relation_encoder()`; "
                "leave out a last Flatten or pooling to vectors. Received: an "
                f"output of shape {(None, *maps.shape[2:])}"
            )
        return maps

    def _collect_relation_moments(self, class_maps, maps, training):
        """Has the batch norm of the relation module see the support.

        `adapt` compares nothing, so under the statistics `support` that
        batch norm would have no moments for `infer`: here the classes are
        compared with the support examples `(tasks, support, h, w, c)`.
        """
        self.relation(class_maps, maps, training=training)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "relation": keras.saving.serialize_keras_object(self.relation),
            "aggregation": self.aggregation,
            "scores": self.scores,
        }
