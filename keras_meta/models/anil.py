"""Almost no inner loop (Raghu, Raghu, Bengio and Vinyals, 2020)."""

from collections.abc import Sequence

from keras_meta.models.functional import variables_of_last_layer
from keras_meta.models.maml import MAML
from keras_meta.serialization import register
from keras_meta.typing import Tensor


@register
class ANIL(MAML):
    """MAML whose inner loop adapts the head of the network alone.

    With `theta = (body, head)`, `L0` the loss on the support and `L1` that on
    the queries (Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards
    Understanding the Effectiveness of MAML", section 4):

        head_{j+1} = head_j - inner_learning_rate * grad_head L0(body, head_j)
        theta <- optimizer step along the mean over tasks of
                 grad_theta L1(body, head_k)

    The head is the last layer with weights. The outer loop learns all of
    `theta`; no inner gradient of the body is computed, so a step costs less
    than MAML's, and a task holds the head alone.

    Args:
        network: As for `MAML`.
        *args, **kwargs: As for `MAML`.

    Raises:
        ValueError: As for `MAML`.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8), keras.layers.Dense(3)])
    >>> model = ANIL(network, inner_steps=2)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> {name: tuple(part.shape) for name, part in task.items()}
    {'weight_12': (2, 8, 3), 'weight_13': (2, 3)}
    """

    def inner_rates(
        self, learned: list[Tensor]
    ) -> Sequence[float | Tensor | None]:
        head = variables_of_last_layer(self.network)
        return [
            rate if id(variable) in head else None
            for rate, variable in zip(
                super().inner_rates(learned),
                self.network.trainable_variables,
                strict=True,
            )
        ]
