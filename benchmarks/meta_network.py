"""Times a training step of a Meta Network against `torch.func`.

The setting is that of Munkhdalai and Yu (2017) for Omniglot.
`benchmarks/README.md` is the manual.
"""

from benchmarks import against_torch
from benchmarks.hyperparameters import META_CLIP
from benchmarks.meta_network_cases import GENERATORS, Case
from benchmarks.peers.torch_meta_network import torch_step
from benchmarks.training_steps import (
    build_keras_model,
    keras_batch,
    keras_training_step,
    make_episodes,
)

# The last kernel of each generator is multiplied by the first number, and its
# last bias is the second one: the first fast weights are then small and
# positive. Those of Keras' own weights are many times as large as the slow
# weights and nearly all of one sign, so that logits are huge, or, with the
# sign negative, every ReLU of a fast layer is 0 and its generator gets no
# gradient.
FAST_SCALE, FAST_BIAS = 0.002, 0.002


def variants():
    """All rows of the table."""
    return against_torch.variants(keras_step, torch_step)


def keras_model(case):
    """Our model, built."""
    from keras_meta.encoders import augmented_conv5
    from keras_meta.models import MetaNetwork

    filters, way = case.filters, case.setting.way
    model = MetaNetwork(
        augmented_conv5(filters, (filters,)),
        augmented_conv5(filters, (filters, way)),
        # What "auto" chooses for one shot, without its untrained verification.
        embedding_loss="cross_entropy",
        generator_units=case.generator_units,
    )
    build_keras_model(model)
    return model


def initial_weights(case, seed=1):
    """The weights that all sides start from: Keras' own, fast ones made small.

    Args:
        case: The setting.
        seed: Integer.

    Returns:
        List of float32 arrays: our trainable weights in their order, then the
        classifier of the embedding loss, which is not trained.
    """
    import keras

    keras.utils.set_random_seed(seed)
    weights = [
        keras.ops.convert_to_numpy(variable).astype("float32")
        for variable in model_weights(keras_model(case))
    ]
    named = case.named(weights)
    for name, names in GENERATORS.items():
        *_, kernel, bias = (named[name][each] for each in names)
        kernel *= FAST_SCALE
        bias[:] = FAST_BIAS
    return weights


def model_weights(model):
    """The variables of our model that `initial_weights` are for."""
    return [*model.trainable_variables, model.embedding_loss.classifier]


def filled_model(case, weights):
    """Our model with the given weights, built."""
    model = keras_model(case)
    for variable, weight in zip(model_weights(model), weights, strict=True):
        variable.assign(weight)
    return model


def keras_loss(**kwargs):
    """The sum over the queries, as in the authors' code."""
    import keras

    return keras.losses.CategoricalCrossentropy(
        from_logits=True, reduction="sum", **kwargs
    )


def keras_step(case, weights):
    """Our training step, with TensorFlow's default threads."""
    return keras_training_step(
        filled_model(case, weights),
        keras_loss(),
        keras_batch(*make_episodes(case.setting)),
        clip_norm=META_CLIP,
    )


def main(arguments=None):
    against_torch.run(
        "meta_network", __doc__, Case(), initial_weights, variants(), arguments
    )


if __name__ == "__main__":
    main()
