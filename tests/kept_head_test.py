"""The head of zeros that each task of some recipes begins with."""

import keras
import numpy as np

import keras_meta as km
from zoo.recipes.gradient_based import omniglot_model


def test_only_the_inner_loop_moves_a_kept_head():
    model = omniglot_model(
        km.models.MAML, 3, head="zeros", head_kept=True, first_order=True
    )
    rng = np.random.default_rng(0)
    episode = {
        "support_x": rng.random((2, 3, 28, 28, 1), "float32"),
        "support_y": np.stack([np.eye(3, dtype="float32")] * 2),
        "query_x": rng.random((2, 3, 28, 28, 1), "float32"),
    }
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss)
    model.build({key: part.shape for key, part in episode.items()})
    *others, kernel, bias = model.network.trainable_variables
    before = [np.array(value) for value in others]
    model.train_on_batch(episode, episode["support_y"])
    assert not np.any(kernel) and not np.any(bias)
    assert not np.allclose(others[0], before[0])
    task = model.adapt(episode["support_x"], episode["support_y"])
    *_, adapted, _ = (np.array(value) for value in task.values())
    assert adapted.shape[1:] == kernel.shape and np.any(adapted)
