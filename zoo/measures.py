"""What is measured of a model: the metric, its unit and its wording."""

import dataclasses
from collections.abc import Callable

# The metrics bring in TensorFlow, which the words of a stored measurement do
# without: the command line lists them at once.


def _accuracy(name):
    from keras_meta.metrics import AccuracyInterval

    return AccuracyInterval(name=name)


def _pair_accuracy(name):
    from zoo.interval_metrics import PairAccuracy

    return PairAccuracy(name=name)


def _squared_error(name):
    from zoo.interval_metrics import SquaredErrorInterval

    return SquaredErrorInterval(name=name)


def __getattr__(name):
    """The metric classes of the zoo, once they are asked for."""
    if name in ("PairAccuracy", "SquaredErrorInterval"):
        from zoo import interval_metrics

        return getattr(interval_metrics, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number with its interval: how it is measured, stored and worded.

    `metric(name=key)` makes a Keras metric whose logs are `key` and
    `key_interval`. Stored are `scale` times them, rounded to `digits`, under
    `key` and `"interval"`. In words they are `text` with `value` and
    `interval` filled in; `unit` follows where the text stands alone.
    `heading` begins the sentence above the table of a card; `episodes` and
    `queries` are filled in.
    """

    key: str
    metric: Callable
    scale: float
    digits: int
    text: str
    unit: str
    heading: str

    def numbers(self, logs):
        """What is stored of a measurement.

        Args:
            logs: Dict that `keras.Model.evaluate` returned.

        Returns:
            Dict of two floats.
        """
        return {
            name: round(self.scale * float(logs[logged]), self.digits)
            for name, logged in (
                (self.key, self.key),
                ("interval", self.key + "_interval"),
            )
        }

    def words(self, numbers):
        """What was stored, in words without the unit."""
        return self.text.format(
            value=numbers[self.key], interval=numbers["interval"]
        )


ACCURACY = Measure(
    key="accuracy",
    metric=_accuracy,
    scale=100,
    digits=3,
    text="{value:.2f} ± {interval:.2f}",
    unit=" %",
    heading="Mean accuracy over {episodes} episodes (or pairs) with {queries} "
    "queries\nper class, in percent,",
)
PAIR_ACCURACY = dataclasses.replace(ACCURACY, metric=_pair_accuracy)
SQUARED_ERROR = Measure(
    key="mean_squared_error",
    metric=_squared_error,
    scale=1,
    digits=4,
    text="squared error {value:.3f} ± {interval:.3f}",
    unit="",
    heading="Mean squared error over {episodes} tasks with {queries} queries,",
)
