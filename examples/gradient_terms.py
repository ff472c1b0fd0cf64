"""Checks the expansions of the meta-gradients of MAML, FOMAML and Reptile.

    python examples/gradient_terms.py [--output gradient_terms]

A is the expected gradient of a minibatch, B half the gradient of the expected
inner product of two. For two minibatches drawn independently MAML expects
A - 2 alpha B, FOMAML A - alpha B and Reptile 2 A - alpha B. The remainder
shrinks with the square of alpha: on logarithmic axes its slope is 2.
"""

import argparse
import pathlib

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import keras_meta as km

ALPHAS = np.logspace(-5, -2.5, 6)
COEFFICIENTS = {"maml": (1, 2), "fomaml": (1, 1), "reptile": (2, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="gradient_terms")
    output = parser.parse_args().output
    keras.utils.set_random_seed(0)
    keras.config.set_floatx("float64")  # Remainders are small.
    layers = keras.layers.Dense(20, activation="tanh"), keras.layers.Dense(1)
    network = keras.Sequential([keras.Input((1,)), *layers])

    def loss(x, y):
        def mean_squared_error(params):
            values, _ = network.stateless_call(params, [], x)
            return tf.reduce_mean(keras.losses.mean_squared_error(y, values))

        return mean_squared_error

    @tf.function
    def terms(one, other, alpha):
        params = network.trainable_variables
        return km.gradient_terms(loss(*one), loss(*other), params, alpha)

    # A task has two minibatches; four pairs of them are equally likely.
    pairs = []
    for x, query_y in km.data.sinusoid_dataset(shot=10, queries=10).take(10):
        both = [(x["support_x"], x["support_y"]), (x["query_x"], query_y)]
        pairs += [(one, other) for one in both for other in both]

    def expectations(alpha):
        drawn = [terms(*pair, alpha) for pair in pairs]
        mean = tf.nest.map_structure(lambda *d: np.mean(d, 0).ravel(), *drawn)
        return {name: np.concatenate(parts) for name, parts in mean.items()}

    means = [expectations(alpha) for alpha in tf.constant(ALPHAS)]
    A, B = means[0]["g0"], means[0]["H1g0"]
    axes = (figure := Figure(layout="constrained")).subplots()
    axes.set(xlabel="alpha", ylabel="|remainder| / |A|")
    for name, (a, b) in COEFFICIENTS.items():
        exact = np.stack([mean[name] for mean in means])
        rest = exact - (a * A - b * np.outer(ALPHAS, B))
        sizes = np.linalg.norm(rest, axis=1) / np.linalg.norm(A)
        slope, _ = np.polyfit(np.log(ALPHAS), np.log(sizes), 1)
        print(f"{name}: slope {slope:.2f}, sizes", *(f"{n:.1e}" for n in sizes))
        # FOMAML's line is wide, as Reptile's coincides with it.
        width = 6 if name == "fomaml" else 1.5
        axes.loglog(ALPHAS, sizes, lw=width, label=f"{name}, slope {slope:.2f}")
    axes.legend()
    print("Wrote:", km.plots.save_figure(figure, output / "remainders.png"))


if __name__ == "__main__":
    main()
