"""The memory of Santoro et al. (2016), with least recently used access."""

from typing import Any

from keras import ops

from keras_meta.checks import check_choice, check_number
from keras_meta.layers.content_addressing import cosine_similarity, read
from keras_meta.layers.memory_cell import MemoryCell
from keras_meta.ops import at_least_float32, wide
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

LEAST_USED = ("shared", "per_head", "threshold")
ZEROED_ROWS = ("one", "all")
ADDRESS_MEMORY = ("current", "previous")
GATES = ("scalar", "controller")
CONTROLLER_INPUT = ("inputs_and_reads", "inputs")
WRITTEN_CONTENT = ("key", "separate_add")


@register
class LRUACell(MemoryCell):
    """RNN cell that writes where its memory was used least, or last read.

    With `N = memory_slots`, `M = memory_width` and heads `h = 1 .. R`, a step
    is (Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural
    Networks", section 3, in the order of its equations' dependence):

        h_t   = LSTM([x_t, r_{t-1}], h_{t-1})
        k^h   = tanh(Dense(h_t))                                      (R, M)
        w_lu  = 1 at the R smallest of w_u_{t-1}, 0 elsewhere            (N)
        w_w^h = sigmoid(alpha^h) w_r^h_{t-1}
                + (1 - sigmoid(alpha^h)) w_lu                         (R, N)
        M'    = M_{t-1}, with zeros in the row least used, argmin w_u_{t-1}
        M_t   = M' + sum_h w_w^h k^h                                  (N, M)
        w_r^h = softmax_i cos(k^h, M_t(i)),  r^h = sum_i w_r^h(i) M_t(i)
        w_u   = gamma w_u_{t-1} + sum_h w_r^h + sum_h w_w^h              (N)

    and the outputs are `[h_t, r^1 .. r^R]`: the paper's last dense layer is
    left to the model, which applies it to all steps at once. Of several rows
    used equally little, the lowest comes first. The choice of `w_lu` is
    piecewise constant: no gradient goes through it.

    The memory starts at 1e-6, with `w_u` and every `w_r` at row 0. Each
    sequence starts anew, so don't make the RNN layer stateful.

    >>> import keras
    >>> cell = LRUACell(units=8, memory_slots=16, memory_width=4, read_heads=2)
    >>> outputs = keras.layers.RNN(cell, return_sequences=True)(
    ...     keras.ops.zeros((3, 5, 7)))
    >>> tuple(outputs.shape)
    (3, 5, 16)

    Args:
        units: Width of the controller.
        memory_slots: Rows `N` of the memory.
        memory_width: Numbers `M` in each row.
        read_heads: `R`, at most `memory_slots`. Each has a key, with which
            it writes and then reads.
        least_used: `"shared"`: all heads write to the same `R` rows, as in
            the equations. `"per_head"`: head `i` writes to the `i`-th of
            them. `"threshold"`: the literal `w_u <= m(w_u, R)`, which marks
            more than `R` rows when several are used equally; at the first
            step these are all but one.
        zeroed_rows: `"one"`, or `"all"` that `w_lu` marks.
        address_memory: `"current"`, or `"previous"` to find `w_r` on
            `M_{t-1}`. Both read `M_t`.
        gate: `"scalar"`: `alpha` is one learned number for each head.
            `"controller"`: it is `Dense(h_t)`, as in public codes.
        written_content: `"key"`, or `"separate_add"` to write a vector
            `tanh(Dense(h_t))` of its own, as in public codes.
        controller_input: `"inputs_and_reads"`, or `"inputs"` for a
            controller that does not see `r_{t-1}`.
        usage_decay: `gamma`, in `[0, 1]`.
        **kwargs: `controller`, `"lstm"` or `"dense"` for one tanh layer, and
            the arguments of `keras.layers.Layer`.

    Raises:
        ValueError: For a size that is no positive integer, more read heads
            than slots, an unknown choice or a decay outside `[0, 1]`.
    """

    def __init__(
        self,
        units: int = 200,
        memory_slots: int = 128,
        memory_width: int = 40,
        read_heads: int = 4,
        *,
        least_used: str = "shared",
        zeroed_rows: str = "one",
        address_memory: str = "current",
        gate: str = "scalar",
        written_content: str = "key",
        controller_input: str = "inputs_and_reads",
        usage_decay: float = 0.95,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, memory_slots, memory_width, read_heads, **kwargs
        )
        self.least_used = check_choice("least_used", least_used, LEAST_USED)
        self.zeroed_rows = check_choice("zeroed_rows", zeroed_rows, ZEROED_ROWS)
        self.address_memory = check_choice(
            "address_memory", address_memory, ADDRESS_MEMORY
        )
        self.gate = check_choice("gate", gate, GATES)
        self.written_content = check_choice(
            "written_content", written_content, WRITTEN_CONTENT
        )
        self.controller_input = check_choice(
            "controller_input", controller_input, CONTROLLER_INPUT
        )
        self.feeds_reads = self.controller_input == "inputs_and_reads"
        self.usage_decay = check_number("usage_decay", usage_decay)
        if not 0 <= self.usage_decay <= 1:
            raise ValueError(
                "`usage_decay` must be in [0, 1]. "
                f"Received: usage_decay={usage_decay!r}"
            )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        size = self.read_heads * self.memory_width
        self.key_layer = self.dense("key", self.units, size, "tanh")
        if self.written_content == "separate_add":
            self.add_layer = self.dense("add", self.units, size, "tanh")
        if self.gate == "controller":
            self.gate_layer = self.dense("gate", self.units, self.read_heads)
        else:
            self.alpha = self.add_weight(
                shape=(self.read_heads,), initializer="zeros", name="alpha"
            )

    @property
    def memory_state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "read_weights": (self.read_heads, self.memory_slots),
            "usage_weights": (self.memory_slots,),
        }

    def initial_memory_state(self) -> dict[str, Tensor]:
        dtype = wide(self.compute_dtype)
        row = ops.one_hot(0, self.memory_slots, dtype=dtype)
        return {
            "reads": ops.zeros((self.read_heads, self.memory_width), dtype),
            "read_weights": ops.tile(row, (self.read_heads, 1)),
            "usage_weights": row,
        }

    def advance(
        self, projected: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        h, carried = self.control(projected, state)
        accessed, weights = self.access(*self._heads(h), state)
        outputs = self.with_reads(h, accessed["reads"])
        return outputs, {**carried, **accessed}, weights

    def access(
        self,
        keys: Tensor,
        content: Tensor,
        gates: Tensor,
        state: dict[str, Tensor],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The equations of the memory, from `w_lu` to `w_u`.

        Args:
            keys: `k (batch, heads, width)`.
            content: What is written, `(batch, heads, width)`; the keys
                themselves in the paper.
            gates: `sigmoid(alpha)`, of a shape that broadcasts to `(batch,
                heads, slots)`.
            state: Dict of `memory (batch, slots, width)`, `read_weights
                (batch, heads, slots)` and `usage_weights (batch, slots)`.

        Returns:
            A dict like `state` with `reads (batch, heads, width)` too, and
            the dict of weights that `step` returns.
        """
        memory, usage = state["memory"], state["usage_weights"]
        least_used, zeroed = self._least_used_rows(usage)
        write_weights = gates * state["read_weights"] + (1 - gates) * least_used
        # An einsum and no product of transposed matrices: XLA would keep the
        # transposed ones of all steps for the gradient.
        written = ops.where(zeroed[:, :, None], 0.0, memory) + ops.einsum(
            "bhn,bhm->bnm", write_weights, content
        )
        addressed = written if self.address_memory == "current" else memory
        read_weights = ops.softmax(cosine_similarity(keys, addressed))
        usage = (
            self.usage_decay * usage
            + ops.sum(read_weights, axis=1)
            + ops.sum(write_weights, axis=1)
        )
        weights = {
            "memory": written,
            "read_weights": read_weights,
            "usage_weights": usage,
        }
        accessed = {**weights, "reads": read(read_weights, written)}
        return accessed, {**weights, "write_weights": write_weights}

    def _heads(self, h):
        """Keys, content and gates of `h_t`, float32 at least."""

        def vectors(layer):
            size = (-1, self.read_heads, self.memory_width)
            return ops.reshape(at_least_float32(layer(h)), size)

        keys = content = vectors(self.key_layer)
        if self.written_content == "separate_add":
            content = vectors(self.add_layer)
        if self.gate == "controller":
            alpha = self.gate_layer(h)
        else:
            alpha = self.alpha[None]
        return keys, content, ops.sigmoid(at_least_float32(alpha))[:, :, None]

    def _least_used_rows(self, usage):
        """`w_lu`, which broadcasts to all heads, and whether a row is zeroed.

        Args:
            usage: `w_u (batch, slots)` of the step before.

        Returns:
            `w_lu (batch, 1 or heads, slots)` of zeros and ones, and bool
            `(batch, slots)`.
        """
        # Repeated argmin: the lowest of equal rows comes first on all
        # devices, which top_k does not promise.
        usage = ops.stop_gradient(usage)
        rows, left, marks = ops.arange(self.memory_slots), usage, []
        for _ in range(self.read_heads):
            marks.append(ops.equal(rows, ops.argmin(left, -1)[:, None]))
            left = ops.where(marks[-1], float("inf"), left)
        if self.least_used == "threshold":
            last = ops.where(marks[-1], usage, float("-inf"))
            least = usage <= ops.max(last, axis=-1, keepdims=True)
            least = least[:, None]
        else:
            least = ops.stack(marks, axis=1)
            if self.least_used == "shared":
                least = ops.any(least, axis=1, keepdims=True)
        all_zeroed = self.zeroed_rows == "all"
        zeroed = ops.any(least, axis=1) if all_zeroed else marks[0]
        return ops.cast(least, usage.dtype), zeroed

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "least_used": self.least_used,
            "zeroed_rows": self.zeroed_rows,
            "address_memory": self.address_memory,
            "gate": self.gate,
            "written_content": self.written_content,
            "controller_input": self.controller_input,
            "usage_decay": self.usage_decay,
        }
