"""Sequences of random bits that are copied from memory."""

import dataclasses

from zoo import measures
from zoo.stream import Stream

USAGE = """\
inputs, target, weight = next(iter(
    keras_meta.data.copy_dataset(longest=20).batch(16)))
model.predict(inputs)                  # what it recalls where weight is 1
model.export("served")                 # a SavedModel\
"""


@dataclasses.dataclass(frozen=True)
class Copies(Stream):
    """Sequences of `length` vectors of `bits` bits, to be repeated.

    With `shortest` the length of each is drawn from `shortest` to `length`.
    """

    _: dataclasses.KW_ONLY
    length: int
    bits: int = 8
    shortest: int | None = None

    kind = "copies"
    pipeline_tag = None
    tags = ("memory-augmented",)
    noun = "sequences to copy"
    measure = measures.WRONG_BITS
    usage = USAGE
    batch_norm = False
    data = "random bits"
    trained_on = "random bits, drawn anew for each sequence"

    def elements(self, seed, start=0, augmentation=None):
        from keras_meta import data

        if augmentation is not None:
            raise ValueError(
                "`augmentation` must be None for sequences to copy, which are "
                f"not images. Received: augmentation={augmentation!r}"
            )
        return data.copy_dataset(
            bits=self.bits,
            shortest=self.shortest or self.length,
            longest=self.length,
            seed=seed,
            start=start,
        )

    def training_metrics(self):
        return [self.measure.metric(name=self.measure.key)]

    @property
    def examples_per_task(self):
        # Each vector is seen and recalled.
        return 2 * self.length

    @property
    def setting(self):
        lengths = f"{self.length}"
        if self.shortest is not None:
            lengths = f"{self.shortest} to {self.length}"
        return f"copies of {lengths} vectors of {self.bits} bits"

    def meta_batch(self, tasks):
        return f"{tasks} {self.setting}"

    def as_measured(self, fixed_way):
        return dataclasses.replace(self, shortest=None)
