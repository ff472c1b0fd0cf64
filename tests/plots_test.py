"""Figures: what is drawn, what is marked, and that nothing overlaps."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from keras_meta import plots

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


def make_probabilities(episode, wrong=()):
    """Certain by 80%, and right but for the queries `wrong`."""
    targets = episode["query_y"].copy()
    targets[list(wrong)] = np.roll(targets[list(wrong)], 1, axis=1)
    return 0.8 * targets + 0.2 / targets.shape[1]


def captions(figure):
    return [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]


def frame(axes):
    return to_hex(axes.spines["left"].get_edgecolor())


def assert_texts_are_apart(figure):
    """No text leaves the figure or touches another."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
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


def test_episode_draws_every_picture_under_its_class():
    episode = make_episode(way=3, shot=2, queries=2)
    figure = plots.plot_episode(episode, class_names=["ant", "bee", "cow"])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["ant", "bee", "cow"] + [""] * 9
    first, below = figure.axes[0], figure.axes[3]
    assert first.get_position().x0 == below.get_position().x0
    assert first.get_position().y0 > below.get_position().y1
    image = below.images[0]
    np.testing.assert_array_equal(
        image.get_array(), episode["support_x"][1].astype("float32")[..., 0]
    )
    assert image.get_cmap().name == "gray_r"
    # Without predictions the queries stand under their true names.
    assert captions(figure) == ["ant", "bee", "cow"] * 2
    headers = [text.get_text() for text in figure.texts]
    assert headers == ["Support set: 3-way, 2-shot", "Queries"]


def test_wrong_predictions_are_marked_by_colour_and_sign():
    episode = make_episode(way=5, queries=1)
    probabilities = make_probabilities(episode, wrong=[2])
    figure = plots.plot_episode(episode, probabilities, list("abcde"))
    wrong = figure.axes[5 + 2]
    assert wrong.get_xlabel() == "✗\xa0d 84%\ntrue: c"
    assert frame(wrong) == plots.WRONG
    for axes, name in zip(np.delete(figure.axes[5:], 2), "abde", strict=True):
        assert axes.get_xlabel() == f"✓\xa0{name} 84%"
        assert frame(axes) == plots.CORRECT
    assert figure.texts[1].get_text() == "Queries: 4 of 5 correct"


def test_predictions_without_labels_are_not_judged():
    episode = make_episode(way=2, queries=1)
    probabilities = make_probabilities(episode)
    del episode["query_y"]
    figure = plots.plot_episode(episode, probabilities)
    assert captions(figure) == ["class 0 90%", "class 1 90%"]
    assert {frame(axes) for axes in figure.axes} == {plots.NEUTRAL}


def test_padding_is_not_drawn():
    episode = make_episode(way=4, shot=2, queries=3)
    episode["support_y"][1] = 0
    # The last class is padding altogether.
    episode["support_y"][6:] = 0
    episode["query_y"][9:] = 0
    figure = plots.plot_episode(episode)
    assert len(figure.axes) == 5 + 9
    assert figure.texts[0].get_text() == "Support set: 3-way, 1 to 2 shots"
    assert not any("class 3" in text for text in captions(figure))


def test_queries_are_chosen_evenly_over_classes():
    episode = make_episode(way=5, queries=15)
    probabilities = make_probabilities(episode, wrong=range(4))
    figure = plots.plot_episode(episode, probabilities, list("abcde"))
    assert len(figure.axes) == 5 + 15
    header = figure.texts[1].get_text()
    assert header == "Queries: 15 of 75 shown, 71 of 75 correct"
    figure = plots.plot_episode(
        episode, class_names=list("abcde"), max_queries=7
    )
    assert captions(figure) == list("abcdeab")
    del episode["query_y"]
    assert len(plots.plot_episode(episode, max_queries=7).axes) == 5 + 7


def test_colour_pictures_and_no_queries():
    episode = make_episode(way=2, channels=3)
    episode["support_x"] = (255 * episode["support_x"]).astype("uint8")
    episode["query_x"] = episode["query_x"][:0]
    episode["query_y"] = episode["query_y"][:0]
    figure = plots.plot_episode(episode)
    assert len(figure.axes) == 2
    assert figure.axes[0].images[0].get_array().shape == (8, 8, 3)


