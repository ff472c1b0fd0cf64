"""The kinds of tasks that presets are trained and measured on.

A new kind is one class, here or in a file of its own, named in `KINDS`.
Recipes, training, measurements, cards, pictures and the command line ask the
stream what they need to know, and never what kind it is.

The methods import what brings in TensorFlow when they are called: the words of
a stream do without.
"""

import dataclasses
import functools

from zoo import datasets, measures
from zoo.copies import Copies
from zoo.sinusoids import Sinusoids
from zoo.stream import Stream
from zoo.wording import unknown


@dataclasses.dataclass(frozen=True)
class LabelledStream(Stream):
    """Tasks made of the classes of a data set.

    `rotations` tells whether each class turned by 90, 180 and 270 degrees is
    a new class.
    """

    dataset: str = "omniglot"
    split: str = "test"
    _: dataclasses.KW_ONLY
    rotations: bool = True

    # Whether the classes of a task come from one alphabet, say; a field of
    # the kinds that offer it.
    within_groups = False

    def load(self):
        """`(examples, labels)` of the split."""
        return datasets.load_split(self.dataset, self.split, self.rotations)

    def _names_of(self, draw):
        """Names of the classes of the first task, in the order of its targets.

        Tasks depend on labels and seeds alone: `draw(examples, labels)` draws
        the numbers of the examples in their place.
        """
        import numpy as np

        _, labels = self.load()
        rows = np.arange(len(labels), dtype="float32")[:, None]
        task, query_y = next(iter(draw(rows, labels)))
        first = np.argmax(query_y, axis=0)
        return [str(labels[int(task["query_x"][k, 0])]) for k in first]

    @property
    def data(self):
        words = f"{self.dataset} {self.split}"
        if self.within_groups:
            words += ", within one alphabet"
        if not self.rotations and self.dataset.startswith("omniglot"):
            words += ", not rotated"
        return words

    @property
    def trained_on(self):
        turned = "without rotations"
        if self.rotations:
            turned = "each class also turned by 90, 180 and 270 degrees as "
            turned += "new ones"
        return f"`{self.dataset}`, split `{self.split}`, {turned}"


@dataclasses.dataclass(frozen=True)
class Episodes(LabelledStream):
    """Classification of `way` classes from `shot` examples of each.

    `queries` are per class. With a pair `(least, most)` each episode draws its
    own `shot`. With `within_groups` all classes of an episode come from one
    group of the data set: an alphabet or a script.
    """

    _: dataclasses.KW_ONLY
    way: int
    shot: int | tuple
    queries: int = 15
    within_groups: bool = False

    kind = "episodes"
    noun = "episodes"

    def __post_init__(self):
        if isinstance(self.shot, list):
            # As a file holds a pair.
            object.__setattr__(self, "shot", tuple(self.shot))

    def elements(self, seed, start=0, augmentation=None):
        return self._draw(*self.load(), seed, start, augmentation)

    def class_names(self, seed):
        return self._names_of(functools.partial(self._draw, seed=seed))

    def _draw(self, examples, labels, seed, start=0, augmentation=None):
        from keras_meta import data

        return data.episode_dataset(
            examples,
            labels,
            way=self.way,
            shot=self.shot,
            queries=self.queries,
            seed=seed,
            start=start,
            groups=_groups(self, labels),
            augmentation=augmentation,
        )

    @property
    def examples_per_task(self):
        shot = max(self.shot) if self._draws_shot else self.shot
        return self.way * (shot + self.queries)

    @property
    def setting(self):
        shot = self.shot
        if self._draws_shot:
            shot = "{}- to {}".format(*shot)
        return f"{self.way}-way {shot}-shot"

    @property
    def _draws_shot(self):
        return isinstance(self.shot, tuple)

    def as_measured(self, fixed_way):
        return _test_episodes(self, fixed_way)

    def pairs(self):
        return Pairs(
            self.dataset,
            self.split,
            rotations=self.rotations,
            within_groups=self.within_groups,
        )


@dataclasses.dataclass(frozen=True)
class Photographs(Episodes):
    """Episodes of the few photographs of `zoo.photographs`, in colour.

    They recur in many episodes, and an encoder for photographs is slow. So a
    Prototypical Network embeds each once, where an embedding does not depend
    on what else is embedded: under `running` statistics.
    """

    dataset: str = "gcompris"
    split: str = "test"
    _: dataclasses.KW_ONLY
    rotations: bool = False
    queries: int = 5

    kind = "photographs"
    examples_at_once = 64

    def prepared(self, model):
        import keras

        from keras_meta.models import PrototypicalNetwork

        if (
            type(model) is not PrototypicalNetwork
            or not isinstance(model.encoder, keras.Model)
            or model.statistics != "running"
        ):
            return super().prepared(model)
        examples, labels = self.load()
        embeddings = model.encoder.predict(
            examples.numpy(), batch_size=16, verbose=0
        )
        head = PrototypicalNetwork(keras.layers.Identity(), model.distance)
        draw = functools.partial(self._draw, embeddings, labels)
        return head, draw

    def as_measured(self, fixed_way):
        return dataclasses.replace(self, way=fixed_way or 5, shot=1)


