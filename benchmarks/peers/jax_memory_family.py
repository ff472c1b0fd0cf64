"""Peers of the memory family in JAX: `lax.scan` over the steps.

A cell is a function `(case, weights) -> (state, step)`: the first state, a
tuple of arrays, and a function `(state, gates) -> (state, outputs)`, as
`lax.scan` takes it. `gates` are the inputs times their kernel, which all steps
take at once.
"""

from benchmarks.hyperparameters import (
    COSINE_EPSILON,
    INITIAL_MEMORY,
    NTM_CLIP,
    NTM_LEAST_WEIGHT,
    USAGE_DECAY,
)
from benchmarks.memory_cases import LRUA, make_sequences, peer_batches
from benchmarks.peers.jax_updates import jax_compiled_step


def jax_controller(weights, gates, h, c, reads):
    """The LSTM, with what was read in the step before."""
    import jax
    from jax import numpy as jnp

    before = jnp.concatenate([h, reads.reshape(len(h), -1)], axis=1)
    gates = gates + before @ weights["recurrent_kernel"]
    i, f, g, o = jnp.split(gates, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def jax_cosines(keys, memory):
    """Cosine of each key `(batch, heads, width)` with each row."""
    from jax import lax
    from jax import numpy as jnp

    def inverse_norms(vectors):
        squares = (vectors * vectors).sum(-1)
        return lax.rsqrt(jnp.maximum(squares, COSINE_EPSILON**2))

    products = jnp.einsum("bhm,bnm->bhn", keys, memory)
    products = products * inverse_norms(keys)[:, :, None]
    return products * inverse_norms(memory)[:, None]


def jax_lrua(case, weights):
    """The memory of Santoro et al. (2016)."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    tasks, heads, width = case.tasks, case.read_heads, case.width
    write_gates = jax.nn.sigmoid(weights["alpha"])[:, None]
    dtype = write_gates.dtype
    first_row = jax.nn.one_hot(0, case.slots, dtype=dtype)
    state = (
        jnp.zeros((tasks, case.units), dtype),
        jnp.zeros((tasks, case.units), dtype),
        jnp.zeros((tasks, heads, width), dtype),
        jnp.tile(first_row, (tasks, heads, 1)),
        jnp.tile(first_row, (tasks, 1)),
        jnp.full((tasks, case.slots, width), INITIAL_MEMORY, dtype),
    )

    def step(state, gates):
        h, c, reads, read_weights, usage, memory = state
        h, c = jax_controller(weights, gates, h, c, reads)
        keys = jnp.tanh(h @ weights["key_kernel"] + weights["key_bias"])
        keys = keys.reshape(tasks, heads, width)
        # Of rows used equally little any will do, as they are equal.
        rows = lax.top_k(-lax.stop_gradient(usage), heads)[1]
        least_used = jax.nn.one_hot(rows, case.slots, dtype=dtype)
        kept = 1 - least_used[:, 0, :, None]
        least_used = least_used.sum(1, keepdims=True)
        write_weights = (
            write_gates * read_weights + (1 - write_gates) * least_used
        )
        memory = memory * kept + jnp.einsum("bhn,bhm->bnm", write_weights, keys)
        read_weights = jax.nn.softmax(jax_cosines(keys, memory))
        reads = read_weights @ memory
        usage = USAGE_DECAY * usage + (read_weights + write_weights).sum(1)
        outputs = jnp.concatenate([h, reads.reshape(tasks, -1)], axis=1)
        return (h, c, reads, read_weights, usage, memory), outputs

    return state, step


def jax_ntm(case, weights):
    """The memory of Graves et al. (2014), which is read before the write."""
    import jax
    from jax import numpy as jnp

    tasks, heads, width = case.tasks, case.read_heads, case.width
    dtype = weights["input_bias"].dtype
    state = (
        jnp.zeros((tasks, case.units), dtype),
        jnp.zeros((tasks, case.units), dtype),
        jnp.tile(jnp.tanh(weights["initial_reads"]), (tasks, 1, 1)),
        *(
            jnp.tile(
                jax.nn.softmax(weights[f"initial_{name}_weights"]),
                (tasks, 1, 1),
            )
            for name in ("read", "write")
        ),
        jnp.full((tasks, case.slots, width), INITIAL_MEMORY, dtype),
    )

    def address(raw, before, memory):
        bounds = [width, width + 1, width + 2, width + 5]
        k, beta, g, s, gamma = jnp.split(raw, bounds, axis=-1)
        cosines = jax_cosines(jnp.tanh(k), memory)
        found = jax.nn.softmax(jax.nn.softplus(beta) * cosines)
        g, s = jax.nn.sigmoid(g), jax.nn.softmax(s)
        mixed = g * found + (1 - g) * before
        shifted = sum(
            jnp.roll(mixed, offset, -1) * s[..., offset + 1, None]
            for offset in (-1, 0, 1)
        )
        logs = jnp.log(jnp.maximum(shifted, NTM_LEAST_WEIGHT))
        return jax.nn.softmax((1 + jax.nn.softplus(gamma)) * logs)

    def raw_numbers(name, h, count):
        raw = h @ weights[f"{name}_kernel"] + weights[f"{name}_bias"]
        return jnp.clip(raw.reshape(tasks, count, -1), -NTM_CLIP, NTM_CLIP)

    def step(state, gates):
        h, c, reads, read_weights, write_weights, memory = state
        h, c = jax_controller(weights, gates, h, c, reads)
        writing = raw_numbers("write", h, 1)
        erase, add, writing = jnp.split(writing, [width, 2 * width], axis=-1)
        write_weights = address(writing, write_weights, memory)
        read_weights = address(
            raw_numbers("read", h, heads), read_weights, memory
        )
        reads = read_weights @ memory
        written = write_weights.swapaxes(1, 2)
        memory = memory * (1 - written * jax.nn.sigmoid(erase))
        memory = memory + written * jnp.tanh(add)
        outputs = jnp.concatenate([h, reads.reshape(tasks, -1)], axis=1)
        return (h, c, reads, read_weights, write_weights, memory), outputs

    return state, step


def jax_loss(case, weights, inputs, labels):
    """Mean cross-entropy of all steps.

    Args:
        case: `benchmarks.memory_cases.Case`.
        weights: List of arrays, as ours has them.
        inputs, labels: An element of `peer_batches`.
    """
    import jax
    from jax import lax
    from jax import numpy as jnp

    weights = case.named(weights)
    cell = jax_lrua if case.memory == LRUA else jax_ntm
    state, step = cell(case, weights)
    gates = inputs.swapaxes(0, 1) @ weights["input_kernel"]
    _, outputs = lax.scan(step, state, gates + weights["input_bias"])
    logits = outputs @ weights["head_kernel"] + weights["head_bias"]
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, labels.T[..., None], -1).mean()


def jax_step(case, weights):
    """A training step.

    Args:
        case: `benchmarks.memory_cases.Case`.
        weights: The initial weights, as ours has them.
    """
    import jax

    def gradient(weights, *batch):
        return jax.value_and_grad(jax_loss, argnums=1)(case, weights, *batch)

    batches = peer_batches(case, make_sequences(case))
    return jax_compiled_step(gradient, weights, batches)
