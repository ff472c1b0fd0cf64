"""Regression of sine waves, as a kind of tasks."""

import dataclasses
import math

from zoo import measures
from zoo.stream import Stream

REGRESSION_USAGE = """\
task = model.adapt(x[None], y[None])   # points (n, 1) and their values
model.infer(task, new_x[None])
model.export("served")                 # a SavedModel that learns new tasks\
"""


@dataclasses.dataclass(frozen=True)
class Sinusoids(Stream):
    """Regression of sine waves; `shot` and `queries` are points of one."""

    _: dataclasses.KW_ONLY
    shot: int
    queries: int = 15

    kind = "sinusoids"
    pipeline_tag = None
    tags = ("few-shot-learning", "regression")
    noun = "sinusoids"
    measure = measures.SQUARED_ERROR
    usage = REGRESSION_USAGE
    batch_norm = False
    stored_constants = {
        "way": 1,
        "dataset": "sinusoids",
        "split": "all",
        "rotations": False,
        "within_groups": False,
    }
    data = "sinusoids"
    trained_on = "sinusoids, drawn at random"

    def elements(self, seed, start=0, augmentation=None):
        from keras_meta import data

        if augmentation is not None:
            raise ValueError(
                "`augmentation` must be None for sinusoids, which are not "
                f"images. Received: augmentation={augmentation!r}"
            )
        return data.sinusoid_dataset(
            shot=self.shot, queries=self.queries, seed=seed, start=start
        )

    def training_metrics(self):
        return []

    def steps_per_execution(self, epoch_steps):
        # A step takes less time than Keras needs to ask for it.
        return math.gcd(50, epoch_steps)

    @property
    def examples_per_task(self):
        return self.shot + self.queries

    @property
    def setting(self):
        return f"{self.shot}-shot"

    def as_measured(self, fixed_way):
        return Sinusoids(shot=10)

    def curves(self):
        """One wave, from 5 points and from 10.

        As in figure 2 of Finn et al. 2017, the 5 are in one half of the
        range: what is right in the other half was learned from other waves.
        The points are spread evenly, so that no lucky draw decides what the
        figure shows.
        """
        import numpy as np

        def wave(x):
            return 4 * np.sin(x - math.pi / 3)

        x = np.linspace(-5, 5, 201, dtype="float32")
        supports = {
            "5 support points, all at x > 0": np.linspace(0.5, 4.5, 5),
            "10 support points": np.linspace(-4.5, 4.5, 10),
        }
        return [
            {
                "title": title,
                "support_x": points.astype("float32"),
                "support_y": wave(points).astype("float32"),
                "x": x,
                "target": wave(x),
            }
            for title, points in supports.items()
        ]
