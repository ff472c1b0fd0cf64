"""Uses an exported model in a process that has TensorFlow only.

    keras-meta export prototypical_network_glyphs served
    python examples/serve_saved_model.py served

The SavedModel learns new classes inside its graph: `adapt` takes a support
set, `infer` classifies with what it returned. No keras_meta, no Keras.
"""

import sys

import numpy as np
import tensorflow as tf


def strokes(horizontal, rng):
    """A picture of three strokes, all horizontal or all vertical."""
    image = np.zeros((28, 28, 1), "float32")
    for position in rng.choice(np.arange(4, 24), 3, replace=False):
        image[position : position + 2, 4:24] = 1
    return image if horizontal else image.transpose(1, 0, 2)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    served = tf.saved_model.load(sys.argv[1]).signatures
    rng = np.random.default_rng(0)

    # One task with two classes, "horizontal" and "vertical", three shots.
    support_x = np.stack([[strokes(k % 2 == 0, rng) for k in range(6)]])
    support_y = np.stack([np.eye(2, dtype="float32")[[0, 1, 0, 1, 0, 1]]])
    task = served["adapt"](
        support_x=tf.constant(support_x), support_y=tf.constant(support_y)
    )
    # A signature returns its outputs in any order.
    shapes = {name: tuple(task[name].shape) for name in sorted(task)}
    print("The task:", shapes)

    query_x = np.stack([[strokes(True, rng), strokes(False, rng)]])
    found = served["infer"](query_x=tf.constant(query_x), **task)
    for name, row in zip(
        ("horizontal", "vertical"), found["probabilities"][0], strict=True
    ):
        print(
            f"{name:10} -> P(horizontal) {row[0]:.2f}, P(vertical) {row[1]:.2f}"
        )


if __name__ == "__main__":
    main()
