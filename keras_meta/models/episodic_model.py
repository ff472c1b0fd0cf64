"""The contract of every method: adapt to a support set, infer queries."""

import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_meta import presets
from keras_meta.batch_statistics import STATISTICS
from keras_meta.checks import check_choice
from keras_meta.models import episode_checks, exports
from keras_meta.models.network_input import check_network_input
from keras_meta.models.replicated_fit import ReplicatedFit
from keras_meta.models.verbs import query_pass, support_pass
from keras_meta.ops import wide
from keras_meta.preprocessing import Preprocessing
from keras_meta.serialization import deserialize_nested
from keras_meta.typing import (
    Config,
    Episode,
    Path,
    Shape,
    Task,
    Tensor,
    TensorLike,
)

# The least probability that has a logarithm: that of float32.
SMALLEST = 1.2e-38


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
    input_keys: tuple[str, ...] = ("support_x", "support_y", "query_x")
    # What it accepts as its `statistics`.
    statistics_choices: tuple[str, ...] = STATISTICS
    # The number of classes, for a model that cannot serve any other.
    fixed_way: int | None = None
    # Inner steps of `adapt` outside training, for a model that takes them.
    evaluation_inner_steps: int | None = None
    # A method `(examples, training=False) -> embeddings (tasks, n, dim)`.
    embed: Callable[..., Tensor] | None = None
    # Likewise a method that returns feature maps `(tasks, n, h, w, c)`.
    feature_maps: Callable[..., Tensor] | None = None
    # A method `(support_x, support_y) -> dict of gates`, if it learns how to
    # update a network.
    read_gates: Callable[..., dict[str, Tensor]] | None = None
    # How many times a query reads the support by attention, for a model with
    # a method `read_attention(task, query_x)`.
    attention_steps = 0
    # Rows of its external memory, for a model with a method
    # `read_memory(sequences)`.
    memory_slots = 0
    # Whether it scores two examples as being of one class.
    verifies_pairs = False
    # The shape of one example, by key, once the model is built.
    example_shapes: Mapping[str, tuple[Any, ...]] = types.MappingProxyType({})

    def __init__(
        self,
        statistics: str = "running",
        preprocessing: Preprocessing | None = None,
        **kwargs: Any,
    ) -> None:
        # An encoder casts its input itself; cast here, token ids would be
        # rounded under a half-precision policy.
        super().__init__(**{"autocast": False, **kwargs})
        self.statistics = statistics
        self.preprocessing = preprocessing

    def __sklearn_clone__(self):
        # It holds nothing of a task, so that clones of a classifier share it.
        return self

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
    def statistics(self) -> str:
        """Which batch-norm statistics a pass uses, by name."""
        return self._statistics

    @statistics.setter
    def statistics(self, value: str) -> None:
        self._statistics = check_choice(
            "statistics", value, self.statistics_choices
        )
        self.forget_traces()
        if self.built:
            self._warn_of_other_batch_norm()

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What the images were put through; None if that is not known."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Preprocessing | None) -> None:
        self._preprocessing = value
        if self.built:
            self.check_preprocessing()

    @property
    def transductive(self) -> bool:
        """Whether predictions depend on what else is predicted with them."""
        return self.statistics == "batch"

    def forget_traces(self) -> None:
        """Drops compiled functions, which do not notice changed attributes."""
        self.train_function = None
        self.test_function = None
        self.predict_function = None

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
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

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
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

    def probabilities(self, predictions: TensorLike) -> Tensor:
        """Turns what `infer` and `predict` return into probabilities.

        Args:
            predictions: `(tasks, query, way)`.

        Returns:
            Tensor of that shape whose rows sum to 1.
        """
        return ops.softmax(predictions, axis=-1)

    def log_probabilities(self, predictions: TensorLike) -> Tensor:
        """The logs of `probabilities`, which a temperature divides.

        Args:
            predictions: `(tasks, query, way)`.

        Returns:
            Tensor of that shape.
        """
        if type(self).probabilities is EpisodicModel.probabilities:
            # Exact where a probability is too small for its dtype.
            return ops.log_softmax(predictions, axis=-1)
        shares = self.probabilities(predictions)
        return ops.log(ops.maximum(shares, SMALLEST))

    def build(self, input_shape: dict[str, Shape]) -> None:
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

    def call(self, episodes: Episode, training: bool = False) -> Tensor:
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

    def check_preprocessing(self) -> None:
        """Raises a ValueError if the network needs other images."""
        for name in ("encoder", "network"):
            network = getattr(self, name, None)
            check_network_input(self.preprocessing, network, name)

    def check_episodes(self, episodes: Episode) -> None:
        """Raises a ValueError that shows the fix if episodes do not fit.

        Args:
            episodes: Dict with the `input_keys`.
        """
        episode_checks.check_keys(episodes, self.input_keys)
        if "support_x" in self.input_keys:
            self.check_parts(episodes)

    def check_parts(self, episodes: Episode) -> None:
        """Raises a ValueError unless the parts of episodes fit together.

        Args:
            episodes: Dict of `support_x`, `support_y` and `query_x`.
        """
        episode_checks.check_parts(episodes)
        self.check_query_shape(
            tuple(episodes["support_x"].shape),
            tuple(episodes["query_x"].shape),
        )

    def check_query_shape(self, support_x: Shape, query_x: Shape) -> None:
        """Raises a ValueError unless support and queries are alike.

        Args:
            support_x: Shape of the support examples.
            query_x: Shape of the queries.
        """
        episode_checks.check_query_shape(support_x, query_x)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """As `keras.Model.compute_metrics`; warns if padding is counted."""
        if sample_weight is not None and self._compile_metrics is not None:
            episode_checks.warn_of_counted_padding(
                self._compile_metrics._user_metrics
            )
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def export(
        self,
        filepath: Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes a SavedModel that learns new classes inside its graph.

        Signatures, with tasks, support, queries and way all open; they need
        TensorFlow only, not this package:

        - `serving_default(support_x, support_y, query_x)` returns
          `probabilities (tasks, query, way)`;
        - `adapt(support_x, support_y)` returns the parts of the task;
        - `infer(query_x, and the parts of the task)` returns
          `probabilities`.

        With `format="litert"` it writes one file for phones, which has
        `adapt` and `infer` in operations that every LiteRT (TensorFlow Lite)
        has: Prototypical, zero-shot, Matching (without full context),
        Relation and Siamese Networks learn new classes on a phone.

        Args:
            filepath: Folder or file to write; it must not exist.
            format: `"tf_saved_model"` or `"litert"`; any other is left to
                `keras.Model.export`, which knows `call` alone.
            verbose: Whether a line names what was written.
            input_signature: For other formats only.
            **kwargs: `preprocessing=True` makes a SavedModel that takes uint8
                pictures `(tasks, n, height, width, 1, 3 or 4)` of any size
                and puts them through the model's `Preprocessing` inside the
                graph. All others are for other formats only.

        Raises:
            ValueError: If the folder or file exists, if the model is not
                built, if LiteRT lacks an operation that it needs, if a
                signature is given, or if it has no preprocessing to take in.
        """
        if format in exports.FORMATS:
            prepared = kwargs.pop("preprocessing", False)
            exports.check_no_signature(format, input_signature, kwargs)
            exports.export(self, filepath, format, verbose, prepared)
        else:
            super().export(filepath, format, verbose, input_signature, **kwargs)

    @classmethod
    def from_preset(cls, name: Path) -> Self:
        """Loads a pretrained model, as `zoo.load` does.

        Args:
            name: Name of a preset of the zoo, or path of a folder that
                `save_to_preset` or `keras-meta train` wrote.

        Returns:
            The model with its weights and its `preprocessing`, not compiled;
            of this class, or of a subclass: `EpisodicModel.from_preset`
            loads any.

        Raises:
            ValueError: For an unknown name, a preset of another class, and
                one that is damaged.
        """
        model = presets.load(presets.find(name))
        if not isinstance(model, cls):
            raise ValueError(
                f"`name` must be a preset of a {cls.__name__}. Received: "
                f"name={str(name)!r}, a {type(model).__name__}"
            )
        return model

    def save_to_preset(self, directory: Path) -> None:
        """Writes the model as a preset: its config, weights and their sums.

        Args:
            directory: Folder; made if it is missing. Other files in it stay.

        Raises:
            ValueError: If the model is not built, or its config would not
                load: see `keras_meta.presets.save`.
        """
        presets.save(self, directory)

    def get_config(self) -> Config:
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
    def from_config(cls, config: Config) -> Self:
        return cls(**deserialize_nested(config))
