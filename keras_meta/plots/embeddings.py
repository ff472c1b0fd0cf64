"""The map of embeddings, with their classes and prototypes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from keras_meta.plots.colours import CLASS_COLOURS
from keras_meta.plots.name_placement import write_class_names
from keras_meta.plots.projection import project
from keras_meta.plots.text_fitting import fit, small_font
from keras_meta.typing import Labels

# 7 markers and 20 colours have no common factor: 140 classes look different.
MARKERS = "os^DvPX"


def plot_embeddings(
    embeddings: ArrayLike,
    labels: Labels,
    prototypes: ArrayLike | None = None,
    method: str = "pca",
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    directions: bool = False,
) -> Figure:
    """Maps embeddings to the plane, a colour and a marker for each class.

    Up to 20 classes are listed in a legend. More than 20 are named in the
    map, at the means of the classes. Prototypes are stars.

    Args:
        embeddings: Array `(n, dim)` of finite numbers, `n` and `dim` at least
            2.
        labels: Array `(n,)` of integers or strings.
        prototypes: Array `(classes, dim)` or None: one for each class, in the
            order of `class_names` or, without names, of the sorted labels.
        method: `"pca"` projects to the plane of largest variance of the
            embeddings. `"tsne"` keeps neighbours together and maps embeddings
            and prototypes jointly (van der Maaten and Hinton 2008), with
            perplexity 30, or a third of the points if that is less.
        class_names: Sequence of names. Integer labels are indices into it;
            string labels are among it. Defaults to the sorted labels.
        seed: Integer: the seed of the method.
        directions: Whether all vectors are scaled to unit length before they
            are mapped, for a model that compares directions, such as a
            `ZeroShotPrototypicalNetwork`: its embeddings of queries are much
            longer than its prototypes, which would all lie at the origin.

    Returns:
        A `matplotlib.figure.Figure` with one Axes.

    Raises:
        ValueError: If shapes are wrong, values are not finite, a label has no
            name, or the method is unknown.
    """
    embeddings = _check_embeddings(embeddings)
    indices, names = _check_labels(labels, len(embeddings), class_names)
    shape = len(names), embeddings.shape[1]
    starred = prototypes is not None
    prototypes = _check_prototypes(prototypes, shape, embeddings.dtype)
    if directions:
        embeddings, prototypes = map(_unit, (embeddings, prototypes))
    points, stars, axis_labels = project(embeddings, prototypes, method, seed)
    axes = _empty_map(axis_labels, wide=len(names) > 20)
    if method == "tsne":
        # It keeps neighbourhoods; its coordinates have no meaning.
        axes.set(xticks=[], yticks=[])
    _draw_classes(axes, points, indices, alpha=0.65 if starred else 0.9)
    if starred:
        _draw_prototypes(axes, stars)
    if len(names) <= 20:
        _add_legend(axes.figure, names, starred)
    else:
        write_class_names(axes, points, indices, names)
    return axes.figure


def _empty_map(axis_labels, wide):
    """The Axes of a new figure, with one scale for both coordinates."""
    figure = Figure(figsize=(9, 7) if wide else (6.4, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    axes.set_aspect("equal", adjustable="datalim")
    # More labels, such as -0.75, touch.
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _unit(vectors):
    """Vectors `(n, dim)` of unit length; zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def _class_style(k):
    return {
        "color": CLASS_COLOURS[k % len(CLASS_COLOURS)],
        "marker": MARKERS[k % len(MARKERS)],
    }


def _draw_classes(axes, points, indices, alpha):
    """Draws `points (n, 2)`, smaller ones if there are many."""
    style = {"s": float(np.clip(3000 / len(points), 9, 40)), "alpha": alpha}
    for k in np.unique(indices):
        members = points[indices == k]
        axes.scatter(*members.T, linewidths=0, **style, **_class_style(k))


def _draw_prototypes(axes, stars):
    """Draws `stars (classes, 2)` in the colours of the classes."""
    axes.scatter(
        *stars.T,
        s=140,
        marker="*",
        c=[_class_style(k)["color"] for k in range(len(stars))],
        edgecolors="black",
        linewidths=0.9,
        zorder=3,
    )


def _add_legend(figure, names, starred):
    """Lists the classes and, if there are any, the prototypes."""
    handles = [
        Line2D([], [], linestyle="", markersize=6, **_class_style(k))
        for k in range(len(names))
    ]
    names = [fit(name, lines=1, width=1.6) for name in names]
    if starred:
        star = {"marker": "*", "markersize": 11, "markeredgecolor": "black"}
        handles.append(Line2D([], [], linestyle="", color="white", **star))
        names.append("prototype")
    legend = figure.legend(
        handles,
        # Matplotlib leaves out labels with a leading underscore, and reads
        # dollars as formulas: the names are written afterwards.
        ["-"] * len(names),
        loc="outside right upper",
        frameon=False,
        prop=small_font(),
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def _check_embeddings(embeddings):
    embeddings = _check_vectors(embeddings, "embeddings")
    if min(embeddings.shape) < 2:
        raise ValueError(
            "`embeddings` must have the shape (n, dim) with n and dim at "
            f"least 2. Received: embeddings.shape={embeddings.shape}"
        )
    return embeddings


def _check_prototypes(prototypes, shape, dtype):
    """Returns `(classes, dim)`, without rows if there are no prototypes."""
    if prototypes is None:
        return np.zeros((0, shape[1]), dtype)
    prototypes = _check_vectors(prototypes, "prototypes")
    if prototypes.shape != shape:
        raise ValueError(
            "`prototypes` must hold one row for each class, of as many "
            f"dimensions as `embeddings`, here {shape}. "
            f"Received: prototypes.shape={prototypes.shape}"
        )
    return prototypes


def _check_vectors(vectors, name):
    """Casts vectors to float32 or more and checks that they are finite."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise ValueError(
            f"`{name}` must have the shape (rows, dim). "
            f"Received: {name}.shape={vectors.shape}"
        )
    # PCA and t-SNE do not compute in half precision.
    vectors = vectors.astype(np.promote_types(vectors.dtype, "float32"))
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{(~np.isfinite(vectors)).sum()} values that are not"
        )
    return vectors


def _check_labels(labels, count, class_names):
    """Returns the class of each label, an index `(count,)`, and the names."""
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
            "`class_names` must name every label; integer labels are indices "
            f"into it. Received: {len(names)} names, and the label "
            f"{unknown[0]!r}"
        )
    place = {label: k for k, label in enumerate(known)}
    return np.array([place[label] for label in labels.tolist()]), names
