"""The figure of the accuracy of presets against their time."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import zoo
from benchmarks import presets as preset_times
from keras_meta.plots.colours import COLOURS
from keras_meta.plots.name_placement import write_class_names
from zoo import preset_folder

# Panels: tasks that can be compared.
PANELS = {
    "omniglot test": "Omniglot, new alphabets",
    "omniglot-random1200 test": "Omniglot, new characters of known alphabets",
}
SETTING = "5-way 1-shot"


def points_of(data):
    """The accuracies and times of the presets that were measured on some data.

    Args:
        data: A key of `PANELS`.

    Returns:
        List of `(name, milliseconds, accuracy, interval)`.
    """
    found, milliseconds = [], preset_times.stored()["milliseconds"]
    for name in zoo.list_presets():
        results = preset_folder.read_results(zoo.PRESETS / name).evaluations
        same = [
            result
            for result in results
            if result.evaluation.setting == SETTING
            and result.evaluation.stream.data == data
        ]
        if same and name in milliseconds:
            numbers = same[0].numbers
            time = sum(milliseconds[name].values())
            found.append((name, time, numbers["accuracy"], numbers["interval"]))
    return found


def plot_costs():
    """Draws a panel for each data set: accuracy against milliseconds.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = Figure(figsize=(9.5, 8), layout="constrained")
    panels = figure.subplots(len(PANELS), sharex=True)
    for axes, (data, title) in zip(panels, PANELS.items(), strict=True):
        names, times, accuracies, intervals = zip(*points_of(data), strict=True)
        axes.errorbar(
            times, accuracies, intervals, fmt="o", capsize=3, color=COLOURS[0]
        )
        axes.set(xscale="log", title=title, ylabel="Accuracy, percent")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("Milliseconds of adapt and infer on a CPU")
    for axes, data in zip(panels, PANELS, strict=True):
        names, times, accuracies, _ = zip(*points_of(data), strict=True)
        write_class_names(
            axes,
            np.stack([times, accuracies], axis=1),
            np.arange(len(names)),
            [name.replace("_random1200", "") for name in names],
        )
    return figure
