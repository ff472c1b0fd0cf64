"""The LSTM meta-learner (Ravi and Larochelle, 2017)."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_meta.batch_statistics import StatisticsScope
from keras_meta.checks import check_integer
from keras_meta.layers.coordinate_blocks import (
    from_blocks,
    gradients_of_blocks,
    into_blocks,
    map_blocks,
)
from keras_meta.layers.meta_lstm_cell import MetaLSTMCell
from keras_meta.models.functional import loss_and_gradients, repeat
from keras_meta.models.gradient_based_model import GradientBasedModel
from keras_meta.models.reptile import mini_batches
from keras_meta.models.task_averages import TaskAverages, moving_averages
from keras_meta.serialization import register
from keras_meta.typing import Config, InnerLoss, Shape, Tensor, TensorLike


@register
class MetaLSTM(GradientBasedModel):
    """An LSTM that learns how to update a network on the support of a task.

    With `L_t` and `g_t` the loss and its gradient at `theta_{t-1}` on the
    t-th mini-batch of the support (Ravi and Larochelle 2017, "Optimization as
    a Model for Few-Shot Learning", algorithm 1):

        theta_0 = the network's weights
        theta_t = f_t theta_{t-1} - i_t g_t        gates of `MetaLSTMCell`
        (theta_0, cell) <- optimizer step along the mean over tasks of the
                           gradient of the loss of the queries at theta_T

    The losses and gradients of the inner steps are data (the paper's
    first-order assumption), so no second derivative is taken. The steps are
    one loop of the graph, which keeps the losses and gradients only: for the
    meta-gradient the cell goes through them again, some weights at a time.

    The steps run the network in training mode, with the moments of their
    mini-batches, and batch norm's moving averages begin anew with each task.
    With `statistics="running"`, as in the authors' code, queries are predicted
    with these averages, which are part of the task (`state_0` and so on), so
    predictions do not depend on each other and nothing passes from one task to
    the next. The authors keep a share of 0.1 (1-shot) or 0.05 (5-shot) of the
    averages in each step, the `momentum` of the network's layers.

    The authors' code clips the global norm of the meta-gradient to 0.25:
    `keras.optimizers.Adam(0.001, global_clipnorm=0.25)`.

    Args:
        network: Keras model, examples `(batch, ...)` to outputs `(batch,
            outputs)`; its way is fixed by its last layer.
        cell: `MetaLSTMCell`; one of 20 units by default.
        inner_steps: Steps in training, at least 1.
        evaluation_inner_steps: Steps otherwise; as in training by default.
        inner_batch_size: Support examples of a step, drawn without
            replacement; all of them by default.
        inner_loss: `"cross_entropy"`, `"mean_squared_error"` or a registered
            function; see `GradientBasedModel`.
        statistics: `"running"` as above; `"batch"`, the moments of the
            queries; or `"support"`, those of the support at the last weights.
        **kwargs: `tasks_at_once`, `preprocessing`, `name`: see
            `GradientBasedModel`.

    Raises:
        ValueError: As for `GradientBasedModel`, if `cell` is no
            `MetaLSTMCell`, or if a support is smaller than a mini-batch.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8), keras.layers.Dense(3)])
    >>> model = MetaLSTM(network, inner_steps=2)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["weight_0"].shape)
    (2, 3, 3, 1, 8)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    failure = (
        "(its loss or gradient is NaN or infinite). The gradient of that step "
        "was left out. Look for NaN in the data, or clip gradients, as by the "
        "optimizer's `global_clipnorm`."
    )

    def __init__(
        self,
        network: keras.Model,
        cell: keras.Layer | None = None,
        inner_steps: int = 8,
        evaluation_inner_steps: int | None = None,
        inner_batch_size: int | None = None,
        inner_loss: str | InnerLoss = "cross_entropy",
        statistics: str = "running",
        **kwargs: Any,
    ) -> None:
        inner_steps = check_integer("inner_steps", inner_steps, 1)
        if evaluation_inner_steps is None:
            evaluation_inner_steps = inner_steps
        super().__init__(
            network, inner_loss, evaluation_inner_steps, statistics, **kwargs
        )
        self.cell = MetaLSTMCell() if cell is None else cell
        if not isinstance(self.cell, MetaLSTMCell):
            raise ValueError(
                "`cell` must be a keras_meta.layers.MetaLSTMCell. Received: "
                f"cell={cell!r}"
            )
        self.inner_steps = inner_steps
        if inner_batch_size is not None:
            inner_batch_size = check_integer(
                "inner_batch_size", inner_batch_size, 1
            )
        self.inner_batch_size = inner_batch_size

    def build(self, input_shape: dict[str, Shape]) -> None:
        super().build(input_shape)
        if not self.cell.built:
            self.cell.build()

    @property
    def learned_variables(self) -> list[keras.Variable]:
        return [*super().learned_variables, *self.cell.trainable_variables]

    @property
    def kept_state(self) -> list[keras.Variable]:
        if self.statistics != "running":
            return []
        return moving_averages(self.network)

    def check_outputs(self, support_y: TensorLike) -> None:
        super().check_outputs(support_y)
        size = self.inner_batch_size
        if size and support_y[1] is not None and support_y[1] < size:
            raise ValueError(
                "The support of a task must have at least as many examples "
                f"as a mini-batch, {size}. Received: support_y of shape "
                f"{tuple(support_y)}, inner_batch_size={size}"
            )

    def adapt_task(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        steps = self.inner_steps if training else self.evaluation_inner_steps
        descent = self._descend(learned, state, support_x, support_y, steps)
        weights, after, losses, gradients = descent

        # The steps again, as each loss and gradient is data: derivatives go
        # from step to step inside the cell alone.
        @tf.custom_gradient
        def descended(start, *cell_weights):
            def backward(upstream):
                found = gradients_of_blocks(
                    lambda parts, weights: self._replay(
                        parts, weights, losses, steps
                    )[-1][:1],
                    [into_blocks(start[None]), gradients],
                    cell_weights,
                    into_blocks(upstream[None]),
                    watched=1,
                )
                (of_start,), of_weights = found
                return _joined(of_start, start), *of_weights

            return weights, backward

        start, cell_weights = self._parts(learned)
        weights = descended(start, *cell_weights)
        return self._divide(weights, learned), after

    def read_gates(
        self, support_x: TensorLike, support_y: TensorLike
    ) -> dict[str, Tensor]:
        """The gates of each step of `adapt`, averaged over each weight.

        It is for `keras_meta.plots.plot_gates`.

        Args:
            support_x: `(tasks, support, ...)`.
            support_y: `(tasks, support, outputs)`.

        Returns:
            Dict of `forget_gates` and `input_gates`, tensors `(tasks, steps,
            weights)` in [0, 1]: means over the numbers of each of
            `network.trainable_variables`.

        Raises:
            ValueError: If shapes do not fit, or if the evaluation takes no
                steps.
        """
        steps = check_integer(
            "evaluation_inner_steps", self.evaluation_inner_steps, 1
        )
        self._build_for(support_x, support_y)
        self.check_outputs(support_y.shape)
        learned, state = self._values()
        start, cell_weights = self._parts(learned)

        def gates_of_block(parts, weights, losses):
            states = self._replay(parts, weights, losses, steps)
            gates = tf.stack([self.cell.gates(state) for state in states], 1)
            return tf.reshape(gates, (2 * steps, -1))

        def read(example):
            descent = self._descend(learned, state, *example, steps)
            *_, losses, gradients = descent
            gates = map_blocks(
                lambda parts, weights: gates_of_block(parts, weights, losses),
                [into_blocks(start[None]), gradients],
                cell_weights,
            )
            gates = from_blocks(gates, start.shape[0])
            means = [
                tf.reduce_mean(part, axis=-1)
                for part in tf.split(gates, self._sizes, axis=-1)
            ]
            return tf.reshape(tf.stack(means, -1), (2, steps, len(means)))

        shape = (2, steps, len(self.network.trainable_variables))
        found = self._map(
            read,
            (tf.convert_to_tensor(support_x), support_y),
            tf.TensorSpec(shape, self.cell.compute_dtype),
        )
        return {"forget_gates": found[:, 0], "input_gates": found[:, 1]}

    def _descend(self, learned, state, support_x, support_y, steps):
        """The steps of one task, through which no derivative goes.

        Args:
            learned, state, support_x, support_y: As for `adapt_task`.
            steps: Python integer.

        Returns:
            `(weights, state, losses, gradients)`: the weights `(P,)` and the
            state after the steps, and what the cell saw in each of them:
            losses `(steps,)` and gradients `(blocks, steps, block)`.
        """
        learned = [tf.stop_gradient(value) for value in learned]
        start, cell_weights = self._parts(learned)
        batch = self._batches(support_x, support_y, steps)

        def step(number, now):
            cell_states, state, losses, gradients = now
            weights = self._divide(_joined(cell_states[:, :1], start), learned)
            loss, found, state = loss_and_gradients(
                self.forward,
                self.inner_loss,
                weights,
                state,
                *batch(number),
                training=True,
            )
            loss = tf.cast(loss, start.dtype)
            found = into_blocks(self._join(found)[None])
            cell_states = map_blocks(
                lambda parts, weights: self._cell_step(weights, loss, *parts),
                [found, cell_states],
                cell_weights,
            )
            return (
                cell_states,
                state,
                losses.write(number, loss),
                gradients.write(number, found[:, 0]),
            )

        first = map_blocks(
            lambda parts, _: self.cell.initial_state(parts[0][0]),
            [into_blocks(start[None])],
            [],
        )
        averages = TaskAverages(self.network, self.state_variables, steps)
        blocks, _, block = first.shape
        # Shapes, as there may be no steps.
        arrays = [
            tf.TensorArray(start.dtype, steps, element_shape=shape)
            for shape in ((), (blocks, block))
        ]
        with StatisticsScope("batch", owner=self):
            cell_states, state, losses, gradients = repeat(
                step,
                steps,
                (first, averages.cleared(state), *arrays),
                unrolled=False,
            )
        weights = _joined(cell_states[:, :1], start)
        gradients = tf.transpose(gradients.stack(), (1, 0, 2))
        state = averages.corrected(state)
        return weights, state, losses.stack(), gradients

    def _batches(self, support_x, support_y, steps):
        """A function from the number of a step to its `(x, y)`."""
        size = self.inner_batch_size
        if size is None:
            return lambda number: (support_x, support_y)
        rows = mini_batches(tf.shape(support_x)[0], steps, size)
        return lambda number: [
            tf.gather(part, rows[number]) for part in (support_x, support_y)
        ]

    def _replay(self, parts, cell_weights, losses, steps):
        """The states of the cell after each step, for one block of weights.

        Args:
            parts: The weights before the first step, `(1, block)`, and the
                gradients of all steps, `(steps, block)`.
            cell_weights: One tensor for each weight of the cell.
            losses: `(steps,)`.
            steps: Python integer.
        """
        start, gradients = parts
        states = [self.cell.initial_state(start[0])]
        for number in range(steps):
            gradient = gradients[number : number + 1]
            states.append(
                self._cell_step(
                    cell_weights, losses[number], gradient, states[-1]
                )
            )
        return states[1:] or states

    def _cell_step(self, cell_weights, loss, gradient, state):
        """A step of the cell for one block of weights."""
        mapping = zip(self.cell.trainable_variables, cell_weights, strict=True)
        with keras.StatelessScope([*mapping]):
            return self.cell(loss, gradient[0], state)

    @property
    def _sizes(self):
        """How many numbers each weight of the network has."""
        return [math.prod(w.shape) for w in self.network.trainable_variables]

    def _parts(self, learned):
        """The network's weights as one vector `(P,)`, and the cell's."""
        own = len(self.network.trainable_variables)
        return self._join(learned[:own]), learned[own:]

    def _join(self, tensors):
        """All numbers of the weights in one vector, `(P,)`."""
        dtype = self.cell.compute_dtype
        return tf.concat(
            [tf.cast(tf.reshape(t, (-1,)), dtype) for t in tensors], axis=0
        )

    def _divide(self, vector, learned):
        """The weights whose numbers are a vector `(P,)`, like `learned`."""
        parts = tf.split(vector, self._sizes)
        return [
            tf.cast(tf.reshape(part, weight.shape), weight.dtype)
            for part, weight in zip(parts, learned, strict=False)
        ]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "inner_steps": self.inner_steps,
            "inner_batch_size": self.inner_batch_size,
        }


def _joined(parts, vector):
    """The inverse of `into_blocks(vector[None])`, `(P,)` like `vector`."""
    return tf.reshape(parts, (-1,))[: vector.shape[0]]
