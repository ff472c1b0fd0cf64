"""Peers of the memory family: the usual eager loop over steps in PyTorch.

A cell is a function `(case, weights) -> (state, step)`: the first state, a
tuple of tensors, and a function `(gates, state) -> (outputs, state)`. `gates`
are the inputs times their kernel, which all steps take at once.
"""

import itertools

from benchmarks.hyperparameters import (
    ADAM_EPSILON,
    COSINE_EPSILON,
    INITIAL_MEMORY,
    LEARNING_RATE,
    NTM_CLIP,
    NTM_LEAST_WEIGHT,
    USAGE_DECAY,
)
from benchmarks.memory_cases import LRUA, make_sequences, peer_batches
from benchmarks.workers import Step


def torch_controller(weights, gates, h, c, reads):
    """The LSTM, with what was read in the step before."""
    import torch

    before = torch.cat([h, reads.flatten(1)], dim=1)
    gates = torch.addmm(gates, before, weights["recurrent_kernel"])
    i, f, g, o = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def torch_cosines(keys, memory):
    """Cosine of each key `(batch, heads, width)` with each row."""
    from torch.nn import functional

    keys = functional.normalize(keys, dim=-1, eps=COSINE_EPSILON)
    memory = functional.normalize(memory, dim=-1, eps=COSINE_EPSILON)
    return keys @ memory.mT


def torch_lrua(case, weights):
    """The memory of Santoro et al. (2016)."""
    import torch
    from torch.nn import functional

    tasks, heads, width = case.tasks, case.read_heads, case.width
    write_gates = weights["alpha"].sigmoid()[:, None]
    new = weights["alpha"].new_zeros
    first_row = new(case.slots)
    first_row[0] = 1
    state = (
        new(tasks, case.units),
        new(tasks, case.units),
        new(tasks, heads, width),
        first_row.expand(tasks, heads, -1),
        first_row.expand(tasks, -1),
        new(tasks, case.slots, width) + INITIAL_MEMORY,
    )

    def step(gates, state):
        h, c, reads, read_weights, usage, memory = state
        h, c = torch_controller(weights, gates, h, c, reads)
        keys = torch.addmm(weights["key_bias"], h, weights["key_kernel"])
        keys = keys.tanh().view(tasks, heads, width)
        # Of rows used equally little any will do, as they are equal.
        rows = usage.detach().topk(heads, largest=False).indices
        least_used = torch.zeros_like(usage).scatter_(1, rows, 1)[:, None]
        kept = torch.ones_like(usage).scatter_(1, rows[:, :1], 0)[..., None]
        write_weights = (
            write_gates * read_weights + (1 - write_gates) * least_used
        )
        memory = torch.baddbmm(memory * kept, write_weights.mT, keys)
        read_weights = functional.softmax(torch_cosines(keys, memory), dim=-1)
        reads = read_weights @ memory
        usage = USAGE_DECAY * usage + (read_weights + write_weights).sum(1)
        outputs = torch.cat([h, reads.flatten(1)], dim=1)
        return outputs, (h, c, reads, read_weights, usage, memory)

    return state, step


def torch_ntm(case, weights):
    """The memory of Graves et al. (2014), which is read before the write."""
    import torch
    from torch.nn import functional

    tasks, heads, width = case.tasks, case.read_heads, case.width
    new = weights["input_bias"].new_zeros
    state = (
        new(tasks, case.units),
        new(tasks, case.units),
        weights["initial_reads"].tanh().expand(tasks, -1, -1),
        *(
            weights[f"initial_{name}_weights"].softmax(-1).expand(tasks, -1, -1)
            for name in ("read", "write")
        ),
        new(tasks, case.slots, width) + INITIAL_MEMORY,
    )

    def address(raw, before, memory):
        k, beta, g, s, gamma = raw.split((width, 1, 1, 3, 1), dim=-1)
        cosines = torch_cosines(k.tanh(), memory)
        found = (functional.softplus(beta) * cosines).softmax(-1)
        g, s = g.sigmoid(), s.softmax(-1)
        mixed = g * found + (1 - g) * before
        shifted = sum(
            mixed.roll(offset, -1) * s[..., offset + 1, None]
            for offset in (-1, 0, 1)
        )
        logs = shifted.clamp(min=NTM_LEAST_WEIGHT).log()
        return ((1 + functional.softplus(gamma)) * logs).softmax(-1)

    def raw_numbers(name, h, count):
        kernel, bias = weights[f"{name}_kernel"], weights[f"{name}_bias"]
        raw = torch.addmm(bias, h, kernel).view(tasks, count, -1)
        return raw.clamp(-NTM_CLIP, NTM_CLIP)

    def step(gates, state):
        h, c, reads, read_weights, write_weights, memory = state
        h, c = torch_controller(weights, gates, h, c, reads)
        reading = raw_numbers("read", h, heads)
        erase, add, writing = raw_numbers("write", h, 1).split(
            (width, width, reading.shape[-1]), dim=-1
        )
        write_weights = address(writing, write_weights, memory)
        read_weights = address(reading, read_weights, memory)
        reads = read_weights @ memory
        written = write_weights.mT
        memory = memory * (1 - written * erase.sigmoid())
        memory = memory + written * add.tanh()
        outputs = torch.cat([h, reads.flatten(1)], dim=1)
        return outputs, (h, c, reads, read_weights, write_weights, memory)

    return state, step


def torch_loss(case, weights, inputs, labels):
    """Mean cross-entropy of all steps.

    Args:
        case: `benchmarks.memory_cases.Case`.
        weights: Dict of tensors, as `case.named` gives it.
        inputs, labels: Tensors of an element of `peer_batches`.
    """
    import torch
    from torch.nn import functional

    cell = torch_lrua if case.memory == LRUA else torch_ntm
    state, step = cell(case, weights)
    # Time comes first, so that a step is one block of memory.
    inputs = inputs.transpose(0, 1)
    gates = inputs @ weights["input_kernel"] + weights["input_bias"]
    read = []
    for part in gates.unbind():
        outputs, state = step(part, state)
        read.append(outputs)
    logits = torch.stack(read, 1) @ weights["head_kernel"]
    logits = logits + weights["head_bias"]
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def torch_step(case, weights):
    """A training step.

    Args:
        case: `benchmarks.memory_cases.Case`.
        weights: The initial weights, as ours has them.
    """
    import torch

    weights = [torch.from_numpy(weight).requires_grad_() for weight in weights]
    optimizer = torch.optim.Adam(weights, LEARNING_RATE, eps=ADAM_EPSILON)
    batches = itertools.cycle(
        [
            tuple(map(torch.from_numpy, batch))
            for batch in peer_batches(case, make_sequences(case))
        ]
    )

    def run():
        optimizer.zero_grad()
        loss = torch_loss(case, case.named(weights), *next(batches))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Step(run, lambda: float(run()))
