"""What a recipe and a measurement are, and how files hold them."""

import dataclasses
from collections.abc import Callable

from zoo import streams
from zoo.stream import Stream
from zoo.wording import count

# What recipes minimise, by name: the classes, of Keras or registered with it,
# and their arguments.
LOSSES = {
    "cross_entropy": ("CategoricalCrossentropy", {"from_logits": True}),
    "binary_cross_entropy": (
        "BinaryCrossentropy",
        # The mean over the steps that count, where there are weights.
        {"reduction": "mean_with_sample_weight"},
    ),
    "mean_squared_error": ("MeanSquaredError", {}),
    "string_cross_entropy": ("keras_meta>StringCrossentropy", {}),
}
# What minimises it, by name.
OPTIMIZERS = {"adam": "Adam", "sgd": "SGD"}

# The order of keys in the files. The stream is spread among them; keys of a
# kind of stream that are not here come last.
RECIPE_LAYOUT = (
    "name",
    "title",
    "paper",
    "dataset",
    "split",
    "way",
    "shot",
    "queries",
    "steps",
    "tasks",
    "rotations",
    "learning_rate",
    "optimizer",
    "restarts",
    "epoch_steps",
    "start",
    "augmentation",
    "seed",
    "stream",
    "within_groups",
    "loss",
    "clip_norm",
    "changes",
)
EVALUATION_LAYOUT = (
    "way",
    "shot",
    "queries",
    "dataset",
    "split",
    "rotations",
    "within_groups",
    "statistics",
    "episodes",
    "seed",
    "stream",
    "inner_steps",
    "published",
)
# Not stored: the code, how fast it runs, what has a file of its own, and what
# the files show.
NOT_STORED = (
    "model",
    "side_by_side",
    "jit_compile",
    "half_precision",
    "weights_from",
    "compared_with",
    "evaluations",
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One measurement: on which tasks, on how many, and how.

    Attributes:
        stream: A `zoo.stream.Stream`: which tasks.
        statistics: The model's batch-norm statistics.
        episodes: How many tasks.
        seed: Which sequence of tasks.
        inner_steps: Those of a gradient-based model, by default its own.
        published: What the paper reports, in the unit of the measure; None
            if it reports nothing.
    """

    stream: Stream
    statistics: str = "running"
    episodes: int = 1000
    seed: int = 1
    inner_steps: int | None = None
    published: float | str | None = None

    @property
    def setting(self):
        """What a task is, what is asked and how many inner steps are taken."""
        words = [self.stream.setting, _asked(self.stream)]
        if self.inner_steps is not None:
            words.append(count(self.inner_steps, "inner step"))
        return ", ".join(filter(None, words))

    @property
    def words(self):
        """The setting, the data and the batch-norm statistics in words."""
        return (
            f"{self.setting}, {self.stream.data}, batch norm: {self.statistics}"
        )

    def record(self):
        """The flat dict that `results.json` holds."""
        return _laid_out(self, EVALUATION_LAYOUT)

    @classmethod
    def from_record(cls, record):
        """Makes the measurement of a dict of `record`; ignores other keys."""
        own = {
            field.name: record[field.name]
            for field in dataclasses.fields(cls)
            if field.name != "stream"
        }
        return cls(stream=streams.from_record(record), **own)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a preset is trained and measured.

    Training takes `steps` steps on `tasks` tasks of the `stream` each, and
    minimises the `loss`, one of `LOSSES`.

    The `optimizer` is `"adam"`, whose learning rate falls from
    `learning_rate` to zero along a cosine, or `"sgd"`, where it falls along
    a line, as in Reptile. Each of the `restarts` is another cosine, half as
    high and half as long as the one before. Gradients are scaled to a norm
    of `clip_norm` at most. The model is saved every `epoch_steps` steps.

    Training begins with the weights of the preset `start`, if one is named;
    layers whose weights have other shapes there keep their random ones. The
    preset must be trained on the same split.

    With `side_by_side` each task is computed on one core, and with
    `jit_compile` by XLA. This changes how fast the training is, not its
    outcome. With `half_precision` the weights are stored as float16, which
    halves the file; measured is what was stored. A recipe with
    `weights_from`, as for `keras_meta.presets.save`, trains nothing: it has no
    steps, and its `stream` says what it is measured on.

    The card has a table of this preset beside those of `compared_with`, by
    name, on the same tasks.

    Raises:
        ValueError: For an unknown loss or optimizer, and for steps with
            weights from a package.
    """

    name: str
    title: str
    paper: str
    model: Callable
    stream: Stream
    steps: int
    tasks: int = 1
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    restarts: int = 0
    epoch_steps: int = 200
    start: str | None = None
    augmentation: object = None
    seed: int = 0
    loss: str = "cross_entropy"
    clip_norm: float | None = None
    side_by_side: bool = False
    jit_compile: bool = False
    half_precision: bool = False
    weights_from: dict | None = None
    changes: str = ""
    compared_with: tuple = ()
    evaluations: tuple = ()

    def __post_init__(self):
        from keras_meta.checks import check_choice

        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("loss", self.loss, LOSSES)
        if self.weights_from and self.steps:
            raise ValueError(
                f"`steps` must be 0 for {self.name}, whose weights come from "
                f"a package. Received: steps={self.steps}"
            )

    def record(self):
        """The flat dict that `recipe.json` holds: what the outcome depends on.

        The model is not in it.
        """
        return _laid_out(self, RECIPE_LAYOUT)


def compared_with_paper(kept, changed):
    """What a card says of a recipe: what is the paper's and what is not.

    Args:
        kept, changed: Sequences of clauses.
    """
    return f"As in the paper: {', '.join(kept)}. Changed: {'; '.join(changed)}."


def _asked(stream):
    """How many queries an episode has, if not as many as usual, in words.

    Batch norm with the moments of all queries depends on their number.
    """
    if not isinstance(stream, streams.Episodes):
        return ""
    queries = stream.queries
    if queries == streams.Episodes.queries:
        return ""
    return f"{queries} {'query' if queries == 1 else 'queries'} of each class"


def _laid_out(thing, layout):
    """A recipe or an evaluation and its stream as one dict in order."""
    record = {
        field.name: _plain(getattr(thing, field.name))
        for field in dataclasses.fields(thing)
        if field.name not in NOT_STORED
    }
    record.update(thing.stream.record())
    return {key: record[key] for key in [*layout, *record] if key in record}


def _plain(value):
    """A value as JSON holds it; a dataclass is a dict with its class."""
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: _plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
        return {"class": type(value).__name__, **fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
