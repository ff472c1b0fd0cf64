"""The contract of a stream: what the zoo asks of any kind of tasks."""

import dataclasses

from zoo import measures
from zoo.wording import count

CLASSIFIER_USAGE = """\
classifier = keras_meta.FewShotClassifier(model)
classifier.fit(images, labels)         # a few images of each class, any size
classifier.predict(new_images)
model.export("served")                 # a SavedModel that learns new classes\
"""


class Stream:
    """A kind of tasks; the fields of a subclass say which of them.

    A subclass is a frozen dataclass. Its fields are what `recipe.json` and
    `results.json` store; those that have a flag of the command line can be
    set there. It overrides `elements`, `examples_per_task`, `data`,
    `trained_on`, `setting` and `as_measured`, and what else differs.
    """

    # Its name in the files, and a noun for several of its tasks.
    kind: str
    noun: str
    # What the Hugging Face hub calls such a task, None if it has no name, and
    # words by which it finds such models.
    pipeline_tag: str | None = "image-classification"
    tags: tuple[str, ...] = ("few-shot-learning",)
    # What `evaluate` measures.
    measure = measures.ACCURACY
    # How a card shows the use of a model that was trained on it.
    usage = CLASSIFIER_USAGE
    # Whether models for it have batch norm: if not, all measurements are
    # listed in the zoo's table, whatever their statistics.
    batch_norm = True
    # The files of a preset began with the keys of `Episodes` for all kinds.
    # A kind of that time stores those that it has no field for with one
    # value, which nothing reads; a new kind stores its fields alone.
    stored_constants = {}
    # How many examples go through the encoder at once where it is measured.
    examples_at_once = 4000

    def elements(self, seed, start=0, augmentation=None):
        """Draws the tasks.

        Args:
            seed: Integer: which sequence of tasks.
            start: Integer: the first task.
            augmentation: As for `keras_meta.data.episode_dataset`.

        Returns:
            An endless `tf.data.Dataset`, not batched.

        Raises:
            ValueError: If the data set is unknown or does not fit.
        """
        raise NotImplementedError

    def prepared(self, model):
        """What stands for a model and these tasks while it is measured.

        A kind may do for all tasks what is the same in each.

        Args:
            model: A Keras model.

        Returns:
            `(model, elements)`: a model that predicts the same, and a
            function like `elements`.
        """
        return model, self.elements

    def training_metrics(self):
        """New Keras metrics that are logged while a model trains."""
        from keras_meta.metrics import AccuracyInterval

        return [AccuracyInterval()]

    def steps_per_execution(self, epoch_steps):
        """How many steps of training Keras should run in one go.

        Args:
            epoch_steps: Steps of an epoch, a multiple of the result.
        """
        return 1

    @property
    def examples_per_task(self):
        """How many examples a task has, which bounds a batch of tasks."""
        raise NotImplementedError

    @property
    def data(self):
        """Where the tasks come from, for tables."""
        raise NotImplementedError

    @property
    def trained_on(self):
        """Where the tasks come from, for the list of a card."""
        raise NotImplementedError

    @property
    def setting(self):
        """What a task is, such as `5-way 1-shot`."""
        raise NotImplementedError

    def meta_batch(self, tasks):
        """What a step of training sees, in words.

        A kind without `queries` overrides it.

        Args:
            tasks: How many tasks.
        """
        episodes = count(tasks, "episode")
        return f"{episodes}, {self.setting} with {self.queries} queries"

    def as_measured(self, fixed_way):
        """The stream that a model trained on this one is measured on.

        Args:
            fixed_way: The number of classes that the model serves; None for
                any.

        Returns:
            A `Stream`: what the command line measures without flags.
        """
        raise NotImplementedError

    def pairs(self):
        """The stream of pairs of the same examples; None if there is none."""
        return None

    def class_names(self, seed):
        """The names of the classes of the first task.

        Args:
            seed: As for `elements`.

        Returns:
            List of str in the order of the targets; None where classes have
            no names.
        """
        return None

    def curves(self):
        """Regression tasks whose curves are drawn.

        Returns:
            Sequence of dicts: `title`, arrays `support_x` and `support_y`
            `(n,)`, `x` and `target` `(points,)`.
        """
        return ()

    def record(self):
        """The flat dict that the files of a preset hold."""
        return {
            **self.stored_constants,
            **dataclasses.asdict(self),
            "stream": self.kind,
        }
