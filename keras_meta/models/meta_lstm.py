"""The LSTM meta-learner (Ravi and Larochelle, 2017)."""

import math

import keras
import tensorflow as tf

from keras_meta.batch_statistics import StatisticsScope
from keras_meta.checks import check_integer
from keras_meta.layers.meta_lstm_cell import MetaLSTMCell
from keras_meta.models.functional import loss_and_gradients, repeat
from keras_meta.models.gradient_based_model import GradientBasedModel
from keras_meta.models.reptile import mini_batches
from keras_meta.serialization import register


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
    one loop of the graph.

    Batch norm always uses the moments of its batch (`statistics="batch"`), so
    predictions are transductive. The authors' code clips the global norm of
    the meta-gradient to 0.25: `keras.optimizers.Adam(0.001,
    global_clipnorm=0.25)`.

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
        **kwargs: `tasks_at_once`, `statistics`, `preprocessing`, `name`: see
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
        "(its loss or gradient is NaN or infinite). The weights are as before "
        "that step. Look for NaN in the data, or clip gradients, as by the "
        "optimizer's `global_clipnorm`."
    )

    def __init__(
        self,
        network,
        cell=None,
        inner_steps=8,
        evaluation_inner_steps=None,
        inner_batch_size=None,
        inner_loss="cross_entropy",
        **kwargs,
    ):
        inner_steps = check_integer("inner_steps", inner_steps, 1)
        if evaluation_inner_steps is None:
            evaluation_inner_steps = inner_steps
        super().__init__(network, inner_loss, evaluation_inner_steps, **kwargs)
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

    def build(self, input_shape):
        super().build(input_shape)
        if not self.cell.built:
            self.cell.build()

    @property
    def learned_variables(self):
        return [*super().learned_variables, *self.cell.trainable_variables]

    def check_outputs(self, support_y):
        super().check_outputs(support_y)
        size = self.inner_batch_size
        if size and support_y[1] is not None and support_y[1] < size:
            raise ValueError(
                "The support of a task must have at least as many examples "
                f"as a mini-batch, {size}. Received: support_y of shape "
                f"{tuple(support_y)}, inner_batch_size={size}"
            )

    def adapt_task(self, learned, state, support_x, support_y, training):
        steps = self.inner_steps if training else self.evaluation_inner_steps
        step, start = self._steps(
            learned, state, support_x, support_y, training, steps
        )
        cell_state, state = repeat(
            lambda number, now: step(number, now)[0],
            steps,
            start,
            unrolled=False,
        )
        weights = self._divide(cell_state["weights"])
        return weights, state

    def read_gates(self, support_x, support_y):
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

        def read(example):
            step, now = self._steps(learned, state, *example, False, steps)
            found = []
            for number in range(steps):
                now, gates = step(number, now)
                found.append([self._means(gate) for gate in gates])
            return tuple(tf.stack(gate) for gate in zip(*found, strict=True))

        shape = (steps, len(self.network.trainable_variables))
        spec = tf.TensorSpec(shape, self.cell.compute_dtype)
        with StatisticsScope("batch", owner=self):
            forget, taken = self._map(
                read,
                (tf.convert_to_tensor(support_x), support_y),
                (spec, spec),
            )
        return {"forget_gates": forget, "input_gates": taken}

    def _steps(self, learned, state, support_x, support_y, training, steps):
        """The inner loop of one task, step by step.

        Returns:
            `(step, start)`: a function `(number, now) -> (now, gates)`, and
            its first `now`, the state of the cell and that of the network.
        """
        own = len(self.network.trainable_variables)
        cell_values = [
            *zip(self.cell.trainable_variables, learned[own:], strict=True)
        ]
        batches = None
        if self.inner_batch_size is not None:
            batches = mini_batches(
                tf.shape(support_x)[0], steps, self.inner_batch_size
            )

        def step(number, now):
            cell_state, state = now
            x, y = support_x, support_y
            if batches is not None:
                x = tf.gather(x, batches[number])
                y = tf.gather(y, batches[number])
            loss, gradients, state = loss_and_gradients(
                self.network,
                self.inner_loss,
                self._divide(tf.stop_gradient(cell_state["weights"])),
                state,
                x,
                y,
                training,
            )
            with keras.StatelessScope(cell_values):
                cell_state, *gates = self.cell(
                    tf.cast(loss, self.cell.compute_dtype),
                    self._join(gradients),
                    cell_state,
                )
            return (cell_state, state), gates

        start = self.cell.initial_state(self._join(learned[:own]))
        return step, (start, state)

    def _join(self, tensors):
        """All numbers of the weights in one vector, `(P,)`."""
        dtype = self.cell.compute_dtype
        return tf.concat(
            [tf.cast(tf.reshape(t, (-1,)), dtype) for t in tensors], axis=0
        )

    def _split(self, vector):
        """The part of a vector `(P,)` of each weight."""
        weights = self.network.trainable_variables
        return tf.split(vector, [math.prod(w.shape) for w in weights])

    def _divide(self, vector):
        """The weights whose numbers are a vector `(P,)`."""
        return [
            tf.cast(tf.reshape(part, variable.shape), variable.dtype)
            for part, variable in zip(
                self._split(vector),
                self.network.trainable_variables,
                strict=True,
            )
        ]

    def _means(self, vector):
        """The mean over each weight of a vector `(P,)`."""
        return tf.stack([tf.reduce_mean(p) for p in self._split(vector)])

    def get_config(self):
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "inner_steps": self.inner_steps,
            "inner_batch_size": self.inner_batch_size,
        }
