"""Times a training step of the LSTM meta-learner against PyTorch.

The setting is that of Ravi and Larochelle (2017) for one shot, on images of
28 x 28. `benchmarks/README.md` is the manual.
"""

import dataclasses

from benchmarks import against_torch
from benchmarks.hyperparameters import META_LSTM_CLIP
from benchmarks.peers.torch_meta_lstm import torch_step
from benchmarks.training_steps import (
    Setting,
    build_keras_model,
    copy_to_keras,
    keras_batch,
    keras_training_step,
    make_episodes,
)


@dataclasses.dataclass(frozen=True)
class Case:
    """The learner, and the episodes of one step.

    Args:
        setting: The episodes. By default those of Ravi and Larochelle (2017):
            one task in an update.
        filters: Channels of the convolutions.
        inner_steps: Steps on the whole support.
        units: Width of the cell's first layer.
    """

    setting: Setting = Setting(1, 5, 1, 15)
    filters: int = 32
    inner_steps: int = 12
    units: int = 20

    def quick(self):
        """A small case, for a smoke test."""
        return Case(Setting(2, 3, 1, 2), filters=4, inner_steps=2, units=3)

    def __str__(self):
        return (
            f"LSTM meta-learner: {self.setting}, Conv-4 of {self.filters} "
            f"filters, {self.inner_steps} inner steps, {self.units} units"
        )


def variants():
    """All rows of the table."""
    return against_torch.variants(keras_step, torch_step)


def keras_model(case):
    """Our model, built."""
    import keras

    from keras_meta.encoders import conv4
    from keras_meta.layers import MetaLSTMCell
    from keras_meta.models import MetaLSTM

    head = keras.layers.Dense(case.setting.way)
    model = MetaLSTM(
        keras.Sequential([conv4(case.filters), head]),
        MetaLSTMCell(case.units),
        inner_steps=case.inner_steps,
    )
    build_keras_model(model)
    return model


def initial_weights(case, seed=1):
    """The weights that all sides start from: Keras' own.

    Args:
        case: The setting.
        seed: Integer.

    Returns:
        List of float32 arrays: those of the network, then those of the cell.
    """
    import keras

    keras.utils.set_random_seed(seed)
    return [
        keras.ops.convert_to_numpy(variable).astype("float32")
        for variable in keras_model(case).trainable_variables
    ]


def filled_model(case, weights):
    """Our model with the given weights, built."""
    model = keras_model(case)
    copy_to_keras(weights, model)
    return model


def keras_step(case, weights):
    """Our training step, with TensorFlow's default threads."""
    import keras

    return keras_training_step(
        filled_model(case, weights),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras_batch(*make_episodes(case.setting)),
        clip_norm=META_LSTM_CLIP,
    )


def main(arguments=None):
    against_torch.run(
        "meta_lstm", __doc__, Case(), initial_weights, variants(), arguments
    )


if __name__ == "__main__":
    main()
