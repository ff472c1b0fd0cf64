"""What is measured of a model: the metric, its unit and its wording.

A measure has `key`, `head`, `metric`, `unit`, `heading`, `numbers`, `words`,
`columns` and `metrics`: see `Measure`.
"""

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


def _wrong_bits(name):
    from keras_meta.metrics import WrongBits

    return WrongBits(name=name)


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

    @property
    def head(self):
        """What is measured, at the head of a column."""
        return self.key.replace("_", " ")

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

    def columns(self, numbers):
        """What was stored as the cells of a row, by the heads of columns."""
        return {self.head: self.words(numbers)}

    def metrics(self, numbers):
        """What was stored, as the hub's model cards list it.

        Args:
            numbers: Dict that `numbers` returned.

        Returns:
            List of one dict of `type`, `name` and `value`; the name says the
            unit and half the width of the 95% interval.
        """
        name = f"{self.head}{self.unit}, 95% interval ± {numbers['interval']}"
        return [{"type": self.key, "name": name, "value": numbers[self.key]}]


@dataclasses.dataclass(frozen=True)
class InstanceMeasure:
    """Accuracy at each presentation of a class in a sequence, in percent.

    It is what `Measure` is, with two numbers for each presentation. Words
    name those that are quoted: the 2nd, the 5th and the 10th.

    Attributes:
        instances: How many presentations every class of a sequence has.
        encoding: How labels are written: see
            `keras_meta.data.sequence_dataset`.
    """

    instances: int
    encoding: str

    key = "instance"
    head = "accuracy"
    unit = " %"

    def metric(self, name):
        """A new Keras metric whose logs are `instance_1` and so on."""
        from keras_meta.metrics import InstanceAccuracy

        return InstanceAccuracy(self.instances, self.encoding, name=name)

    @property
    def quoted(self):
        """The presentations that are quoted, such as `2nd / 5th / 10th`."""
        return " / ".join(PRESENTATIONS[k] for k in self._reached(QUOTED))

    @property
    def heading(self):
        """The sentence above the table of a card; see `Measure`."""
        return (
            f"Mean accuracy at the {self.quoted} presentation of a class over\n"
            "{episodes} sequences, in percent,"
        )

    def numbers(self, logs):
        """What is stored of a measurement: a dict of floats."""
        return {
            name: round(100 * float(logs[name]), 3)
            for k in range(1, self.instances + 1)
            for name in (f"instance_{k}", f"instance_{k}_interval")
        }

    def words(self, numbers):
        """What was stored, in words without the unit."""
        return " / ".join(_at(numbers, k) for k in self._reached(QUOTED))

    def columns(self, numbers):
        """What was stored as the cells of a row, by the heads of columns."""
        return {
            PRESENTATIONS[k]: _at(numbers, k)
            for k in self._reached(PRESENTATIONS)
        }

    def metrics(self, numbers):
        """One dict for each presentation that is quoted; see `Measure`."""
        return [
            {
                "type": "accuracy",
                "name": f"accuracy{self.unit} at the {PRESENTATIONS[k]} "
                "presentation, 95% interval ± "
                f"{numbers[f'instance_{k}_interval']}",
                "value": numbers[f"instance_{k}"],
            }
            for k in self._reached(QUOTED)
        ]

    def _reached(self, presentations):
        """Those of some presentations that a sequence has."""
        return [k for k in presentations if k <= self.instances]


# The presentations of a class that tables list, and those that words quote.
PRESENTATIONS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 5: "5th", 10: "10th"}
QUOTED = (2, 5, 10)


def _at(numbers, k):
    """The accuracy at one presentation and its interval."""
    return ACCURACY.text.format(
        value=numbers[f"instance_{k}"],
        interval=numbers[f"instance_{k}_interval"],
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
WRONG_BITS = Measure(
    key="wrong_bits",
    metric=_wrong_bits,
    scale=1,
    digits=4,
    text="{value:.2f} ± {interval:.2f} wrong bits",
    unit="",
    heading="Mean number of wrong bits in a sequence\n"
    "over {episodes} sequences,",
)
