"""Figures are written to files, completely or not at all."""

import pytest

from keras_meta import plots


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
