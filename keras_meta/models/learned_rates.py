"""What methods that learn their inner learning rates share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_meta.models.maml import MAML
from keras_meta.typing import Shape, Tensor


class LearnedRates(MAML):
    """MAML with a learned inner rate for each weight that is adapted.

    The outer loop learns the rates with the network; a subclass says by
    `rate_shape` how many there are.
    """

    def rate_shape(self, weight: Any) -> tuple[int, ...]:
        """The shape of the rate of a weight."""
        raise NotImplementedError

    def build(self, input_shape: dict[str, Shape]) -> None:
        super().build(input_shape)
        weights = self.network.trainable_variables
        start = keras.initializers.Constant(self.inner_learning_rate)
        # Those of MAML: there are no learned ones yet.
        rates = MAML.inner_rates(self, weights)
        self.learned_rates = [
            self.add_weight(
                self.rate_shape(weight),
                name=f"inner_rate_{n}",
                initializer=start,
            )
            for n, weight in enumerate(weights)
            if rates[n] is not None
        ]

    @property
    def learned_variables(self) -> list[keras.Variable]:
        return [*super().learned_variables, *self.learned_rates]

    def inner_rates(
        self, learned: list[Tensor]
    ) -> Sequence[float | Tensor | None]:
        rates = super().inner_rates(learned)
        own = iter(learned[len(rates) :])
        return [None if rate is None else next(own) for rate in rates]
