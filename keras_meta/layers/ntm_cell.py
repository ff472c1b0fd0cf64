"""The memory of the Neural Turing Machine (Graves et al. 2014)."""

from typing import Any

from keras import ops

from keras_meta.checks import check_choice, check_integer
from keras_meta.layers.content_addressing import cosine_similarity, read
from keras_meta.layers.memory_cell import MemoryCell
from keras_meta.ops import at_least_float32
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

ADDRESSING = ("content_and_location", "content")
# What heads may ask for, before their activation functions.
CLIP = 20
# The smallest weight before sharpening: its logarithm must be finite.
LEAST_WEIGHT = 1e-12


def addressing_parameters(raw: Tensor, width: int) -> tuple[Tensor, ...]:
    """What a head asks for, from the numbers that the controller gives it.

    Args:
        raw: `(batch, heads, size)`, the numbers of the key, `beta`, `g`,
            `s` and `gamma` in this order.
        width: Size of the key.

    Returns:
        Tensors `(batch, heads, ...)`: the key `k` in `[-1, 1]`, its strength
        `beta >= 0`, the gate `g` in `[0, 1]`, the shift `s`, which sums to
        1, and the sharpening `gamma >= 1`; `k`, `beta` alone if `raw` holds
        no more.
    """
    k, beta, location = ops.split(raw, (width, width + 1), axis=-1)
    k, beta = ops.tanh(k), ops.softplus(beta)
    if location.shape[-1] == 0:
        return k, beta
    g, s, gamma = ops.split(location, (1, location.shape[-1] - 1), axis=-1)
    return (
        k,
        beta,
        ops.sigmoid(g),
        ops.softmax(s, axis=-1),
        1 + ops.softplus(gamma),
    )


def interpolate(
    content_weights: Tensor, previous_weights: Tensor, g: Tensor
) -> Tensor:
    """`w_g = g w_c + (1 - g) w_{t-1}` (equation 7).

    Args:
        content_weights, previous_weights: `(batch, heads, slots)`.
        g: `(batch, heads, 1)` in `[0, 1]`.
    """
    return g * content_weights + (1 - g) * previous_weights


def shift(weights: Tensor, s: Tensor) -> Tensor:
    """`w_s(i) = sum_o w_g(i - o mod N) s(o)` (equation 8).

    An offset of +1 moves attention from row `i` to row `i + 1`.

    Args:
        weights: `(batch, heads, slots)`.
        s: `(batch, heads, 2 r + 1)`, for the offsets `-r .. r` in order; each
            row sums to 1.
    """
    reach = s.shape[-1] // 2
    return sum(
        ops.roll(weights, offset, axis=-1) * s[..., offset + reach, None]
        for offset in range(-reach, reach + 1)
    )


def sharpen(weights: Tensor, gamma: Tensor) -> Tensor:
    """`w(i) = w_s(i)^gamma / sum_j w_s(j)^gamma` (equation 9).

    Args:
        weights: `(batch, heads, slots)`, counted as 1e-12 where smaller.
        gamma: `(batch, heads, 1)`, at least 1.
    """
    logs = ops.log(ops.maximum(weights, LEAST_WEIGHT))
    # Equal to the fraction, whose powers would underflow.
    return ops.softmax(gamma * logs, axis=-1)


def write(
    memory: Tensor, weights: Tensor, erase: Tensor, add: Tensor
) -> Tensor:
    """`M(i) <- M(i) (1 - w(i) e) + w(i) a` (equations 3 and 4), head by head.

    Args:
        memory: `(batch, slots, width)`.
        weights: `(batch, heads, slots)`.
        erase: `e (batch, heads, width)` in `[0, 1]`.
        add: `a (batch, heads, width)`.
    """
    for head in range(weights.shape[1]):
        w = weights[:, head, :, None]
        e, a = erase[:, head, None], add[:, head, None]
        memory = memory * (1 - w * e) + w * a
    return memory


