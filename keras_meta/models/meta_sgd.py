"""Meta-SGD (Li, Zhou, Chen and Li, 2017)."""

from typing import Any

from keras_meta.models.learned_rates import LearnedRates
from keras_meta.serialization import register


@register
class MetaSGD(LearnedRates):
    """MAML that learns an inner learning rate for each single weight.

    With `L0` the loss on the support, `L1` that on the queries, and `alpha`
    of the shape of `theta` (Li et al. 2017, "Meta-SGD: Learning to Learn
    Quickly for Few-Shot Learning", algorithm 1):

        theta' = theta - alpha * grad L0(theta)        element by element
        (theta, alpha) <- optimizer step along the mean over tasks of
                          grad_(theta, alpha) L1(theta')

    The sign of a rate is free, so `alpha` sets the direction of a step as
    well as its length. The paper takes one inner step, the default here;
    several share `alpha`.

    Args:
        network: As for `MAML`.
        inner_learning_rate: Positive; what every rate starts from.
        *args, **kwargs: As for `MAML`.

    Raises:
        ValueError: As for `MAML`.

    Example:

    >>> import keras
    >>> network = keras.Sequential(
    ...     [keras_meta.encoders.conv4_strided(8), keras.layers.Dense(3)])
    >>> model = MetaSGD(network, inner_learning_rate=0.1)
    >>> support_x = np.random.rand(2, 3, 28, 28, 1).astype("float32")
    >>> support_y = np.stack([np.eye(3, dtype="float32")] * 2)
    >>> task = model.adapt(support_x, support_y)
    >>> tuple(model.learned_rates[0].shape), tuple(task["weight_0"].shape)
    ((3, 3, 1, 8), (2, 3, 3, 1, 8))
    """

    def rate_shape(self, weight: Any) -> tuple[int, ...]:
        return weight.shape
