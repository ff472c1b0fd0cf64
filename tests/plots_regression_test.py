"""The figure of regressions before and after the model adapted."""

import numpy as np
import pytest
from figure_checks import LONG_NAMES, assert_texts_are_apart

from keras_meta import plots


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
        (
            {"target": np.zeros((50, 1))},
            r"\(50,\), as `x` has; .* take one task",
        ),
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
            r"\['predictions'\]\[0\]` .*of a batch .*`\[0, :, 0\]`",
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
