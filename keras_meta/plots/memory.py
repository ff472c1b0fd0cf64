"""The figure of what a memory holds, and of how it is written and read."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_meta.plots.colours import CORRECT, NEUTRAL, WRONG
from keras_meta.plots.heat_maps import (
    USED,
    check_array,
    draw_colour_bar,
    draw_weights,
    figure_width,
    mark_size,
    number_slots,
    number_steps,
    title_map,
)
from keras_meta.plots.text_fitting import FONT_SIZE

# Inches: of the maps of weights and of the memory, and of the row of a class.
MAP_HEIGHT, MEMORY_WIDTH, CLASS_HEIGHT = 1.5, 1.5, 0.15
TITLES = {
    "write_weights": "Write weights",
    "read_weights": "Read weights",
    "usage_weights": "Usage weights",
}


def plot_memory(
    memory: Mapping[str, ArrayLike],
    target: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
) -> Figure:
    """Draws how a memory is written and read over one sequence.

    Maps of the slots at each step show the write weights, the read weights
    and, of a cell that has them, the usage weights (Santoro et al. 2016,
    "Meta-Learning with Memory-Augmented Neural Networks", section 3); beside
    them is the memory after the last step, with its slots in the same order.
    Of several heads, the largest weight is drawn.

    Shown are the slots to which a head ever gives a tenth of its weight, or
    all if there are none, in the order in which that first happens. The title
    says how many they are.

    Above is the class of each step, in the order of first presentations. A
    first presentation, whose label can only be guessed, has a square around
    its mark.

    Args:
        memory: Dict of the arrays of one sequence, as `read_memory` of
            `MemoryAugmentedNetwork` returns them for several:
            `write_weights` and `read_weights` `(steps, heads, slots)`,
            `memory (slots, width)` and, optionally, `usage_weights (steps,
            slots)`.
        target: Optional array `(steps, labels)`: the label of each step,
            one-hot or a string of letters, as `sequence_dataset` draws it.
        predictions: Optional array `(steps, labels)`: logits or
            probabilities, for marks that tell right from wrong. They need
            `target`.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for the classes, if
        `target` is given, one for each kind of weights and one for the memory,
        in this order.

    Raises:
        ValueError: If keys are missing, shapes do not fit together, values
            are not finite, or the rows of `target` are no labels.

    Example:

    >>> weights = np.eye(3)[:, None]
    >>> memory = {"write_weights": weights, "read_weights": weights}
    >>> memory["memory"] = np.ones((3, 4))
    >>> figure = plot_memory(memory, target=np.eye(2)[[0, 1, 0]])
    >>> [axes.get_title(loc="left") for axes in figure.axes[:3]]
    ['3 steps of 2 classes', 'Write weights', 'Read weights']
    """
    arrays = _check_memory(memory)
    steps = len(arrays["write_weights"])
    classes, right = _check_labels(target, predictions, steps)
    used, title = _used_slots(arrays)
    names = [name for name in TITLES if name in arrays]
    heights = [MAP_HEIGHT] * len(names)
    if classes is not None:
        heights.insert(0, CLASS_HEIGHT * max(classes.max() + 1, 4))
    figure, panels, beside = _make_axes(steps, heights, len(names))
    if classes is not None:
        _draw_classes(panels[0], classes, right)
    maps = {}
    for axes, name in zip(panels[-len(names) :], names, strict=True):
        maps[axes] = _draw_weights(axes, name, arrays[name], used)
    maps[beside] = _draw_memory(beside, arrays["memory"], used)
    number_steps(panels[-1])
    for axes, image in maps.items():
        width = MEMORY_WIDTH if axes is beside else figure_width(steps)
        draw_colour_bar(axes, image, width)
    figure.suptitle(title, fontsize=FONT_SIZE + 2.5)
    return figure


def _make_axes(steps, heights, maps):
    """A figure with panels over the steps, and one beside the lowest `maps`.

    Args:
        steps: How many steps the panels have.
        heights: The height of each panel, in inches.
        maps: How many panels are maps of weights.

    Returns:
        The figure, the list of the panels, and the Axes beside them.
    """
    width = figure_width(steps)
    figure = Figure(
        figsize=(width + MEMORY_WIDTH + 1.6, sum(heights) + 1.1),
        layout="constrained",
    )
    grid = figure.add_gridspec(
        len(heights),
        2,
        height_ratios=heights,
        width_ratios=[width, MEMORY_WIDTH],
    )
    panels = []
    for row in range(len(heights)):
        axes = figure.add_subplot(
            grid[row, 0], sharex=panels[0] if panels else None
        )
        axes.tick_params(labelbottom=row == len(heights) - 1)
        panels.append(axes)
    return figure, panels, figure.add_subplot(grid[-maps:, 1])


def _draw_classes(axes, classes, right):
    """Draws a mark in the row of each step's class.

    Args:
        axes: Where to draw.
        classes: Integers `(steps,)`, in the order of first presentations.
        right: Bool `(steps,)`: whether a prediction is right; None if there
            are none.
    """
    steps, size = np.arange(1, len(classes) + 1), mark_size(len(classes))
    first = _first_presentations(classes)
    marks = [(np.full(len(classes), True), "o", NEUTRAL, "step")]
    if right is not None:
        marks = [(right, "o", CORRECT, "right"), (~right, "x", WRONG, "wrong")]
    for chosen, marker, colour, label in marks:
        axes.plot(
            steps[chosen],
            classes[chosen],
            linestyle="",
            marker=marker,
            markersize=0.65 * size,
            color=colour,
            label=label,
        )
    axes.plot(
        steps[first],
        classes[first],
        linestyle="",
        marker="s",
        markersize=size,
        color="black",
        fillstyle="none",
        markeredgewidth=0.8,
        label="first presentation",
    )
    count = classes.max() + 1
    every = -(-count // 10)
    axes.set_yticks(range(0, count, every), range(1, count + 1, every))
    axes.set_ylim(count - 0.4, -0.6)
    title_map(axes, _classes_title(classes, right), "Class")
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=FONT_SIZE + 1,
    )


def _classes_title(classes, right):
    """Says how many steps there are, and how many are right."""
    if right is None:
        return f"{len(classes)} steps of {classes.max() + 1} classes"
    first = _first_presentations(classes)
    title = f"Right: {right[first].sum()} of {first.sum()} first presentations"
    if not first.all():
        title += f", {right[~first].sum()} of {(~first).sum()} later ones"
    return title


def _first_presentations(classes):
    """Which of the steps show a class for the first time."""
    first = np.full(len(classes), False)
    first[np.unique(classes, return_index=True)[1]] = True
    return first


def _draw_weights(axes, name, weights, used):
    """Draws the weights `(steps, heads, slots)` of the slots `used`."""
    title = TITLES[name]
    if name != "usage_weights" and weights.shape[1] > 1:
        title += f", largest of {weights.shape[1]} heads"
    number_slots(axes, used)
    return draw_weights(axes, weights.max(axis=1)[:, used].T, title, "Slot")


def _draw_memory(axes, memory, used):
    """Draws the rows `used` of the memory `(slots, width)`."""
    most = max(abs(memory[used]).max(), np.finfo("float32").tiny)
    image = axes.imshow(
        memory[used],
        aspect="auto",
        interpolation="none",
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
    )
    title_map(axes, "Memory at the end", "Slot")
    axes.set_xlabel("Number in the slot", fontsize=FONT_SIZE + 0.5)
    number_slots(axes, used)
    return image


def _used_slots(arrays):
    """The slots to be drawn, in the order of their first use, and a title."""
    steps, _, slots = arrays["write_weights"].shape
    used = np.full((steps, slots), False)
    for name in ("write_weights", "read_weights"):
        used |= arrays[name].max(axis=1) >= USED
    if not used.any():
        title = f"All {slots} slots: none gets {USED:.0%} of a head's weight"
        return np.arange(slots), title
    first = np.where(used.any(axis=0), used.argmax(axis=0), steps)
    count = used.any(axis=0).sum()
    title = f"{count} of {slots} slots, in the order of their first use"
    return np.argsort(first, kind="stable")[:count], title


def _check_memory(memory):
    """Casts and checks the arrays; gives usage weights an axis of heads."""
    keys = ("write_weights", "read_weights", "memory")
    if not isinstance(memory, dict) or set(keys) - set(memory):
        received = list(memory) if isinstance(memory, dict) else memory
        raise ValueError(
            f"`memory` must be a dict of {keys} and, optionally, "
            "usage_weights, as `read_memory` returns it. "
            f"Received: {received!r:.80}"
        )

    def checked(key, *shape):
        return check_array(f"memory['{key}']", memory[key], shape)

    heads = ("heads", None)
    write = checked("write_weights", ("steps", None), heads, ("slots", None))
    steps, slots = ("steps", len(write)), ("slots", write.shape[2])
    arrays = {
        "write_weights": write,
        "read_weights": checked("read_weights", steps, heads, slots),
        "memory": checked("memory", slots, ("width", None)),
    }
    if "usage_weights" in memory:
        usage = checked("usage_weights", steps, slots)
        arrays["usage_weights"] = usage[:, None]
    return arrays


def _check_labels(target, predictions, steps):
    """The class of each step, and whether its prediction is right.

    Returns:
        Integers `(steps,)`, in the order of first presentations, and bool
        `(steps,)`; each None if not given.
    """
    if target is None:
        if predictions is not None:
            raise ValueError(
                "`target` must be given if `predictions` are. "
                "Received: target=None"
            )
        return None, None
    shape = [("steps", steps), ("labels", None)]
    target = check_array("target", target, shape)
    ones = int(target[0].sum())
    # A label is one-hot in each of its parts: one, or the letters of a string.
    parts = ones if ones and target.shape[1] % ones == 0 else 1
    target = target.reshape(steps, parts, -1)
    if not (np.isin(target, (0, 1)).all() and (target.sum(axis=2) == 1).all()):
        raise ValueError(
            "`target` must hold one-hot rows or strings of letters, as "
            "`keras_meta.data.sequence_dataset` draws them. Received: the "
            f"first row {target[0].ravel()}"
        )
    letters = target.argmax(axis=2)
    _, first, classes = np.unique(
        letters, axis=0, return_index=True, return_inverse=True
    )
    classes = np.argsort(np.argsort(first))[classes.reshape(-1)]
    if predictions is None:
        return classes, None
    shape[1] = ("labels", parts * target.shape[2])
    predictions = check_array("predictions", predictions, shape)
    predicted = predictions.reshape(target.shape).argmax(axis=2)
    return classes, (predicted == letters).all(axis=1)
