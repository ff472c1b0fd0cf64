"""The map of embeddings."""

import numpy as np
import pytest
from figure_checks import LONG_NAMES, assert_texts_are_apart
from matplotlib.colors import to_hex, to_rgb

from keras_meta import plots
from keras_meta.plots.colours import CLASS_COLOURS


def make_clusters(way, each=6, dim=8):
    """Tight clusters `(way * each, dim)`, their labels and means."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(way), each)
    means = rng.normal(size=(way, dim))
    noise = 0.05 * rng.normal(size=(way * each, dim))
    return means[labels] + noise, labels, means


def test_embeddings_have_a_colour_and_a_marker_for_each_class():
    embeddings, labels, prototypes = make_clusters(20)
    names = LONG_NAMES[:19] + ["_background_"]
    figure = plots.plot_embeddings(
        embeddings, labels, prototypes, class_names=names
    )
    (axes,) = figure.axes
    *classes, stars = axes.collections
    # The colour alone tells the classes, and the stars, apart.
    assert len({to_hex(colour) for colour in stars.get_facecolor()}) == 20
    looks = {
        (
            to_hex(points.get_facecolor()[0]),
            points.get_paths()[0].vertices.tobytes(),
        )
        for points in classes
    }
    assert len(classes) == len(looks) == 20
    assert stars.get_offsets().shape == (20, 2)
    # The plane keeps a prototype at the mean of its cluster.
    np.testing.assert_allclose(
        stars.get_offsets()[3], classes[3].get_offsets().mean(0), atol=0.1
    )
    listed = [text.get_text() for text in figure.legends[0].get_texts()]
    assert listed[-2:] == ["_background_", "prototype"] and len(listed) == 21
    assert_texts_are_apart(figure)


def lab(colour):
    """CIELAB of an sRGB colour, in which distances are those of the eye."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(
        rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92
    )
    matrix = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x, y, z = np.cbrt(matrix @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_twenty_colours_differ():
    colours = np.stack([lab(colour) for colour in CLASS_COLOURS])
    assert len(colours) == 20
    distances = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert distances[np.triu_indices(20, 1)].min() > 10
    # None is lost on white paper.
    assert colours[:, 0].max() < 90


def test_directions_lie_among_the_embeddings():
    """As for prototypes of descriptions, which are much shorter."""
    embeddings, labels, means = make_clusters(5)
    prototypes = means / np.linalg.norm(means, axis=1, keepdims=True)
    figure = plots.plot_embeddings(
        20 * embeddings, labels, prototypes, directions=True
    )
    *classes, stars = figure.axes[0].collections
    for points, star in zip(classes, stars.get_offsets(), strict=True):
        distance = np.abs(points.get_offsets().mean(0) - star).max()
        assert distance < 0.1


def test_more_than_20_classes_are_named_at_their_means():
    embeddings, labels, prototypes = make_clusters(30)
    figure = plots.plot_embeddings(
        embeddings, labels, prototypes, class_names=LONG_NAMES[:30]
    )
    assert not figure.legends
    assert len(figure.axes[0].texts) == 30
    assert_texts_are_apart(figure)


def test_tsne_takes_few_points_and_string_labels():
    embeddings, _, prototypes = make_clusters(2, each=3)
    labels = np.array(["dog"] * 3 + ["cat"] * 3, dtype=object)
    figures = [
        plots.plot_embeddings(
            embeddings, labels, prototypes[::-1], method="tsne", seed=1
        )
        for _ in range(2)
    ]
    *classes, stars = figures[0].axes[0].collections
    assert [len(points.get_offsets()) for points in classes] == [3, 3]
    listed = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert listed == ["cat", "dog", "prototype"]
    again = figures[1].axes[0].collections[-1]
    np.testing.assert_array_equal(stars.get_offsets(), again.get_offsets())


def test_collapsed_and_half_precision_embeddings_are_drawn():
    figure = plots.plot_embeddings(np.ones((4, 3), "float16"), [0, 0, 1, 1])
    assert "0% of the variance" in figure.axes[0].get_xlabel()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"embeddings": np.zeros(4)}, r"`embeddings` .* \(rows, dim\)"),
        ({"embeddings": np.zeros((4, 1))}, "at least 2"),
        ({"embeddings": np.full((4, 3), np.nan)}, "12 values"),
        ({"labels": [0, 1]}, "`labels` .* 4 embeddings"),
        ({"labels": [0.0, 0.0, 1.0, 1.0]}, "integers or strings"),
        ({"labels": [0, 0, 1, 2], "class_names": ["a", "b"]}, "label 2"),
        ({"labels": list("aabc"), "class_names": ["a", "b"]}, "label 'c'"),
        ({"prototypes": np.zeros((3, 3))}, r"`prototypes` .* \(2, 3\)"),
        ({"method": "umap"}, "'pca' or 'tsne'. Received: method='umap'"),
    ],
)
def test_embedding_errors(arguments, message):
    defaults = {"embeddings": np.eye(4, 3), "labels": [0, 0, 1, 1]}
    with pytest.raises(ValueError, match=message):
        plots.plot_embeddings(**{**defaults, **arguments})
