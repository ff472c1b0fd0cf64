"""The figure of an episode."""

import numpy as np
import pytest
from figure_checks import (
    LONG_NAMES,
    assert_texts_are_apart,
    frame,
    make_episode,
)

from keras_meta import plots
from keras_meta.plots.colours import CORRECT, NEUTRAL, WRONG


def make_probabilities(episode, wrong=()):
    """Certain by 80%, and right but for the queries `wrong`."""
    targets = episode["query_y"].copy()
    targets[list(wrong)] = np.roll(targets[list(wrong)], 1, axis=1)
    return 0.8 * targets + 0.2 / targets.shape[1]


def captions(figure):
    return [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]


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
    assert frame(wrong) == WRONG
    for axes, name in zip(np.delete(figure.axes[5:], 2), "abde", strict=True):
        assert axes.get_xlabel() == f"✓\xa0{name} 84%"
        assert frame(axes) == CORRECT
    assert figure.texts[1].get_text() == "Queries: 4 of 5 correct"


def test_predictions_without_labels_are_not_judged():
    episode = make_episode(way=2, queries=1)
    probabilities = make_probabilities(episode)
    del episode["query_y"]
    figure = plots.plot_episode(episode, probabilities)
    assert captions(figure) == ["class 0 90%", "class 1 90%"]
    assert {frame(axes) for axes in figure.axes} == {NEUTRAL}


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
    figure = plots.plot_episode(
        episode, make_probabilities(episode), list("abcde")
    )
    assert len(figure.axes) == 5 + 15
    header = figure.texts[1].get_text()
    assert header == "Queries: 15 of 75 shown, 75 of 75 correct"
    figure = plots.plot_episode(
        episode, class_names=list("abcde"), max_queries=7
    )
    assert captions(figure) == list("abcdeab")
    del episode["query_y"]
    assert len(plots.plot_episode(episode, max_queries=7).axes) == 5 + 7


def test_wrong_predictions_are_drawn_first():
    episode = make_episode(way=20, queries=15)
    probabilities = make_probabilities(episode, wrong=range(40, 49))
    names = [f"name {k}" for k in range(20)]
    figure = plots.plot_episode(episode, probabilities, names)
    header = figure.texts[1].get_text()
    assert header == (
        "Queries: 15 of 300 shown, wrong ones first, 291 of 300 correct"
    )
    signs = [caption[0] for caption in captions(figure)]
    assert signs == ["✗"] * 9 + ["✓"] * 6


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
        (
            {"support_y": np.vstack([np.eye(5)[:4], np.full((1, 5), 0.1)])},
            r"Received: the row \[0.1 0.1",
        ),
        (
            {"query_y": np.eye(15)[:, :3]},
            "`query_y` must .* 5 columns, as",
        ),
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
    with pytest.raises(ValueError, match=r"without \['query_x'\]"):
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
