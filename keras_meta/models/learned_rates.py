"""What methods that learn their inner learning rates share."""

import keras

from keras_meta.models.maml import MAML


class LearnedRates(MAML):
    """MAML with a learned inner rate for each weight that is adapted.

    The outer loop learns the rates with the network; a subclass says by
    `rate_shape` how many there are.
    """

    def rate_shape(self, weight):
        """The shape of the rate of a weight."""
        raise NotImplementedError

    def build(self, input_shape):
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
    def learned_variables(self):
        return [*super().learned_variables, *self.learned_rates]

    def inner_rates(self, learned):
        rates = super().inner_rates(learned)
        own = iter(learned[len(rates) :])
        return [None if rate is None else next(own) for rate in rates]