@dataclasses.dataclass(frozen=True)
class Pairs(LabelledStream):
    """Verification: are two examples of one class?

    With `within_groups` both examples come from one alphabet or script.
    """

    _: dataclasses.KW_ONLY
    within_groups: bool = False

    kind = "pairs"
    noun = "pairs"
    measure = measures.PAIR_ACCURACY
    stored_constants = {"way": 1, "shot": 1, "queries": 1}
    examples_per_task = 2
    setting = "pairs"

    def elements(self, seed, start=0, augmentation=None):
        from keras_meta import data

        examples, labels = self.load()
        return data.pair_dataset(
            examples,
            labels,
            seed=seed,
            start=start,
            groups=_groups(self, labels),
            augmentation=augmentation,
        )

    def training_metrics(self):
        import keras

        # `AccuracyInterval` compares classes, and a pair has only one.
        return [keras.metrics.BinaryAccuracy(name="pair_accuracy")]

    def meta_batch(self, tasks):
        within = " within one alphabet each" if self.within_groups else ""
        return f"{tasks} pairs{within}"

    def as_measured(self, fixed_way):
        return _test_episodes(self, fixed_way)

    def pairs(self):
        return self


@dataclasses.dataclass(frozen=True)
class ZeroShot(LabelledStream):
    """Classification of `way` classes from a description of each.

    `queries` are per class. The data set needs descriptions of its classes
    (`zoo.datasets.DESCRIPTIONS`).
    """

    _: dataclasses.KW_ONLY
    way: int
    queries: int = 15

    kind = "zero_shot"
    pipeline_tag = "zero-shot-image-classification"
    tags = ("zero-shot-learning",)
    noun = "zero-shot episodes"
    stored_constants = {"shot": 0, "within_groups": False}

    def elements(self, seed, start=0, augmentation=None):
        return self._draw(*self.load(), seed, start, augmentation)

    def class_names(self, seed):
        return self._names_of(functools.partial(self._draw, seed=seed))

    def _draw(self, examples, labels, seed, start=0, augmentation=None):
        from keras_meta import data

        return data.zero_shot_dataset(
            examples,
            labels,
            datasets.describe_classes(self.dataset, labels),
            way=self.way,
            queries=self.queries,
            seed=seed,
            start=start,
            augmentation=augmentation,
        )

    @property
    def examples_per_task(self):
        return self.way * self.queries

    @property
    def setting(self):
        return f"{self.way}-way zero-shot"

    def as_measured(self, fixed_way):
        return dataclasses.replace(
            self, split="test", way=fixed_way or 5, queries=15
        )


@dataclasses.dataclass(frozen=True)
class Sequences(LabelledStream):
    """Label-offset sequences: each label comes one step after its example.

    A sequence shows `length` examples of `way` classes in random order, each
    class `length / way` times. `encoding` is how labels are written:
    `"one_hot"`, or `"letters"` for strings of five letters.
    """

    _: dataclasses.KW_ONLY
    way: int
    length: int
    encoding: str = "one_hot"

    kind = "sequences"
    noun = "sequences"
    batch_norm = False

    def elements(self, seed, start=0, augmentation=None):
        from keras_meta import data

        examples, labels = self.load()
        return data.sequence_dataset(
            examples,
            labels,
            way=self.way,
            length=self.length,
            seed=seed,
            start=start,
            encoding=self.encoding,
            augmentation=augmentation,
        )

    @property
    def measure(self):
        """The accuracy at the presentations that every class has."""
        return measures.InstanceMeasure(self.length // self.way, self.encoding)

    def training_metrics(self):
        return [self.measure.metric("instance")]

    @property
    def examples_per_task(self):
        return self.length

    @property
    def setting(self):
        labels = ", strings of letters" if self.encoding == "letters" else ""
        return (
            f"{self.way}-way sequences of {self.length}{labels}, "
            f"{self.measure.quoted}"
        )

    def meta_batch(self, tasks):
        return f"{tasks} {self.way}-way sequences of {self.length} examples"

    def as_measured(self, fixed_way):
        return dataclasses.replace(
            self, split="test", way=fixed_way or self.way
        )


def _test_episodes(stream, fixed_way):
    """Episodes of the test classes of a stream's data set."""
    return Episodes(
        stream.dataset,
        "test",
        way=fixed_way or 5,
        shot=1,
        rotations=stream.rotations,
    )


def _groups(stream, labels):
    """The group of each label; None for a stream that ignores groups."""
    from keras_meta import data

    return data.label_groups(labels) if stream.within_groups else None


KINDS = {
    kind.kind: kind
    for kind in (
        Episodes,
        Photographs,
        Pairs,
        ZeroShot,
        Sequences,
        Sinusoids,
        Copies,
    )
}


def from_record(record):
    """Makes the stream of a stored dict.

    Args:
        record: Dict with what `Stream.record` returned; other keys are
            ignored.

    Returns:
        A `Stream`.

    Raises:
        ValueError: For an unknown kind; the nearest are listed.
    """
    kind = record["stream"]
    if kind not in KINDS:
        raise ValueError(unknown("stream", kind, KINDS))
    fields = dataclasses.fields(KINDS[kind])
    return KINDS[kind](**{field.name: record[field.name] for field in fields})
