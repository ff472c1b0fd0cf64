"""Trains MAML to learn a sine wave from ten of its points, and draws it.

    python examples/sinusoids.py [--output sinusoids] [--steps 10000]

The regression of MAML's paper. One gradient step on ten points brings the
network close to a wave that it never saw, ten steps bring it closer. The
figure also shows the prediction for a whole wave from five points in one half.
"""

import argparse
import pathlib

import keras

import keras_meta as km
from zoo import pictures, streams


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="sinusoids")
    text = "of training, a multiple of 500"
    parser.add_argument("--steps", type=int, default=10000, help=text)
    options = parser.parse_args()
    km.threads.set_threads(side_by_side=True)
    keras.utils.set_random_seed(0)

    network = keras.Sequential(
        [
            keras.layers.Dense(40, activation="relu"),
            keras.layers.Dense(40, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model = km.models.MAML(
        network, inner_learning_rate=0.01, inner_loss="mean_squared_error"
    )
    # A step is so small that running 50 in one call is faster.
    model.compile(keras.optimizers.Adam(1e-3), "mse", steps_per_execution=50)
    history = model.fit(
        km.data.sinusoid_dataset(shot=10, queries=10).batch(25).prefetch(8),
        steps_per_epoch=options.steps // 10,
        epochs=10,
        verbose=2,
    ).history

    test = km.data.sinusoid_dataset(shot=10, queries=100, seed=1)
    print("Mean squared error on 500 new waves:")
    for steps in (0, 1, 10):
        model.evaluation_inner_steps = steps
        error = model.evaluate(test.batch(50).take(10), verbose=0)
        print(f"  after {steps:2} steps: {error:.3f}")
    curves = streams.Sinusoids(shot=10).curves()
    drawn = pictures.draw(
        model, test.batch(1), options.output, history, curves=curves
    )
    print("Wrote:", *drawn, sep="\n  ")


if __name__ == "__main__":
    main()
