"""What was measured of a preset: the contents of `results.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.recipes.recipe import Evaluation

if TYPE_CHECKING:
    from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class Result:
    """A measurement and its numbers, as `Measure.numbers` makes them."""

    evaluation: Evaluation
    numbers: dict

    @property
    def words(self) -> str:
        """The numbers in words, without their unit."""
        return self.evaluation.stream.measure.words(self.numbers)

    @property
    def sentence(self) -> str:
        """The numbers with their unit, and what they were measured on."""
        unit = self.evaluation.stream.measure.unit
        return f"{self.words}{unit} {self.evaluation.words}"

    def record(self) -> dict[str, Any]:
        """The flat dict that `results.json` holds."""
        return {**self.evaluation.record(), **self.numbers}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Makes the result of a dict of `record`."""
        evaluation = Evaluation.from_record(record)
        settings = evaluation.record()
        return cls(
            evaluation,
            {key: record[key] for key in record if key not in settings},
        )


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything that was measured of a preset.

    Attributes:
        evaluations: Sequence of `Result`.
        sample_probabilities: What the model makes of one made-up task, as a
            nested list `(query, way)`.
        versions: Dict of the packages that measured and their versions.
    """

    evaluations: Sequence[Result] = ()
    sample_probabilities: list = dataclasses.field(default_factory=list)
    versions: dict = dataclasses.field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The dict that `results.json` holds."""
        return {
            "evaluations": [result.record() for result in self.evaluations],
            "sample_probabilities": self.sample_probabilities,
            "versions": self.versions,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Makes the results of a dict of `record`."""
        evaluations = tuple(map(Result.from_record, record["evaluations"]))
        return cls(**{**record, "evaluations": evaluations})
