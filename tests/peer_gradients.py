"""Gradients of our training steps and of those in PyTorch, in float64."""

import keras
import numpy as np

from benchmarks import training_steps
from benchmarks.peers import torch_layers, torch_training_step


def our_loss_and_gradients(model, loss, setting):
    """The loss of the first episodes, and what the optimizer descends.

    Args:
        model: A built model.
        loss: For `compile`.
        setting: `benchmarks.training_steps.Setting`.
    """
    model.compile(keras.optimizers.SGD(1.0), loss)
    before = [keras.ops.copy(weight) for weight in model.trainable_variables]
    support, query = training_steps.make_episodes(setting)
    episodes, query_y = training_steps.keras_batch(
        support[0].astype("float64"), query[0].astype("float64")
    )
    loss = model.train_on_batch(episodes, query_y)
    gradients = [
        keras.ops.convert_to_numpy(old - new)
        for old, new in zip(before, model.trainable_variables, strict=True)
    ]
    assert all(np.any(gradient) for gradient in gradients)
    return loss, gradients


def peer_episodes(setting):
    """The same episodes for PyTorch."""
    first, *_ = torch_training_step.torch_episodes(setting)
    return [images.double() for images in first]


def assert_same_gradients(gradients, tensors, as_in_keras=0):
    """Compares our gradients with those of PyTorch's tensors.

    Args:
        gradients: List of arrays.
        tensors: List of as many tensors with a `grad`.
        as_in_keras: How many of the last have Keras' layout.
    """
    transposed = len(gradients) - as_in_keras
    for number, (gradient, tensor) in enumerate(
        zip(gradients, tensors, strict=True)
    ):
        if number < transposed:
            gradient = torch_layers.torch_layout(gradient)
        np.testing.assert_allclose(
            tensor.grad.numpy(),
            gradient,
            rtol=1e-6,
            atol=1e-9,
            err_msg=f"trainable weight {number}",
        )
