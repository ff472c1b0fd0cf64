"""The outer loop of the methods that learn a task by gradient steps."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_meta import losses
from keras_meta.batch_statistics import (
    StatisticsScope,
    current_scope,
    with_moments,
)
from keras_meta.checks import check_integer
from keras_meta.models import functional
from keras_meta.models.functional import numbered, spec_of
from keras_meta.models.outer_loop import OuterLoop
from keras_meta.models.task_loop import map_tasks, map_tensors
from keras_meta.ops import at_least_float32, wide
from keras_meta.typing import (
    Config,
    Episode,
    InnerLoss,
    Shape,
    Task,
    Tensor,
    TensorLike,
)


class GradientBasedModel(OuterLoop):
    """A model that adapts a copy of its network's weights to each task.

    What is learned, what is adapted and what is kept are three things:

    - `learned_variables` are what the outer loop learns: the network's
      weights first, then a method's own (learned rates, say);
    - `adapted_positions` are the weights of the network that the inner loop
      adapts; the others are not part of the task;
    - `kept_state` names non-trainable weights whose value after the inner
      loop belongs to the task, too (moving averages of its steps, say).

    The task is a dict of the adapted weights, named `weight_0 (tasks, ...)`
    and so on by their position in `network.trainable_variables`, and of the
    kept state, named `state_0` and so on by its position in
    `state_variables`. A method is the inner loop of one task, `adapt_task`,
    which a subclass overrides; `task_gradient`, what the outer loop learns
    from, is the gradient of the query loss through it unless overridden.

    For the outer step and tasks that turn non-finite see `OuterLoop`.

    Args:
        network: Keras model, examples `(batch, ...)` to outputs `(batch,
            outputs)`, one for each class or value; functional or subclassed.
            Frozen layers stay as they are.
        inner_loss: What the inner loop minimises: `"cross_entropy"` (the
            outputs are logits), `"mean_squared_error"` (they are values), or
            your own registered function `(targets, outputs) -> loss` of one
            task, with which `probabilities` are the outputs as they are.
        evaluation_inner_steps: Steps of `adapt` when it is not training; 0
            leaves the weights as they are. It can be changed later.
        statistics: As for `EpisodicModel`; `"batch"` by default.
        **kwargs: `tasks_at_once`: see `OuterLoop`; `preprocessing`, `name`:
            see `EpisodicModel`.

    Raises:
        ValueError: If a number is out of range, the loss is unknown or the
            network computes in float16; when it is built, if the network has
            no trainable weights or not one output for each class.
    """

    # What the constructor calls the network.
    network_argument = "network"

    def __init__(
        self,
        network: keras.Model,
        inner_loss: str | InnerLoss = "cross_entropy",
        evaluation_inner_steps: int = 1,
        statistics: str = "batch",
        **kwargs: Any,
    ) -> None:
        super().__init__(statistics=statistics, **kwargs)
        argument = self.network_argument
        self.network = functional.check_adapted_network(argument, network)
        self.inner_loss = losses.get(inner_loss)
        self.evaluation_inner_steps = evaluation_inner_steps

    @property
    def evaluation_inner_steps(self) -> int:
        """Steps of the inner loop when the model is not training."""
        return self._evaluation_inner_steps

    @evaluation_inner_steps.setter
    def evaluation_inner_steps(self, value: int) -> None:
        self._evaluation_inner_steps = check_integer(
            "evaluation_inner_steps", value, 0
        )
        self.forget_traces()

    @property
    def learned_variables(self) -> list[keras.Variable]:
        """What the outer loop learns: the network's weights come first."""
        return self.network.trainable_variables

    @property
    def adapted_positions(self) -> Sequence[int]:
        """Which of `network.trainable_variables` the inner loop adapts."""
        return range(len(self.network.trainable_variables))

    @property
    def state_variables(self) -> list[keras.Variable]:
        """What a task changes beside the weights: the network's first."""
        return self.network.non_trainable_variables

    @property
    def kept_state(self) -> list[keras.Variable]:
        """Which of `state_variables` belong to the task after adaptation."""
        return []

    def adapt_task(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The inner loop of one task.

        Args:
            learned: Tensors, one for each of `learned_variables`.
            state: Tensors, one for each of `state_variables`.
            support_x: `(support, ...)`.
            support_y: `(support, outputs)`.
            training: Python bool; if it is set, a gradient can be taken
                through the steps.

        Returns:
            `(weights, state)`: one tensor for each of
            `network.trainable_variables`, and the state after the steps.
        """
        raise NotImplementedError

    def forward(
        self,
        weights: list[Tensor],
        state: list[Tensor],
        x: TensorLike,
        training: bool,
        then: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """`functional.run` of the network with the weights of a task."""
        return functional.run(self.network, weights, state, x, training, then)

    def weight_specs(
        self, learned: list[Tensor], outputs: int
    ) -> list[tf.TensorSpec]:
        """A `tf.TensorSpec` for each weight that `adapt_task` returns."""
        return [spec_of(value) for value in self._of_network(learned)]

    def outputs_of(self, task: Task) -> int | None:
        """The number of outputs of a query, None if it is open."""
        return self.fixed_way

    def task_gradient(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        """What the outer loop learns from one task.

        Here it is the gradient of the loss of the queries, taken through the
        inner loop.

        Args:
            learned, state: As for `adapt_task`.
            episode: `(x, y, sample_weight)` as `fit` gets them, without the
                tasks axis.

        Returns:
            `(gradients, loss, predictions, state)`: for each of
            `learned_variables` what the optimizer descends, divided by the
            number of replicas; loss and predictions `(query, outputs)` of
            the queries.
        """
        x = episode[0]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learned)
            weights, state = self.adapt_task(
                learned, state, x["support_x"], x["support_y"], training=True
            )
            loss, predictions, state = self.query_pass(weights, state, episode)
        gradients = tape.gradient(
            loss, learned, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, loss, predictions, state

    def compute_output_spec(
        self, episodes: Episode, training: bool = False
    ) -> keras.KerasTensor:
        self.check_episodes(episodes)
        query_x = episodes["query_x"]
        self.fixed_way = self.output_size(query_x.shape[2:])
        self.check_outputs(episodes["support_y"].shape)
        return keras.KerasTensor(
            (*query_x.shape[:2], self.fixed_way), self.predictions_dtype
        )

    def output_size(self, example: Shape) -> int:
        """Builds the network for examples of a shape; its `outputs`."""
        outputs = self.network(
            keras.KerasTensor((None, *example), self.compute_dtype)
        )
        if not self.network.trainable_variables:
            raise ValueError(
                f"`{self.network_argument}` must have trainable weights, which "
                "the inner loop adapts. Received: "
                f"{self.network_argument}={self.network.name!r}, which has "
                "none"
            )
        if len(outputs.shape) != 2:
            raise ValueError(
                f"`{self.network_argument}` must return a vector for each "
                "example, (batch, outputs); end it with Flatten and Dense "
                f"layers. Received: an output of shape {tuple(outputs.shape)}"
            )
        return outputs.shape[1]

    def check_episodes(self, episodes: Episode) -> None:
        super().check_episodes(episodes)
        if self.built:
            self.check_outputs(episodes["support_y"].shape)

    def check_outputs(self, support_y: TensorLike) -> None:
        """Raises a ValueError unless the network has an output per class.

        Args:
            support_y: Shape of the targets, `(tasks, support, outputs)`.
        """
        if support_y[-1] not in (None, self.fixed_way):
            raise ValueError(
                "`network` must have one output for each class (or value) of "
                f"a task: {support_y[-1]} for support_y of shape "
                f"{tuple(support_y)}, the units of its last Dense layer. "
                f"Received: a network with {self.fixed_way} outputs"
            )

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        self._build_for(support_x, support_y)
        self.check_outputs(support_y.shape)
        learned, state = self._values()
        collects = self.statistics == "support"
        kept = self._kept_positions()

        def adapt_one(example):
            x, y = example
            if not collects:
                weights, after = self.adapt_task(learned, state, x, y, training)
                moments = []
            else:
                with StatisticsScope("batch", owner=self):
                    weights, after = self.adapt_task(
                        learned, state, x, y, training
                    )
                pairs = self._support_moments(weights, after, x, training)
                moments = [(mean[0], variance[0]) for mean, variance in pairs]
            adapted = [weights[n] for n in self.adapted_positions]
            return adapted, [after[n] for n in kept], moments

        specs = self.weight_specs(learned, support_y.shape[-1])
        specs = [specs[n] for n in self.adapted_positions]
        kept_specs = [spec_of(state[n]) for n in kept]
        moment_specs = self._moment_specs(support_x) if collects else []
        adapted, after, moments = self._map(
            adapt_one,
            (support_x, support_y),
            (specs, kept_specs, moment_specs),
        )
        task = {
            **numbered("weight", self.adapted_positions, adapted),
            **numbered("state", kept, after),
        }
        return with_moments(task, moments)

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        reuses = self.statistics == "support"

        def infer_one(example):
            task, x, moments = example
            if not reuses:
                return self._predict(task, x, training)
            pairs = [(mean[None], variance[None]) for mean, variance in moments]
            with StatisticsScope("reuse", pairs, owner=self):
                return self._predict(task, x, training)

        moments = current_scope().moments if reuses else []
        return self._map(
            infer_one,
            (task, query_x, moments),
            tf.TensorSpec(
                (query_x.shape[1], self.outputs_of(task)),
                self.predictions_dtype,
            ),
        )

    def probabilities(self, predictions: TensorLike) -> Tensor:
        if self.inner_loss is losses.cross_entropy:
            return super().probabilities(predictions)
        return predictions

    def log_probabilities(self, predictions: TensorLike) -> Tensor:
        if self.inner_loss is losses.cross_entropy:
            return super().log_probabilities(predictions)
        raise ValueError(
            "`calibrate` needs a model whose predictions are probabilities: "
            'one with `inner_loss="cross_entropy"`. Received: inner_loss='
            f"{losses.serialize(self.inner_loss)!r}"
        )

    def query_pass(
        self,
        weights: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Predicts the queries of one task with adapted weights.

        Args:
            weights, state: As `adapt_task` returned them.
            episode: As for `task_gradient`.

        Returns:
            `(loss, predictions, state)`; the loss is that of `compile` and
            of the network's regularizers, divided by the number of replicas.
        """
        x, y, sample_weight = map_tensors(lambda t: t[None], episode)

        def loss_and_predictions(outputs):
            predictions = at_least_float32(outputs)
            loss = self.compute_loss(
                x, y, predictions[None], sample_weight, training=True
            )
            return loss, predictions

        scope = StatisticsScope("batch", owner=self)
        if self.statistics == "support":
            support_x = episode[0]["support_x"]
            moments = self._support_moments(weights, state, support_x, True)
            scope = StatisticsScope("reuse", moments, owner=self)
        own, rest = self._divided(state)
        with scope:
            (loss, predictions), own = self.forward(
                weights,
                own,
                episode[0]["query_x"],
                training=True,
                then=loss_and_predictions,
            )
        return loss, predictions, [*own, *rest]

    def _of_network(self, weights):
        """Those of the network, which come first."""
        return weights[: len(self.network.trainable_variables)]

    def _divided(self, state):
        """The network's part of the state, and the rest."""
        own = len(self.network.non_trainable_variables)
        return state[:own], state[own:]

    def _kept_positions(self):
        """Positions of `kept_state` in `state_variables`."""
        kept = {id(variable) for variable in self.kept_state}
        return [
            number
            for number, variable in enumerate(self.state_variables)
            if id(variable) in kept
        ]

    def _predict(self, task, x, training):
        """Outputs of examples `(n, ...)` of one task, by its parts."""
        learned, state = self._values()
        weights = dict(enumerate(self._of_network(learned)))
        for number in self.adapted_positions:
            weights[number] = task[f"weight_{number}"]
        for number in self._kept_positions():
            state[number] = task[f"state_{number}"]
        own, _ = self._divided(state)
        weights = [weights[number] for number in sorted(weights)]
        outputs, _ = self.forward(weights, own, x, training)
        return at_least_float32(outputs)

    def _support_moments(self, weights, state, support_x, training):
        """Pairs of moments `(1, channels)` of a pass over the support."""
        own, _ = self._divided(state)
        weights = self._of_network(weights)
        with StatisticsScope("collect", owner=self) as scope:
            functional.run(self.network, weights, own, support_x, training)
        return scope.moments

    def _moment_specs(self, support_x):
        """Pairs of specs of the moments of one task, without its axis.

        A loop must know what its body returns, so the pass is traced once
        for their number and shapes.
        """
        learned, state = self._values()
        found = []

        def trace(x):
            found.extend(self._support_moments(learned, state, x, False))

        spec = tf.TensorSpec((None, *support_x.shape[2:]), support_x.dtype)
        tf.function(trace, autograph=False).get_concrete_function(spec)
        return [
            tuple(tf.TensorSpec(part.shape[1:], part.dtype) for part in pair)
            for pair in found
        ]

    def _map(self, function, elements, signature):
        return map_tasks(function, elements, signature, self._at_once)

    @property
    def predictions_dtype(self) -> str:
        return wide(self.network.compute_dtype)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "inner_loss": losses.serialize(self.inner_loss),
            "evaluation_inner_steps": self.evaluation_inner_steps,
        }
