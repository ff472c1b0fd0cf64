"""Accuracy and errors over tasks or sequences, with 95% intervals."""

import keras
from keras import ops

from keras_meta.checks import check_choice, check_integer
from keras_meta.sequence_losses import ENCODINGS, split_letters
from keras_meta.serialization import register
from keras_meta.typing import Config, Tensor, TensorLike


@register
class AccuracyInterval(keras.metrics.Metric):
    """Mean accuracy over tasks and its 95% interval.

    The accuracy of a task is the share of its queries whose largest
    prediction is the true class; a tie counts as one over the number of
    classes tied. The interval's half width is `1.96 * std / sqrt(tasks)`
    with the population standard deviation (ddof 0), as in the code of MAML.
    Queries whose target is a zero row are padding and do not count; nor does
    a task without queries.

    Under the name `task_accuracy` the logs get the keys `task_accuracy` and
    `task_accuracy_interval`, both in `[0, 1]`.

    Args:
        name: Name of the metric.
        dtype: Type of the sums.

    >>> metric = AccuracyInterval()
    >>> query_y = [[[1., 0.], [0., 1.]], [[1., 0.], [0., 1.]]]
    >>> logits = [[[2., 1.], [0., 3.]], [[2., 1.], [3., 0.]]]
    >>> metric.update_state(query_y, logits)
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'task_accuracy': 0.75, 'task_accuracy_interval': 0.346}
    """

    def __init__(
        self, name: str = "task_accuracy", dtype: str = "float64"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        # Which way is better, for callbacks that monitor it.
        self._direction = "up"
        # Sums of errors, not of accuracies: near zero, their squares keep the
        # digits that the variance needs.
        for total in ("tasks", "errors", "squared_errors"):
            # Without `dtype` it would be float32, whatever the metric's type.
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
            y_true: One-hot `(tasks, query, way)`.
            y_pred: Logits or scores `(tasks, query, way)`.
            sample_weight: Not used: padded queries are zero rows already.
        """
        y_true, y_pred = (
            ops.cast(ops.convert_to_tensor(y), "float32")
            for y in (y_true, y_pred)
        )
        if len(y_true.shape) != 3 or len(y_pred.shape) != 3:
            raise ValueError(
                "`y_true` and `y_pred` must have the shape (tasks, query, "
                f"way). Received: y_true of shape {tuple(y_true.shape)}, "
                f"y_pred of shape {tuple(y_pred.shape)}"
            )
        credit = _credit(y_true, y_pred)
        present = ops.cast(ops.sum(y_true, axis=-1) > 0, "float32")
        queries = ops.cast(ops.sum(present, axis=-1), self.dtype)
        correct = ops.cast(ops.sum(credit * present, axis=-1), self.dtype)
        counted = ops.cast(queries > 0, self.dtype)
        error = counted - correct / ops.maximum(queries, 1)
        self.tasks.assign_add(ops.sum(counted))
        self.errors.assign_add(ops.sum(error))
        self.squared_errors.assign_add(ops.sum(error * error))

    def result(self) -> dict[str, Tensor]:
        tasks = ops.maximum(self.tasks, 1)
        mean = self.errors / tasks
        variance = ops.maximum(self.squared_errors / tasks - mean * mean, 0)
        accuracy = ops.where(self.tasks > 0, 1 - mean, 0)
        return {
            self.name: accuracy,
            self.name + "_interval": 1.96 * ops.sqrt(variance / tasks),
        }


@register
class InstanceAccuracy(keras.metrics.Metric):
    """Accuracy at the k-th presentation of a class, and its 95% interval.

    Instance `k` of a sequence are the steps that show a class for the k-th
    time (Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural
    Networks", table 1). Its accuracy is the share of these steps, over all
    sequences, whose prediction is right: the first is a guess, the second
    shows what was learned from one example.

    A step is right if its largest prediction is the true class; a tie counts
    as one over the number of classes tied. A string is right if all of its
    five letters are. Steps whose target is a zero row are padding and do not
    count.

    The steps of a sequence depend on each other, so the interval is over
    sequences: if all show as many classes for the k-th time, its half width
    is `1.96 * std / sqrt(sequences)`, with the population standard deviation
    (ddof 0) of the accuracies of the sequences. Otherwise a sequence weighs
    as much as it has such steps: with `n_i` of them, accuracy `a_i` and the
    mean `a`, the half width is `1.96 * sqrt(sum (n_i (a_i - a))^2) / sum
    n_i`. A sequence without any does not count.

    Under the name `instance` the logs get the keys `instance_1`,
    `instance_1_interval` and so on, all in `[0, 1]`, or NaN if no sequence
    shows a class so often. Callbacks that monitor one need `mode="max"`.

    Args:
        instances: The largest `k`, at least 1. A sequence of `length` steps
            shows each of its `way` classes `length / way` times.
        encoding: How labels are written, `"one_hot"` or `"letters"`, as for
            `keras_meta.data.sequence_dataset`.
        name: Name of the metric.
        dtype: Type of the sums.

    Raises:
        ValueError: If `instances` is no positive integer or `encoding` is
            unknown.

    >>> metric = InstanceAccuracy(instances=2)
    >>> target = np.eye(2)[[[0, 1, 0, 1], [1, 1, 0, 0]]]
    >>> logits = np.eye(2)[[[0, 0, 0, 1], [0, 1, 0, 0]]]
    >>> metric.update_state(target, logits)
    >>> {key: float(value) for key, value in metric.result().items()
    ...  if not key.endswith("_interval")}
    {'instance_1': 0.5, 'instance_2': 1.0}
    """

    def __init__(
        self,
        instances: int = 10,
        encoding: str = "one_hot",
        name: str = "instance",
        dtype: str = "float64",
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.instances = check_integer("instances", instances, 1)
        self.encoding = check_choice("encoding", encoding, ENCODINGS)
        # Of each instance, sums over sequences: of the steps shown, of the
        # errors among them, and of the products of the two. Errors keep the
        # digits of the variance near an accuracy of one.
        for total in (
            "shown",
            "errors",
            "squared_shown",
            "squared_errors",
            "shown_times_errors",
        ):
            variable = self.add_variable(
                (self.instances,), "zeros", dtype=self.dtype, name=total
            )
            setattr(self, total, variable)

    def update_state(
        self,
        y_true: TensorLike,
        y_pred: TensorLike,
        sample_weight: TensorLike | None = None,
    ) -> None:
        """Adds sequences.

        Args:
            y_true: Labels `(tasks, steps, way)`, or `(tasks, steps, 25)` for
                letters.
            y_pred: Logits or scores of the same shape.
            sample_weight: Not used: padding is zero rows already.
        """
        y_true, y_pred = (
            ops.cast(ops.convert_to_tensor(y), "float32")
            for y in (y_true, y_pred)
        )
        if len(y_true.shape) != 3 or len(y_pred.shape) != 3:
            raise ValueError(
                "`y_true` and `y_pred` must have the shape (tasks, steps, "
                f"labels). Received: y_true of shape {tuple(y_true.shape)}, "
                f"y_pred of shape {tuple(y_pred.shape)}"
            )
        index = instance_index(y_true)[:, :, None]
        at = ops.cast(index == ops.arange(1, self.instances + 1), self.dtype)
        if self.encoding == "letters":
            letters = _credit(
                split_letters("y_true", y_true),
                split_letters("y_pred", y_pred),
            )
            credit = ops.prod(letters, axis=-1)
        else:
            credit = _credit(y_true, y_pred)
        error = ops.cast(1 - credit, self.dtype)
        # Of each sequence and instance.
        shown = ops.sum(at, axis=1)
        errors = ops.sum(at * error[:, :, None], axis=1)
        self.shown.assign_add(ops.sum(shown, axis=0))
        self.errors.assign_add(ops.sum(errors, axis=0))
        self.squared_shown.assign_add(ops.sum(shown * shown, axis=0))
        self.squared_errors.assign_add(ops.sum(errors * errors, axis=0))
        self.shown_times_errors.assign_add(ops.sum(shown * errors, axis=0))

    def result(self) -> dict[str, Tensor]:
        # 0 / 0 is NaN for an instance that no sequence reaches.
        mean = self.errors / self.shown
        squares = (
            self.squared_errors
            - 2 * mean * self.shown_times_errors
            + mean * mean * self.squared_shown
        )
        interval = 1.96 * ops.sqrt(ops.maximum(squares, 0)) / self.shown
        result = {}
        for k in range(self.instances):
            result[f"{self.name}_{k + 1}"] = 1 - mean[k]
            result[f"{self.name}_{k + 1}_interval"] = interval[k]
        return result

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "instances": self.instances,
            "encoding": self.encoding,
        }


@register
class WrongBits(keras.metrics.Metric):
    """Mean number of wrong bits in a sequence and its 95% interval.

    A predicted bit is wrong unless it is nearer to the target than 0.5; one
    of 0.5 is wrong for both, and so is NaN. A step counts as often as its
    sample weight says, which is 1 where bits are to be recalled and 0
    elsewhere (Graves et al. 2014, "Neural Turing Machines", section 4: the
    copy task). The interval's half width is `1.96 * std / sqrt(sequences)`
    with the population standard deviation (ddof 0).

    It belongs in `compile(weighted_metrics=...)`: Keras gives no sample
    weights to those in `metrics`. Under the name `wrong_bits` the logs get
    the keys `wrong_bits` and `wrong_bits_interval`, both in bits, at least 0.

    Args:
        name: Name of the metric.
        dtype: Type of the sums.

    >>> metric = WrongBits()
    >>> target = [[[0., 0.], [1., 0.]], [[0., 0.], [1., 1.]]]
    >>> predicted = [[[.9, .9], [.8, .3]], [[.9, .9], [.8, .3]]]
    >>> metric.update_state(target, predicted, [[0., 1.], [0., 1.]])
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'wrong_bits': 0.5, 'wrong_bits_interval': 0.693}
    """

    def __init__(
        self, name: str = "wrong_bits", dtype: str = "float64"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        # Which way is better, for callbacks that monitor it.
        self._direction = "down"
        for total in ("sequences", "wrong", "squared_wrong"):
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
        """Adds sequences.

        Args:
            y_true: Bits `(tasks, steps, bits)`, 0 or 1.
            y_pred: Probabilities of a 1, of the same shape.
            sample_weight: `(tasks, steps)`; None counts all steps once.

        Raises:
            ValueError: For other shapes.
        """
        y_true, y_pred = (
            ops.cast(ops.convert_to_tensor(y), "float32")
            for y in (y_true, y_pred)
        )
        if len(y_true.shape) != 3 or len(y_pred.shape) != 3:
            raise ValueError(
                "`y_true` and `y_pred` must have the shape (tasks, steps, "
                f"bits). Received: y_true of shape {tuple(y_true.shape)}, "
                f"y_pred of shape {tuple(y_pred.shape)}"
            )
        right = ops.cast(ops.abs(y_pred - y_true) < 0.5, "float32")
        wrong = ops.sum(1 - right, axis=-1)
        if sample_weight is not None:
            sample_weight = ops.cast(
                ops.convert_to_tensor(sample_weight), "float32"
            )
            if len(sample_weight.shape) != 2:
                raise ValueError(
                    "`sample_weight` must have the shape (tasks, steps). "
                    "Received: sample_weight of shape "
                    f"{tuple(sample_weight.shape)}"
                )
            wrong = wrong * sample_weight
        wrong = ops.cast(ops.sum(wrong, axis=-1), self.dtype)
        self.sequences.assign_add(ops.sum(ops.ones_like(wrong)))
        self.wrong.assign_add(ops.sum(wrong))
        self.squared_wrong.assign_add(ops.sum(wrong * wrong))

    def result(self) -> Tensor:
        sequences = ops.maximum(self.sequences, 1)
        mean = self.wrong / sequences
        variance = self.squared_wrong / sequences - mean * mean
        interval = 1.96 * ops.sqrt(ops.maximum(variance, 0) / sequences)
        return {self.name: mean, self.name + "_interval": interval}


def instance_index(targets: TensorLike) -> Tensor:
    """How often the class of each step has been shown, this step included.

    Args:
        targets: Rows of zeros and ones `(tasks, steps, labels)`, one-hot or
            strings of letters, with as many ones in each row. A zero row is
            padding.

    Returns:
        int32 `(tasks, steps)`: 1 at the first presentation of a class, and
        0 for padding.

    >>> instance_index(np.eye(3)[[[0, 1, 0, 2, 1, 0]]]).numpy().tolist()
    [[1, 1, 2, 1, 2, 3]]
    """
    targets = ops.cast(ops.convert_to_tensor(targets), "float32")
    common = ops.einsum("ted,tsd->tes", targets, targets)
    ones = ops.sum(targets, axis=-1, keepdims=True)
    same = ops.logical_and(common == ones, ones > 0)
    return ops.sum(ops.tril(ops.cast(same, "int32")), axis=-1)


def _credit(y_true, y_pred):
    """1 where the true class has the largest prediction; less if tied.

    `y_true, y_pred: (..., way)`; the result is `(...)`.
    """
    largest = ops.max(y_pred, axis=-1, keepdims=True)
    tied = ops.cast(y_pred >= largest, "float32")
    # A prediction that is NaN ties with nothing and is wrong.
    ties = ops.maximum(ops.sum(tied, axis=-1), 1)
    return ops.sum(tied * y_true, axis=-1) / ties
