"""Keras metrics of the zoo's measurements: a mean and its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

import keras_meta as km

if TYPE_CHECKING:
    from keras_meta.typing import Tensor, TensorLike


class PairAccuracy(km.metrics.AccuracyInterval):
    """The share of pairs with the right answer, and its 95% interval.

    The answer is "same class" for a score above 1/2. Each pair is counted
    as a choice between two classes, "different" with the prediction
    `1 - score` and "same" with `score`: with one class alone, the largest
    prediction would always be right.
    """

    def update_state(
        self,
        y_true: TensorLike,
        y_pred: TensorLike,
        sample_weight: TensorLike | None = None,
    ) -> None:
        """Adds pairs.

        Args:
            y_true: `(pairs, 1, 1)` of 0 and 1.
            y_pred: Scores `(pairs, 1, 1)` in [0, 1].
            sample_weight: Not used.
        """
        super().update_state(_two_way(y_true), _two_way(y_pred))


def _two_way(same):
    """The two classes "different" and "same", `(..., 2)`."""
    same = ops.cast(ops.convert_to_tensor(same), "float32")
    return ops.concatenate([1 - same, same], axis=-1)


class SquaredErrorInterval(keras.metrics.Metric):
    """Mean squared error over tasks, and its 95% interval.

    The error of a task is the mean over its queries. The half width of the
    interval is `1.96 * std / sqrt(tasks)` with the population standard
    deviation, as in `keras_meta.metrics.AccuracyInterval`.

    Args:
        name: Name of the metric; the logs get `name` and `name_interval`.
        dtype: Type of the sums.
    """

    def __init__(
        self, name: str = "squared_error", dtype: str = "float64"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        for total in ("tasks", "errors", "squared_errors"):
            # Without its type it would be float32, whatever the metric's.
            variable = self.add_variable(
                (), "zeros", dtype=self.dtype, name=total
            )
            setattr(self, total, variable)

    def update_state(
        self,
        y_true: TensorLike,
        y_pred: TensorLike,
        sample_weight: TensorLike | None = None,
    ) -> None:
        """Adds tasks.

        Args:
            y_true: Values `(tasks, query, outputs)`.
            y_pred: Predictions `(tasks, query, outputs)`.
            sample_weight: Not used: regression is never padded.
        """
        y_true, y_pred = (
            ops.cast(ops.convert_to_tensor(y), "float32")
            for y in (y_true, y_pred)
        )
        errors = ops.mean(ops.square(y_pred - y_true), axis=(1, 2))
        errors = ops.cast(errors, self.dtype)
        self.tasks.assign_add(ops.sum(ops.ones_like(errors)))
        self.errors.assign_add(ops.sum(errors))
        self.squared_errors.assign_add(ops.sum(errors * errors))

    def result(self) -> dict[str, Tensor]:
        tasks = ops.maximum(self.tasks, 1)
        mean = self.errors / tasks
        variance = ops.maximum(self.squared_errors / tasks - mean * mean, 0)
        return {
            self.name: mean,
            self.name + "_interval": 1.96 * ops.sqrt(variance / tasks),
        }
