"""The contract of every method: adapt to a support set, infer queries."""

import types
import warnings

import keras
from keras import ops

from keras_meta.batch_statistics import STATISTICS
from keras_meta.checks import check_choice
from keras_meta.metrics import AccuracyInterval
from keras_meta.models import saved_model
from keras_meta.models.network_input import check_network_input
from keras_meta.models.replicated_fit import ReplicatedFit
from keras_meta.models.verbs import query_pass, support_pass
from keras_meta.ops import wide
from keras_meta.serialization import deserialize_nested


class EpisodicModel(ReplicatedFit):
    """A model that learns a task from its support set and predicts queries.

    A method is two functions, which a subclass overrides:

    - `adapt(support_x, support_y, training=False) -> task`
    - `infer(task, query_x, training=False) -> predictions`

    `call` composes them, so `compile`, `fit`, `evaluate`, `predict` and
    saving are Keras' own. A task is a tensor, or a flat dict of tensors,
    with a leading `tasks` axis; it is returned and never kept on the model.

    An episode is a dict of float tensors (`keras_meta.data.episode_dataset`
    makes them): `support_x (tasks, support, ...)`, one-hot `support_y
    (tasks, support, way)` whose zero rows are padding, `query_x (tasks,
    query, ...)`. Way and shot are shapes: one model serves all of them.

    Args:
        statistics: `"running"`, `"batch"` or `"support"`: which batch-norm
            statistics `adapt` and `infer` use; see
            `keras_meta.batch_statistics`. It can be changed later.
        preprocessing: Optional `keras_meta.Preprocessing`: what the images
            were put through. Saved with the model and applied by
            `FewShotClassifier`, not by `call`.
        **kwargs: `name`, `dtype` and so on, for `keras.Model`.

    Raises:
        ValueError: For an unknown choice of statistics, and, once the model
            is built, for a `preprocessing` whose channels or values its
            network was not made for.
    """

    # What the rest of the library asks a model instead of its class; a
    # subclass overrides what differs.

    # The keys of its input.
    input_keys = ("support_x", "support_y", "query_x")
    # What it accepts as its `statistics`.
    statistics_choices = STATISTICS
    # The number of classes, for a model that cannot serve any other.
    fixed_way = None
    # Inner steps of `adapt` outside training, for a model that takes them.
    evaluation_inner_steps = None
    # A method `(examples, training=False) -> embeddings (tasks, n, dim)`.
    embed = None
    # How many times a query reads the support by attention, for a model with
    # a method `read_attention(task, query_x)`.
    attention_steps = 0
    # Rows of its external memory, for a model with a method
    # `read_memory(sequences)`.
    memory_slots = 0
    # Whether it scores two examples as being of one class.
    verifies_pairs = False
    # The shape of one example, by key, once the model is built.
    example_shapes = types.MappingProxyType({})

    def __init__(self, statistics="running", preprocessing=None, **kwargs):
        # An encoder casts its input itself; cast here, token ids would be
        # rounded under a half-precision policy.
        super().__init__(**{"autocast": False, **kwargs})
        self.statistics = statistics
        self.preprocessing = preprocessing

    def __init_subclass__(cls, **kwargs):
        # Batch-norm statistics are opened around the two verbs here, once,
        # so that the methods themselves read like their papers.
        super().__init_subclass__(**kwargs)
        for name, opening in (("adapt", support_pass), ("infer", query_pass)):
            # The class's own verb, or one that it inherits from a mixin.
            verb = getattr(cls, name)
            if not hasattr(verb, "opens_statistics"):
                setattr(cls, name, opening(verb))

    @property
    def statistics(self):
        """Which batch-norm statistics a pass uses, by name."""
        return self._statistics

    @statistics.setter
    def statistics(self, value):
        self._statistics = check_choice(
            "statistics", value, self.statistics_choices
        )
        self.forget_traces()
        if self.built:
            self._warn_of_other_batch_norm()

    @property
    def preprocessing(self):
        """What the images were put through; None if that is not known."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, value):
        self._preprocessing = value
        if self.built:
            self.check_preprocessing()

    @property
    def transductive(self):
        """Whether predictions depend on what else is predicted with them."""
        return self.statistics == "batch"

    def forget_traces(self):
        """Drops compiled functions, which do not notice changed attributes."""
        self.train_function = None
        self.test_function = None
        self.predict_function = None

    def adapt(self, support_x, support_y, training=False):
        """Learns each task from its support set.

        Args:
            support_x: `(tasks, support, ...)`, floats.
            support_y: One-hot `(tasks, support, way)`; zero rows are
                padding.
            training: Python bool.

        Returns:
            The task: a tensor or a flat dict of tensors, each with a
            leading `tasks` axis.
        """
        raise NotImplementedError

    def infer(self, task, query_x, training=False):
        """Predicts the queries of each task.

        Args:
            task: What `adapt` returned.
            query_x: `(tasks, query, ...)`, floats.
            training: Python bool.

        Returns:
            Predictions `(tasks, query, way)`, float32 at least: logits, or
            what else the method's `probabilities` takes.
        """
        raise NotImplementedError

    def probabilities(self, predictions):
        """Turns what `infer` and `predict` return into probabilities.

        Args:
            predictions: `(tasks, query, way)`.

        Returns:
            Tensor of that shape whose rows sum to 1.
        """
        return ops.softmax(predictions, axis=-1)

    def build(self, input_shape):
        """Makes the weights.

        Args:
            input_shape: Dict of the shapes of an episode, with None where a
                size is open.
        """
        self.check_preprocessing()
        episodes = {
            key: keras.KerasTensor(input_shape[key], dtype=wide(self.dtype))
            for key in self.input_keys
            if key in input_shape
        }
        self.compute_output_spec(episodes)
        self.example_shapes = {
            key: tuple(input_shape[key][2:])
            for key in self.input_keys
            if key.endswith("_x")
        }
        self._warn_of_other_batch_norm()

    def call(self, episodes, training=False):
        """Adapts to the support set of each episode and infers its queries.

        Args:
            episodes: Dict of `support_x`, `support_y` and `query_x`.
            training: Python bool.

        Returns:
            Predictions `(tasks, query, way)`.

        Raises:
            ValueError: If keys, ranks, types or shapes do not fit.
        """
        self.check_episodes(episodes)
        task = self.adapt(
            episodes["support_x"], episodes["support_y"], training=training
        )
        return self.infer(task, episodes["query_x"], training=training)

    def check_preprocessing(self):
        """Raises a ValueError if the network needs other images."""
        for name in ("encoder", "network"):
            network = getattr(self, name, None)
            check_network_input(self.preprocessing, network, name)

    def check_episodes(self, episodes):
        """Raises a ValueError that shows the fix if episodes do not fit.

        Args:
            episodes: Dict with the `input_keys`.
        """
        self.check_keys(episodes, self.input_keys)
        if "support_x" in self.input_keys:
            self.check_parts(episodes)

    def check_keys(self, episodes, keys):
        """Raises a ValueError unless episodes are a dict with these keys.

        Args:
            episodes: What a caller passed.
            keys: Tuple of names.
        """
        if isinstance(episodes, dict) and all(key in episodes for key in keys):
            return
        found = list(episodes) if isinstance(episodes, dict) else "no dict"
        raise ValueError(
            f"`episodes` must be a dict with the keys {keys}, as "
            "`keras_meta.data.episode_dataset(...).batch(tasks)` yields. "
            f"Received: {found}"
        )

    def check_parts(self, episodes):
        """Raises a ValueError unless the parts of episodes fit together.

        Args:
            episodes: Dict of `support_x`, `support_y` and `query_x`.
        """
        keys = ("support_x", "support_y", "query_x")
        shapes = {key: tuple(episodes[key].shape) for key in keys}
        support_x, support_y, query_x = shapes.values()
        if len(support_y) == 2 and (
            len(support_x) < 3 or support_x[:2] != support_y
        ):
            raise ValueError(
                "`episodes` must have a tasks axis: make batches of them with "
                "`.batch(1)`, or a larger number of tasks. Received: shapes "
                f"{shapes}"
            )
        if len(support_y) == 2:
            raise ValueError(
                "`support_y` must be one-hot, (tasks, support, way); for "
                "integer labels use `keras.ops.one_hot(support_y, way)`. "
                f"Received: support_y of shape {support_y}"
            )
        if len(support_x) < 3 or len(support_y) != 3 or len(query_x) < 3:
            raise ValueError(
                "`episodes` must hold support_x (tasks, support, ...), "
                "support_y (tasks, support, way) and query_x (tasks, query, "
                "...); one episode becomes a batch with `.batch(1)`. "
                f"Received: shapes {shapes}"
            )
        for key in ("support_x", "query_x"):
            dtype = keras.backend.standardize_dtype(episodes[key].dtype)
            if "float" not in dtype:
                raise ValueError(
                    f"`{key}` must be floats: turn uint8 pixels into [0, 1] "
                    "by `/ 255`, and other integers by `astype('float32')`. "
                    f"Received: {key} of dtype {dtype}"
                )
        if _differ(support_x[:2], support_y[:2]):
            raise ValueError(
                "`support_x` and `support_y` must agree in tasks and support "
                f"examples. Received: shapes {support_x} and {support_y}"
            )
        self.check_query_shape(support_x, query_x)

    def check_query_shape(self, support_x, query_x):
        """Raises a ValueError unless support and queries are alike.

        Args:
            support_x: Shape of the support examples.
            query_x: Shape of the queries.
        """
        if len(support_x) != len(query_x) or _differ(
            support_x[2:], query_x[2:]
        ):
            raise ValueError(
                "`support_x` and `query_x` must hold examples of one shape. "
                f"Received: shapes {support_x} and {query_x}"
            )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """As `keras.Model.compute_metrics`; warns if padding is counted."""
        if sample_weight is not None and self._compile_metrics is not None:
            unweighted = [
                getattr(metric, "name", metric)
                for metric in keras.tree.flatten(
                    self._compile_metrics._user_metrics
                )
                if not isinstance(metric, AccuracyInterval)
            ]
            if unweighted:
                warnings.warn(
                    "Queries have sample weights, which are 0 for padding, "
                    f"but {unweighted} of `metrics` count all alike. Compile "
                    "with `weighted_metrics` instead, or with "
                    "`keras_meta.metrics.AccuracyInterval()`, which leaves "
                    "padding out.",
                    stacklevel=2,
                )
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=None,
        input_signature=None,
        **kwargs,
    ):
        """Writes a SavedModel that learns new classes inside its graph.

        Signatures, with tasks, support, queries and way all open; they need
        TensorFlow only, not this package:

        - `serving_default(support_x, support_y, query_x)` returns
          `probabilities (tasks, query, way)`;
        - `adapt(support_x, support_y)` returns the parts of the task;
        - `infer(query_x, and the parts of the task)` returns
          `probabilities`.

        Args:
            filepath: Folder to write; it must not exist.
            format: `"tf_saved_model"`; any other is left to
                `keras.Model.export`, which knows `call` alone.
            verbose: Whether Keras prints what it wrote.
            input_signature: For other formats only.
            **kwargs: For other formats only.

        Raises:
            ValueError: If the folder exists, if the model is not built, or
                if a signature is given for a SavedModel.
        """
        if format != "tf_saved_model":
            super().export(filepath, format, verbose, input_signature, **kwargs)
            return
        if input_signature is not None or kwargs:
            raise ValueError(
                "`input_signature` must be None for a SavedModel, whose "
                "signatures leave tasks, support, queries and way open. "
                f"Received: input_signature={input_signature!r}, "
                f"{sorted(kwargs)}"
            )
        saved_model.export(self, filepath, verbose=bool(verbose))

    def get_config(self):
        return {
            **super().get_config(),
            "statistics": self.statistics,
            "preprocessing": keras.saving.serialize_keras_object(
                self.preprocessing
            ),
        }

    def _warn_of_other_batch_norm(self):
        """Warns of layers that the choice of statistics does not reach."""
        others = [
            layer.name
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if others and self.statistics != "running":
            warnings.warn(
                f"`statistics={self.statistics!r}` does not reach {others}: "
                "Keras' batch normalization uses its moving averages outside "
                "training. Use `keras_meta.layers.EpisodicBatchNormalization`"
                ', or set `statistics="running"`.',
                stacklevel=2,
            )

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize_nested(config))


def _differ(shape, other):
    """Whether two shapes differ where both are known."""
    return any(
        a is not None and b is not None and a != b
        for a, b in zip(shape, other, strict=True)
    )
