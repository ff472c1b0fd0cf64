"""Meta Networks (Munkhdalai and Yu, 2017)."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_meta.checks import check_integer
from keras_meta.layers.content_addressing import cosine_similarity
from keras_meta.layers.coordinate_networks import CoordinateLSTM, CoordinateMLP
from keras_meta.layers.embedding_loss import EmbeddingLoss
from keras_meta.layers.fast_weights import FastWeights
from keras_meta.models.augmented_network import (
    augmented_layers,
    check_classes,
    check_order,
    example_gradients,
    generate,
    kind_of,
)
from keras_meta.models.functional import check_adapted_network
from keras_meta.models.outer_loop import OuterLoop
from keras_meta.models.slow_accuracy import LogsSlowAccuracy
from keras_meta.models.task_loop import map_tasks, map_tensors
from keras_meta.models.verbs import query_pass
from keras_meta.ops import ABSENT_LOGIT, at_least_float32
from keras_meta.serialization import register
from keras_meta.typing import Config, Episode, Task, Tensor, TensorLike


@register
class MetaNetwork(LogsSlowAccuracy, OuterLoop):
    """Makes weights for each task, and for each query, out of gradients.

    With `f` the encoder and `g` the base learner, whose slow weights `theta`
    and `phi` are learned over tasks, `F_w` an LSTM and `G_v` a network that
    turn gradients into fast weights, a task is learned from its support `x'`
    and a query `x_j` predicted so (Munkhdalai and Yu 2017, algorithm 1):

        theta+ = F_w(grad_theta L_emb(chunk 1), .. L_emb(chunk T))
        phi+_i = G_v(grad_phi cross_entropy(g_phi(x'_i), y'_i))
        r'_i   = f_{theta, theta+}(x'_i),   r_j = f_{theta, theta+}(x_j)
        phi+_j = sum_i a_j(i) phi+_i,   a_j = softmax_i cos(r'_i, r_j)
        logits = g_{phi, phi+_j}(x_j)

    Layers that take slow and fast weights are `keras_meta.layers.
    AugmentedConv2D` and `AugmentedDense`; that module says how a network is
    made of them. A network may begin with other layers, batch norm included,
    which have slow weights only.

    The loss of the queries trains `theta`, `phi`, `w` and `v`. Gradients are
    data to `F_w` and `G_v`, so nothing is derived twice, and what only shapes
    a gradient gets none from the queries: the weights of the verification
    are trained by its own loss, and the classifier of `"cross_entropy"` is a
    fixed random projection, as shuffled classes have nothing to teach it.

    The support is divided into `T` chunks in its order, one for each step of
    `F_w`; so its order matters, and `episode_dataset` shuffles it. With as
    many chunks as examples each is a step of its own. Padding is in no chunk
    and gets no attention.

    With metrics in `compile`, the logs have `slow_task_accuracy` too, that of
    the base learner without fast weights, and its 95% interval.

    The task is a dict of `keys r' (tasks, support, dim)`, `filled (tasks,
    support)`, which is 0 for padding, `fast_weight_0 (tasks, ...)` and so on,
    a kernel of `theta+` for each augmented layer of the encoder, and `value_0
    (tasks, support, ...)` and so on, those of `phi+`, for the base learner.

    Args:
        encoder: Keras model, examples `(batch, ...)` to embeddings `(batch,
            dim)`; its last layer has no activation in the paper's code.
        base_learner: Keras model, examples `(batch, ...)` to logits `(batch,
            way)`; its way is fixed by its last layer.
        embedding_loss: `L_emb`: `"cross_entropy"` of the classes, from the
            ReLU of the embedding; `"verification"`, whether two examples of
            a chunk are of one class; `"contrastive"`, their distance; or
            `"auto"`, cross-entropy for a support of one shot, where no two
            are of one class, and verification for any other.
        embedding_steps: The most chunks; 5 as in the authors' code for
            Omniglot. There are fewer if the support is smaller; a chunk has
            two examples at least where `L_emb` is of pairs.
        task_fast_weights: Whether there is a `theta+`; without it the
            encoder has slow weights only (the paper's ablation MetaNet-).
        generator_units: Width of `F_w` and `G_v`.
        **kwargs: `tasks_at_once`: see `OuterLoop`; `statistics`,
            `"running"` or `"batch"`; `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an unknown loss or a number out of range; for a
            network without augmented layers, with layers that cannot be
            augmented after them, or that does not return vectors; for fewer
            than two classes, or another number than the base learner has.

    Example:

    >>> import keras
    >>> from keras_meta.layers import AugmentedConv2D, AugmentedDense
    >>> def network(units):
    ...     return keras.Sequential([
    ...         AugmentedConv2D(4, 3),
    ...         keras.layers.MaxPooling2D(4, padding="same"),
    ...         keras.layers.Flatten(),
    ...         AugmentedDense(units, activation=None)])
    >>> model = MetaNetwork(encoder=network(8), base_learner=network(3))
    >>> support_x = np.random.rand(2, 3, 12, 12, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["keys"].shape), tuple(task["value_0"].shape)
    ((2, 3, 8), (2, 3, 3, 3, 1, 4))
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    # Not "support": the loop over tasks does not hand moments on.
    statistics_choices = ("running", "batch")

    def __init__(
        self,
        encoder: keras.Layer,
        base_learner: keras.Model,
        embedding_loss: str | Callable[..., Tensor] = "auto",
        embedding_steps: int = 5,
        task_fast_weights: bool = True,
        generator_units: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = check_adapted_network("encoder", encoder)
        self.base_learner = check_adapted_network("base_learner", base_learner)
        self.embedding_loss = EmbeddingLoss(
            embedding_loss, embedding_steps, dtype=self.predictions_dtype
        )
        self.task_fast_weights = task_fast_weights
        self.generator_units = check_integer(
            "generator_units", generator_units, 1
        )
        self.task_generators = self._generators(
            CoordinateLSTM, self.task_layers
        )
        self.example_generators = self._generators(
            CoordinateMLP, self.example_layers
        )

    def _generators(self, layer_class, layers):
        """A generator for each kind of layer, in float32 at least."""
        return {
            kind: layer_class(
                self.generator_units,
                dtype=self.predictions_dtype,
                name=f"{layer_class.__name__}_{kind}",
            )
            for kind in sorted({kind_of(layer) for layer in layers})
        }

    @property
    def task_layers(self) -> list[keras.Layer]:
        """The layers of the encoder that `theta+` augments."""
        if not self.task_fast_weights:
            return []
        return augmented_layers("encoder", self.encoder)

    @property
    def example_layers(self) -> list[keras.Layer]:
        """The layers of the base learner that `phi+` augments."""
        return augmented_layers("base_learner", self.base_learner)

    @property
    def learned_variables(self) -> list[keras.Variable]:
        return self.trainable_variables

    @property
    def state_variables(self) -> list[keras.Variable]:
        return [
            *self.encoder.non_trainable_variables,
            *self.base_learner.non_trainable_variables,
        ]

    def compute_output_spec(
        self, episodes: Episode, training: bool = False
    ) -> keras.KerasTensor:
        self.check_episodes(episodes)
        query_x = episodes["query_x"]
        examples = keras.KerasTensor(
            (None, *query_x.shape[2:]), self.compute_dtype
        )
        sizes = []
        for name in ("encoder", "base_learner"):
            network = getattr(self, name)
            outputs = network(examples)
            if len(outputs.shape) != 2:
                raise ValueError(
                    f"`{name}` must return a vector for each example, (batch, "
                    "dim); end it with Flatten and AugmentedDense layers. "
                    f"Received: an output of shape {tuple(outputs.shape)}"
                )
            check_order(name, network)
            sizes.append(outputs.shape[1])
        self.embedding_size, self.fixed_way = sizes
        check_classes(episodes["support_y"].shape, self.fixed_way)
        self._build_generators()
        shape = (*query_x.shape[:2], self.fixed_way)
        return keras.KerasTensor(shape, self.predictions_dtype)

    def _build_generators(self):
        """Makes the weights of all but the two networks."""
        for generators in (self.task_generators, self.example_generators):
            for generator in generators.values():
                if not generator.built:
                    generator.build((None, None))
        if self.task_fast_weights and not self.embedding_loss.built:
            self.embedding_loss.build(
                (None, self.embedding_size), (None, self.fixed_way)
            )

    def check_episodes(self, episodes: Episode) -> None:
        super().check_episodes(episodes)
        if self.fixed_way is not None:
            check_classes(episodes["support_y"].shape, self.fixed_way)

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        self._build_for(support_x, support_y)
        check_classes(support_y.shape, self.fixed_way)
        learned, state = self._values()
        support, dtype = support_x.shape[1], self.predictions_dtype

        def adapt_one(example):
            with self._with_values(learned, state):
                return self._adapt_task(*example, training)[0]

        def specs(name, layers, *shape):
            return {
                f"{name}_{n}": tf.TensorSpec((*shape, *w.kernel.shape), dtype)
                for n, w in enumerate(layers)
            }

        dim = self.embedding_size
        signature = {
            "keys": tf.TensorSpec((support, dim), dtype),
            "filled": tf.TensorSpec((support,), dtype),
            **specs("fast_weight", self.task_layers),
            **specs("value", self.example_layers, support),
        }
        return map_tasks(
            adapt_one, (support_x, support_y), signature, self._at_once
        )

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        return self._of_queries(
            self._infer_task, task, query_x, self.fixed_way, training
        )

    @property
    def attention_steps(self) -> int:  # type: ignore[override]
        """How many times a query reads the support."""
        return 1

    def read_attention(self, task: Task, query_x: TensorLike) -> Tensor:
        """The attention `a_j` of queries over the support.

        Args:
            task: What `adapt` returned.
            query_x: `(tasks, query, ...)`, floats.

        Returns:
            Tensor `(1, tasks, query, support)`; rows sum to 1.
        """
        return self._read_attention(task, query_x)[None]

    @query_pass
    def _read_attention(self, task, query_x, training=False):
        support = task["keys"].shape[1]
        return self._of_queries(self._attend, task, query_x, support, training)

    def _of_queries(self, function, task, query_x, outputs, training):
        """`function(task, query_x, training)`, `(query, outputs)`, by task."""
        learned, state = self._values()

        def of_one_task(example):
            with self._with_values(learned, state):
                return function(*example, training)

        return map_tasks(
            of_one_task,
            (task, query_x),
            tf.TensorSpec((query_x.shape[1], outputs), self.predictions_dtype),
            self._at_once,
        )

    def task_gradient(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        x, y, sample_weight = map_tensors(lambda t: t[None], episode)
        support_x, support_y, query_x = (
            episode[0][key] for key in self.input_keys
        )
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learned)
            with self._with_values(learned, state) as scope:
                task, own = self._adapt_task(support_x, support_y, True)
                predictions = self._infer_task(task, query_x, True)
                loss = self.compute_loss(
                    x, y, predictions[None], sample_weight, training=True
                )
                own = tf.cast(own, loss.dtype) / self._replicas
                total = loss + own
            after = [
                scope.get_current_value(variable)
                for variable in self.state_variables
            ]
        gradients = tape.gradient(
            total, learned, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, loss, predictions, after

    def _with_values(self, learned, state):
        """A scope in which learned variables and state have these values."""
        mapping = [
            *zip(self.learned_variables, learned, strict=True),
            *zip(self.state_variables, state, strict=True),
        ]
        return keras.StatelessScope(mapping, collect_losses=True)

    def _adapt_task(self, support_x, support_y, training):
        """The task without its tasks axis, and the verification's loss."""
        support_y = ops.cast(support_y, self.predictions_dtype)
        fast, own = self._task_weights(support_x, support_y, training)
        values = self._example_weights(support_x, support_y, training)
        keys = self._embed(support_x, fast, training)
        filled = ops.cast(ops.any(support_y > 0, axis=-1), keys.dtype)
        task = {"keys": keys, "filled": filled}
        task.update({f"fast_weight_{n}": w for n, w in enumerate(fast)})
        task.update({f"value_{n}": w for n, w in enumerate(values)})
        return task, own

    def _infer_task(self, task, query_x, training):
        """Logits of the queries `(query, ...)` of one task."""
        layers = self.example_layers
        values = [task[f"value_{n}"] for n in range(len(layers))]
        attention = self._attend(task, query_x, training)
        with FastWeights(layers, values, attention):
            logits = self.base_learner(query_x, training=training)
        return at_least_float32(logits)

    def _attend(self, task, query_x, training):
        """The attention `(query, support)` of the queries of one task."""
        fast = [task[f"fast_weight_{n}"] for n in range(len(self.task_layers))]
        queries = self._embed(query_x, fast, training)
        cosines = cosine_similarity(queries[None], task["keys"][None])[0]
        absent = ops.cast(ABSENT_LOGIT, cosines.dtype)
        return ops.softmax(
            ops.where(task["filled"] > 0, cosines, absent), axis=-1
        )

    def _embed(self, examples, fast, training):
        """Embeddings `(n, dim)` by slow and fast weights."""
        with FastWeights(self.task_layers, fast):
            return at_least_float32(self.encoder(examples, training=training))

    def _task_weights(self, support_x, support_y, training):
        """`theta+`, a kernel for each layer, and the verification's loss."""
        layers = self.task_layers
        if not layers:
            return [], ops.zeros((), support_y.dtype)
        chunks, steps = self.embedding_loss.split(support_y)

        def loss(embeddings):
            return self.embedding_loss(embeddings, support_y, chunks)

        gradients, embeddings = example_gradients(
            self.encoder, layers, support_x, loss, training
        )
        of_chunks = ops.transpose(chunks)
        gradients = [ops.matmul(of_chunks, found) for found in gradients]
        made = generate(self.task_generators, layers, gradients, steps)
        # Of the weights of the loss alone: gradients are data elsewhere.
        own = loss(ops.stop_gradient(embeddings))
        return [kernel[0] for kernel in made], own

    def _example_weights(self, support_x, support_y, training):
        """`phi+` of each support example, `(support, *kernel.shape)` each."""

        def loss(logits):
            log_p = ops.log_softmax(at_least_float32(logits), axis=-1)
            return -ops.sum(support_y * log_p)

        layers = self.example_layers
        gradients, _ = example_gradients(
            self.base_learner, layers, support_x, loss, training
        )
        return generate(self.example_generators, layers, gradients)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "base_learner": keras.saving.serialize_keras_object(
                self.base_learner
            ),
            "embedding_loss": self.embedding_loss.loss,
            "embedding_steps": self.embedding_loss.steps,
            "task_fast_weights": self.task_fast_weights,
            "generator_units": self.generator_units,
        }
