"""What cells with an external memory share, apart from its addressing."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_choice, check_integer
from keras_meta.layers.forget_gate import open_forget_gate
from keras_meta.ops import at_least_float32, wide
from keras_meta.typing import Config, Shape, Tensor

CONTROLLERS = ("lstm", "dense")
# A constant near zero learns best of the usual starts (Collier and Beel 2018).
INITIAL_MEMORY = 1e-6


class WideOrthogonal(keras.initializers.Orthogonal):
    """Keras' initializer, which cannot make bfloat16 itself."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return ops.cast(super().__call__(shape, wide(dtype)), dtype)


class MemoryCell(keras.layers.Layer):
    """A Keras RNN cell with a controller and a memory matrix.

    It keeps the sizes, runs the controller, and turns the matrices of a step
    into the flat vectors that `keras.layers.RNN` carries between steps. A
    subclass defines `memory_state_shapes`, `initial_memory_state` and
    `advance`.

    Args:
        units: Width of the controller.
        memory_slots: Rows of the memory.
        memory_width: Numbers in each row.
        read_heads: Vectors read in each step, at most `memory_slots`.
        controller: `"lstm"`, or `"dense"` for one tanh layer, which has no
            state of its own.
        **kwargs: Of `keras.layers.Layer`.

    Raises:
        ValueError: For a size that is no positive integer, more read heads
            than slots, or an unknown controller.
    """

    # Whether the controller sees what was read in the step before.
    feeds_reads = True

    def __init__(
        self,
        units: int,
        memory_slots: int,
        memory_width: int,
        read_heads: int,
        controller: str = "lstm",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, 1)
        self.memory_slots = check_integer("memory_slots", memory_slots, 1)
        self.memory_width = check_integer("memory_width", memory_width, 1)
        self.read_heads = check_integer("read_heads", read_heads, 1)
        if self.read_heads > self.memory_slots:
            raise ValueError(
                "`read_heads` must be at most `memory_slots`, "
                f"{self.memory_slots}. Received: read_heads={read_heads}"
            )
        self.controller = check_choice("controller", controller, CONTROLLERS)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "The inputs of a memory cell must be vectors of a known "
                "size, (batch, size), and those of `keras.layers.RNN` "
                "(batch, steps, size). Received: inputs of one step of shape "
                f"{tuple(input_shape)}"
            )
        self.input_size = input_shape[-1]
        lstm = self.controller == "lstm"
        gates = 4 * self.units if lstm else self.units
        # One kernel of x_t and one of [h_{t-1}, r_{t-1}]: what comes from
        # the step before takes one product instead of two.
        self.input_layer = self.dense(
            "controller",
            self.input_size,
            gates,
            bias_initializer=open_forget_gate if lstm else "zeros",
        )
        size = self.units if lstm else 0
        if self.feeds_reads:
            size += self.read_heads * self.memory_width
        if size:
            self.recurrent_layer = self.dense(
                "recurrent",
                size,
                gates,
                use_bias=False,
                kernel_initializer=WideOrthogonal(),
            )

    def call(
        self, inputs: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One step, as `keras.layers.RNN` calls it.

        Args:
            inputs: `(batch, size)`.
            states: List of flat tensors, as of `get_initial_state`.

        Returns:
            Outputs `(batch, output_size)` and the list of new states.

        Raises:
            ValueError: For inputs of another rank or size than built for.
        """
        outputs, states, _ = self.step(inputs, states)
        return outputs, states

    def step(
        self, inputs: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """One step that shows the inside of the memory too.

        Args:
            inputs: `(batch, size)`.
            states: List of flat tensors, as of `get_initial_state`.

        Returns:
            Outputs `(batch, output_size)`, the list of new states, and a
            dict of `memory` `(batch, slots, width)` after the step and of
            the weights `(batch, heads, slots)` used in it, float32 at least.

        Raises:
            ValueError: For inputs of another rank or size than built for.
        """
        if not self.built:
            self.build(inputs.shape)
        if len(inputs.shape) != 2:
            raise ValueError(self._wrong_inputs(inputs))
        return self.step_projected(self.project(inputs), states)

    def project(self, inputs: Tensor) -> Tensor:
        """The product of the controller with its inputs, plus its bias.

        It does not depend on the steps before, so the inputs of all steps
        can be projected at once, which is faster:
        `RNN(ProjectedCell(cell))(cell.project(x))` equals `RNN(cell)(x)`.

        Args:
            inputs: `(batch, ..., size)`.

        Returns:
            Tensor `(batch, ..., gates)`.

        Raises:
            ValueError: For inputs of another size than built for.
        """
        if not self.built:
            self.build((inputs.shape[0], inputs.shape[-1]))
        if inputs.shape[-1] != self.input_size:
            raise ValueError(self._wrong_inputs(inputs))
        return self.input_layer(inputs)

    def step_projected(
        self, projected: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """`step`, from what `project` returned.

        Args:
            projected: `(batch, gates)`.
            states: List of flat tensors, as of `get_initial_state`.

        Returns:
            As `step`.

        Raises:
            ValueError: For states of other sizes.
        """
        shapes = self.state_shapes
        if [state.shape[-1] for state in states] != self.state_size:
            raise ValueError(
                f"`states` must have the sizes {self.state_size}, those of "
                f"{list(shapes)}. Received: shapes "
                f"{[tuple(state.shape) for state in states]}"
            )
        # Sharpened weights, and norms of 1e-6, need more than half precision.
        state = {
            name: at_least_float32(ops.reshape(flat, (-1, *shapes[name])))
            for name, flat in zip(shapes, states, strict=True)
        }
        outputs, state, weights = self.advance(projected, state)
        return outputs, self._flat(state), weights

    def trace(self, inputs: Tensor) -> dict[str, Tensor]:
        """What is written and read at each step of some sequences.

        The steps run one by one, to be looked at: `keras.layers.RNN` is
        faster.

        Args:
            inputs: `(batch, steps, size)`, with at least one step.

        Returns:
            Dict of `memory (batch, slots, width)` after the last step, and
            of the weights of each step, float32 at least: `write_weights`
            and `read_weights` `(batch, steps, heads, slots)`, and what else
            the cell has, such as `usage_weights (batch, steps, slots)`.

        Raises:
            ValueError: For inputs of another rank or size than built for, or
                without a step.
        """
        inputs = ops.convert_to_tensor(inputs, dtype=self.compute_dtype)
        if len(inputs.shape) != 3 or not inputs.shape[1]:
            raise ValueError(
                "`inputs` must have the shape (batch, steps, size), with at "
                f"least one step. Received: shape {tuple(inputs.shape)}"
            )
        states, traced = self.get_initial_state(ops.shape(inputs)[0]), []
        for step in range(inputs.shape[1]):
            _, states, weights = self.step(inputs[:, step], states)
            memory = weights.pop("memory")
            traced.append(weights)
        return {
            "memory": memory,
            **{
                name: ops.stack([weights[name] for weights in traced], axis=1)
                for name in traced[0]
            },
        }

    def get_initial_state(self, batch_size: int | Tensor) -> list[Tensor]:
        """The states before the first step.

        Args:
            batch_size: Python int or integer tensor.

        Returns:
            List of tensors `(batch_size, size)`, one for each of
            `state_size`.
        """
        shapes, dtype = self.state_shapes, wide(self.compute_dtype)
        state = {
            **{name: ops.zeros(shapes[name], dtype) for name in self._carried},
            "memory": ops.full(shapes["memory"], INITIAL_MEMORY, dtype),
            **self.initial_memory_state(),
        }
        return [
            ops.broadcast_to(row, (batch_size, row.shape[-1]))
            for row in self._flat(state)
        ]

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape, without the batch, of each state, in order."""
        memory = (self.memory_slots, self.memory_width)
        return {
            **{name: (self.units,) for name in self._carried},
            "reads": (self.read_heads, self.memory_width),
            **self.memory_state_shapes,
            "memory": memory,
        }

    @property
    def state_size(self) -> list[int]:
        """Sizes of the flat states."""
        return [math.prod(shape) for shape in self.state_shapes.values()]

    @property
    def output_size(self) -> int:
        """Size of the outputs `[h_t, r_t^1 .. r_t^R]`."""
        return self.units + self.read_heads * self.memory_width

    @property
    def _carried(self):
        """Names of the controller's own states."""
        return ("h", "c") if self.controller == "lstm" else ()

    def control(
        self, projected: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The controller's output `h_t` of `[x_t, r_{t-1}]`.

        Args:
            projected: What `project` made of `x_t`, `(batch, gates)`.
            state: Dict of the step's states.

        Returns:
            `h_t (batch, units)` and a dict of the controller's new states.
        """
        z = projected
        before = [state[name] for name in self._carried[:1]]
        if self.feeds_reads:
            size = self.read_heads * self.memory_width
            before.append(ops.reshape(state["reads"], (-1, size)))
        if before:
            z = z + self.recurrent_layer(ops.concatenate(before, axis=-1))
        z = at_least_float32(z)
        if self.controller == "dense":
            return ops.tanh(z), {}
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * state["c"] + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, {"h": h, "c": c}

    def with_reads(self, vectors: Tensor, reads: Tensor) -> Tensor:
        """`[v, r^1 .. r^R]`, `(batch, size + heads * width)`."""
        size = self.read_heads * self.memory_width
        reads = ops.cast(ops.reshape(reads, (-1, size)), vectors.dtype)
        return ops.concatenate([vectors, reads], axis=-1)

    def dense(
        self,
        name: str,
        inputs: int,
        units: int,
        activation: str | None = None,
        **options: Any,
    ) -> keras.Layer:
        """A built dense layer from vectors of `inputs` numbers."""
        layer = keras.layers.Dense(
            units, activation, name=name, dtype=self.dtype_policy, **options
        )
        layer.build((None, inputs))
        return layer

    def _wrong_inputs(self, inputs):
        return (
            "The inputs of this memory cell must have the shape (batch, "
            f"{self.input_size}) that it was built for. Received: "
            f"inputs of shape {tuple(inputs.shape)}"
        )

    def _flat(self, state):
        """A dict of states as the list that `keras.layers.RNN` carries."""
        return [
            ops.cast(ops.reshape(state[name], (-1, size)), self.compute_dtype)
            for name, size in zip(
                self.state_shapes, self.state_size, strict=True
            )
        ]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": self.units,
            "memory_slots": self.memory_slots,
            "memory_width": self.memory_width,
            "read_heads": self.read_heads,
            "controller": self.controller,
        }


class ProjectedCell(keras.layers.Layer):
    """A memory cell whose inputs are projected already, as an RNN cell.

    It shares the weights of the cell, and does not own them in a saved model
    that has the cell itself.

    Args:
        cell: `MemoryCell`.
    """

    def __init__(self, cell: MemoryCell) -> None:
        super().__init__(dtype=cell.dtype_policy)
        self.cell = cell
        self.state_size = cell.state_size
        self.output_size = cell.output_size

    def call(
        self, projected: Tensor, states: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One step, as `keras.layers.RNN` calls it.

        Args:
            projected: What `cell.project` returned for it, `(batch, gates)`.
            states: List of flat tensors, as of `get_initial_state`.

        Returns:
            Outputs `(batch, output_size)` and the list of new states.
        """
        outputs, states, _ = self.cell.step_projected(projected, states)
        return outputs, states

    def get_initial_state(self, batch_size: int | Tensor) -> list[Tensor]:
        """The states before the first step, those of the cell."""
        return self.cell.get_initial_state(batch_size)
