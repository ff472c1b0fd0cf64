"""Model-agnostic meta-learning (Finn, Abbeel and Levine, 2017)."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_meta.checks import check_integer, check_positive
from keras_meta.models.functional import (
    STOPPED_MOMENTS,
    loss_gradients,
    normalization_variables,
    repeat,
)
from keras_meta.models.gradient_based_model import GradientBasedModel
from keras_meta.serialization import register
from keras_meta.typing import Config, InnerLoss, Shape, Tensor, TensorLike


@register
class MAML(GradientBasedModel):
    """Learns weights from which a few gradient steps learn a task.

    With `L0` the loss on the support, `L1` on the queries, and `k` steps
    (Finn et al. 2017, algorithm 2):

        theta_0 = theta
        theta_{j+1} = theta_j - inner_learning_rate * grad L0(theta_j)
        theta <- optimizer step along the mean over tasks of
                 grad_theta L1(theta_k)

    The gradient goes through the inner steps: with `H_j` the Hessian of `L0`
    at `theta_j` and `a` the inner learning rate it is `(I - a H_0) ... (I - a
    H_{k-1}) grad L1(theta_k)`. First-order MAML leaves the Hessians out, and
    costs about half.

    The inner learning rate is for the mean loss over the support. The
    authors' code sums over classes, so its 0.4 for 5-way tasks is 2.0 here.
    As in that code batch norm always uses the moments of its batch
    (`statistics="batch"`): predictions are transductive.

    Which class gets which output is arbitrary, yet from random weights it
    matters (Ye and Chao 2022, How to Train Your MAML to Excel in Few-Shot
    Classification). A last layer whose kernel begins with zeros treats all
    classes alike, as in the recipe of `maml_omniglot_20way`. First-order
    MAML learned worse from zeros.

    Args:
        network: Keras model, examples `(batch, ...)` to outputs `(batch,
            outputs)`; its way is fixed by its last layer. For second-order
            gradients batch norm must be `keras_meta.layers.
            EpisodicBatchNormalization`: that of Keras stops a gradient, and
            a warning says so.
        inner_learning_rate: Positive; 0.4 by default.
        inner_steps: Steps in training, at least 1.
        evaluation_inner_steps: Steps otherwise; as in training by default.
        first_order: Whether to leave second derivatives out (FOMAML).
        inner_loss: `"cross_entropy"`, `"mean_squared_error"` or a registered
            function; see `GradientBasedModel`.
        adapt_normalization: Whether scale and shift of normalization layers
            take inner steps as well; if not they are learned by the outer
            loop alone, as in the authors' code.
        **kwargs: `tasks_at_once`, `statistics`, `preprocessing`, `name`: see
            `GradientBasedModel`.

    Raises:
        ValueError: As for `GradientBasedModel`.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8), keras.layers.Dense(3)])
    >>> model = MAML(network, inner_steps=2)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(task["weight_0"].shape)
    (2, 3, 3, 1, 8)
    >>> tuple(model.infer(task, support_x[:, :1]).shape)
    (2, 1, 3)
    """

    def __init__(
        self,
        network: keras.Model,
        inner_learning_rate: float = 0.4,
        inner_steps: int = 1,
        evaluation_inner_steps: int | None = None,
        first_order: bool = False,
        inner_loss: str | InnerLoss = "cross_entropy",
        adapt_normalization: bool = True,
        **kwargs: Any,
    ) -> None:
        inner_steps = check_integer("inner_steps", inner_steps, 1)
        if evaluation_inner_steps is None:
            evaluation_inner_steps = inner_steps
        super().__init__(network, inner_loss, evaluation_inner_steps, **kwargs)
        self.inner_learning_rate = check_positive(
            "inner_learning_rate", inner_learning_rate
        )
        self.inner_steps = inner_steps
        self.first_order = first_order
        self.adapt_normalization = adapt_normalization

    def build(self, input_shape: dict[str, Shape]) -> None:
        super().build(input_shape)
        stopped = [
            layer.name
            for layer in self.network._flatten_layers()
            if isinstance(layer, STOPPED_MOMENTS)
        ]
        if stopped and not self.first_order:
            warnings.warn(
                f"The gradient of the meta-objective will be wrong: {stopped} "
                "stop a gradient inside their moments, so their second "
                "derivatives are off by tens of percent. Use "
                "`keras_meta.layers.EpisodicBatchNormalization`, or "
                "`first_order=True`.",
                stacklevel=2,
            )

    @property
    def adapted_positions(self) -> Sequence[int]:
        rates = self.inner_rates(self.learned_variables)
        return [n for n, rate in enumerate(rates) if rate is not None]

    def inner_rates(
        self, learned: list[Tensor]
    ) -> Sequence[float | Tensor | None]:
        """The inner learning rate of each of `network.trainable_variables`.

        Args:
            learned: Variables or tensors, one for each of
                `learned_variables`.

        Returns:
            List of numbers or tensors; None leaves a weight fixed.
        """
        fixed = (
            set()
            if self.adapt_normalization
            else normalization_variables(self.network)
        )
        return [
            None if id(variable) in fixed else self.inner_learning_rate
            for variable in self.network.trainable_variables
        ]

    def adapt_task(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        rates = self.inner_rates(learned)

        def step(number, now):
            return self.inner_step(
                number, rates, *now, support_x, support_y, training
            )

        steps = self.inner_steps if training else self.evaluation_inner_steps
        weights = learned[: len(rates)]
        return repeat(step, steps, (weights, state), unrolled=training)

    def inner_step(
        self,
        number: int | Tensor,
        rates: Sequence[float | Tensor | None],
        weights: list[Tensor],
        state: list[Tensor],
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One gradient step on the support.

        Args:
            number: Which step, from 0.
            rates: What `inner_rates` returned.
            weights, state: From which it starts; see `adapt_task`.
            support_x, support_y, training: As for `adapt_task`.

        Returns:
            `(weights, state)` after the step.
        """
        positions = self.adapted_positions
        if not positions:
            raise ValueError(
                "`network` must have weights that the inner loop adapts. "
                f"Received: network={self.network.name!r}, all of whose "
                "weights are fixed"
            )
        gradients, state = loss_gradients(
            self.forward,
            self.inner_loss,
            weights,
            state,
            support_x,
            support_y,
            training,
            positions,
        )
        weights = list(weights)
        for position, gradient in zip(positions, gradients, strict=True):
            if training:
                gradient = self.step_gradient(gradient)
            step_size = self.step_size(rates[position], number)
            weights[position] = weights[position] - step_size * gradient
        return weights, state

    def step_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of an inner step, as the outer loop derives it."""
        return tf.stop_gradient(gradient) if self.first_order else gradient

    def step_size(
        self, rate: float | Tensor, number: int | Tensor
    ) -> float | Tensor:
        """The rate of a weight in one step, of its `inner_rates`."""
        return rate

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "inner_learning_rate": self.inner_learning_rate,
            "inner_steps": self.inner_steps,
            "first_order": self.first_order,
            "adapt_normalization": self.adapt_normalization,
        }
