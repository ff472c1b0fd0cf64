"""What the tests of several figures need."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

LONG_NAMES = [
    f"Early_Aramaic/character{k:02d}/{90 * (k % 4)}" for k in range(60)
]


def make_episode(way=5, shot=1, queries=3, size=8, channels=1):
    rng = np.random.default_rng(0)
    labels = np.eye(way)
    return {
        "support_x": rng.random((way * shot, size, size, channels)),
        "support_y": np.repeat(labels, shot, axis=0),
        "query_x": rng.random((way * queries, size, size, channels)),
        "query_y": np.repeat(labels, queries, axis=0),
    }


def frame(axes):
    return to_hex(axes.spines["left"].get_edgecolor())


def assert_texts_are_apart(figure):
    """No text leaves the figure or touches another."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts]
    for axes in figure.axes:
        # Titles at all three places, and annotations.
        texts += [t for t in axes.get_children() if isinstance(t, Text)]
        texts += [axes.xaxis.label, axes.yaxis.label]
    for legend in figure.legends:
        texts += legend.get_texts()
    boxes = [
        # Of the letters, without the line that leads from an annotation.
        Text.get_window_extent(text, renderer).padded(-1)
        for text in texts
        if text.get_text()
    ]
    for box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
