"""What a base learner can do without its fast weights."""

from typing import Any

import keras

from keras_meta.metrics import AccuracyInterval
from keras_meta.ops import batch_apply


class LogsSlowAccuracy(keras.Model):
    """A model that logs `slow_task_accuracy` beside the metrics of `compile`.

    It is the accuracy of `base_learner` on the queries with slow weights
    alone. Episodes number their classes anew, so it stays near chance, and
    what `task_accuracy` is above it comes from the fast weights. Without
    metrics in `compile` nothing is added to the logs.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slow_accuracy = AccuracyInterval("slow_task_accuracy")

    @property
    def metrics(self) -> list[keras.Metric]:
        metrics = super().metrics
        if self._compile_metrics is None:
            return [m for m in metrics if m is not self.slow_accuracy]
        return metrics

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """As `keras.Model.compute_metrics`, with slow weights measured too."""
        # Labels that are no rows of classes are not this metric's.
        if self.slow_accuracy in self.metrics and len(y.shape) == 3:
            slow = batch_apply(self.base_learner, x["query_x"], False)
            self.slow_accuracy.update_state(y, slow)
        return super().compute_metrics(x, y, y_pred, sample_weight)
