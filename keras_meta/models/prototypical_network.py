"""Prototypical Networks (Snell, Swersky and Zemel, 2017)."""

import keras
from keras import ops

from keras_meta import distances
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import batch_apply, class_counts, class_means, mask_absent
from keras_meta.serialization import register
from keras_meta.statistics import StatisticsScope


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

    def __init__(self, encoder, distance="squared_euclidean", **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.distance = distances.get(distance)

    def adapt(self, support_x, support_y, training=False):
        embeddings = self.embed(support_x, training)
        return {
            "prototypes": class_means(embeddings, support_y),
            "present": class_counts(support_y),
        }

    def infer(self, task, query_x, training=False):
        embeddings = self.embed(query_x, training)
        logits = -self.distance(embeddings, task["prototypes"])
        return mask_absent(logits, task["present"])

    def embed(self, examples, training=False):
        """Embeds examples `(tasks, n, ...)` as `(tasks, n, dim)`."""
        embeddings = batch_apply(self.encoder, examples, training)
        if len(embeddings.shape) != 3:
            raise ValueError(
                "`encoder` must return a vector for each example, (batch, "
                "dim); end it with a Flatten or GlobalAveragePooling2D "
                "layer. Received: an output of shape "
                f"{(None, *embeddings.shape[2:])}"
            )
        return embeddings

    def call(self, episodes, training=False):
        if not training:
            return super().call(episodes)
        self.check_episodes(episodes)
        support_x, support_y, query_x = (
            episodes[key] for key in ("support_x", "support_y", "query_x")
        )
        support = ops.shape(support_x)[1]
        with StatisticsScope("batch"):
            embeddings = self.embed(
                ops.concatenate([support_x, query_x], axis=1), training
            )
        prototypes = class_means(embeddings[:, :support], support_y)
        logits = -self.distance(embeddings[:, support:], prototypes)
        return mask_absent(logits, class_counts(support_y))

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "distance": distances.serialize(self.distance),
        }
