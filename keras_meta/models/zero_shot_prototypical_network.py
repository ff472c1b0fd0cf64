"""Prototypical Networks for zero-shot learning (Snell et al., 2017)."""

from typing import Any

import keras

from keras_meta.checks import check_network
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.prototypical_network import PrototypicalNetwork
from keras_meta.ops import (
    batch_apply,
    check_vectors,
    class_counts,
    class_means,
    unit_vectors,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Episode, Shape, Task, Tensor, TensorLike


@register
class ZeroShotPrototypicalNetwork(PrototypicalNetwork):
    """Recognises classes from their descriptions, without any example.

    The prototype of a class is the embedding of its metadata `v_k` by a
    second encoder, of unit length; the embedding of a query is left free
    (Snell et al. 2017, sections 2.7 and 3.3):

        c_k = metadata_encoder(v_k) / |metadata_encoder(v_k)|
        p(y = k | x) = softmax_k(-distance(encoder(x), c_k))

    Episodes are those of `keras_meta.data.zero_shot_dataset`: `support_x
    (tasks, way, attributes)` is metadata, `support_y` the identity. Several
    descriptions of one class are averaged before they are normalised.

    Args:
        encoder: Keras model or layer, queries `(batch, ...)` to embeddings
            `(batch, dim)`.
        metadata_encoder: The same for metadata `(batch, attributes)`, with
            the same `dim`.
        **kwargs: `distance`: see `PrototypicalNetwork`; `statistics`,
            `preprocessing`, `name`: see `EpisodicModel`.

    Raises:
        ValueError: As for `PrototypicalNetwork`, and in use for
            `statistics="support"`.

    Example:

    >>> model = ZeroShotPrototypicalNetwork(
    ...     keras_meta.encoders.conv4(filters=8), keras.layers.Dense(8))
    >>> descriptions = np.eye(3, 5, dtype="float32")[None]
    >>> task = model.adapt(descriptions, np.eye(3, dtype="float32")[None])
    >>> images = np.random.rand(1, 2, 28, 28, 1).astype("float32")
    >>> tuple(model.infer(task, images).shape)
    (1, 2, 3)
    """

    def __init__(
        self, encoder: keras.Layer, metadata_encoder: keras.Layer, **kwargs: Any
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.metadata_encoder = check_network(
            "metadata_encoder", metadata_encoder
        )

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        if self.statistics == "support":
            raise ValueError(
                '`statistics` must be "running" or "batch": the moments of '
                "metadata say nothing about queries. Received: "
                f"statistics={self.statistics!r}"
            )
        metadata = batch_apply(self.metadata_encoder, support_x, training)
        metadata = check_vectors("metadata_encoder", metadata)
        return {
            "prototypes": unit_vectors(class_means(metadata, support_y)),
            "present": class_counts(support_y),
        }

    def call(self, episodes: Episode, training: bool = False) -> Tensor:
        # Metadata and queries share no encoder, hence no joint pass.
        return EpisodicModel.call(self, episodes, training)

    def check_query_shape(self, support_x: Shape, query_x: Shape) -> None:
        """Metadata and queries are of different kinds: nothing to check."""

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "metadata_encoder": keras.saving.serialize_keras_object(
                self.metadata_encoder
            ),
        }
