"""What is learned, what is adapted and what a task keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from picture_tasks import logits_loss, picture_episode, smooth_network
from quadratic_tasks import close

from keras_meta.batch_statistics import StatisticsScope
from keras_meta.models import MAML, MetaNetwork, ProtoMAML
from keras_meta.models.functional import run


class KeepsMoments(MAML):
    """The moving averages of the inner steps go into the task."""

    @property
    def kept_state(self):
        return self.network.non_trainable_variables

    def adapt_task(self, learned, state, support_x, support_y, training):
        with StatisticsScope("batch", owner=self):
            return super().adapt_task(
                learned, state, support_x, support_y, training=True
            )


def model_and_episode():
    model = KeepsMoments(
        smooth_network(), 0.3, inner_steps=2, statistics="running"
    )
    episode, _ = picture_episode()
    return model, episode


def test_kept_state_goes_into_the_task_and_predictions_use_it():
    model, episode = model_and_episode()
    task = model.adapt(episode["support_x"], episode["support_y"])
    state = model.network.non_trainable_variables
    assert {f"state_{n}" for n in range(len(state))} < set(task)
    # Every task has moving averages of its own, and the model has the old.
    assert np.abs(task["state_0"][0] - task["state_0"][1]).max() > 1e-4
    np.testing.assert_array_equal(state[0], np.zeros(3, "f"))
    found = model.infer(task, episode["query_x"])
    for one in range(2):
        weights = [
            task[f"weight_{n}"][one]
            for n in range(len(model.network.trainable_variables))
        ]
        kept = [task[f"state_{n}"][one] for n in range(len(state))]
        with StatisticsScope("running"):
            expected, _ = run(
                model.network, weights, kept, episode["query_x"][one], False
            )
        close(found[one], expected, 1e-5)


def test_kept_state_is_that_after_the_inner_steps():
    model, episode = model_and_episode()
    task = model.adapt(episode["support_x"], episode["support_y"])
    # The first layer's inputs are the support, so its moments can be followed.
    kernel = np.array(model.network.trainable_variables[0])
    moving = np.zeros(3)
    weights, state = (
        [tf.convert_to_tensor(np.array(v)) for v in variables]
        for variables in (
            model.network.trainable_variables,
            model.network.non_trainable_variables,
        )
    )
    first = keras.Sequential(model.network.layers[:1])
    mean = np.mean(first(episode["support_x"][0]), axis=(0, 1, 2))
    moving = 0.9 * moving + 0.1 * mean
    phi, _ = MAML.adapt_task(
        MAML(model.network, 0.3, inner_steps=1),
        weights,
        state,
        episode["support_x"][0],
        episode["support_y"][0],
        training=True,
    )
    first.layers[0].kernel.assign(phi[0])
    mean = np.mean(first(episode["support_x"][0]), axis=(0, 1, 2))
    first.layers[0].kernel.assign(kernel)
    close(task["state_0"][0], 0.9 * moving + 0.1 * mean, 1e-5)


def test_kept_state_is_exported(tmp_path):
    model, episode = model_and_episode()
    expected = model.probabilities(model.predict(episode, verbose=0))
    model.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures
    support = {k: tf.constant(episode[k]) for k in ("support_x", "support_y")}
    task = served["adapt"](**support)
    assert "state_0" in task
    query_x = tf.constant(episode["query_x"])
    found = served["infer"](query_x=query_x, **task)["probabilities"]
    close(found, expected, 1e-5)


def test_weights_are_adapted_in_their_own_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = MAML(smooth_network(), inner_learning_rate=1e-4)
    episode, _ = picture_episode()
    tasks = []

    class Spy(MAML):
        def infer(self, task, query_x, training=False):
            tasks.append(task)
            return super().infer(task, query_x, training=training)

    model = Spy(model.network, inner_learning_rate=1e-4)
    assert model(episode).dtype == "float32"
    for number, weight in enumerate(model.network.trainable_variables):
        phi = tasks[0][f"weight_{number}"]
        assert phi.dtype == "float32"
        # In bfloat16 so small a step would be lost.
        assert 0 < np.abs(phi[0] - np.array(weight)).max() < 1e-2


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_float16_gets_an_error_that_names_what_to_use(policy):
    # In any layer, also of a network whose own policy is another one.
    network = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(3, dtype=policy)]
    )
    with pytest.raises(ValueError, match="`network` .*mixed_bfloat16"):
        MAML(network)
    with pytest.raises(ValueError, match="`encoder` .*mixed_bfloat16"):
        ProtoMAML(network)
    with pytest.raises(ValueError, match="`encoder` .*mixed_bfloat16"):
        MetaNetwork(network, smooth_network())


def test_a_weight_without_a_rate_is_learned_but_not_adapted():
    model = MAML(smooth_network(), adapt_normalization=False)
    episode, query_y = picture_episode()
    task = model.adapt(episode["support_x"], episode["support_y"])
    assert set(task) == {f"weight_{n}" for n in model.adapted_positions}
    assert len(task) == 4
    model.compile("sgd", logits_loss())
    before = [np.array(v) for v in model.learned_variables]
    model.train_on_batch(episode, query_y)
    for old, new in zip(before, model.learned_variables, strict=True):
        assert np.abs(old - new).max() > 0


@pytest.mark.parametrize(
    "callbacks",
    [
        None,
        keras.callbacks.History,
        lambda: [keras.callbacks.History()],
        lambda: (keras.callbacks.History(),),
        lambda: keras.callbacks.CallbackList([keras.callbacks.History()]),
    ],
    ids=["none", "one", "list", "tuple", "CallbackList"],
)
def test_a_failed_task_stops_fit_whatever_callbacks_are_given(callbacks):
    model = MAML(smooth_network())
    model.compile("sgd", logits_loss())
    episode, query_y = picture_episode(tasks=3)
    episode["support_x"][1] = np.nan
    data = tf.data.Dataset.from_tensors((episode, query_y))
    with pytest.raises(FloatingPointError, match="Task 1 of the meta-batch"):
        model.fit(data, verbose=0, callbacks=callbacks and callbacks())
