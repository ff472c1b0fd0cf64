"""The setting of `benchmarks.meta_network`, the same for all sides."""

import dataclasses

from benchmarks.hyperparameters import FILTERS
from benchmarks.training_steps import Setting

# Blocks of convolution and max-pool in both networks.
BLOCKS = 5
KERNELS = {"encoder": BLOCKS + 1, "base_learner": BLOCKS + 2}
# The weights of one generator, in the order that ours has them; there is one
# for the convolutions and one for the dense layers.
LSTM = ("kernel", "recurrent_kernel", "bias", "output_kernel", "output_bias")
MLP = ("kernel_0", "bias_0", "kernel_1", "bias_1", "kernel_2", "bias_2")
GENERATORS = {
    "task_convolution": LSTM,
    "task_dense": LSTM,
    "example_convolution": MLP,
    "example_dense": MLP,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """The networks, and the episodes of one step.

    Args:
        setting: The episodes: of one shot, so that each support example is a
            chunk of its own, and of 5 ways at most. By default those of
            Munkhdalai and Yu (2017): one task in an update.
        filters: Channels of the convolutions, and width of the dense layers
            and of the embedding.
        generator_units: Width of the networks that make fast weights.
    """

    setting: Setting = Setting(1, 5, 1, 10)
    filters: int = FILTERS
    generator_units: int = 20

    def quick(self):
        """A small case, for a smoke test."""
        return Case(Setting(2, 3, 1, 2), filters=4, generator_units=5)

    def named(self, weights):
        """Weights by their part of the model.

        Args:
            weights: List, in the order of `initial_weights`.

        Returns:
            Dict: lists of kernels for the two networks, dicts of weights for
            the generators, and the classifier of the embedding loss.
        """
        weights = iter(weights)
        parts = {
            name: [next(weights) for _ in range(count)]
            for name, count in KERNELS.items()
        }
        for name, names in GENERATORS.items():
            parts[name] = {each: next(weights) for each in names}
        (parts["classifier"],) = weights
        return parts

    def __str__(self):
        return (
            f"Meta Network: {self.setting}, twice {BLOCKS} convolutions of "
            f"{self.filters} filters, generators of {self.generator_units} "
            "units"
        )
