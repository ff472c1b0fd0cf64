"""Trains a Neural Turing Machine to copy sequences, and draws its memory.

    python examples/ntm_copy.py [--output ntm_copy] [--steps 1500]

The machine sees a few vectors of random bits and must then repeat them while
it sees nothing. It is a plain Keras model: `NTMCell` serves any of them. It
learns to write each vector to a row of its own and to read the rows in that
order, which also works for more vectors than it was trained on.
"""

import argparse
import pathlib

import keras

import keras_meta as km

BITS = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="ntm_copy")
    text = "of training, a multiple of 10"
    parser.add_argument("--steps", type=int, default=1500, help=text)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)

    # A controller without a state of its own has nothing but the memory: it
    # learns to use it sooner than an LSTM.
    cell = km.layers.NTMCell(
        units=32, memory_slots=24, memory_width=8, controller="dense"
    )
    model = keras.Sequential(
        [
            keras.Input((None, BITS + 2)),
            keras.layers.RNN(cell, return_sequences=True),
            keras.layers.Dense(BITS, "sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-2, global_clipnorm=1.0),
        # The mean over the steps of the recall, which alone have a weight.
        keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight"),
        weighted_metrics=[km.metrics.WrongBits()],
        jit_compile=True,
    )
    train = km.data.copy_dataset(BITS, longest=8, seed=options.seed)
    epochs = dict(steps_per_epoch=options.steps // 10, epochs=10, shuffle=False)
    model.fit(train.batch(16).prefetch(8), **epochs, verbose=2)

    print("Wrong bits in 200 new sequences:")
    for length in (4, 8, 16):
        test = km.data.copy_dataset(BITS, length, length, seed=1).batch(50)
        found = model.evaluate(test.take(4), verbose=0, return_dict=True)
        mean, interval = found["wrong_bits"], found["wrong_bits_interval"]
        bits = f"{mean:.2f} ± {interval:.2f} of {length * BITS}"
        print(f"  {length:2} vectors: {bits}")

    inputs, target, weight = next(iter(test))  # The longest of them.
    traced = cell.trace(inputs[:1])
    heads = [traced[f"{name}_weights"][0, :, 0] for name in ("write", "read")]
    figure = km.plots.plot_copy(
        inputs[0], target[0], model(inputs[:1])[0], *heads, weight[0]
    )
    print("Wrote:", km.plots.save_figure(figure, options.output / "copy.png"))


if __name__ == "__main__":
    main()