@pytest.mark.parametrize("way, shot", [(2, 3), (5, 1), (12, 1), (20, 1)])
def test_long_names_neither_overlap_nor_leave_the_figure(way, shot):
    episode = make_episode(way, shot, queries=2)
    probabilities = make_probabilities(episode, wrong=[0, 2, 3])
    names = ["W" * 40, "a $dog$ of a_very_long-name/indeed", *LONG_NAMES]
    figure = plots.plot_episode(episode, probabilities, names[:way])
    assert_texts_are_apart(figure)
    assert "…" in figure.axes[0].get_title()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"support_x": None}, "support_x"),
        ({"support_y": np.eye(4)}, r"`support_y` must have .* 5 examples"),
        ({"support_y": np.full((5, 5), 0.2)}, "`support_y` must be one-hot"),
        ({"support_y": np.zeros((5, 5))}, "at least one labelled"),
        ({"query_y": np.eye(15)[:, :3]}, "`query_y` must have .* same way"),
        ({"query_x": np.zeros((1, 15, 8, 8, 1))}, "take one task"),
        ({"query_x": np.full((15, 8, 8, 1), 7.0)}, r"`query_x` .* \[0, 1\]"),
    ],
)
def test_episode_errors(change, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_episode({**make_episode(), **change})


def test_episode_argument_errors():
    episode = make_episode()
    with pytest.raises(ValueError, match="dict of the arrays"):
        plots.plot_episode([1, 2])
    with pytest.raises(ValueError, match=r"no \['query_x'\]"):
        del episode["query_x"]
        plots.plot_episode(episode)
    episode = make_episode()
    with pytest.raises(ValueError, match=r"\(15, 5\)"):
        plots.plot_episode(episode, np.ones((15, 4)))
    with pytest.raises(ValueError, match="pass logits through"):
        plots.plot_episode(episode, np.full((15, 5), 2.0))
    with pytest.raises(ValueError, match="`class_names` .* 5 classes"):
        plots.plot_episode(episode, class_names=["a"])
    with pytest.raises(ValueError, match="max_queries=0"):
        plots.plot_episode(episode, max_queries=0)


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


def make_reads(way=3, shot=2, steps=2):
    """Attention that grows on class 1, of which the query is."""
    episode = make_episode(way, shot, queries=1)
    logits = np.arange(1, steps + 1)[:, None] * episode["support_y"][:, 1]
    attention = np.exp(logits)
    return {
        "attention": attention / attention.sum(axis=1, keepdims=True),
        "support_x": episode["support_x"],
        "query_x": episode["query_x"][1],
        "support_y": episode["support_y"],
        "query_y": episode["query_y"][1],
    }


def bars(figure):
    """The Axes of the reads, each with its bars and their values."""
    return [axes for axes in figure.axes if axes.patches]


def test_attention_is_a_bar_under_each_picture_for_each_read():
    reads = make_reads()
    figure = plots.plot_attention(**reads, class_names=["ant", "bee", "cow"])
    query, *pictures = figure.axes[:7]
    np.testing.assert_array_equal(
        query.images[0].get_array(), reads["query_x"].astype("float32")[..., 0]
    )
    assert query.get_xlabel() == "true: bee"
    titles = [axes.get_title() for axes in pictures]
    assert titles == ["ant", "ant", "✓\xa0bee", "✓\xa0bee", "cow", "cow"]
    assert figure.axes[7:] == bars(figure)
    first, second = bars(figure)
    assert first.get_position().y0 >= second.get_position().y1
    assert first.get_ylim() == second.get_ylim()
    for axes, attention in zip(bars(figure), reads["attention"], strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        np.testing.assert_allclose(heights, attention)
        values = [text.get_text() for text in axes.texts]
        assert values == [f"{share:.0%}" for share in attention]
        for bar, picture in zip(axes.patches, pictures, strict=True):
            middle = bar.get_x() + bar.get_width() / 2
            pixel = axes.transData.transform((middle, 0))[0]
            box = picture.get_window_extent()
            np.testing.assert_allclose(pixel, (box.x0 + box.x1) / 2)
            assert axes.get_window_extent().y1 <= box.y0 + 1e-6
    sums = reads["attention"][:, 2:4].sum(axis=1)
    assert [axes.get_ylabel() for axes in bars(figure)] == [
        f"read {step}\n{share:.0%} on ✓"
        for step, share in enumerate(sums, start=1)
    ]
    headers = [text.get_text() for text in figure.texts]
    assert headers == [
        "Query",
        "Support set: 3-way, 2-shot",
        "dotted line: even attention, 17%",
    ]


def test_the_true_class_is_marked_by_colour_frame_and_hatch():
    figure = plots.plot_attention(**make_reads(shot=1))
    for k, picture in enumerate(figure.axes[1:4]):
        assert (frame(picture) == plots.CORRECT) == (k == 1)
        assert (picture.spines["left"].get_linewidth() > 2) == (k == 1)
        assert bool(bars(figure)[0].patches[k].get_hatch()) == (k == 1)


def test_attention_without_labels_marks_nothing():
    reads = make_reads(way=2, shot=1, steps=1)
    reads["attention"] = np.array([[0.999, 0.001]], "float32")
    del reads["support_y"], reads["query_y"]
    figure = plots.plot_attention(**reads)
    assert figure.texts[1].get_text() == "Support set"
    assert {axes.get_title() for axes in figure.axes} == {""}
    (axes,) = bars(figure)
    assert axes.get_ylabel() == "read 1"
    assert [text.get_text() for text in axes.texts] == ["100%", "<1%"]
    assert not any(bar.get_hatch() for bar in axes.patches)
    assert_texts_are_apart(figure)


def test_attention_on_padding_is_not_drawn():
    reads = make_reads(way=3, shot=2)
    reads["support_y"][4:] = 0
    reads["attention"] = np.array([[0.25, 0.25, 0.25, 0.25, 0, 0]])
    figure = plots.plot_attention(**reads)
    assert len(figure.axes) == 1 + 4 + 1
    assert figure.texts[1].get_text() == "Support set: 2-way, 2-shot"
    assert "even attention, 25%" in figure.texts[2].get_text()
    reads["attention"] = np.full((1, 6), 1 / 6)
    with pytest.raises(ValueError, match="without padding, sum to 1"):
        plots.plot_attention(**reads)


@pytest.mark.parametrize("way, shot, bands", [(2, 1, 1), (5, 1, 1), (5, 5, 3)])
def test_attention_breaks_many_pictures_into_bands(way, shot, bands):
    reads = make_reads(way, shot, steps=3)
    names = ["W" * 40, "a $dog$ of a_very_long-name/indeed", *LONG_NAMES]
    figure = plots.plot_attention(**reads, class_names=names[:way])
    rows = bars(figure)
    assert len(rows) == 3 * bands
    assert len(figure.axes) == 1 + way * shot + 3 * bands
    drawn = [[bar.get_height() for bar in axes.patches] for axes in rows]
    # The bands of the first read, one after the other, are its attention.
    np.testing.assert_allclose(sum(drawn[::3], []), reads["attention"][0])
    labels = [axes.get_ylabel().split("\n") for axes in rows]
    assert [label[0] for label in labels] == [
        f"read {step}" for step in (1, 2, 3)
    ] * bands
    # The sum on the true class is written once.
    assert [len(label) for label in labels] == [2] * 3 + [1] * 3 * (bands - 1)
    assert_texts_are_apart(figure)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"attention": np.ones(6) / 6}, r"`attention` .* \(read_steps, 6\)"),
        ({"attention": np.ones((2, 5)) / 5}, r"shape=\(2, 5\)"),
        ({"attention": np.zeros((0, 6))}, r"`attention` must have the shape"),
        ({"attention": np.ones((2, 6))}, "sums from 6 to 6"),
        ({"attention": [[1.5, -0.5, 0, 0, 0, 0]]}, "from -0.5 to 1.5"),
        ({"attention": np.full((2, 6), np.nan)}, "must hold distributions"),
        ({"support_x": np.zeros((8, 8, 1))}, r"`support_x` must have .* 3 ch"),
        ({"support_x": np.zeros((0, 8, 8, 1))}, "at least one picture"),
        ({"support_x": np.full((6, 8, 8, 1), 7.0)}, r"`support_x` .* \[0, 1\]"),
        ({"query_x": np.zeros((1, 8, 8, 1))}, r"`query_x` .* \(8, 8, 1\)"),
        ({"query_x": np.full((8, 8, 1), np.nan)}, "`query_x` must be finite"),
        ({"support_y": np.eye(3)}, "`support_y` must have .* 6 examples"),
        ({"support_y": np.full((6, 3), 0.5)}, "`support_y` must be one-hot"),
        ({"support_y": np.zeros((6, 3))}, "at least one labelled"),
        ({"support_y": None}, "`support_y` must be given"),
        ({"query_y": np.eye(3)}, "`query_y` must be the one-hot label"),
        ({"query_y": [0, 0, 0]}, "`query_y` must be the one-hot label"),
        ({"class_names": ["a"]}, "`class_names` .* 3 classes"),
    ],
)
def test_attention_errors(change, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_attention(**{**make_reads(), **change})


def test_attention_is_limited_to_30_pictures():
    with pytest.raises(ValueError, match="at most 30 .* 31 pictures"):
        plots.plot_attention(**make_reads(way=31, shot=1))


def make_scores(same=40, different=60):
    rng = np.random.default_rng(0)
    scores = [rng.beta(3, 1, same), rng.beta(1, 3, different)]
    return np.concatenate(scores), np.repeat([1, 0], [same, different])


def test_score_histogram_shows_the_shares_of_each_kind():
    scores, same = make_scores()
    figure = plots.plot_score_histogram(scores, same, bins=10)
    (axes,) = figure.axes
    different, alike = axes.patches
    for stairs, kind in ((different, scores[40:]), (alike, scores[:40])):
        values, edges, _ = stairs.get_data()
        assert len(values) == 10
        np.testing.assert_allclose(edges, np.linspace(0, 1, 11))
        np.testing.assert_allclose(values.sum(), 1)
        # Above the threshold stands the share of the scores above it.
        np.testing.assert_allclose(values[5:].sum(), (kind > 0.5).mean())
        np.testing.assert_allclose(values[0], (kind <= 0.1).mean())
    # Filled and hatched, without a need of colours.
    assert different.get_fill() and not different.get_hatch()
    assert alike.get_hatch() and not alike.get_fill()
    (threshold,) = axes.lines
    assert list(threshold.get_xdata()) == [0.5, 0.5]
    right = (scores[:40] > 0.5).sum(), (scores[40:] <= 0.5).sum()
    assert axes.get_title() == (
        f"Verification accuracy at 0.5: {sum(right)}.0% of 100 pairs"
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"different classes: {right[1]} of 60 right",
        f"same class: {right[0]} of 40 right",
    ]
    assert_texts_are_apart(figure)


def test_a_score_of_one_half_is_judged_different():
    same = [True, False]
    figure = plots.plot_score_histogram(np.float32([0.5, 0.5]), same, bins=2)
    (axes,) = figure.axes
    for stairs in axes.patches:
        np.testing.assert_array_equal(stairs.get_data().values, [1, 0])
    assert "50.0% of 2 pairs" in axes.get_title()
    verdicts = [text.get_text() for text in axes.texts]
    assert verdicts == ["← judged different", "judged same →"]
    assert_texts_are_apart(figure)


@pytest.mark.parametrize(
    "scores, same, bins, message",
    [
        ([0.1, 0.9, 0.5], [0, 1], 20, r"same\.shape=\(2,\)"),
        ([[0.1], [0.9]], [[0], [1]], 20, r"must both have the shape \(n,\)"),
        ([0.1, 1.9], [0, 1], 20, "sigmoid .* from 0.1 to 1.9"),
        ([-0.1, 0.9], [0, 1], 20, "from -0.1 to 0.9"),
        ([np.nan, 0.9], [0, 1], 20, "1 of 2 values are NaN"),
        ([0.1, 0.9], [0, 2], 20, r"`same` must hold bools.*\[0 2\]"),
        ([0.1, 0.9], [1, 1], 20, "2 same and 0 different"),
        ([0.1, 0.9], [0, 0], 20, "0 same and 2 different"),
        ([], [], 20, "0 same and 0 different"),
        ([0.1, 0.9], [0, 1], 5, "even integer.*bins=5"),
        ([0.1, 0.9], [0, 1], 0, "bins=0"),
        ([0.1, 0.9], [0, 1], 4.0, "bins=4.0"),
    ],
)
def test_score_histogram_errors(scores, same, bins, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_score_histogram(scores, same, bins)


def make_regressions(tasks=2, steps=(0, 1, 10), points=50, support=5):
    """Sine waves; each number of steps halves what is missing."""
    x = np.linspace(-5, 5, points)
    support_x = np.linspace(0.5, 4, support)
    return [
        {
            "x": x,
            "target": np.sin(x - phase),
            "support_x": support_x,
            "support_y": np.sin(support_x - phase),
            "predictions": {
                step: (1 - 0.5**i) * np.sin(x - phase)
                for i, step in enumerate(steps)
            },
        }
        for phase in range(tasks)
    ]


def curves(axes):
    """The lines of a panel by what the legend calls them."""
    return {line.get_label(): line for line in axes.lines}


def test_regression_has_a_panel_for_each_task():
    tasks = make_regressions()
    figure = plots.plot_regression_adaptation(tasks)
    assert len(figure.axes) == 2
    keys = ["true curve", "before adapting", "1 step", "10 steps"]
    keys.append("support points")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == keys
    left, right = figure.axes
    assert left.get_position().y0 == right.get_position().y0
    assert left.get_ylim() == right.get_ylim()
    for axes, task in zip(figure.axes, tasks, strict=True):
        drawn = [line.get_xydata().T for line in curves(axes).values()]
        assert list(curves(axes)) == keys
        expected = [task["target"], *task["predictions"].values()]
        for line, values in zip(drawn, expected, strict=False):
            np.testing.assert_allclose(line, [task["x"], values])
        points = [task["support_x"], task["support_y"]]
        np.testing.assert_allclose(drawn[-1], points)
        error = np.square(task["target"]).mean()
        assert axes.get_title() == (
            "5 support points\nmean squared error: "
            f"{error:.3g} → {error / 4:.3g} → {error / 16:.3g}"
        )
    assert_texts_are_apart(figure)


def test_predictions_differ_by_stroke_and_get_darker():
    (task,) = make_regressions(tasks=1, steps=(0, 1, 2, 5, 10))
    figure = plots.plot_regression_adaptation([task])
    _, *predictions, points = figure.axes[0].lines
    strokes = [line.get_linestyle() for line in predictions]
    # Matplotlib calls a stroke of one's own `--`.
    assert strokes == [":", "--", "-.", "--", "-"]
    shades = [sum(line.get_color()[:3]) for line in predictions]
    assert shades == sorted(shades, reverse=True) and len(set(shades)) == 5
    assert points.get_linestyle() == "None" and points.get_marker() == "^"
    assert_texts_are_apart(figure)


def test_regression_of_unordered_points_and_steps():
    (task,) = make_regressions(tasks=1)
    order = np.random.default_rng(0).permutation(50)
    shuffled = {
        **task,
        "x": task["x"][order],
        "target": task["target"][order].astype("float32"),
        "predictions": {
            step: task["predictions"][step][order] for step in (10, 0, 1)
        },
    }
    before, after = (
        curves(plots.plot_regression_adaptation([one]).axes[0])
        for one in (task, shuffled)
    )
    assert list(before) == list(after)
    for label, line in before.items():
        np.testing.assert_allclose(
            line.get_xydata(), after[label].get_xydata(), atol=1e-6
        )


@pytest.mark.parametrize("count", [1, 3, 5])
def test_regression_titles_neither_overlap_nor_leave_the_figure(count):
    titles = ["a $sine$ from five points", "W" * 90, *LONG_NAMES][:count]
    tasks = make_regressions(tasks=count)
    figure = plots.plot_regression_adaptation(tasks, titles)
    assert len(figure.axes) == count
    assert figure.axes[0].get_title().startswith("a $sine$ from five points\n")
    assert_texts_are_apart(figure)


def test_a_model_that_did_not_adapt_is_dotted():
    figure = plots.plot_regression_adaptation(make_regressions(steps=[0]))
    line = curves(figure.axes[0])["before adapting"]
    assert line.get_linestyle() == ":"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x": None}, r"`tasks\[1\]\['x'\]` .* \(n,\) with n at least 2"),
        ({"x": [0.0]}, "with n at least 2.*Received: shape \\(1,\\)"),
        ({"x": np.full(50, np.nan)}, r"\['x'\]` must be finite.*50 values"),
        ({"target": np.zeros((50, 1))}, r"\(50,\), as `x` has; take one task"),
        ({"target": np.zeros(49)}, r"`tasks\[1\]\['target'\]` .*\(49,\)"),
        ({"support_x": []}, r"\['support_x'\]` .* n at least 1"),
        ({"support_y": [1.0]}, r"\(5,\), as `support_x` has"),
        ({"predictions": np.zeros(50)}, "1 to 5 arrays.*Received: ndarray"),
        ({"predictions": {}}, r"Received: the keys \[\]"),
        ({"predictions": {"one": np.zeros(50)}}, r"the keys \['one'\]"),
        ({"predictions": {-1: np.zeros(50)}}, r"0 or more.*\[-1\]"),
        (
            {"predictions": dict.fromkeys(range(6), np.zeros(50))},
            r"\[0, 1, 2, 3, 4, 5\]",
        ),
        (
            {"predictions": {0: np.zeros((1, 50, 1))}},
            r"\['predictions'\]\[0\]` .*`\[0, :, 0\]` of a batch",
        ),
        (
            {"predictions": {0: np.full(50, np.inf)}},
            r"\['predictions'\]\[0\]` must be finite",
        ),
        (
            {"predictions": {0: np.zeros(50), 1: np.zeros(50)}},
            r"here \[0, 1, 10\]. Received: tasks\[1\] with \[0, 1\]",
        ),
    ],
)
def test_regression_errors(change, message):
    one, other = make_regressions()
    with pytest.raises(ValueError, match=message):
        plots.plot_regression_adaptation([one, {**other, **change}])


