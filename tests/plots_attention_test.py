"""The figure of one query's attention."""

import numpy as np
import pytest
from figure_checks import (
    LONG_NAMES,
    assert_texts_are_apart,
    frame,
    make_episode,
)

from keras_meta import plots
from keras_meta.plots.colours import CORRECT


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
        assert (frame(picture) == CORRECT) == (k == 1)
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
