"""Tests of the LSTM meta-learner against vectors and gradient descent."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from picture_tasks import (
    logits_loss,
    picture_episode,
    set_values,
    smooth_network,
)
from quadratic_tasks import Point, close, vector

from keras_meta.layers import MetaLSTMCell, coordinate_blocks
from keras_meta.layers.coordinate_networks import log_and_sign
from keras_meta.layers.meta_lstm_cell import FEEDBACKS, SMALL
from keras_meta.models import MAML, MetaLSTM
from keras_meta.models.reptile import mini_batches

# Of the variables of the cell, in the order of their creation.
NAMES = ["W", "U", "b", "WF", "bF", "WI", "bI"]
FORMS = {"post_sigmoid": "gates", "pre_sigmoid": "logits"}


@pytest.fixture(scope="module")
def reference():
    return vector("lstm_metalearner")


def values(model):
    return [np.array(variable) for variable in model.learned_variables]


def quadratics(inputs):
    """Inner loss: a target is the one-hot number of a quadratic."""
    matrices = np.array([*inputs["A_train"], inputs["A_test"]])
    minima = np.array([*inputs["m_train"], inputs["m_test"]])

    def loss(targets, outputs):
        chosen = targets[0, :4]
        error = outputs[0] - ops.matmul(chosen, minima)
        matrix = ops.tensordot(chosen, matrices, 1)
        return ops.sum(ops.matmul(matrix, error) * error) / 2

    return loss


def split(vector, weights):
    """The parts of a vector that have the shapes of `weights`."""
    parts = tf.split(vector, [tf.size(w) for w in weights])
    return [
        tf.reshape(part, w.shape)
        for part, w in zip(parts, weights, strict=True)
    ]


def network_with(network, weights, x):
    """Outputs of a network with other weights, by the moments of a batch."""
    mapping = zip(network.trainable_variables, weights, strict=True)
    with keras.StatelessScope([*mapping]):
        return network(x, training=True)


def inner_step(network, weights, x, y):
    """A loss and its gradient `(P,)`, as data."""
    weights = [tf.stop_gradient(w) for w in weights]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = logits_loss()(y, network_with(network, weights, x))
    gradients = tape.gradient(loss, weights)
    gradients = tf.concat([tf.reshape(g, (-1,)) for g in gradients], 0)
    return tf.stop_gradient(loss), tf.stop_gradient(gradients)


def test_preprocessing_is_that_of_the_vector(reference, double):
    values = ops.array(reference["inputs"]["preprocess_values"], "float64")
    found = log_and_sign(values, SMALL)
    close(np.transpose(found), reference["expected"]["preprocess"])


@pytest.mark.parametrize("form", FORMS)
def test_steps_and_meta_gradient_are_those_of_the_vector(
    form, reference, double
):
    inputs, expected = reference["inputs"], reference["expected"][form]
    loss = quadratics(inputs)
    model = MetaLSTM(
        Point(5),
        MetaLSTMCell(3, feedback=FORMS[form]),
        inner_steps=3,
        inner_batch_size=1,
        inner_loss=loss,
    )
    # Step t draws one example, which must be that of quadratic t.
    support_y = np.zeros((1, 3, 5))
    for step, row in enumerate(np.ravel(mini_batches(3, 3, 1))):
        support_y[0, row, step] = 1
    x = np.zeros((1, 3, 1))
    episode = {"support_x": x, "support_y": support_y, "query_x": x}
    query_y = np.tile(np.eye(5)[3], (1, 3, 1))
    model.build({key: part.shape for key, part in episode.items()})
    model.compile(keras.optimizers.SGD(1.0), lambda y, out: loss(y[0], out[0]))
    params = {k: np.array(v) for k, v in inputs["params"].items()}
    names = ["cI", *NAMES]
    set_values(
        model.learned_variables,
        np.concatenate([params[name].ravel() for name in names]),
    )
    task = model.adapt(x, support_y)
    close(task["weight_0"][0], expected["theta_T"])
    gates = model.read_gates(x, support_y)
    for name, key in (("forget_gates", "f"), ("input_gates", "i")):
        means = [np.mean(step[key]) for step in expected["steps"]]
        close(gates[name][0, :, 0], means)
    before = values(model)
    found = model.train_on_batch(episode, query_y)
    close(found, expected["meta_test_loss"])
    for name, old, new in zip(names, before, values(model), strict=True):
        close(old - new, expected["meta_grads_first_order"][name])


@pytest.mark.parametrize("first_layer", [True, False])
def test_fixed_gates_are_gradient_descent(first_layer, double):
    network, (episode, _) = smooth_network(), picture_episode()
    model = MetaLSTM(
        network,
        MetaLSTMCell(first_layer=first_layer),
        inner_steps=3,
        statistics="batch",
    )
    descent = MAML(network, inner_learning_rate=0.2, inner_steps=3)
    model.build({key: value.shape for key, value in episode.items()})
    cell = model.cell
    for kernel in (cell.forget_kernel, cell.input_kernel):
        kernel.assign(np.zeros(kernel.shape))
    cell.forget_bias.assign([50.0])
    cell.input_bias.assign([np.log(0.2 / 0.8)])
    close(*[m.predict(episode, verbose=0) for m in (model, descent)], 1e-12)


def test_it_trains_saves_and_goes_on(tmp_path):
    model = MetaLSTM(smooth_network(), inner_steps=3)
    model.compile(keras.optimizers.Adam(0.01), logits_loss())
    episode, query_y = picture_episode(tasks=4)
    losses = [float(model.train_on_batch(episode, query_y)) for _ in range(20)]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = [m.train_on_batch(episode, query_y) for m in (model, loaded)]
    close(*again, 1e-5)


def test_a_support_smaller_than_a_mini_batch_is_an_error():
    episode, _ = picture_episode()
    model = MetaLSTM(smooth_network(), inner_batch_size=1000)
    with pytest.raises(ValueError, match="inner_batch_size=1000"):
        model.adapt(episode["support_x"], episode["support_y"])


def test_a_cell_of_another_kind_is_an_error():
    with pytest.raises(ValueError, match="MetaLSTMCell"):
        MetaLSTM(smooth_network(), keras.layers.LSTMCell(3))


def test_a_network_without_weights_is_an_error():
    episode, _ = picture_episode()
    model = MetaLSTM(keras.Sequential([keras.layers.Flatten()]))
    with pytest.raises(ValueError, match="must have trainable weights"):
        model.adapt(episode["support_x"], episode["support_y"])


def test_a_task_that_is_not_finite_is_named_and_changes_nothing():
    episode, query_y = picture_episode()
    model = MetaLSTM(smooth_network(), inner_steps=2)
    model.compile(keras.optimizers.SGD(0.1), logits_loss())
    model.train_on_batch(episode, query_y)
    before = values(model)
    episode["support_x"] = np.array(episode["support_x"])
    episode["support_x"][1] = np.nan
    with pytest.raises(FloatingPointError, match="Task 1 of the meta-batch"):
        model.fit(episode, query_y, batch_size=len(query_y), verbose=0)
    for old, new in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_batch_norm_averages_the_moments_of_the_steps_alone(double):
    episode, _ = picture_episode()
    model = MetaLSTM(smooth_network(), inner_steps=3)
    model.build({key: value.shape for key, value in episode.items()})
    layer = model.network.layers[1]
    support = episode["support_x"], episode["support_y"]
    expected = []
    for steps in range(3):
        model.evaluation_inner_steps = steps
        kernels = np.array(model.adapt(*support)["weight_0"])
        maps = [
            ops.conv(x, kernel, padding="same")
            for x, kernel in zip(support[0], kernels, strict=True)
        ]
        expected.append(np.mean(maps, axis=(1, 2, 3)))
    # What was there before has no part in it.
    layer.moving_mean.assign(layer.moving_mean + 5.0)
    model.evaluation_inner_steps = 3
    task = model.adapt(*support)
    shares = layer.momentum ** np.arange(3)[::-1]
    expected = np.tensordot(shares / shares.sum(), expected, 1)
    close(task["state_0"], expected, 1e-12)
    # And the queries are normalized with it, each by itself.
    predictions = model.infer(task, episode["query_x"])
    alone = model.infer(task, episode["query_x"][:, :1])
    close(predictions[:, :1], alone, 1e-12)


def test_blocks_change_nothing_of_the_meta_gradient(double, monkeypatch):
    """The meta-gradient by blocks of weights is that of all at once."""
    episode, query_y = picture_episode()
    found = []
    for block in (7, 1000):
        monkeypatch.setattr(coordinate_blocks, "BLOCK", block)
        keras.utils.set_random_seed(1)
        model = MetaLSTM(smooth_network(), inner_steps=3, inner_batch_size=2)
        model.compile(keras.optimizers.SGD(1.0), logits_loss())
        model.train_on_batch(episode, query_y)
        found.append(np.concatenate([v.ravel() for v in values(model)]))
    close(*found, 1e-12)


@pytest.mark.parametrize("first_layer", [True, False])
@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_the_meta_gradient_is_that_of_the_steps_written_out(
    first_layer, feedback, double
):
    """Against a tape through all steps, with losses and gradients as data."""
    episode, query_y = picture_episode()
    model = MetaLSTM(
        smooth_network(),
        MetaLSTMCell(4, first_layer, feedback),
        inner_steps=3,
        statistics="batch",
    )
    model.compile(keras.optimizers.SGD(1.0), logits_loss())
    model.build({key: value.shape for key, value in episode.items()})
    before = values(model)
    network, cell = model.network, model.cell
    own = len(network.trainable_variables)
    with tf.GradientTape() as tape:
        losses = []
        for x, y, query_x, targets in zip(
            *episode.values(), query_y, strict=True
        ):
            weights = [tf.identity(v) for v in network.trainable_variables]
            flat = tf.concat([tf.reshape(w, (-1,)) for w in weights], 0)
            state = cell.initial_state(flat)
            for _ in range(3):
                now = split(state[0], weights)
                loss, gradients = inner_step(network, now, x, y)
                state = cell(loss, gradients, state)
            outputs = network_with(network, split(state[0], weights), query_x)
            losses.append(logits_loss()(targets, outputs))
        loss = sum(losses) / len(losses)
    expected = tape.gradient(loss, [v.value for v in model.learned_variables])
    model.train_on_batch(episode, query_y)
    for old, new, gradient in zip(before, values(model), expected, strict=True):
        close(old - new, gradient, 1e-11)
    assert len(expected) == own + len(cell.trainable_variables)
