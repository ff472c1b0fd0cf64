"""Matching Networks (Vinyals et al., 2016)."""

from typing import Any

import keras
from keras import ops

from keras_meta import distances
from keras_meta.checks import (
    check_choice,
    check_integer,
    check_network,
    check_positive,
)
from keras_meta.layers.context_embedding import QueryContext, SupportContext
from keras_meta.layers.learned_scale import LearnedScale
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import (
    at_least_float32,
    batch_apply,
    check_vectors,
    class_counts,
    class_log_sums,
    class_sums,
    joint_apply,
    mask_absent,
    wide,
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

AGGREGATIONS = ("attention", "class_logit")


@register
class MatchingNetwork(EpisodicModel):
    """Classifies a query by its attention over the support set.

    With `f` the encoder of queries, `g` that of the support, and `c` the
    cosine (Vinyals et al. 2016, equations 1 and 2):

        a(x, x_i) = softmax_i(scale * c(f(x), g(x_i)))
        p(y = k | x) = sum_i a(x, x_i) [y_i = k]

    `infer` returns `log p`, computed in log space; its softmax is `p`, so a
    cross-entropy from logits is the paper's loss and nothing is normalised
    twice. In training, a shared encoder sees support and queries as one
    batch.

    With `full_context=True` support and queries are embedded in the light of
    the whole support set (`SupportContext`, `QueryContext`); the order of
    the support then matters, and `episode_dataset` shuffles it.

    The task is a dict of `embeddings (tasks, support, dim)` and `labels
    (tasks, support, way)`. Padding gets no attention; a class without
    support examples gets the logit -1e9.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        support_encoder: Optional encoder of its own for the support; by
            default `encoder` serves both.
        distance: Name of a distance of `keras_meta.distances` or a
            registered function; `c` is its negative. The paper's is
            `"cosine"`, up to a constant that the softmax cancels.
        scale: Positive factor of the similarities. The default is the
            paper's 1. ReLU embeddings have cosines in [0, 1], which bounds
            `p` of the true class by `e / (e + way - 1)` for one shot;
            larger scales (10, or learned) train far better.
        learnable_scale: Whether the scale is trained from there.
        full_context: Whether embeddings are in full context.
        read_steps: Steps of attention of a query in full context.
        aggregation: `"attention"` as above, or `"class_logit"`: the logit
            of a class is the sum of its scaled similarities, as in the code
            of Ravi and Larochelle (2017); the same for one shot.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an unknown distance or aggregation, a scale that is
            not positive, a distance of the wrong shape, or an encoder whose
            output is not a vector for each example.

    Example:

    >>> model = MatchingNetwork(
    ...     keras_meta.encoders.conv4(filters=8), scale=10.0)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> log_p = model.infer(task, support_x[:, :1])
    >>> bool(np.allclose(np.exp(log_p).sum(-1), 1))
    True
    """

    def __init__(
        self,
        encoder: keras.Layer,
        support_encoder: keras.Layer | None = None,
        distance: str | Distance = "cosine",
        scale: float = 1.0,
        learnable_scale: bool = False,
        full_context: bool = False,
        read_steps: int = 3,
        aggregation: str = "attention",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aggregation = check_choice(
            "aggregation", aggregation, AGGREGATIONS
        )
        self.encoder = check_network("encoder", encoder)
        if support_encoder is not None:
            check_network("support_encoder", support_encoder)
        self.support_encoder = support_encoder
        self.distance = distances.get(distance)
        # What follows the encoder is in float32 at least.
        after = dict(dtype=wide(self.compute_dtype))
        scale = check_positive("scale", scale)
        self.scale = LearnedScale(scale, trainable=learnable_scale, **after)
        self.learnable_scale = learnable_scale
        self.full_context = full_context
        self.read_steps = check_integer("read_steps", read_steps, 1)
        if full_context:
            self.support_context = SupportContext(**after)
            self.query_context = QueryContext(read_steps, **after)

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        if self.support_encoder is not None and self.statistics == "support":
            raise ValueError(
                '`statistics="support"` needs one encoder for support and '
                "queries, whose moments it hands on. Received: "
                f"support_encoder={self.support_encoder.name!r}"
            )
        encoder = self.support_encoder or self.encoder
        return self._remember(
            batch_apply(encoder, support_x, training), support_y
        )

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        return self._attend(task, batch_apply(self.encoder, query_x, training))

    def embed(self, examples: TensorLike, training: bool = False) -> Tensor:
        """Embeds queries `(tasks, n, ...)`, without context."""
        embeddings = batch_apply(self.encoder, examples, training)
        return check_vectors("encoder", embeddings)

    def call(self, episodes: Episode, training: bool = False) -> Tensor:
        if not training or self.support_encoder is not None:
            return super().call(episodes, training)
        self.check_episodes(episodes)
        support, queries = joint_apply(
            self.encoder, episodes["support_x"], episodes["query_x"]
        )
        task = self._remember(support, episodes["support_y"])
        return self._attend(task, queries)

    @property
    def attention_steps(self) -> int:  # type: ignore[override]
        """How many times a query reads the support; 0 without context."""
        return self.read_steps if self.full_context else 0

    def read_attention(self, task: Task, query_x: TensorLike) -> Tensor:
        """The attention of queries over the support at every read step.

        Args:
            task: What `adapt` returned.
            query_x: `(tasks, query, ...)`, floats.

        Returns:
            Tensor `(read_steps, tasks, query, support)`; rows sum to 1.

        Raises:
            ValueError: If the model has no full context.
        """
        if not self.full_context:
            raise ValueError(
                "Only a model with `full_context=True` reads the support in "
                "steps. Received: full_context=False"
            )
        queries = at_least_float32(self.embed(query_x))
        support, labels = task["embeddings"], task["labels"]
        return self.query_context.read(queries, support, _filled(labels))[1]

    def _remember(self, embeddings, support_y):
        embeddings = check_vectors("encoder", at_least_float32(embeddings))
        support_y = ops.cast(support_y, embeddings.dtype)
        if self.full_context:
            embeddings = self.support_context(
                embeddings, filled=_filled(support_y)
            )
        return {"embeddings": embeddings, "labels": support_y}

    def _attend(self, task, embeddings):
        support, labels = task["embeddings"], task["labels"]
        queries = check_vectors("encoder", at_least_float32(embeddings))
        if self.full_context:
            queries = self.query_context(
                queries, support, filled=_filled(labels)
            )
        similarities = self.scale(
            -distances.pairwise(self.distance, queries, support)
        )
        if self.aggregation == "class_logit":
            by_support = ops.swapaxes(similarities, 1, 2)
            sums = class_sums(by_support, labels)
            logits = mask_absent(ops.swapaxes(sums, 1, 2), class_counts(labels))
        else:
            logits = class_log_sums(similarities, labels)
        # Log p: the logits less the log of their exponentials' sum.
        return ops.log_softmax(logits, axis=-1)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "support_encoder": self.support_encoder
            and keras.saving.serialize_keras_object(self.support_encoder),
            "distance": distances.serialize(self.distance),
            "scale": self.scale.initial,
            "learnable_scale": self.learnable_scale,
            "full_context": self.full_context,
            "read_steps": self.read_steps,
            "aggregation": self.aggregation,
        }


def _filled(labels):
    """Bool `(tasks, support)`: which rows are not padding."""
    return ops.any(labels > 0, axis=-1)
