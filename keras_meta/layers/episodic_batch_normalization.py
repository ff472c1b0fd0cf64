"""Batch normalization with the statistics of one task."""

from typing import Any

import keras
import tensorflow as tf

from keras_meta.batch_statistics import (
    UNROLLED_TASKS,
    current_scope,
    current_tasks,
    keep_moments,
)
from keras_meta.checks import check_number, check_positive
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor


@register
class EpisodicBatchNormalization(keras.layers.Layer):
    """Batch normalization (Ioffe & Szegedy 2015) of each task by itself.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta` over the last
    axis. Inside an `EpisodicModel` the moments are those of each task, and
    the model's `statistics` says which (see `keras_meta.batch_statistics`).
    Outside of one it behaves as Keras' layer: the moments of the whole batch
    when `training=True`, the moving averages otherwise. A frozen layer
    (`trainable = False`) uses its moving averages and leaves them unchanged,
    whatever the statistics.

    Unlike `keras.layers.BatchNormalization`, whose moments stop a gradient,
    its second derivatives are right, as second-order MAML needs.

    Args:
        momentum: Share of the moving averages that a training pass keeps, in
            `[0, 1]`. The default is that of the code of Prototypical
            Networks: 0.1 in PyTorch, which counts the share it replaces.
        epsilon: Positive number added to the variance.

    Raises:
        ValueError: If `momentum` or `epsilon` is no number or out of range.
    """

    def __init__(
        self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.momentum = check_number("momentum", momentum)
        if not 0 <= self.momentum <= 1:
            raise ValueError(
                f"`momentum` must be in [0, 1]. Received: momentum={momentum}"
            )
        self.epsilon = check_positive("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(
            shape=shape, name="gamma", initializer="ones", autocast=False
        )
        self.beta = self.add_weight(
            shape=shape, name="beta", initializer="zeros", autocast=False
        )
        moving = dict(
            shape=shape, trainable=False, autocast=False, aggregation="mean"
        )
        self.moving_mean = self.add_weight(
            name="moving_mean", initializer="zeros", **moving
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer="ones", **moving
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        mode, scope = self.mode(training), current_scope()
        # Moments of half-precision numbers are computed in float32.
        dtype = "float64" if self.gamma.dtype == "float64" else "float32"
        x = tf.cast(inputs, dtype)
        gamma, beta = tf.cast(self.gamma, dtype), tf.cast(self.beta, dtype)
        if mode == "running":
            mean = tf.cast(self.moving_mean, dtype)
            variance = tf.cast(self.moving_variance, dtype)
            scale = gamma * tf.math.rsqrt(variance + self.epsilon)
            outputs = x * scale + (beta - mean * scale)
        elif mode == "reuse":
            mean, variance = scope.reuse(self)
            outputs = self._normalize(x, gamma, beta, mean, variance)
        elif mode == "collect":
            mean, variance = self._moments(x)
            outputs = self._normalize(x, gamma, beta, mean, variance)
            scope.collect(self, mean, variance)
        else:
            outputs, mean, variance = self.normalize_batch(x, gamma, beta)
        if training and mode in ("batch", "collect"):
            self.learn(mean, variance)
        return tf.cast(outputs, inputs.dtype)

    def mode(self, training: bool) -> str:
        """Which moments a call uses now: a mode of `StatisticsScope`."""
        scope = current_scope()
        if not self.trainable:
            # Frozen, as in Keras: the moving averages, which stay.
            return "running"
        if scope is not None:
            return scope.mode
        return "batch" if training else "running"

    def normalize_batch(
        self, x: Tensor, gamma: Tensor, beta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalizes each task with its own moments.

        Args:
            x: `(tasks * examples, ..., channels)`, float32 or float64.
            gamma: `(channels,)`, of the same dtype.
            beta: `(channels,)`, of the same dtype.

        Returns:
            The outputs, of the shape of `x`, and mean and variance `(tasks,
            channels)`.
        """
        if x.dtype == "float64":
            mean, variance = self._moments(x)
            return (
                self._normalize(x, gamma, beta, mean, variance),
                mean,
                variance,
            )
        return self._fused(x, gamma, beta)

    def learn(self, mean: Tensor, variance: Tensor) -> None:
        """Moves both averages, at the end of an open `one_update` if any.

        Args:
            mean: `(tasks, channels)`.
            variance: `(tasks, channels)`.
        """
        if not keep_moments(self, mean, variance):
            self.move_averages(mean, variance)

    def _by_task(self, x):
        """`(tasks * examples, ..., c)` as `(tasks, positions, c)`."""
        return tf.reshape(x, (current_tasks(), -1, x.shape[-1]))

    def _moments(self, x):
        """Mean and variance `(tasks, c)`, right in every derivative."""
        x = self._by_task(x)
        mean = tf.reduce_mean(x, axis=1)
        centred = x - mean[:, None]
        return mean, tf.reduce_mean(centred * centred, axis=1)

    def _normalize(self, x, gamma, beta, mean, variance):
        """Normalizes each task with its moments `(tasks, c)`."""
        scale = gamma * tf.math.rsqrt(variance + self.epsilon)
        shift = beta - mean * scale
        y = self._by_task(x) * scale[:, None] + shift[:, None]
        return tf.reshape(y, tf.shape(x))

    def _fused(self, x, gamma, beta):
        """`_moments` and `_normalize` in TensorFlow's fused kernel.

        The kernel has one set of moments for a batch, so that it runs once
        for each task. Of more than `UNROLLED_TASKS`, or of an unknown number,
        the axis of tasks is merged into that of channels, which needs
        transpositions. The moments it returns carry no gradient, which the
        moving averages do not need.
        """
        tasks, channels = current_tasks(), x.shape[-1]
        if isinstance(tasks, int) and tasks <= UNROLLED_TASKS:
            # Parts of the first axis are views: nothing is copied.
            parts = tf.split(tf.reshape(x, (-1, 1, 1, channels)), tasks)
            outputs = [self._kernel(part, gamma, beta) for part in parts]
            y, mean, variance = (
                found[0] if tasks == 1 else tf.concat(found, axis=0)
                for found in zip(*outputs, strict=True)
            )
        else:
            merged = tf.transpose(self._by_task(x), (1, 0, 2))
            positions, width = tf.shape(merged)[0], tasks * channels
            y, mean, variance = self._kernel(
                tf.reshape(merged, (positions, 1, 1, width)),
                tf.tile(gamma, [tasks]),
                tf.tile(beta, [tasks]),
            )
            y = tf.reshape(y, (positions, tasks, channels))
            y = tf.transpose(y, (1, 0, 2))
        return (
            tf.reshape(y, tf.shape(x)),
            tf.reshape(mean, (tasks, channels)),
            tf.reshape(variance, (tasks, channels)),
        )

    def _kernel(self, x, gamma, beta):
        """Outputs, mean and variance of `(positions, 1, 1, channels)`."""
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, epsilon=self.epsilon, is_training=True
        )
        # The kernel returns the unbiased variance.
        count = tf.cast(tf.shape(x)[0], x.dtype)
        return y, mean, variance * tf.maximum(count - 1, 1) / count

    def move_averages(self, mean: Tensor, variance: Tensor) -> None:
        """Moves both averages towards the mean of moments over tasks.

        Args:
            mean: `(tasks, channels)`.
            variance: `(tasks, channels)`.
        """
        for moving, moments in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moment = tf.stop_gradient(tf.reduce_mean(moments, axis=0))
            old = tf.cast(moving, moment.dtype)
            moving.assign(old * self.momentum + moment * (1 - self.momentum))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