def test_regression_argument_errors():
    tasks = make_regressions()
    for wrong in (tasks[0], [], None):
        with pytest.raises(ValueError, match="`tasks` must be a list of dicts"):
            plots.plot_regression_adaptation(wrong)
    with pytest.raises(ValueError, match=r"`tasks\[0\]` .* keys .*\['x'\]"):
        plots.plot_regression_adaptation([{"x": [1.0]}])
    with pytest.raises(ValueError, match="each of the 2 tasks.*'ab'"):
        plots.plot_regression_adaptation(tasks, "ab")
    with pytest.raises(ValueError, match="each of the 2 tasks"):
        plots.plot_regression_adaptation(tasks, ["a"])


def make_history(epochs=30):
    falling = np.exp(-np.arange(epochs) / 10)
    return {
        "learning_rate": list(1e-3 * falling),
        "loss": list(falling),
        "task_accuracy": list(1 - falling / 2),
        "val_loss": list(falling + 0.1),
        "val_task_accuracy": list(0.9 - falling / 2),
        "val_task_accuracy_interval": [0.02] * epochs,
    }


def test_learning_curves_have_a_panel_for_each_quantity():
    figure = plots.plot_learning_curves(make_history())
    loss, accuracy, rate = figure.axes
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["Loss", "Task accuracy", "Learning rate"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 1]
    assert rate.get_yscale() == "log" and loss.get_yscale() == "linear"
    assert not loss.collections
    (band,) = accuracy.collections
    middle = accuracy.lines[1].get_ydata()
    heights = band.get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(heights.min(), middle.min() - 0.02)
    np.testing.assert_allclose(heights.max(), middle.max() + 0.02)
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["training", "validation", "95% interval"]
    assert_texts_are_apart(figure)


