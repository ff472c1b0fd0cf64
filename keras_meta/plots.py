"""Episodes, embeddings, attention, scores, regression and learning curves.

The Matplotlib figures are made without `pyplot`: there is no backend to choose
and no global list that keeps them alive. A notebook shows them, `save_figure`
writes them. Correct and wrong, and the classes, differ by a sign as well as by
a colour that colour-blind readers can tell apart.
"""

import dataclasses
import os
import pathlib
import re

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from keras_meta.preprocessing import to_unit_range

COLOURS = matplotlib.color_sequences["petroff10"]
# As many as are coprime with the colours: 70 different pairs.
MARKERS = "os^DvPX"
CORRECT, WRONG, NEUTRAL = "#00795a", "#c4320a", "#8c8c8c"

# Inches, and points for the letters.
PICTURE, GAP, MARGIN, HEADER = 1.1, 0.16, 0.12, 0.34
LETTERS = 7.5
LINE = 1.25 * LETTERS / 72
BARS = 0.56
# Of the predictions of a regression but the last, which is solid.
DASHES = (":", "--", "-.", (0, (6, 1, 1, 1, 1, 1)))


def plot_episode(episode, probabilities=None, class_names=None, max_queries=15):
    """Draws one task: the support set above, the queries below.

    Each class of the support set is a column with its shots under each other
    (more than 10 classes are broken into bands). A query is captioned with
    its predicted class and the probability of that class; a right one has a
    green frame and a check mark, a wrong one a thick red frame, a cross and
    the name of its true class. Grey pictures are drawn as ink on paper: 1 is
    black. Padding (an all-zero label row) is not drawn.

    Args:
        episode: Dict of arrays of one task, without the tasks axis:
            `support_x (support, height, width, channels)` with values in
            `[0, 1]` (or integers 0 to 255) and 1 or 3 channels,
            `support_y (support, way)` one-hot, `query_x` like `support_x`,
            and, if it is known, `query_y (query, way)` one-hot.
        probabilities: Array `(query, way)` in `[0, 1]`: the predictions.
            None draws the queries under their true classes.
        class_names: Sequence of `way` names. Defaults to `class 0`,
            `class 1`, ...
        max_queries: Positive integer: how many queries are drawn at most.
            They are taken evenly from the classes, in the order given; the
            header counts them all.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each picture.

    Raises:
        ValueError: For missing keys, shapes that do not fit together, labels
            that are not one-hot, or values out of range.

    Example:

    >>> episode = {
    ...     "support_x": np.random.default_rng(0).random((2, 8, 8, 1)),
    ...     "support_y": np.eye(2),
    ...     "query_x": np.random.default_rng(1).random((2, 8, 8, 1)),
    ...     "query_y": np.eye(2),
    ... }
    >>> figure = plot_episode(episode, [[0.9, 0.1], [0.7, 0.3]], ["cat", "dog"])
    >>> [axes.get_xlabel() for axes in figure.axes[2:]]
    ['✓\\xa0cat 90%', '✗\\xa0cat 70%\\ntrue: dog']
    """
    episode = _check_episode(episode)
    way = episode["support_y"].shape[1]
    probabilities = _check_probabilities(
        probabilities, (len(episode["query_x"]), way)
    )
    class_names = _check_names(class_names, way)
    if not isinstance(max_queries, int | np.integer) or max_queries < 1:
        raise ValueError(
            "`max_queries` must be a positive integer. "
            f"Received: max_queries={max_queries}"
        )
    shots = episode["support_y"].sum(axis=0)
    present = np.flatnonzero(shots)
    bands = -(-len(present) // 10)
    columns = max(-(-len(present) // bands), 5)
    rows = [
        _support_header(shots),
        *_support_rows(episode, class_names, present, columns),
    ]
    header, cells = _query_cells(
        episode, probabilities, class_names, max_queries
    )
    if cells:
        rows.append(header)
        rows += [cells[i : i + columns] for i in range(0, len(cells), columns)]
    return _draw_rows(rows, columns)


def plot_embeddings(
    embeddings,
    labels,
    prototypes=None,
    method="pca",
    class_names=None,
    seed=0,
):
    """Maps embeddings to the plane, a colour and a marker for each class.

    Up to 20 classes are listed in a legend; the names of more are written at
    the means of the classes. Prototypes are stars.

    Args:
        embeddings: Array `(n, dim)` of finite numbers, `n` and `dim` at least
            2.
        labels: Array `(n,)` of integers or strings.
        prototypes: Array `(classes, dim)`, or None: one for each class, in
            the order of `class_names`, or else of the sorted labels.
        method: `"pca"`, the plane of largest variance of the embeddings, into
            which prototypes are projected; or `"tsne"`, which keeps
            neighbours together (van der Maaten and Hinton, 2008) and maps
            embeddings and prototypes jointly, with perplexity 30, or a third
            of the points if that is less.
        class_names: Sequence of names. Integer labels are indices into it;
            string labels must be among it. Defaults to the sorted labels.
        seed: Integer: the seed of the method.

    Returns:
        A `matplotlib.figure.Figure` with one Axes.

    Raises:
        ValueError: For wrong shapes, values that are not finite, labels that
            are not in `class_names`, or an unknown method.
    """
    embeddings = _check_vectors(embeddings, "embeddings")
    if min(embeddings.shape) < 2:
        raise ValueError(
            "`embeddings` must have the shape (n, dim) with n and dim at "
            f"least 2. Received: embeddings.shape={embeddings.shape}"
        )
    indices, names = _check_labels(labels, len(embeddings), class_names)
    count, stacked = len(embeddings), embeddings
    if prototypes is not None:
        prototypes = _check_vectors(prototypes, "prototypes")
        expected = (len(names), embeddings.shape[1])
        if prototypes.shape != expected:
            raise ValueError(
                "`prototypes` must hold one row for each class, in the "
                f"dimension of `embeddings`, here {expected}. "
                f"Received: prototypes.shape={prototypes.shape}"
            )
        stacked = np.concatenate([embeddings, prototypes])
    if method == "pca":
        # Embeddings that are all equal have no variance to share.
        with np.errstate(invalid="ignore"):
            pca = PCA(2, random_state=seed).fit(embeddings)
        points = pca.transform(stacked)
        axis_labels = [
            f"Principal component {i} ({share:.0%} of the variance)"
            for i, share in enumerate(
                np.nan_to_num(pca.explained_variance_ratio_), start=1
            )
        ]
    elif method == "tsne":
        perplexity = min(30, (len(stacked) - 1) / 3)
        tsne = TSNE(2, perplexity=perplexity, random_state=seed)
        # Its threads wait for each other: on a busy machine two take 20
        # times as long as one, and one is quick enough for a figure.
        with threadpool_limits(1):
            points = tsne.fit_transform(stacked)
        axis_labels = ["t-SNE 1", "t-SNE 2"]
    else:
        raise ValueError(
            f"`method` must be 'pca' or 'tsne'. Received: method={method!r}"
        )
    legend = len(names) <= 20
    figure = Figure(
        figsize=(6.4, 5) if legend else (9, 7), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    axes.set_aspect("equal", adjustable="datalim")
    if method == "tsne":
        # Its coordinates have no unit, only neighbourhoods mean something.
        axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(False)
    _scatter(axes, points[:count], indices, prototypes is None)
    if prototypes is not None:
        axes.scatter(
            *points[count:].T,
            s=140,
            marker="*",
            c=[COLOURS[k % len(COLOURS)] for k in range(len(names))],
            edgecolors="black",
            linewidths=0.9,
            zorder=3,
        )
    if legend:
        _add_class_legend(figure, names, prototypes is not None)
    else:
        _annotate_classes(axes, points[:count], indices, names)
    return figure


def plot_attention(
    attention,
    support_x,
    query_x,
    support_y=None,
    query_y=None,
    class_names=None,
):
    """Draws how one query's attention over the support set changes.

    With full context embeddings a Matching Network reads the support set
    several times before it classifies a query (Vinyals et al. 2016, equations
    3 to 6). Under each support picture stands a bar for each read step, all
    in one scale; a dotted line marks even attention. The pictures of the true
    class have a check mark and a thick green frame, and their bars are
    hatched. Pictures stay in the order given, which full context depends on;
    more than 10 are broken into bands.

    Args:
        attention: Array `(read_steps, support)`, each row a distribution:
            `read_attention(...)[:, task, query]` of `MatchingNetwork`.
        support_x: Array `(support, height, width, channels)` with values in
            `[0, 1]` (or integers 0 to 255) and 1 or 3 channels, drawn as
            `plot_episode` does; at most 30 pictures that are not padding.
        query_x: Array `(height, width, channels)`.
        support_y: Array `(support, way)`, one-hot, or None: the classes,
            written above the pictures. All-zero rows are padding, which is
            not drawn.
        query_y: Array `(way,)`, one-hot, or None: the true class, which
            `support_y` must go with.
        class_names: Sequence of `way` names. Defaults to `class 0`,
            `class 1`, ...

    Returns:
        A `matplotlib.figure.Figure`: one Axes for the query, and then for
        each band one Axes for each picture and one for each read step.

    Raises:
        ValueError: For shapes that do not fit together, rows of `attention`
            that are not distributions, values out of range, labels that are
            not one-hot, or too many support pictures.

    Example:

    >>> pictures = np.random.default_rng(0).random((3, 8, 8, 1))
    >>> figure = plot_attention(
    ...     [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]],
    ...     pictures,
    ...     pictures[2],
    ...     support_y=np.eye(3),
    ...     query_y=[0, 0, 1],
    ... )
    >>> [axes.get_ylabel() for axes in figure.axes[4:]]
    ['read 1\\n50% on ✓', 'read 2\\n80% on ✓']
    """
    support, query = _check_query(support_x, query_x)
    header, titles = "Support set", [""] * len(support)
    kept = np.full(len(support), True)
    true = np.full(len(support), False)
    caption = ""
    if support_y is not None:
        support_y = _check_one_hot(
            support_y, "support_y", "support_x", len(support)
        )
        names = _check_names(class_names, support_y.shape[1])
        header = _support_header(support_y.sum(axis=0))
        kept = support_y.any(axis=1)
        if query_y is not None:
            k = _check_true_class(query_y, len(names))
            true = support_y[:, k] == 1
            caption = _fit(f"true: {names[k]}", lines=3)
        titles = [
            _fit(("✓\xa0" if right else "") + names[k], lines=2)
            for k, right in zip(support_y.argmax(axis=1), true, strict=True)
        ]
    elif query_y is not None or class_names is not None:
        raise ValueError(
            "`support_y` must be given where `query_y` or `class_names` is. "
            "Received: support_y=None"
        )
    attention = _check_attention(attention, kept)
    cells = [
        _Cell(support[i], titles[i], "", CORRECT, 3)
        if true[i]
        else _Cell(support[i], titles[i])
        for i in np.flatnonzero(kept)
    ]
    labels = [f"read {step}" for step in range(1, len(attention) + 1)]
    true = true[kept]
    if query_y is not None:
        shares = attention[:, true].sum(axis=1)
        labels = [
            f"{label}\n{_percent(share)} on ✓"
            for label, share in zip(labels, shares, strict=True)
        ]
    query = _Cell(query, "", caption)
    return _draw_attention(header, query, cells, attention, true, labels)


def plot_score_histogram(scores, same, bins=20):
    """Draws the scores of same and of different pairs, and the threshold.

    A Siamese network verifies whether two examples are of one class (Koch et
    al. 2015): a score above 0.5 says so. Each kind of pairs is a histogram of
    its own, whose shares sum to 100%; different pairs are filled, same pairs
    hatched. The title is the verification accuracy, the share of all pairs
    that are judged rightly; the legend counts them for each kind.

    Args:
        scores: Array `(n,)` in `[0, 1]`: what the model returns for each pair
            of `keras_meta.data.pair_dataset`, as a vector.
        same: Array `(n,)`, bool or 0 and 1: which pairs are of one class. At
            least one is, and one is not.
        bins: Positive even integer, so that 0.5 is between two bins. A bin
            holds its upper but not its lower end, as 0.5 is not above 0.5.

    Returns:
        A `matplotlib.figure.Figure` with one Axes.

    Raises:
        ValueError: For unequal lengths, scores that are NaN or out of range,
            pairs of one kind only, or an odd number of bins.

    Example:

    >>> figure = plot_score_histogram([0.9, 0.4, 0.2, 0.1], [1, 1, 0, 0])
    >>> figure.axes[0].get_title()
    'Verification accuracy at 0.5: 75.0% of 4 pairs'
    """
    scores, same = _check_scores(scores, same)
    whole = isinstance(bins, int | np.integer) and not isinstance(bins, bool)
    if not whole or bins < 2 or bins % 2:
        raise ValueError(
            "`bins` must be a positive even integer, so that the threshold "
            f"0.5 is between two bins. Received: bins={bins!r}"
        )
    right = (scores > 0.5) == same
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for kind, label, style in (
        (
            ~same,
            "different classes",
            {"fill": True, "color": COLOURS[0], "alpha": 0.6},
        ),
        (
            same,
            "same class",
            {"hatch": "////", "edgecolor": COLOURS[2], "linewidth": 1.5},
        ),
    ):
        # NumPy's bins hold their lower ends: those of 1 - score will do.
        counts, edges = np.histogram(1 - scores[kind], bins, (0, 1))
        axes.stairs(
            counts[::-1] / kind.sum(),
            edges,
            label=f"{label}: {right[kind].sum()} of {kind.sum()} right",
            **style,
        )
    axes.axvline(0.5, color="black", linewidth=1.2, linestyle="--")
    axes.margins(y=0.12)
    axes.set(
        title=f"Verification accuracy at 0.5: {right.mean():.1%} "
        f"of {len(same)} pairs",
        xlabel="Score: predicted probability of the same class",
        ylabel="Share of the pairs of a kind",
        xlim=(0, 1),
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for x, alignment, verdict in (
        (0.49, "right", "← judged different"),
        (0.51, "left", "judged same →"),
    ):
        axes.text(
            x,
            0.99,
            verdict,
            transform=axes.get_xaxis_transform(),
            ha=alignment,
            va="top",
            fontproperties=_font(),
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_regression_adaptation(tasks, titles=None):
    """Draws how predicted curves come closer to the true one, step by step.

    One panel for each regression task, side by side: the true curve, the
    support points, and what the model predicts after each number of inner
    steps, from a light dotted line before the first to a dark solid one after
    the last (Finn et al. 2017, figure 2). Under the title stands the mean
    squared error of each prediction over the drawn points, in that order. All
    panels have one scale.

    Args:
        tasks: Sequence of dicts of the arrays of one task, with one input and
            one output: `x (points,)` in any order, at least 2 of them, the
            true values `target (points,)`, `support_x (n,)` and `support_y
            (n,)`, `n` at least 1; and `predictions`, a dict of 1 to 5 arrays
            `(points,)`, whose keys are the numbers of inner steps, the same
            in each task. All are finite.
        titles: Sequence of one string for each task. Defaults to the numbers
            of support points.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each task, at most 3
        in a row.

    Raises:
        ValueError: For something else than such dicts, shapes that do not fit
            together, values that are not finite, or a wrong number of titles.

    Example:

    >>> x = np.linspace(-5, 5, 50)
    >>> task = {
    ...     "x": x,
    ...     "target": np.sin(x),
    ...     "support_x": [0.5, 1.0],
    ...     "support_y": np.sin([0.5, 1.0]),
    ...     "predictions": {0: 0 * x, 10: np.sin(x)},
    ... }
    >>> figure = plot_regression_adaptation([task])
    >>> figure.axes[0].get_title()
    '2 support points\\nmean squared error: 0.535 → 0'
    """
    tasks, steps = _check_regressions(tasks)
    if titles is None:
        titles = [f"{len(task['support_x'])} support points" for task in tasks]
    elif isinstance(titles, str) or len(titles) != len(tasks):
        raise ValueError(
            f"`titles` must hold one string for each of the {len(tasks)} "
            f"tasks. Received: titles={titles!r}"
        )
    columns = min(len(tasks), 3)
    rows = -(-len(tasks) // columns)
    figure = Figure(
        figsize=(max(3.6 * columns, 4.6), 2.9 * rows + 0.5),
        layout="constrained",
    )
    styles = _step_styles(steps)
    first = None
    for position, (task, title) in enumerate(zip(tasks, titles, strict=True)):
        axes = first = figure.add_subplot(
            rows, columns, position + 1, sharex=first, sharey=first
        )
        _draw_regression(axes, task, styles)
        errors = [
            np.square(task["predictions"][step] - task["target"]).mean()
            for step in steps
        ]
        axes.set_title(
            _fit(str(title), lines=1, width=3)
            + "\nmean squared error: "
            + " → ".join(f"{error:.3g}" for error in errors),
            fontproperties=_font(),
            parse_math=False,
        )
        if position + columns >= len(tasks):
            axes.set_xlabel("x")
        if position % columns == 0:
            axes.set_ylabel("y")
    figure.legend(
        *first.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(steps) + 2 if columns > 1 else 3,
        frameon=False,
    )
    return figure


def plot_learning_curves(history, metrics=None):
    """Draws one panel for each quantity of a training run.

    A metric and its validation share a panel. Where the history holds
    `<name>_interval`, the half width of a 95% interval as `AccuracyInterval`
    logs it, the band of `name` plus or minus it is shaded. The learning rate
    gets a logarithmic panel of its own.

    Args:
        history: Dict of lists, one number for each epoch, as the attribute
            `history` of what `fit` returns. Validation lists may be shorter,
            as `validation_freq` makes them: they are then drawn at evenly
            spaced epochs.
        metrics: Sequence of names without `val_`, the panels in their order.
            Defaults to all, the learning rate last.

    Returns:
        A `matplotlib.figure.Figure` with one Axes for each quantity.

    Raises:
        ValueError: For something else than a dict of lists, lists of unequal
            length, or a metric that the history lacks.
    """
    curves = _check_history(history)
    epochs = max(len(curve) for curve in curves.values())
    found = dict.fromkeys(
        name.removeprefix("val_")
        for name in curves
        if _value_of(name, curves) == name
    )
    if metrics is None:
        metrics = sorted(found, key=lambda name: name == "learning_rate")
    elif isinstance(metrics, str) or not metrics or set(metrics) - set(found):
        raise ValueError(
            f"`metrics` must be a list of names among {sorted(found)}. "
            f"Received: metrics={metrics!r}"
        )
    columns = min(len(metrics), 3)
    rows = -(-len(metrics) // columns)
    figure = Figure(
        figsize=(max(3.3 * columns + 0.2, 4.6), 2.6 * rows + 0.5),
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.1)
    keys, banded = {}, False
    for position, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(rows, columns, position)
        if metric == "learning_rate":
            _draw_curve(axes, curves, metric, epochs, {"color": NEUTRAL})
            if curves[metric].min() > 0:
                axes.set_yscale("log")
        else:
            for name, label, style in (
                (metric, "training", {"color": COLOURS[0], "linestyle": "--"}),
                ("val_" + metric, "validation", {"color": COLOURS[1]}),
            ):
                if name in curves:
                    keys.setdefault(label, Line2D([], [], **style))
                    banded |= _draw_curve(axes, curves, name, epochs, style)
        axes.set(xlabel="Epoch", ylabel=metric.replace("_", " ").capitalize())
        axes.xaxis.set_major_locator(
            MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True)
        )
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    if banded:
        keys["95% interval"] = Patch(color="0.8")
    if keys:
        figure.legend(
            keys.values(),
            keys,
            loc="outside upper center",
            ncols=len(keys),
            frameon=False,
        )
    return figure


def save_figure(figure, path):
    """Writes a figure to a file, all of it or nothing.

    Args:
        figure: A `matplotlib.figure.Figure`.
        path: Where to; the suffix `.png` (150 dots per inch), `.pdf` or
            `.svg` gives the format. Missing folders are made, a file of that
            name is replaced.

    Returns:
        The path, as a `pathlib.Path`.

    Raises:
        ValueError: For another suffix.
    """
    path = pathlib.Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf", "svg"):
        raise ValueError(
            f"`path` must end in .png, .pdf or .svg. Received: path={path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, format=kind, dpi=150)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


@dataclasses.dataclass(frozen=True)
class _Cell:
    """A picture `(height, width, channels)` with its texts and frame."""

    picture: np.ndarray
    title: str = ""
    caption: str = ""
    colour: str = NEUTRAL
    frame: float = 0.6


def _support_header(shots):
    """`shots (way,)`: how many examples each class has."""
    few, most = int(min(shots[shots > 0])), int(max(shots))
    return f"Support set: {np.count_nonzero(shots)}-way, " + (
        f"{most}-shot" if few == most else f"{few} to {most} shots"
    )


def _support_rows(episode, names, present, columns):
    """Rows of cells (None where a class has no such shot)."""
    pictures = [
        episode["support_x"][episode["support_y"][:, k] == 1] for k in present
    ]
    titles = [_fit(str(names[k]), lines=2) for k in present]
    for start in range(0, len(present), columns):
        band = range(start, min(start + columns, len(present)))
        for shot in range(max(len(pictures[k]) for k in band)):
            yield [
                _Cell(pictures[k][shot], title="" if shot else titles[k])
                if shot < len(pictures[k])
                else None
                for k in band
            ]


def _query_cells(episode, probabilities, names, max_queries):
    """The header of the queries, and the cells of those chosen."""
    query_y = episode.get("query_y")
    if query_y is None:
        real = np.arange(len(episode["query_x"]))
        count = min(len(real), max_queries)
        chosen = np.linspace(0, len(real) - 1, count).round().astype(int)
    else:
        real = np.flatnonzero(query_y.any(axis=1))
        truth = query_y.argmax(axis=1)
        # The first of each class, then the second of each, ...
        rank = np.cumsum(query_y, axis=0)[np.arange(len(truth)), truth]
        chosen = real[np.lexsort((truth[real], rank[real]))][:max_queries]
    counts = []
    if len(chosen) < len(real):
        counts.append(f"{len(chosen)} of {len(real)} shown")
    if probabilities is not None:
        predicted = probabilities.argmax(axis=1)
        if query_y is not None:
            correct = (predicted == truth)[real].sum()
            counts.append(f"{correct} of {len(real)} correct")
    header = "Queries" + (": " if counts else "") + ", ".join(counts)
    cells = []
    for i in chosen:
        picture = episode["query_x"][i]
        true_name = "" if query_y is None else str(names[truth[i]])
        if probabilities is None:
            cells.append(_Cell(picture, "", _fit(true_name, lines=2)))
            continue
        answer = str(names[predicted[i]]), probabilities[i].max()
        if query_y is None:
            cell = _Cell(picture, "", _fit_answer("", *answer))
        elif predicted[i] == truth[i]:
            caption = _fit_answer("✓", *answer)
            cell = _Cell(picture, "", caption, CORRECT, 1.6)
        else:
            caption = _fit_answer("✗", *answer)
            caption += "\n" + _fit(f"true: {true_name}", lines=3)
            cell = _Cell(picture, "", caption, WRONG, 3)
        cells.append(cell)
    return header, cells


def _draw_rows(rows, columns):
    """Places headers (strings) and rows of cells, measured in inches."""
    shape = rows[1][0].picture.shape
    picture_height = PICTURE * float(np.clip(shape[0] / shape[1], 0.5, 2))
    width = 2 * MARGIN + columns * (PICTURE + GAP) - GAP
    extents = []
    for row in rows:
        above = below = 0
        if not isinstance(row, str):
            cells = [cell for cell in row if cell]
            above = LINE * max(_count(cell.title) for cell in cells)
            below = LINE * max(_count(cell.caption) for cell in cells)
        extents.append((above, below))
    height = 2 * MARGIN + sum(
        HEADER if isinstance(row, str) else sum(extent) + picture_height + GAP
        for row, extent in zip(rows, extents, strict=True)
    )
    figure = Figure(figsize=(width, height))
    top = height - MARGIN
    for row, (above, below) in zip(rows, extents, strict=True):
        if isinstance(row, str):
            figure.text(
                MARGIN / width,
                (top - 0.06) / height,
                row,
                fontsize=LETTERS + 2,
                fontweight="bold",
                verticalalignment="top",
            )
            top -= HEADER
            continue
        bottom = top - above - picture_height
        for column, cell in enumerate(row):
            if cell is not None:
                left = MARGIN + column * (PICTURE + GAP)
                box = (left, bottom, PICTURE, picture_height)
                axes = figure.add_axes(
                    np.divide(box, (width, height, width, height))
                )
                _draw_cell(axes, cell)
        top = bottom - below - GAP
    return figure


def _draw_attention(header, query, cells, attention, true, labels):
    """The query at the left, bands of pictures above their bars at the right.

    Args:
        header: String above the pictures.
        query: The cell of the query.
        cells: `support` cells.
        attention: `(read_steps, support)`.
        true: Bool `(support,)`: which cells are of the query's class.
        labels: `read_steps` strings.
    """
    bands = -(-len(cells) // 10)
    columns = -(-len(cells) // bands)
    shape = query.picture.shape
    picture_height = PICTURE * float(np.clip(shape[0] / shape[1], 0.5, 2))
    step = PICTURE + GAP
    start = MARGIN + PICTURE + 2 * GAP
    titles = LINE * max(_count(cell.title) for cell in cells)
    caption = LINE * _count(query.caption)
    band_height = titles + picture_height
    read_height = BARS + GAP / 2
    width = start + max(columns, 2) * step - GAP + MARGIN
    height = (
        2 * MARGIN
        + HEADER
        + caption
        + bands * (band_height + len(labels) * read_height + 2 * GAP)
    )
    figure = Figure(figsize=(width, height))

    def write(x, y, text, **style):
        figure.text(x / width, y / height, text, va="top", **style)

    def add_axes(left, bottom, wide, high):
        box = (left / width, bottom / height, wide / width, high / height)
        return figure.add_axes(box)

    top = height - MARGIN
    bold = {"fontsize": LETTERS + 2, "fontweight": "bold"}
    write(MARGIN, top - 0.06, "Query", **bold)
    write(start, top - 0.06, header, **bold)
    top -= HEADER
    peak, even = attention.max(), 1 / len(cells)
    for first in range(0, len(cells), columns):
        members = range(first, min(first + columns, len(cells)))
        bottom = top - titles - picture_height
        if not first:
            place = (MARGIN, bottom, PICTURE, picture_height)
            _draw_cell(add_axes(*place), query)
        for column, i in enumerate(members):
            left = start + column * step
            place = (left, bottom, PICTURE, picture_height)
            _draw_cell(add_axes(*place), cells[i])
        top -= band_height + (0 if first else caption)
        for read, label in enumerate(labels):
            top -= read_height
            # Each picture's bar is in the middle of its column.
            place = (start - GAP / 2, top, len(members) * step, BARS)
            axes = add_axes(*place)
            axes.set(
                xlim=(-0.5, len(members) - 0.5),
                # The value stands above the highest bar.
                ylim=(0, peak * BARS / (BARS - LINE)),
            )
            if first:
                # The sum on the true class is of all bands.
                label = label.split("\n")[0]
            shares = attention[read, members]
            _draw_bars(axes, shares, true[members], even, label)
        top -= 2 * GAP
    note = f"dotted line: even attention, {_percent(even)}"
    write(start, top + GAP, note, fontproperties=_font())
    return figure


def _draw_bars(axes, shares, true, even, label):
    """A bar with its value for each of `shares (columns,)`."""
    for column, share in enumerate(shares):
        style = {"color": COLOURS[0]}
        if true[column]:
            style = {"color": CORRECT, "hatch": "///", "edgecolor": "white"}
        axes.bar(column, share, width=0.55, linewidth=0, **style)
        axes.annotate(
            _percent(share),
            (column, share),
            (0, 1.5),
            textcoords="offset points",
            ha="center",
            fontproperties=_font(),
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    axes.axhline(even, color=NEUTRAL, linewidth=0.9, linestyle=":")
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(NEUTRAL)
    axes.set_ylabel(
        label,
        rotation=0,
        ha="right",
        va="center",
        labelpad=4,
        fontproperties=_font(),
    )


def _percent(share):
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _draw_cell(axes, cell):
    axes.imshow(cell.picture, cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=cell.colour, linewidth=cell.frame)
    plain = {"fontproperties": _font(), "parse_math": False}
    axes.set_title(cell.title, pad=3, **plain)
    colour = "black" if cell.colour == NEUTRAL else cell.colour
    axes.set_xlabel(cell.caption, labelpad=3, color=colour, **plain)


def _font():
    # The check mark and the cross are in the font that Matplotlib brings.
    family = [*matplotlib.rcParams["font.family"], "DejaVu Sans"]
    return FontProperties(family=family, size=LETTERS)


def _count(text):
    return text.count("\n") + 1 if text else 0


def _measure(row):
    """Width of one line of text, in inches."""
    size = text_to_path.get_text_width_height_descent(row, _font(), False)
    return size[0] / 72


def _fit(text, lines, width=PICTURE):
    """Breaks a name after `/`, `_`, `-` or a space, and shortens the rest.

    Lines are filled from the end, so that `Greek/character07/90` becomes
    `Greek/` and `character07/90`.
    """
    rows = [""]
    for piece in reversed(re.findall("[^ /_-]*[ /_-]+|[^ /_-]+", text)):
        if rows[0] and _measure((piece + rows[0]).rstrip()) > width:
            rows.insert(0, "")
        rows[0] = piece + rows[0]
    if len(rows) > lines:
        rows[lines - 1 :] = ["…" + rows[-1]]
    for i, row in enumerate(rows):
        rows[i] = row = row.strip(" ")
        for keep in range(len(row) - 1, 1, -1):
            if _measure(rows[i]) <= width:
                break
            # Names that begin alike differ at the end.
            rows[i] = row[: keep - keep // 2] + "…" + row[-(keep // 2) :]
    return "\n".join(rows)


def _fit_answer(sign, name, probability):
    """A name of at most two lines, and its percentage where it fits."""
    text = _fit(f"{sign}\xa0{name}" if sign else name, lines=2)
    last = text.split("\n")[-1] + f" {probability:.0%}"
    space = " " if _measure(last) <= PICTURE + GAP / 2 else "\n"
    return f"{text}{space}{probability:.0%}"


def _scatter(axes, points, indices, alone):
    size = float(np.clip(3000 / len(points), 9, 40))
    for k in np.unique(indices):
        axes.scatter(
            *points[indices == k].T,
            s=size,
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            alpha=0.9 if alone else 0.65,
            linewidths=0,
        )


def _add_class_legend(figure, names, with_prototypes):
    style = {"linestyle": "", "markersize": 6}
    handles = [
        Line2D(
            [],
            [],
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            **style,
        )
        for k in range(len(names))
    ]
    names = [_fit(name, lines=1, width=1.6) for name in names]
    if with_prototypes:
        style.update(markersize=11, color="white", markeredgecolor="black")
        handles.append(Line2D([], [], marker="*", **style))
        names.append("prototype")
    legend = figure.legend(
        handles,
        # Matplotlib leaves out labels with a leading underscore.
        ["-"] * len(names),
        loc="outside right upper",
        frameon=False,
        prop=_font(),
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def _annotate_classes(axes, points, indices, names):
    """Writes each name near the mean of its class, clear of the others."""
    classes = np.unique(indices)
    means = np.stack([points[indices == k].mean(axis=0) for k in classes])
    texts = [_fit(names[k], lines=2) for k in classes]
    sizes = [
        (72 * max(map(_measure, text.split("\n"))), 72 * LINE * _count(text))
        for text in texts
    ]
    axes.margins(0.1)
    # The limits, and with them the transform, are settled by drawing.
    axes.figure.draw_without_rendering()
    to_points = 72 / axes.figure.dpi
    anchors = axes.transData.transform(means) * to_points
    corners = axes.bbox.get_points() * to_points
    centres = _spread(anchors, np.array(sizes) + 2, *corners)
    for text, mean, offset in zip(texts, means, centres - anchors, strict=True):
        axes.annotate(
            text,
            mean,
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontproperties=_font(),
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6},
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=4,
        )


def _spread(anchors, sizes, low, high):
    """Finds centres for boxes `sizes (n, 2)`, each close to its anchor.

    All start above their anchors. In a few sweeps, a box that overlaps others
    or stars at the anchors moves to where it overlaps the fewest, and of such
    places to that with the shortest way to its anchor.
    """
    star = 11
    steps = np.arange(-160, 161, 6)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    low, high = low + sizes / 2, high - sizes / 2
    centres = np.clip(anchors + (sizes + star) * [0, 0.5], low, high)
    extents = np.concatenate([sizes, np.full_like(sizes, star)])
    for i in np.tile(np.arange(len(anchors)), 4):
        others = np.delete(np.concatenate([centres, anchors]), i, axis=0)
        reach = (np.delete(extents, i, axis=0) + sizes[i]) / 2
        if (np.abs(centres[i] - others) >= reach).any(axis=1).all():
            continue
        # (places, others, 2)
        places = np.clip(anchors[i] + grid, low[i], high[i])
        overlap = (np.abs(places[:, None] - others) < reach).all(axis=2)
        way = np.maximum(np.abs(places - anchors[i]) - sizes[i] / 2, 0)
        cost = np.linalg.norm(way, axis=1) + 1000 * overlap.sum(axis=1)
        centres[i] = places[cost.argmin()]
    return centres


def _draw_curve(axes, curves, name, epochs, style):
    """Draws a curve and tells whether it has a band."""
    values = curves[name]
    every = epochs // len(values)
    at = every * np.arange(1, len(values) + 1)
    marker = "o" if len(values) <= 20 else ""
    axes.plot(at, values, marker=marker, markersize=3, linewidth=1.5, **style)
    half_width = curves.get(name + "_interval")
    if half_width is None:
        return False
    axes.fill_between(
        at,
        values - half_width,
        values + half_width,
        color=style["color"],
        alpha=0.25,
        linewidth=0,
    )
    return True


def _step_styles(steps):
    """How the prediction after each of `steps`, ascending, is drawn."""
    shades = matplotlib.colormaps["Blues"](np.linspace(0.45, 1, len(steps)))
    styles = {}
    for i, step in enumerate(steps):
        last = step > 0 and i == len(steps) - 1
        styles[step] = {
            "color": shades[i],
            "linestyle": "-" if last else DASHES[i],
            "label": "1 step" if step == 1 else f"{step} steps",
        }
    if 0 in styles:
        styles[0]["label"] = "before adapting"
    return styles


def _draw_regression(axes, task, styles):
    axes.plot(
        task["x"],
        task["target"],
        color="0.8",
        linewidth=5,
        solid_capstyle="round",
        label="true curve",
    )
    for step, style in styles.items():
        axes.plot(task["x"], task["predictions"][step], linewidth=1.8, **style)
    axes.plot(
        task["support_x"],
        task["support_y"],
        linestyle="",
        marker="^",
        markersize=8,
        color=COLOURS[1],
        markeredgecolor="black",
        label="support points",
        zorder=3,
    )
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _check_episode(episode):
    """Casts and checks the arrays of one task."""
    expected = (
        "`episode` must be a dict of the arrays of one task: support_x, "
        "support_y, query_x and, if it is known, query_y. "
    )
    if not isinstance(episode, dict):
        raise ValueError(f"{expected}Received: {type(episode).__name__}")
    missing = {"support_x", "support_y", "query_x"} - set(episode)
    if missing:
        raise ValueError(f"{expected}Received: no {sorted(missing)}")
    arrays = {}
    for name in ("support_x", "query_x"):
        arrays[name] = _check_pictures(episode[name], name)
    way = None
    for x, y in (("support_x", "support_y"), ("query_x", "query_y")):
        if episode.get(y) is None:
            continue
        arrays[y] = _check_one_hot(episode[y], y, x, len(arrays[x]), way)
        way = arrays[y].shape[1]
    return arrays


def _check_pictures(pictures, name):
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
        raise ValueError(
            f"`{name}` must have the shape (examples, height, width, "
            "channels) with 1 or 3 channels; take one task of a batch. "
            f"Received: {name}.shape={pictures.shape}"
        )
    return to_unit_range(pictures, name)


def _check_one_hot(one_hot, y, x, count, way=None):
    """Checks labels `y` of the `count` examples `x`; zero rows are padding."""
    one_hot = np.asarray(one_hot)
    way = one_hot.shape[-1:] if way is None else (way,)
    if one_hot.shape != (count, *way):
        raise ValueError(
            f"`{y}` must have the shape (examples, way), with a row for "
            f"each of the {count} examples of {x} and the same "
            f"way throughout. Received: {y}.shape={one_hot.shape}"
        )
    if not np.isin(one_hot, (0, 1)).all() or (one_hot.sum(1) > 1).any():
        raise ValueError(
            f"`{y}` must be one-hot, or zero where padded. Received: a "
            f"row {one_hot[np.argmax(np.abs(one_hot).sum(1))]}"
        )
    if y == "support_y" and not one_hot.any():
        raise ValueError(
            "`support_y` must hold at least one labelled example. Received: "
            "all rows are zero"
        )
    return one_hot


def _check_names(class_names, way):
    if class_names is None:
        return [f"class {k}" for k in range(way)]
    if len(class_names) != way:
        raise ValueError(
            f"`class_names` must hold one name for each of the {way} classes. "
            f"Received: {len(class_names)} names"
        )
    return [str(name) for name in class_names]


def _check_query(support_x, query_x):
    """Casts the pictures of the support set and that of one query."""
    support = _check_pictures(support_x, "support_x")
    if not len(support):
        raise ValueError(
            "`support_x` must hold at least one picture. "
            f"Received: support_x.shape={support.shape}"
        )
    query = np.asarray(query_x)
    if query.shape != support.shape[1:]:
        raise ValueError(
            "`query_x` must be one picture (height, width, channels) of the "
            f"shape of those of support_x, here {support.shape[1:]}. "
            f"Received: query_x.shape={query.shape}"
        )
    return support, to_unit_range(query, "query_x")


def _check_true_class(query_y, way):
    query_y = np.asarray(query_y)
    if query_y.shape != (way,) or sorted(query_y) != [0] * (way - 1) + [1]:
        raise ValueError(
            "`query_y` must be the one-hot label (way,) of the query, here "
            f"of {way} classes. Received: query_y={query_y}"
        )
    return int(query_y.argmax())


def _check_attention(attention, kept):
    """Returns `(read_steps, pictures)` for the pictures `kept (support,)`."""
    attention = np.asarray(attention).astype("float64")
    if attention.shape[1:] != kept.shape or not len(attention):
        raise ValueError(
            "`attention` must have the shape (read_steps, support), here "
            f"(read_steps, {len(kept)}); take one query of one task. "
            f"Received: attention.shape={attention.shape}"
        )
    if kept.sum() > 30:
        raise ValueError(
            "`support_x` must hold at most 30 pictures that are not padding, "
            "to be readable; draw an episode of fewer classes or shots. "
            f"Received: {kept.sum()} pictures"
        )
    attention = attention[:, kept]
    sums = attention.sum(axis=1)
    # Written so that NaN fails too.
    if not ((attention >= 0).all() and (abs(sums - 1) < 1e-3).all()):
        raise ValueError(
            "`attention` must hold distributions: rows that are not negative "
            "and, without padding, sum to 1. Received: values from "
            f"{attention.min():g} to {attention.max():g}, and sums from "
            f"{sums.min():g} to {sums.max():g}"
        )
    return attention


def _check_regressions(tasks):
    """Casts the tasks, sorted by `x`; and the numbers of steps, ascending."""
    if not isinstance(tasks, list | tuple) or not tasks:
        raise ValueError(
            "`tasks` must be a list of dicts, one for each regression task. "
            f"Received: {type(tasks).__name__} {tasks!r:.80}"
        )
    checked = [_check_regression(f"tasks[{i}]", t) for i, t in enumerate(tasks)]
    steps = sorted(checked[0]["predictions"])
    for i, task in enumerate(checked):
        if sorted(task["predictions"]) != steps:
            raise ValueError(
                "`tasks` must hold predictions after the same numbers of "
                f"steps, here {steps}. Received: tasks[{i}] with "
                f"{sorted(task['predictions'])}"
            )
    return checked, steps


def _check_regression(name, task):
    keys = ("x", "target", "support_x", "support_y", "predictions")
    if not isinstance(task, dict) or set(keys) - set(task):
        raise ValueError(
            f"`{name}` must be a dict with the keys {keys}. Received: "
            f"{list(task) if isinstance(task, dict) else task!r:.80}"
        )
    predictions = task["predictions"]
    if (
        not isinstance(predictions, dict)
        or not 1 <= len(predictions) <= len(DASHES) + 1
        or not all(isinstance(step, int | np.integer) for step in predictions)
        or min(predictions) < 0
    ):
        received = (
            f"the keys {list(predictions)}"
            if isinstance(predictions, dict)
            else type(predictions).__name__
        )
        raise ValueError(
            f"`{name}['predictions']` must be a dict of 1 to "
            f"{len(DASHES) + 1} arrays, whose keys are numbers of steps, 0 or "
            f"more. Received: {received}"
        )
    x = _check_points(task["x"], f"{name}['x']", least=2)
    order = np.argsort(x, kind="stable")
    support_x = _check_points(task["support_x"], f"{name}['support_x']")
    return {
        "x": x[order],
        "target": _check_points(
            task["target"], f"{name}['target']", "x", len(x)
        )[order],
        "support_x": support_x,
        "support_y": _check_points(
            task["support_y"],
            f"{name}['support_y']",
            "support_x",
            len(support_x),
        ),
        "predictions": {
            step: _check_points(
                values, f"{name}['predictions'][{step}]", "x", len(x)
            )[order]
            for step, values in predictions.items()
        },
    }


def _check_points(values, name, other=None, count=None, least=1):
    """Casts a vector that has as many entries as `other`, or `least`."""
    values = np.asarray(values)
    if other is not None:
        shape, fits = f"({count},), as `{other}` has", values.size == count
    else:
        shape, fits = f"(n,) with n at least {least}", values.size >= least
    if values.ndim != 1 or not fits:
        raise ValueError(
            f"`{name}` must have the shape {shape}; take one task and its one "
            f"value, `[0, :, 0]` of a batch. Received: shape {values.shape}"
        )
    values = values.astype("float64")
    if not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{(~np.isfinite(values)).sum()} values that are not"
        )
    return values


def _check_scores(scores, same):
    """Casts the scores to float64 and `same` to bool."""
    scores, same = np.asarray(scores).astype("float64"), np.asarray(same)
    if scores.ndim != 1 or scores.shape != same.shape:
        raise ValueError(
            "`scores` and `same` must both have the shape (n,), one entry "
            f"for each pair. Received: scores.shape={scores.shape}, "
            f"same.shape={same.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError(
            "`scores` must not be NaN. Received: "
            f"{np.isnan(scores).sum()} of {len(scores)} values are NaN"
        )
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            "`scores` must lie in [0, 1]; pass logits through a sigmoid "
            f"first. Received: values from {scores.min():g} to "
            f"{scores.max():g}"
        )
    if not np.isin(same, (0, 1)).all():
        raise ValueError(
            "`same` must hold bools, or 0 and 1. "
            f"Received: values {np.unique(same)}"
        )
    same = same.astype(bool)
    if same.all() or not same.any():
        raise ValueError(
            "`same` must hold at least one same and one different pair. "
            f"Received: {same.sum()} same and {(~same).sum()} different pairs"
        )
    return scores, same


def _check_probabilities(probabilities, shape):
    if probabilities is None:
        return None
    probabilities = np.asarray(probabilities)
    if probabilities.shape != shape:
        raise ValueError(
            f"`probabilities` must have the shape (query, way), here {shape}. "
            f"Received: probabilities.shape={probabilities.shape}"
        )
    # Written so that NaN fails too.
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all():
        raise ValueError(
            "`probabilities` must lie in [0, 1]; pass logits through the "
            "model's `probabilities` first. Received: values from "
            f"{probabilities.min():g} to {probabilities.max():g}"
        )
    return probabilities


def _check_vectors(vectors, name):
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise ValueError(
            f"`{name}` must have the shape (rows, dim). "
            f"Received: {name}.shape={vectors.shape}"
        )
    # At least float32, for PCA and t-SNE have no half precision.
    vectors = vectors.astype(np.promote_types(vectors.dtype, "float32"))
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{int((~np.isfinite(vectors)).sum())} values are not"
        )
    return vectors


def _check_labels(labels, count, class_names):
    """Returns each label's index `(n,)` into the names, and the names."""
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(
            f"`labels` must hold one label for each of the {count} "
            f"embeddings. Received: labels.shape={labels.shape}"
        )
    integer = np.issubdtype(labels.dtype, np.integer)
    if not integer and not all(isinstance(label, str) for label in labels):
        raise ValueError(
            "`labels` must be integers or strings. "
            f"Received: labels.dtype={labels.dtype}"
        )
    if class_names is None:
        classes, indices = np.unique(labels, return_inverse=True)
        return indices, [str(name) for name in classes]
    names = [str(name) for name in class_names]
    known = range(len(names)) if integer else names
    unknown = sorted(set(labels.tolist()) - set(known))
    if unknown:
        raise ValueError(
            "`class_names` must name every label (integers are indices into "
            f"it). Received: {len(names)} names, and the label {unknown[0]!r}"
        )
    place = {label: k for k, label in enumerate(known)}
    return np.array([place[label] for label in labels.tolist()]), names


def _value_of(name, curves):
    """The curve that `name` is the interval of, or else `name`."""
    value = name.removesuffix("_interval")
    return value if value in curves else name


def _check_history(history):
    """Casts the curves to float arrays and checks their lengths."""
    if not isinstance(history, dict) or not history:
        raise ValueError(
            "`history` must be a dict of lists, as `fit(...).history`. "
            f"Received: {type(history).__name__} {history!r:.80}"
        )
    curves = {name: np.asarray(v, "float64") for name, v in history.items()}
    epochs = max(curve.size for curve in curves.values())
    for name, curve in curves.items():
        whole = epochs
        if name.startswith("val_"):
            whole = curves[_value_of(name, curves)].size
        if curve.ndim != 1 or not curve.size or curve.size != whole:
            raise ValueError(
                "`history` must hold one number for each epoch, here "
                f"{whole}. Received: history[{name!r}] of shape {curve.shape}"
            )
    return curves
