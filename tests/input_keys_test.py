"""A model may have other inputs than episodes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_meta as km


@km.register
class Recurrent(km.models.EpisodicModel):
    """Reads label-offset sequences: what was shown, and the label before."""

    input_keys = ("sequence_x", "previous_y")

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.rnn = keras.layers.GRU(units, return_sequences=True)
        self.head = keras.layers.Dense(3)

    def call(self, sequences, training=False):
        self.check_episodes(sequences)
        joined = keras.ops.concatenate(
            [sequences[key] for key in self.input_keys], axis=-1
        )
        return self.head(self.rnn(joined))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def sequences(tasks=4, steps=6):
    rng = np.random.default_rng(0)
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, (tasks, steps))]
    x = {
        "sequence_x": rng.random((tasks, steps, 5)).astype("float32"),
        "previous_y": np.concatenate([0 * y[:, :1], y[:, :-1]], axis=1),
    }
    return x, y


def test_a_model_of_sequences_is_fitted_saved_and_described(tmp_path):
    model = Recurrent()
    model.compile("adam", "mse", metrics=[km.metrics.AccuracyInterval()])
    x, y = sequences()
    data = tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(2)
    model.fit(data, steps_per_epoch=2, verbose=0)
    logs = model.evaluate(data.take(2), return_dict=True, verbose=0)
    assert 0 <= logs["task_accuracy"] <= 1
    assert model.example_shapes == {"sequence_x": (5,)}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5
    )


def test_a_missing_key_is_named():
    x, _ = sequences()
    del x["previous_y"]
    with pytest.raises(ValueError, match="'sequence_x', 'previous_y'"):
        Recurrent()(x)
