"""Reptile (Nichol, Achiam and Schulman, 2018)."""

from typing import Any

import keras
import tensorflow as tf

from keras_meta.batch_statistics import STATISTICS
from keras_meta.checks import check_choice, check_integer, check_positive
from keras_meta.models.functional import loss_gradients, repeat
from keras_meta.models.gradient_based_model import GradientBasedModel
from keras_meta.ops import wide
from keras_meta.serialization import register
from keras_meta.typing import Config, InnerLoss, Shape, Task, Tensor, TensorLike

OPTIMIZERS = ("adam", "sgd")
# Adam of the paper: without momentum, which would leak from batch to batch.
DECAY, EPSILON = 0.999, 1e-8
LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


@register
class Reptile(GradientBasedModel):
    """Moves its weights towards those that training on a task arrives at.

    With `U_k` the result of `k` optimizer steps on mini-batches of a task's
    support (Nichol et al. 2018, algorithms 1 and 2):

        W_i = U_k(theta)                      for each task i
        theta <- theta + eps * mean_i (W_i - theta)

    The outer step is that of the optimizer of `compile`, which gets `theta -
    W` as its gradient: `keras.optimizers.SGD(eps)` is the paper's, with
    `keras.optimizers.schedules.PolynomialDecay(1.0, steps, 0.0)` for its
    linear schedule. One task in a meta-batch is the serial form, several the
    batched.

    Mini-batches are drawn without replacement: the support is gone through
    in a random order, in another one each time, and a batch may straddle
    two. The orders are the same for all tasks; that support examples come in
    no order makes them random. The second moments and the step count of the
    inner Adam are non-trainable weights: every task of a meta-batch starts
    from the same ones, their mean over the tasks is kept, and `adapt` starts
    from them and leaves them unchanged.

    Training uses the support alone; queries are for the loss and the metrics
    that `fit` logs. With the `statistics` `"batch"` predictions are
    transductive; with `"support_plus_one"`, the paper's other evaluation,
    each query is predicted in a batch of its own with the whole support.

    Args:
        network: Keras model, examples `(batch, ...)` to outputs `(batch,
            outputs)`; its way is fixed by its last layer.
        inner_learning_rate: Positive; the paper's is 0.001 for 5-way and
            0.0005 for 20-way Omniglot. In training it may fall with the
            outer steps: a `keras.optimizers.schedules.LearningRateSchedule`.
        inner_steps: Steps in training, at least 1.
        inner_batch_size: Support examples in a step of training.
        evaluation_inner_steps, evaluation_inner_batch_size: The same
            otherwise.
        evaluation_inner_learning_rate: The rate otherwise; that of training
            by default. A schedule needs it.
        inner_optimizer: `"adam"` (with `beta_1 = 0`) or `"sgd"`, for the
            mean loss of a mini-batch.
        inner_loss: `"cross_entropy"`, `"mean_squared_error"` or a registered
            function; see `GradientBasedModel`.
        **kwargs: `tasks_at_once`, `statistics`, `preprocessing`, `name`: see
            `GradientBasedModel`.

    Raises:
        ValueError: As for `GradientBasedModel`, for an unknown optimizer, or
            for a schedule without `evaluation_inner_learning_rate`.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8, flatten=True),
    ...      keras.layers.Dense(3)])
    >>> model = Reptile(network, evaluation_inner_steps=5)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    statistics_choices = (*STATISTICS, "support_plus_one")

    def __init__(
        self,
        network: keras.Model,
        inner_learning_rate: float
        | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
        inner_steps: int = 5,
        inner_batch_size: int = 10,
        evaluation_inner_steps: int = 50,
        evaluation_inner_batch_size: int = 5,
        inner_optimizer: str = "adam",
        inner_loss: str | InnerLoss = "cross_entropy",
        evaluation_inner_learning_rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, inner_loss, evaluation_inner_steps, **kwargs)
        self.inner_learning_rate = _rate_or_schedule(inner_learning_rate)
        if evaluation_inner_learning_rate is None:
            evaluation_inner_learning_rate = inner_learning_rate
        self.evaluation_inner_learning_rate = check_positive(
            "evaluation_inner_learning_rate", evaluation_inner_learning_rate
        )
        for name, value in (
            ("inner_steps", inner_steps),
            ("inner_batch_size", inner_batch_size),
            ("evaluation_inner_batch_size", evaluation_inner_batch_size),
        ):
            setattr(self, name, check_integer(name, value, 1))
        self.inner_optimizer = check_choice(
            "inner_optimizer", inner_optimizer, OPTIMIZERS
        )
        self.inner_state = []

    def build(self, input_shape: dict[str, Shape]) -> None:
        super().build(input_shape)
        if self.inner_optimizer == "sgd":
            return
        dtype = wide(self.variable_dtype)

        def add(name, shape):
            variable = self.add_weight(
                name=name,
                shape=shape,
                dtype=dtype,
                initializer="zeros",
                trainable=False,
                aggregation="mean",
            )
            self.inner_state.append(variable)

        for number, weight in enumerate(self.network.trainable_variables):
            add(f"second_moment_{number}", weight.shape)
        # A float, so that it can be averaged: exact up to 16 million steps.
        add("inner_iterations", ())

    @property
    def state_variables(self) -> list[keras.Variable]:
        return [*super().state_variables, *self.inner_state]

    def adapt_task(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        if training:
            steps, size = self.inner_steps, self.inner_batch_size
        else:
            steps = self.evaluation_inner_steps
            size = self.evaluation_inner_batch_size
        rate = self._rate(training)
        batches = mini_batches(tf.shape(support_x)[0], steps, size)

        def step(number, now):
            weights, state = now
            own, inner = self._divided(state)
            rows = batches[number]
            gradients, own = loss_gradients(
                self.forward,
                self.inner_loss,
                weights,
                own,
                tf.gather(support_x, rows),
                tf.gather(support_y, rows),
                training,
            )
            weights, inner = self._descend(rate, weights, gradients, inner)
            return weights, [*own, *inner]

        return repeat(step, steps, (learned, state), unrolled=training)

    def _rate(self, training):
        """The inner learning rate of now; a scalar tensor."""
        dtype = wide(self.variable_dtype)
        rate = (
            self.inner_learning_rate
            if training
            else self.evaluation_inner_learning_rate
        )
        if isinstance(rate, LearningRateSchedule):
            # A model that is not compiled has taken no step.
            steps = self.optimizer.iterations if self.compiled else 0
            return tf.cast(rate(steps), dtype)
        return tf.constant(rate, dtype)

    def _descend(self, rate, weights, gradients, inner):
        """One step of the inner optimizer from its state `inner`."""
        if self.inner_optimizer == "sgd":
            return [
                w - tf.cast(rate, w.dtype) * g
                for w, g in zip(weights, gradients, strict=True)
            ], inner
        *moments, count = inner
        count = count + 1
        rate = rate * tf.sqrt(1 - DECAY**count)
        moments = [
            DECAY * v + (1 - DECAY) * tf.cast(g * g, v.dtype)
            for v, g in zip(moments, gradients, strict=True)
        ]
        weights = [
            w - tf.cast(rate / (tf.sqrt(v) + EPSILON), w.dtype) * g
            for w, v, g in zip(weights, moments, gradients, strict=True)
        ]
        return weights, [*moments, count]

    def task_gradient(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        x = episode[0]
        found, state = self.adapt_task(
            learned, state, x["support_x"], x["support_y"], training=True
        )
        loss, predictions, state = self.query_pass(found, state, episode)
        gradients = [
            # Optimizers sum over replicas.
            (start - end) / self._replicas
            for start, end in zip(learned, found, strict=True)
        ]
        return gradients, loss, predictions, state

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        task = super().adapt(support_x, support_y, training=training)
        if self.statistics == "support_plus_one":
            task["support_x"] = tf.convert_to_tensor(support_x)
        return task

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        if self.statistics != "support_plus_one":
            return super().infer(task, query_x, training=training)

        def infer_one(example):
            task, queries = example

            def predict(query):
                batch = tf.concat([task["support_x"], query[None]], axis=0)
                return self._predict(task, batch, training)[-1]

            spec = tf.TensorSpec((self.fixed_way,), self.predictions_dtype)
            return self._map(predict, queries, spec)

        return self._map(
            infer_one,
            (task, query_x),
            tf.TensorSpec(
                (query_x.shape[1], self.fixed_way), self.predictions_dtype
            ),
        )

    def get_config(self) -> Config:
        rate, otherwise = (
            self.inner_learning_rate,
            self.evaluation_inner_learning_rate,
        )
        if isinstance(rate, LearningRateSchedule):
            rate = keras.saving.serialize_keras_object(rate)
        return {
            **super().get_config(),
            "inner_learning_rate": rate,
            "evaluation_inner_learning_rate": otherwise,
            "inner_steps": self.inner_steps,
            "inner_batch_size": self.inner_batch_size,
            "evaluation_inner_batch_size": self.evaluation_inner_batch_size,
            "inner_optimizer": self.inner_optimizer,
        }


def _rate_or_schedule(value):
    if isinstance(value, LearningRateSchedule):
        return value
    return check_positive("inner_learning_rate", value)


def mini_batches(examples: int, steps: int, size: int) -> tf.Tensor:
    """Rows of each mini-batch, drawn without replacement.

    All examples are gone through in one random order after the other.

    Args:
        examples: How many there are, a scalar tensor.
        steps, size: Python integers.

    Returns:
        Integers `(steps, size)` in `[0, examples)`, always the same.
    """
    passes = -(-steps * size // examples)
    # Philox gives the same numbers on every device.
    numbers = tf.random.stateless_uniform(
        (passes, examples), (0, 0), alg="philox"
    )
    rows = tf.reshape(tf.argsort(numbers, axis=-1), (-1,))
    return tf.reshape(rows[: steps * size], (steps, size))
