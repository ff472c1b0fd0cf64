"""Prototypical Networks (Snell, Swersky and Zemel, 2017)."""

from typing import Any

import keras

from keras_meta import distances
from keras_meta.checks import check_network
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import (
    batch_apply,
    check_vectors,
    class_counts,
    class_means,
    joint_apply,
    mask_absent,
)
from keras_meta.serialization import register
from keras_meta.typing import (
    Config,
    Distance,
    Episode,
    Task,
    Tensor,
    TensorLike,
)


@register
class PrototypicalNetwork(EpisodicModel):
    """Classifies a query by its distance to the mean embedding of each class.

    The prototype of class `k` is `c_k = mean(encoder(x_i) : y_i = k)`, and
    `p(y = k | x) = softmax_k(-distance(encoder(x), c_k))` (Snell et al. 2017,
    equations 1 and 2). In training, support and queries go through the
    encoder as one batch, as in the authors' code.

    The task is a dict of `prototypes (tasks, way, dim)` and `present (tasks,
    way)`, the support examples of each class; a class without any gets the
    logit -1e9.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        distance: Name of a distance of `keras_meta.distances` or a
            registered function. The paper found the squared Euclidean
            distance, the default, far better than the cosine.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an unknown distance, or an encoder whose output is
            not a vector for each example.

    Example:

    >>> model = PrototypicalNetwork(keras_meta.encoders.conv4(filters=8))
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["prototypes"].shape)
    (2, 3, 8)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        distance: str | Distance = "squared_euclidean",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = check_network("encoder", encoder)
        self.distance = distances.get(distance)

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        embeddings = self.embed(support_x, training)
        return {
            "prototypes": self.class_vectors(embeddings, support_y),
            "present": class_counts(support_y),
        }

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        embeddings = self.embed(query_x, training)
        logits = -distances.pairwise(
            self.distance, embeddings, task["prototypes"]
        )
        return mask_absent(logits, task["present"])

    def embed(self, examples: TensorLike, training: bool = False) -> Tensor:
        """Embeds examples `(tasks, n, ...)` as `(tasks, n, dim)`."""
        embeddings = batch_apply(self.encoder, examples, training)
        return self.transform(check_vectors("encoder", embeddings))

    def transform(self, embeddings: TensorLike) -> Tensor:
        """What a variant makes of embeddings `(tasks, n, dim)`."""
        return embeddings

    def class_vectors(
        self, embeddings: TensorLike, support_y: TensorLike
    ) -> Tensor:
        """Prototypes `(tasks, way, dim)` of embeddings of the support.

        Args:
            embeddings: What `transform` returned, `(tasks, support, dim)`.
            support_y: One-hot rows `(tasks, support, way)`; zero rows are
                padding.
        """
        return class_means(embeddings, support_y)

    def call(self, episodes: Episode, training: bool = False) -> Tensor:
        if not training:
            return super().call(episodes)
        self.check_episodes(episodes)
        support_y = episodes["support_y"]
        support, queries = joint_apply(
            self.encoder, episodes["support_x"], episodes["query_x"]
        )
        support, queries = (
            self.transform(check_vectors("encoder", embeddings))
            for embeddings in (support, queries)
        )
        prototypes = self.class_vectors(support, support_y)
        logits = -distances.pairwise(self.distance, queries, prototypes)
        return mask_absent(logits, class_counts(support_y))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "distance": distances.serialize(self.distance),
        }
