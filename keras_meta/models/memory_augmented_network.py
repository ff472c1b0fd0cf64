"""Memory-augmented neural networks (Santoro et al., 2016)."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import keras
from keras import ops

from keras_meta.batch_statistics import StatisticsScope
from keras_meta.checks import check_choice, check_integer, check_network
from keras_meta.layers.memory_cell import MemoryCell, ProjectedCell
from keras_meta.models import episode_checks
from keras_meta.models.episodic_model import EpisodicModel
from keras_meta.models.failed_tasks import NamesFailedTasks
from keras_meta.models.functional import read_once
from keras_meta.ops import (
    batch_apply,
    check_vectors,
    class_counts,
    mask_absent,
    wide,
)
from keras_meta.sequence_losses import ENCODINGS, LETTERS, split_letters
from keras_meta.serialization import register
from keras_meta.typing import Config, Episode, Shape, Task, Tensor, TensorLike

SEQUENCE_KEYS = ("sequence_x", "previous_y")
STRINGS = LETTERS**LETTERS
# Class `k` has the string number `k * STRIDE`, modulo `STRINGS`. The two have
# no common factor, so no two of `STRINGS` classes share a string.
STRIDE = 1237


@register
class MemoryAugmentedNetwork(NamesFailedTasks, EpisodicModel):
    """Binds examples to labels in a memory that it learned to use.

    A recurrent network reads a sequence in which each label comes one step
    after its example, and predicts the label of every example (Santoro et
    al. 2016, "Meta-Learning with Memory-Augmented Neural Networks", section
    2):

        o_t, s_t = cell([encoder(x_t), y_{t-1}], s_{t-1}),   y_0 = 0
        p(y_t) = softmax(W o_t + b)

    It is trained on `keras_meta.data.sequence_dataset`: `call` takes
    `sequence_x (tasks, steps, ...)` and `previous_y (tasks, steps, labels)`
    and returns logits `(tasks, steps, labels)`. The state starts anew for
    each sequence.

    `call` takes episodes, too. `adapt` reads the support in its order, so
    the order matters, and returns the state and the last label; `infer` runs
    one step for each query from there and keeps nothing of it, so queries
    are independent of each other.

    The task is a dict of the state, `state_0 (tasks, ...)` and so on, of
    `last_label (tasks, labels)` and, for letters, of `strings (tasks, way,
    labels)`. With letters, a class without support examples gets the logit
    -1e9.

    `fit` stops with a FloatingPointError that names a sequence whose
    predictions are not finite.

    Args:
        cell: Keras RNN cell: `keras_meta.layers.LRUACell` (the paper's),
            `keras_meta.layers.NTMCell`, or `keras.layers.LSTMCell`, the
            paper's baseline without a memory.
        labels: Length of a label, at least 2: the number of classes for the
            encoding `"one_hot"`, 25 for `"letters"`.
        encoding: `"one_hot"`, or `"letters"`: a label is a string of five
            letters out of five. Episodes then give each class a string.
        encoder: Optional Keras model or layer, examples `(batch, ...)` to
            vectors `(batch, dim)`; by default the example itself, flattened,
            as in the paper.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: If `cell` is no RNN cell, for a number out of range or an
            unknown encoding, and in use for labels of another length or for
            more classes than there are strings.
    """

    input_keys = SEQUENCE_KEYS
    failure = (
        "(its predictions are NaN or infinite), and the weights with it: go "
        "back to those of a saved model. Look for NaN in the data or, if no "
        "sequence holds any, take a smaller learning rate or clip gradients, "
        "as by the optimizer's `global_clipnorm`."
    )

    def __init__(
        self,
        cell: keras.Layer,
        labels: int,
        encoding: str = "one_hot",
        encoder: keras.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_network("cell", cell)
        if isinstance(cell, keras.layers.RNN) or not hasattr(
            cell, "state_size"
        ):
            raise ValueError(
                "`cell` must be an RNN cell, such as `keras_meta.layers."
                "LRUACell()` or `keras.layers.LSTMCell(units)`, and not a "
                f"recurrent layer. Received: cell={cell!r}"
            )
        self.cell = cell
        self.labels = check_integer("labels", labels, 2)
        self.encoding = check_choice("encoding", encoding, ENCODINGS)
        if encoding == "letters" and labels != LETTERS**2:
            raise ValueError(
                f"`labels` must be {LETTERS**2} for strings of letters. "
                f"Received: labels={labels}"
            )
        self.encoder = encoder and check_network("encoder", encoder)
        projected = isinstance(cell, MemoryCell)
        self.rnn = keras.layers.RNN(
            ProjectedCell(cell) if projected else cell,
            return_sequences=True,
            return_state=True,
        )
        self.head = keras.layers.Dense(
            self.labels, dtype=wide(self.compute_dtype)
        )

    @property
    def fixed_way(self) -> int | None:  # type: ignore[override]
        """The number of classes; None for letters, which serve any."""
        return self.labels if self.encoding == "one_hot" else None

    @property
    def memory_slots(self) -> int:  # type: ignore[override]
        """Rows of the cell's memory; 0 for a cell without one."""
        return getattr(self.cell, "memory_slots", 0)

    def build(self, input_shape: dict[str, Shape]) -> None:
        """Makes the weights.

        Args:
            input_shape: Dict of the shapes of a sequence or an episode, with
                None where a size is open.
        """
        self.check_preprocessing()
        inputs = {
            key: keras.KerasTensor(shape, dtype=wide(self.dtype))
            for key, shape in input_shape.items()
        }
        self.compute_output_spec(inputs)
        (example,) = {
            tuple(shape[2:])
            for key, shape in input_shape.items()
            if key.endswith("_x")
        }
        self.example_shapes = {"support_x": example, "query_x": example}

    def call(self, inputs: Episode, training: bool = False) -> Tensor:
        """Predicts the labels of sequences, or the queries of episodes.

        Args:
            inputs: Dict of `sequence_x (tasks, steps, ...)` and `previous_y
                (tasks, steps, labels)`, or an episode.
            training: Python bool.

        Returns:
            Logits `(tasks, steps, labels)`, or predictions `(tasks, query,
            way)`.

        Raises:
            ValueError: If keys, ranks, types or shapes do not fit.
        """
        if isinstance(inputs, dict) and "support_x" in inputs:
            return super().call(inputs, training)
        read = self._read_sequences(inputs, training)
        return self.head(self._run(read, training)[0])

    def adapt(
        self,
        support_x: TensorLike,
        support_y: TensorLike,
        training: bool = False,
    ) -> Task:
        embeddings = self._embed(support_x, training)
        labels, strings = self._label(support_y, embeddings.dtype)
        # Padding goes to the end, where the network does not read it.
        filled = ops.any(labels > 0, axis=-1)
        count = ops.sum(ops.cast(filled, "int32"), axis=1, keepdims=True)
        order = _filled_first(filled)
        embeddings, labels = _rows(embeddings, order), _rows(labels, order)
        previous_y = ops.pad(labels[:, :-1], ((0, 0), (1, 0), (0, 0)))
        mask = ops.arange(ops.shape(labels)[1])[None] < count
        read = ops.concatenate([embeddings, previous_y], axis=-1)
        _, *state = self._run(read, training, mask)
        task = {f"state_{number}": part for number, part in enumerate(state)}
        task["last_label"] = _rows(labels, ops.maximum(count - 1, 0))[:, 0]
        return task if strings is None else {**task, "strings": strings}

    def infer(
        self, task: Task, query_x: TensorLike, training: bool = False
    ) -> Tensor:
        embeddings = self._embed(query_x, training)
        tasks, queries, dim = ops.shape(embeddings)
        last_label = ops.cast(task["last_label"], embeddings.dtype)
        read = ops.concatenate(
            [
                ops.reshape(embeddings, (-1, dim)),
                ops.repeat(last_label, queries, axis=0),
            ],
            axis=-1,
        )
        # Every query steps from the same state.
        state = [
            ops.repeat(task[f"state_{number}"], queries, axis=0)
            for number in range(len(self.rnn.state_size))
        ]
        outputs, _ = self.cell(read, state)
        logits = self.head(outputs)
        logits = ops.reshape(logits, (tasks, queries, self.labels))
        if self.encoding == "one_hot":
            return logits
        # The log-probability of the string of each class.
        log_p = ops.log_softmax(split_letters("logits", logits), axis=-1)
        log_p = ops.reshape(log_p, (tasks, queries, self.labels))
        strings = ops.cast(task["strings"], log_p.dtype)
        log_p = ops.matmul(log_p, ops.swapaxes(strings, 1, 2))
        return mask_absent(log_p, ops.max(strings, axis=-1))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """As `keras.Model.compute_loss`; counts sequences not finite."""
        if training:
            finite = ops.all(ops.isfinite(y_pred), axis=(1, 2))
            self.failed_tasks.update_state(ops.logical_not(finite))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def read_memory(
        self, sequences: Mapping[str, TensorLike]
    ) -> dict[str, Tensor]:
        """What the cell writes and reads at each step.

        It is for `keras_meta.plots.plot_memory`, and slower than `call`.

        Args:
            sequences: Dict of `sequence_x (tasks, steps, ...)` and
                `previous_y (tasks, steps, labels)`.

        Returns:
            Dict of tensors, float32 at least: `memory (tasks, slots, width)`
            after the last step, `write_weights` and `read_weights` `(tasks,
            steps, heads, slots)` and, of an `LRUACell`, `usage_weights
            (tasks, steps, slots)`.

        Raises:
            ValueError: If the cell has no memory, or if keys, ranks or
                shapes do not fit.
        """
        if not self.memory_slots:
            raise ValueError(
                "`cell` must have a memory, such as `keras_meta.layers."
                f"LRUACell()`. Received: cell={self.cell!r}"
            )
        return self.cell.trace(self._read_sequences(sequences, training=False))

    def check_episodes(self, episodes: Episode) -> None:
        if isinstance(episodes, dict) and "support_x" in episodes:
            episode_checks.check_keys(episodes, EpisodicModel.input_keys)
            self.check_parts(episodes)
        else:
            self._check_sequences(episodes)

    def _read_sequences(self, sequences, training):
        """What the cell reads, `(tasks, steps, dim + labels)`."""
        self._check_sequences(sequences)
        running = self.statistics == "running" and not training
        with StatisticsScope("running" if running else "batch", owner=self):
            embeddings = self._embed(sequences["sequence_x"], training)
        previous_y = ops.cast(sequences["previous_y"], embeddings.dtype)
        return ops.concatenate([embeddings, previous_y], axis=-1)

    def _check_sequences(self, sequences):
        super().check_episodes(sequences)
        x, y = (tuple(sequences[key].shape) for key in SEQUENCE_KEYS)
        if len(x) < 3 or len(y) != 3 or y[-1] != self.labels:
            raise ValueError(
                "`inputs` must hold sequence_x (tasks, steps, ...) and "
                f"previous_y (tasks, steps, labels={self.labels}), as "
                "`keras_meta.data.sequence_dataset(...).batch(tasks)` yields. "
                f"Received: sequence_x of shape {x} and previous_y of shape "
                f"{y}"
            )

    def _embed(self, examples, training):
        """Vectors `(tasks, n, dim)` of examples `(tasks, n, ...)`."""
        if self.encoder is not None:
            embeddings = batch_apply(self.encoder, examples, training)
            return check_vectors("encoder", embeddings)
        dim = 1
        for size in examples.shape[2:]:
            dim *= size
        shape = (*ops.shape(examples)[:2], dim)
        return ops.reshape(ops.cast(examples, self.compute_dtype), shape)

    def _run(self, read, training, mask=None):
        """The outputs of all steps `(tasks, steps, size)`, and the state.

        Args:
            read: What the cell reads, `(tasks, steps, dim + labels)`.
            training: Python bool.
            mask: Optional bool `(tasks, steps)`: the steps that are read.
        """
        if isinstance(self.cell, MemoryCell):
            # The scope of a cell that its layer builds: weights are named so.
            with keras.name_scope(self.rnn.name):
                read = self.cell.project(read)
        once = self.cell.built and not _has_state(self.cell)
        with read_once(self.cell) if once else nullcontext():
            return self.rnn(read, mask=mask, training=training)

    def _label(self, support_y, dtype):
        """Labels `(tasks, support, labels)`, and the strings of the classes.

        Args:
            support_y: One-hot `(tasks, support, way)`.
            dtype: Type of the labels.

        Returns:
            `(labels, strings)`; strings `(tasks, way, labels)`, zero for a
            class without support, or None if labels are one-hot.
        """
        support_y = ops.cast(support_y, dtype)
        tasks, support, way = ops.shape(support_y)
        if self.encoding == "one_hot":
            if support_y.shape[-1] not in (None, self.labels):
                raise ValueError(
                    f"`support_y` must have {self.labels} columns, the "
                    "`labels` that the model was built for. Received: "
                    f"support_y of shape {tuple(support_y.shape)}"
                )
            shape = (tasks, support, self.labels)
            return ops.reshape(support_y, shape), None
        if (support_y.shape[-1] or 0) > STRINGS:
            raise ValueError(
                f"`support_y` must have at most {STRINGS} columns, as there "
                f"are no more strings of {LETTERS} letters. Received: "
                f"support_y of shape {tuple(support_y.shape)}"
            )
        numbers = ops.arange(way) * STRIDE % STRINGS
        powers = ops.convert_to_tensor([LETTERS**p for p in range(LETTERS)])
        letters = numbers[:, None] // powers % LETTERS
        strings = ops.reshape(
            ops.one_hot(letters, LETTERS, dtype=dtype), (way, self.labels)
        )
        present = ops.cast(class_counts(support_y) > 0, dtype)
        strings = strings[None] * present[:, :, None]
        return ops.matmul(support_y, strings), strings

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "labels": self.labels,
            "encoding": self.encoding,
            "encoder": self.encoder
            and keras.saving.serialize_keras_object(self.encoder),
        }


def _has_state(cell):
    """Whether calls of a cell may change a variable of it."""
    rates = [getattr(cell, f"{part}dropout", 1) for part in ("", "recurrent_")]
    # Keras' cells have a seed, which they use for dropout only.
    return any(rates) and bool(cell.non_trainable_variables)


def _filled_first(filled):
    """The order `(tasks, n)` of rows in which padding comes last."""
    n = ops.shape(filled)[1]
    rank = ops.where(filled, 0, n) + ops.arange(n)[None]
    return ops.argsort(rank, axis=1)


def _rows(values, order):
    """Rows `order (tasks, m)` of `values (tasks, n, dim)`."""
    return ops.take_along_axis(values, order[:, :, None], axis=1)
