"""Ridge regression as a base learner, R2-D2 (Bertinetto et al., 2019)."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_network, check_positive
from keras_meta.layers.learned_scale import LearnedScale
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.ops import (
    at_least_float32,
    batch_apply,
    check_vectors,
    class_counts,
    joint_apply,
    mask_absent,
    wide,
)
from keras_meta.serialization import register
from keras_meta.typing import Config, Episode, Shape, Task, Tensor, TensorLike


@register
class RidgeRegressionLearner(EpisodicModel):
    """Solves a ridge regression from embeddings to classes for each task.

    With `X` the embeddings of the support, a row each, with a column of ones,
    and `Y` its one-hot targets (R2-D2: Bertinetto, Henriques, Torr and
    Vedaldi 2019, "Meta-learning with differentiable closed-form solvers",
    equations 3 to 6):

        W = X' (X X' + lambda I)^-1 Y
        logits = alpha [encoder(x), 1] W + beta

    The system is of the size of the support, however wide embeddings are.
    The encoder, `lambda`, `alpha` (both positive) and `beta` are learned
    through the solution by the loss of the queries. The bias has a weight in
    the penalty, as in the paper.

    The task is a dict of `kernel (tasks, dim + 1, way)` and `present (tasks,
    way)`, the support examples of each class; a class without any gets the
    logit -1e9.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        regularization: Positive: `lambda` before training.
        scale: Positive: `alpha` before training; `beta` starts from 0.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an encoder whose output is not a vector for each
            example, or a number that is not positive.

    Example:

    >>> model = RidgeRegressionLearner(keras_meta.encoders.conv4(filters=8))
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["kernel"].shape)
    (2, 9, 3)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        regularization: float = 1.0,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = check_network("encoder", encoder)
        self.regularization = LearnedScale(
            check_positive("regularization", regularization),
            dtype=wide(self.dtype),
            name="regularization",
        )
        self.scale = LearnedScale(
            check_positive("scale", scale),
            dtype=wide(self.dtype),
            name="scale",
        )
        self.offset = self.add_weight(
            (),
            name="offset",
            initializer="zeros",
            dtype=wide(self.dtype),
            autocast=False,
        )

    def build(self, input_shape: dict[str, Shape]) -> None:
        for layer in (self.regularization, self.scale):
            if not layer.built:
                layer.build(())
        super().build(input_shape)

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        embeddings = self.embed(support_x, training)
        return self._solved(embeddings, support_y)

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        return self._logits(task, self.embed(query_x, training))

    def embed(self, examples: TensorLike, training: bool = False) -> Tensor:
        """Embeds examples `(tasks, n, ...)` as `(tasks, n, dim)`."""
        embeddings = batch_apply(self.encoder, examples, training)
        return check_vectors("encoder", embeddings)

    def call(self, episodes: Episode, training: bool = False) -> Tensor:
        if not training:
            return super().call(episodes)
        self.check_episodes(episodes)
        support, queries = joint_apply(
            self.encoder, episodes["support_x"], episodes["query_x"]
        )
        support = check_vectors("encoder", support)
        task = self._solved(support, episodes["support_y"])
        return self._logits(task, queries)

    def _solved(self, embeddings, support_y):
        """The task of embeddings `(tasks, support, dim)`."""
        present = class_counts(support_y)
        x = _with_ones(embeddings)
        y = ops.cast(support_y, x.dtype)
        # Rows of padding are zero: they change nothing.
        x = x * ops.cast(ops.any(y > 0, axis=-1, keepdims=True), x.dtype)
        transposed = ops.swapaxes(x, 1, 2)
        ridge = self.regularization(ops.eye(ops.shape(x)[1], dtype=x.dtype))
        weights = ops.linalg.solve(ops.matmul(x, transposed) + ridge, y)
        return {"kernel": ops.matmul(transposed, weights), "present": present}

    def _logits(self, task, embeddings):
        """Logits `(tasks, query, way)` of embeddings of queries."""
        found = ops.matmul(_with_ones(embeddings), task["kernel"])
        logits = self.scale(found) + self.offset
        return mask_absent(logits, task["present"])

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "regularization": self.regularization.initial,
            "scale": self.scale.initial,
        }


def _with_ones(embeddings):
    """Embeddings `(tasks, n, dim)` with a column of ones, for the bias."""
    embeddings = at_least_float32(embeddings)
    return ops.pad(embeddings, [(0, 0), (0, 0), (0, 1)], constant_values=1)