def test_learning_curves_of_chosen_metrics_and_rare_validation():
    history = make_history() | {"val_loss": [3.0, 2.0, 1.0]}
    figure = plots.plot_learning_curves(history, metrics=["loss"])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), range(1, 31))
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [10, 20, 30])
    assert_texts_are_apart(figure)


def test_a_learning_rate_of_zero_is_drawn_on_a_linear_axis():
    figure = plots.plot_learning_curves({"learning_rate": [0.1, 0.0]})
    assert figure.axes[0].get_yscale() == "linear"
    assert not figure.legends


@pytest.mark.parametrize(
    "history, metrics, message",
    [
        (None, None, "dict of lists"),
        ({}, None, "dict of lists"),
        ({"loss": [1, 2], "accuracy": [1]}, None, r"here 2.*'accuracy'"),
        ({"loss": [1], "val_loss": []}, None, "'val_loss'"),
        ({"loss": 1.0}, None, "'loss'"),
        (
            {"loss": [1, 2], "val_f": [1, 2], "val_f_interval": [1]},
            None,
            "'val_f_interval'",
        ),
        ({"loss": [1]}, ["accuracy"], r"\['loss'\]. Received: metrics="),
        ({"loss": [1]}, "loss", "list of names"),
        ({"loss": [1]}, [], "list of names"),
    ],
)
def test_learning_curve_errors(history, metrics, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_learning_curves(history, metrics)


@pytest.mark.parametrize(
    "suffix, start",
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")],
)
def test_save_figure_writes_the_format_of_the_suffix(tmp_path, suffix, start):
    figure = plots.plot_learning_curves({"loss": [2.0, 1.0]})
    path = tmp_path / "new" / "folder" / f"figure{suffix}"
    assert plots.save_figure(figure, str(path)) == path
    assert path.read_bytes().startswith(start)
    assert list(path.parent.iterdir()) == [path]


def test_save_figure_is_all_or_nothing(tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("before")

    class Broken:
        def savefig(self, path, **kwargs):
            path.write_text("half")
            raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        plots.save_figure(Broken(), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="figure.jpg"):
        plots.save_figure(Broken(), tmp_path / "figure.jpg")
