"""The copy task: a sequence of random bits, to be repeated from memory."""

import tensorflow as tf

from keras_meta.checks import check_integer
from keras_meta.data.class_table import PARALLEL_CALLS

# Channels behind those of the bits: the start and the end of the sequence.
DELIMITERS = 2
# Sequences drawn in a call: a call for each would cost more than its work.
# With another number, a seed gives other sequences.
BLOCK = 64


def copy_dataset(
    bits: int = 8,
    shortest: int = 1,
    longest: int = 20,
    seed: int = 0,
    start: int = 0,
) -> tf.data.Dataset:
    """Draws an endless stream of sequences to be copied.

    A model sees a delimiter, `length` vectors of random bits and another
    delimiter, and must then give the vectors in the same order, while it sees
    zeros: only what it has stored can help it (Graves et al. 2014, "Neural
    Turing Machines", section 4.1). The length is drawn uniformly for each
    sequence, the bits with equal odds. Sequence `i` depends on `(seed, i)`
    alone, so the stream is the same on every machine, `shard` splits it, and
    `start` resumes it.

    All sequences have `steps = 2 * longest + 2`, so that a model is compiled
    for one shape. With `n` the length drawn, the steps are:

    | step | input | target | weight |
    |---|---|---|---|
    | 0 | 1 in channel `bits` | 0 | 0 |
    | 1 to `n` | the vectors | 0 | 0 |
    | `n + 1` | 1 in channel `bits + 1` | 0 | 0 |
    | `n + 2` to `2 n + 1` | 0 | the vectors | 1 |
    | behind | 0 | 0 | 0 |

    So `keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")`
    is the mean over the bits to be recalled, and metrics that respect the
    weights belong in `compile(weighted_metrics=...)`, as
    `keras_meta.metrics.WrongBits` does.

    Args:
        bits: Bits of a vector, at least 1.
        shortest: The smallest length, at least 1.
        longest: The largest length, at least `shortest`.
        seed: Integer: which stream.
        start: Integer, at least 0: the first sequence.

    Returns:
        A `tf.data.Dataset` without end of `(inputs, target, sample_weight)`:
        `(steps, bits + 2)`, `(steps, bits)` and `(steps,)`, all float32 and
        0 or 1. `.batch(n)` makes batches of `n` sequences.

    Raises:
        ValueError: If a number is out of range.

    Example:

    >>> sequences = copy_dataset(bits=3, shortest=2, longest=2)
    >>> inputs, target, sample_weight = next(iter(sequences))
    >>> inputs.shape.as_list(), target.shape.as_list()
    ([6, 5], [6, 3])
    >>> sample_weight.numpy().tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    >>> bool((inputs[1:3, :3] == target[4:]).numpy().all())
    True
    """
    bits = check_integer("bits", bits, 1)
    shortest = check_integer("shortest", shortest, 1)
    longest = check_integer("longest", longest, 1)
    seed = check_integer("seed", seed)
    start = check_integer("start", start, 0)
    if longest < shortest:
        raise ValueError(
            "`longest` must be at least `shortest`. "
            f"Received: longest={longest}, shortest={shortest}"
        )
    step = tf.range(2 * longest + DELIMITERS)

    def draw(block):
        # Of each sequence, a row for its length and the rows of its bits.
        uniform = tf.random.stateless_uniform(
            (BLOCK, 1 + longest, bits), (seed, block)
        )
        choices = longest + 1 - shortest
        length = shortest + tf.cast(choices * uniform[:, :1, 0], "int32")
        vectors = tf.cast(uniform[:, 1:] < 0.5, "float32")
        seen = (step >= 1) & (step <= length)
        recalled = (step >= length + 2) & (step <= 2 * length + 1)
        delimiters = (
            tf.stack([0 * length, length + 1], axis=-1) == step[:, None]
        )
        inputs = _placed(vectors, step - 1 + 0 * length, seen)
        inputs = tf.concat([inputs, tf.cast(delimiters, "float32")], axis=-1)
        target = _placed(vectors, step - 2 - length, recalled)
        return inputs, target, tf.cast(recalled, "float32")

    blocks = tf.data.Dataset.counter(start // BLOCK)
    sequences = blocks.map(draw, num_parallel_calls=PARALLEL_CALLS).unbatch()
    return sequences.skip(start % BLOCK)


def _placed(vectors, positions, present):
    """At each step, the vector of that position if present, or zeros.

    `vectors: (sequences, longest, bits)`; `positions, present: (sequences,
    steps)`; the result is `(sequences, steps, bits)`.
    """
    last = vectors.shape[1] - 1
    rows = tf.gather(
        vectors, tf.clip_by_value(positions, 0, last), batch_dims=1
    )
    return tf.where(present[:, :, None], rows, 0.0)
