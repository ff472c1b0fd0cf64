"""The figure of a sequence that is copied from memory."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_meta.plots.colours import WRONG
from keras_meta.plots.heat_maps import (
    USED,
    check_array,
    draw_colour_bar,
    draw_steps,
    draw_weights,
    figure_width,
    mark_size,
    number_slots,
    number_steps,
)

# Inches.
ROW_HEIGHT, MAP_HEIGHT = 0.11, 1.7
BITS = {"cmap": "gray_r", "vmin": 0, "vmax": 1}


def plot_copy(
    inputs: ArrayLike,
    target: ArrayLike,
    outputs: ArrayLike,
    write_weights: ArrayLike,
    read_weights: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> Figure:
    """Draws how a sequence is stored in memory and recalled.

    Below each other, at the same steps, are what the network sees, what it
    should give, what it gives, and where it writes and reads (Graves et al.
    2014, "Neural Turing Machines", figure 6). A network that copies reads in
    the order in which it wrote: two stripes of the same slope. A bit is wrong
    unless it is nearer to the target than 0.5; it has a cross.

    The slots are in the order in which heads move through them: the shortest
    stretch, which may go on from the last slot to the first, that has all
    those to which a tenth of a step's weight is ever given; all slots if
    there are none.

    Args:
        inputs: Array `(steps, channels)` in `[0, 1]`.
        target: Array `(steps, bits)` of 0 and 1.
        outputs: Array `(steps, bits)` in `[0, 1]`: the probability of a 1.
        write_weights, read_weights: Arrays `(steps, slots)` in `[0, 1]`: of
            one head each, `[0, :, 0]` of what `NTMCell.trace` returns.
        sample_weight: Optional array `(steps,)`, as `copy_dataset` draws it:
            where it is 0, no output is asked for, which is hatched; steps
            behind the last that counts are not drawn. A line marks the first
            that counts. By default all steps count.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each of the five.

    Raises:
        ValueError: If shapes do not fit together, values are out of range or
            no step counts.

    Example:

    >>> bits, rows = np.eye(2), np.eye(4)
    >>> silent = np.zeros((2, 2))
    >>> figure = plot_copy(
    ...     np.concatenate([bits, silent]), np.concatenate([silent, bits]),
    ...     np.full((4, 2), 0.2), rows, rows, sample_weight=[0, 0, 1, 1])
    >>> figure.axes[2].get_title(loc="left")
    'Outputs: 2 of 4 bits wrong'
    """
    arrays = _check_arrays(inputs, target, outputs, write_weights, read_weights)
    counts = _check_counts(sample_weight, len(arrays["inputs"]))
    steps = int(np.flatnonzero(counts)[-1]) + 1
    counts = counts[:steps]
    arrays = {name: array[:steps] for name, array in arrays.items()}
    slots = _used_stretch(arrays["write_weights"], arrays["read_weights"])
    figure, panels = _make_axes(arrays, steps)
    _draw_bits(panels, arrays, counts)
    maps = {}
    for axes, name in zip(panels[3:], ("write", "read"), strict=True):
        weights = arrays[f"{name}_weights"][:, slots].T
        title = f"{name.capitalize()} weights: {_stretch(slots, arrays)}"
        maps[axes] = draw_weights(axes, weights, title, "Slot")
        number_slots(axes, slots)
    number_steps(panels[-1])
    for axes, image in maps.items():
        draw_colour_bar(axes, image, figure_width(steps))
    return figure


def _make_axes(arrays, steps):
    """A figure with five panels over the steps, below each other."""
    heights = [
        max(ROW_HEIGHT * arrays[name].shape[1], 0.4)
        for name in ("inputs", "target", "outputs")
    ] + [MAP_HEIGHT] * 2
    figure = Figure(
        figsize=(figure_width(steps) + 1.2, sum(heights) + 1.6),
        layout="constrained",
    )
    panels = figure.subplots(
        len(heights),
        sharex=True,
        gridspec_kw={"height_ratios": heights},
    )
    return figure, list(panels)


def _draw_bits(panels, arrays, counts):
    """Draws inputs, target and outputs, with a cross at each wrong bit."""
    target, outputs = arrays["target"], arrays["outputs"]
    wrong = (abs(outputs - target) >= 0.5) & counts[:, None]
    asked = np.where(counts[:, None], outputs, np.nan)
    total = counts.sum() * target.shape[1]
    draw_steps(panels[0], arrays["inputs"].T, "Inputs", "Channel", **BITS)
    draw_steps(panels[1], target.T, "Target", "Bit", **BITS)
    title = f"Outputs: {wrong.sum()} of {total} bits wrong"
    draw_steps(panels[2], asked.T, title, "Bit", **BITS)
    # What is not asked for shows through, hatched.
    panels[2].patch.set(hatch="////", edgecolor="0.85")
    steps, bits = np.nonzero(wrong)
    panels[2].plot(
        steps + 1,
        bits,
        linestyle="",
        marker="x",
        markersize=0.8 * mark_size(len(counts)),
        color=WRONG,
    )
    for axes in panels[:3]:
        axes.set_yticks([])
    if not counts[0]:
        begin = counts.argmax() + 0.5
        for axes in panels:
            axes.axvline(begin, color="black", linewidth=0.8, linestyle=":")


def _used_stretch(*weights):
    """The shortest stretch of slots, on a ring, that holds all used ones.

    Args:
        *weights: Arrays `(steps, slots)`.

    Returns:
        Integers `(drawn,)`: the slots in order.
    """
    slots = weights[0].shape[1]
    most = np.max([array.max(axis=0) for array in weights], axis=0)
    used = np.flatnonzero(most >= USED)
    if not len(used):
        return np.arange(slots)
    # From each used slot to the next, once around.
    gaps = np.diff(used, append=used[0] + slots)
    widest = gaps.argmax()
    begin = used[(widest + 1) % len(used)]
    return (begin + np.arange(slots - gaps[widest] + 1)) % slots


def _stretch(slots, arrays):
    return f"{len(slots)} of {arrays['write_weights'].shape[1]} slots"


def _check_arrays(inputs, target, outputs, write_weights, read_weights):
    """Casts and checks the arrays, by name."""
    free = ("steps", None)
    inputs = check_array("inputs", inputs, [free, ("channels", None)])
    steps = ("steps", len(inputs))
    target = check_array("target", target, [steps, ("bits", None)])
    bits = ("bits", target.shape[1])
    write = check_array(
        "write_weights", write_weights, [steps, ("slots", None)]
    )
    slots = ("slots", write.shape[1])
    arrays = {
        "inputs": inputs,
        "target": target,
        "outputs": check_array("outputs", outputs, [steps, bits]),
        "write_weights": write,
        "read_weights": check_array(
            "read_weights", read_weights, [steps, slots]
        ),
    }
    for name, array in arrays.items():
        # A softmax may sum to a little more than 1.
        if array.min() < 0 or array.max() > 1 + 1e-5:
            raise ValueError(
                f"`{name}` must lie in [0, 1]. Received: values from "
                f"{array.min():g} to {array.max():g}"
            )
    return arrays


def _check_counts(sample_weight, steps):
    """Bool `(steps,)`: which steps have outputs that are asked for."""
    if sample_weight is None:
        return np.full(steps, True)
    counts = check_array("sample_weight", sample_weight, [("steps", steps)])
    if not counts.any():
        raise ValueError(
            "`sample_weight` must not be 0 at all steps. "
            f"Received: {steps} zeros"
        )
    return counts != 0
