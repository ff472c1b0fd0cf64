"""The settings of `benchmarks.memory_family`, the same for all sides."""

import dataclasses

import numpy as np

from benchmarks.training_steps import BATCHES

LRUA, NTM = "LRUA", "NTM"
# Names of the trainable weights, in the order that ours has them.
CONTROLLER = ("input_kernel", "input_bias", "recurrent_kernel")
HEAD = ("head_kernel", "head_bias")
WEIGHT_NAMES = {
    LRUA: ("alpha", *CONTROLLER, "key_kernel", "key_bias", *HEAD),
    NTM: (
        "initial_reads",
        "initial_read_weights",
        "initial_write_weights",
        *CONTROLLER,
        "read_kernel",
        "read_bias",
        "write_kernel",
        "write_bias",
        *HEAD,
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A memory, and the sequences of one step.

    Args:
        memory: `LRUA` or `NTM`.
        tasks: Sequences in a step.
        steps: Their length.
        size: Height and width of an image.
        labels: Classes of a sequence.
        units: Width of the controller, an LSTM.
        slots, width: Rows of the memory, and numbers in each.
        read_heads: Number of read heads. NTM has one write head, in LRUA
            each head writes, too.
    """

    memory: str
    tasks: int = 16
    steps: int = 50
    size: int = 20
    labels: int = 5
    units: int = 200
    slots: int = 128
    width: int = 40
    read_heads: int = 4

    @property
    def name(self):
        """The name for `--only`."""
        return self.memory.lower()

    def quick(self):
        """A small case of the same memory, for a smoke test."""
        return Case(self.memory, 2, 6, 4, 3, 8, 12, 5, 2)

    def named(self, weights):
        """Dict of a list of weights."""
        return dict(zip(WEIGHT_NAMES[self.memory], weights, strict=True))

    def __str__(self):
        return (
            f"{self.memory}: {self.tasks} sequences of {self.steps} images of "
            f"{self.size} x {self.size}, {self.labels} classes, controller of "
            f"{self.units} units, memory {self.slots} x {self.width}, "
            f"{self.read_heads} read heads"
        )


CASES = {case.name: case for case in (Case(LRUA), Case(NTM))}


def make_sequences(case, seed=0):
    """Sequences that resemble Omniglot's: one picture a class, plus noise.

    Returns:
        Float32 arrays of zeros and ones: images `(BATCHES, tasks, steps,
        size, size, 1)`, the one-hot labels of the steps before `(BATCHES,
        tasks, steps, labels)`, and of the steps themselves.
    """
    rng = np.random.default_rng(seed)
    leading = (BATCHES, case.tasks, case.steps)
    labels = rng.integers(case.labels, size=leading)
    size = (case.size, case.size, 1)
    pictures = rng.random((*leading[:2], case.labels, *size)) < 0.2
    images = np.take_along_axis(pictures, labels[..., None, None, None], 2)
    images ^= rng.random(images.shape) < 0.2
    y = np.eye(case.labels, dtype="float32")[labels]
    previous_y = np.zeros_like(y)
    previous_y[:, :, 1:] = y[:, :, :-1]
    return images.astype("float32"), previous_y, y


def peer_batches(case, sequences):
    """What the peers train on: images flattened, beside the label before.

    Args:
        case: `Case`.
        sequences: The arrays of `make_sequences`.

    Returns:
        List of tuples: inputs `(tasks, steps, size * size + labels)`, and
        labels `(tasks, steps)`, integers.
    """
    images, previous_y, y = sequences
    flat = images.reshape(*images.shape[:3], -1)
    inputs = np.concatenate([flat, previous_y], axis=-1)
    return list(zip(inputs, y.argmax(-1), strict=True))