@register
class NTMCell(MemoryCell):
    """RNN cell of the Neural Turing Machine.

    With `N = memory_slots`, `M = memory_width` and the activations of
    `addressing_parameters`, a step is (Graves, Wayne and Danihelka 2014,
    "Neural Turing Machines", equations 2 to 9), for each head:

        h_t   = LSTM([x_t, r_{t-1}], h_{t-1})
        k, beta, g, s, gamma = Dense(h_t)
        w_c   = softmax_i(beta cos(k, M_{t-1}(i)))                       (N)
        w_g   = g w_c + (1 - g) w_{t-1}
        w_s(i) = sum_o w_g(i - o mod N) s(o)
        w(i)  = w_s(i)^gamma / sum_j w_s(j)^gamma
        r_t   = sum_i w(i) M_{t-1}(i)             for a read head        (M)
        M(i) <- M(i) (1 - w(i) e) + w(i) a        for a write head    (N, M)

    and the outputs are `[h_t, r_t^1 .. r_t^R]`: a dense layer behind is left
    to the model, which applies it to all steps at once.

    For stable training, as found by Collier and Beel (2018, "Implementing
    Neural Turing Machines"), the memory starts at 1e-6, the first weights
    and reads are learned, and what `Dense(h_t)` returns is clipped to
    `[-20, 20]`. With `addressing="content"` the first memory is learned
    instead: rows that start equal would be weighed, and so written, equally
    for ever.

    >>> import keras
    >>> cell = NTMCell(units=8, memory_slots=16, memory_width=4, read_heads=2)
    >>> outputs = keras.layers.RNN(cell, return_sequences=True)(
    ...     keras.ops.zeros((3, 5, 7)))
    >>> tuple(outputs.shape)
    (3, 5, 16)

    Args:
        units: Width of the controller.
        memory_slots: Rows `N` of the memory.
        memory_width: Numbers `M` in each row.
        read_heads: Number of read heads, at most `memory_slots`.
        write_heads: Number of write heads, which write one after the other.
        addressing: `"content_and_location"`, or `"content"` for `w = w_c`.
        shift_range: `r`: a head moves by `-r .. r` rows in a step.
        read_after_write: Whether read heads find and read the memory `M_t`,
            after the write, instead of `M_{t-1}`.
        **kwargs: `controller`, `"lstm"` or `"dense"` for one tanh layer, and
            the arguments of `keras.layers.Layer`.

    Raises:
        ValueError: For a size that is no positive integer, more read heads
            than slots or an unknown choice.
    """

    def __init__(
        self,
        units: int = 100,
        memory_slots: int = 128,
        memory_width: int = 20,
        read_heads: int = 1,
        write_heads: int = 1,
        *,
        addressing: str = "content_and_location",
        shift_range: int = 1,
        read_after_write: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, memory_slots, memory_width, read_heads, **kwargs
        )
        self.write_heads = check_integer("write_heads", write_heads, 1)
        self.addressing = check_choice("addressing", addressing, ADDRESSING)
        self.shift_range = check_integer("shift_range", shift_range, 1)
        self.read_after_write = bool(read_after_write)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        width = self.memory_width
        size = width + 1
        if self.addressing == "content_and_location":
            size += 1 + (2 * self.shift_range + 1) + 1
        self.read_layer = self.dense("read", self.units, self.read_heads * size)
        self.write_layer = self.dense(
            "write", self.units, self.write_heads * (size + 2 * width)
        )

        shapes: dict[str, tuple[int, ...]] = {"reads": (self.read_heads, width)}
        if self.addressing == "content":
            shapes["memory"] = (self.memory_slots, width)
        shapes.update(self.memory_state_shapes)
        self.initial_biases = {
            name: self.add_weight(
                shape=shape,
                name=f"initial_{name}",
                initializer="glorot_uniform",
            )
            for name, shape in shapes.items()
        }

    @property
    def memory_state_shapes(self) -> dict[str, tuple[int, ...]]:
        if self.addressing == "content":
            return {}
        return {
            "read_weights": (self.read_heads, self.memory_slots),
            "write_weights": (self.write_heads, self.memory_slots),
        }

    def initial_memory_state(self) -> dict[str, Tensor]:
        if not self.built:
            raise ValueError(
                "The first reads and weights of an NTMCell are learned: call "
                "`build((None, size))` before `get_initial_state`."
            )
        return {
            name: (ops.softmax if name.endswith("weights") else ops.tanh)(
                at_least_float32(bias)
            )
            for name, bias in self.initial_biases.items()
        }

    def advance(
        self, projected: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        h, carried = self.control(projected, state)
        memory = state["memory"]
        reading = self._heads(self.read_layer(h), self.read_heads)
        writing = self._heads(self.write_layer(h), self.write_heads)
        erase, add, writing = ops.split(
            writing, (self.memory_width, 2 * self.memory_width), axis=-1
        )
        write_weights = self._address(
            writing, state.get("write_weights"), memory
        )
        written = write(
            memory, write_weights, ops.sigmoid(erase), ops.tanh(add)
        )
        seen = written if self.read_after_write else memory
        read_weights = self._address(reading, state.get("read_weights"), seen)
        reads = read(read_weights, seen)
        weights = {
            "memory": written,
            "read_weights": read_weights,
            "write_weights": write_weights,
        }
        state = {**carried, **weights, "reads": reads}
        return self.with_reads(h, reads), state, weights

    def _heads(self, raw, heads):
        """The numbers of each head, clipped: `(batch, heads, size)`."""
        raw = ops.reshape(raw, (-1, heads, raw.shape[-1] // heads))
        return ops.clip(at_least_float32(raw), -CLIP, CLIP)

    def _address(self, raw, previous_weights, memory):
        """The weights `w (batch, heads, slots)` of some heads."""
        k, beta, *location = addressing_parameters(raw, self.memory_width)
        weights = ops.softmax(beta * cosine_similarity(k, memory), axis=-1)
        if self.addressing == "content":
            return weights
        g, s, gamma = location
        weights = interpolate(weights, previous_weights, g)
        return sharpen(shift(weights, s), gamma)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "write_heads": self.write_heads,
            "addressing": self.addressing,
            "shift_range": self.shift_range,
            "read_after_write": self.read_after_write,
        }
