"""MAML++ (Antoniou, Edwards and Storkey, 2019)."""

from typing import Any

import keras
import tensorflow as tf

from keras_meta.checks import check_integer
from keras_meta.models.learned_rates import LearnedRates
from keras_meta.serialization import register
from keras_meta.typing import Config, Tensor

# What an early step keeps of its share of the loss at the end.
LEAST_SHARE = 0.03


@register
class MAMLPlusPlus(LearnedRates):
    """MAML with a learned rate for each layer and step, and a loss at each.

    With `alpha_{l,j}` the rate of layer `l` in step `j`, `L0` the loss on the
    support and `L1` that on the queries (Antoniou et al. 2019, "How to Train
    Your MAML", sections 4 and 5):

        theta_{j+1,l} = theta_{j,l} - alpha_{l,j} * grad_l L0(theta_j)
        (theta, alpha) <- optimizer step along the mean over tasks of
                          grad_(theta, alpha) sum_j v_j L1(theta_j)

    The importance `v_j` of step `j = 1 .. k` begins as `1 / k` and goes, over
    the first `multi_step_updates` steps of the outer loop, to the last step:
    the others fall along a line, to 0.03 / k at least. It makes the first
    thousands of steps stable. Derivatives are of first order for the first
    `first_order_updates` of them, and of second order after. It is the
    annealing of the paper, whose saving it has not: the second derivatives
    are computed, and multiplied by zero.

    The paper's own batch norm for each step is not part of it.

    Args:
        network: As for `MAML`.
        inner_learning_rate: Positive; what every rate starts from.
        inner_steps: Steps in training; 5 by default, as in the paper.
        multi_step_updates: Outer steps until the loss is that of the last
            inner step; 0 for the loss of the last alone.
        first_order_updates: Outer steps of first order at the beginning.
        **kwargs: Others of `MAML`. Evaluation steps beyond `inner_steps`
            take the rate of the last one.

    Raises:
        ValueError: As for `MAML`, or if one of the numbers is negative.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8), keras.layers.Dense(3)])
    >>> model = MAMLPlusPlus(network, inner_steps=2)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> len(model.learned_rates), tuple(model.learned_rates[0].shape)
    (14, (2,))
    """

    def __init__(
        self,
        network: keras.Model,
        inner_learning_rate: float = 0.4,
        inner_steps: int = 5,
        multi_step_updates: int = 0,
        first_order_updates: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, inner_learning_rate, inner_steps, **kwargs)
        self.multi_step_updates = check_integer(
            "multi_step_updates", multi_step_updates, 0
        )
        self.first_order_updates = check_integer(
            "first_order_updates", first_order_updates, 0
        )

    def rate_shape(self, weight: Any) -> tuple[int, ...]:
        return (self.inner_steps,)

    def step_size(self, rate: float | Tensor, number: int) -> float | Tensor:
        return rate[tf.minimum(number, self.inner_steps - 1)]

    def task_gradient(
        self,
        learned: list[Tensor],
        state: list[Tensor],
        episode: tuple[Any, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        if not self.multi_step_updates:
            return super().task_gradient(learned, state, episode)
        x = episode[0]
        shares = self.importance(self.optimizer.iterations)
        total = 0.0
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learned)
            rates = self.inner_rates(learned)
            weights = learned[: len(rates)]
            for number in range(self.inner_steps):
                weights, state = self.inner_step(
                    number,
                    rates,
                    weights,
                    state,
                    x["support_x"],
                    x["support_y"],
                    training=True,
                )
                loss, predictions, state = self.query_pass(
                    weights, state, episode
                )
                total += tf.cast(shares[number], loss.dtype) * loss
        gradients = tape.gradient(
            total, learned, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, loss, predictions, state

    def importance(self, updates: Tensor) -> Tensor:
        """The share `v_j` of each step in the loss.

        Args:
            updates: Steps that the outer loop has taken; integer tensor.

        Returns:
            Tensor `(inner_steps,)` whose sum is 1.
        """
        steps = self.inner_steps
        left = 1 - tf.cast(updates, "float32") / self.multi_step_updates
        early = tf.maximum(left, LEAST_SHARE) / steps
        last = 1 - (steps - 1) * early
        return tf.concat([tf.fill([steps - 1], early), last[None]], 0)

    def step_gradient(self, gradient: Tensor) -> Tensor:
        gradient = super().step_gradient(gradient)
        if not (self.first_order_updates and self.compiled):
            return gradient
        stopped = tf.stop_gradient(gradient)
        second = self.optimizer.iterations >= self.first_order_updates
        # The value of the one, and the derivative of the other from then on.
        return stopped + tf.cast(second, gradient.dtype) * (gradient - stopped)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "multi_step_updates": self.multi_step_updates,
            "first_order_updates": self.first_order_updates,
        }
