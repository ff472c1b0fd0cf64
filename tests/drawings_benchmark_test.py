"""The benchmark of drawings draws what it says, from its seed alone."""

import numpy as np

from benchmarks import drawings
from keras_meta import Preprocessing


def test_a_task_has_classes_and_drawings_once():
    labels = np.repeat([f"character{n}" for n in range(7)], 20)
    rows = drawings.draw_tasks(labels, 3, np.random.default_rng(0))
    count = drawings.SHOT + drawings.QUERIES
    assert rows.shape == (3, drawings.WAY, count)
    for task in rows:
        assert len(np.unique(task)) == task.size
        found = labels[task]
        assert (found == found[:, :1]).all()
        assert len(np.unique(found[:, 0])) == drawings.WAY


def test_pictures_depend_on_cause_and_seed_alone():
    scans = np.zeros((2, 105, 105, 1), "uint8")
    scans[0, 20:80, 50:55] = scans[1, 50:55, 20:80] = 255
    sizes = [Preprocessing(28, ink=True), Preprocessing(20, ink=True)]

    def images(cause, seed):
        return drawings.prepared(scans, np.arange(2), cause, seed, sizes)

    first, again, other = (
        images("margin", 0),
        images("margin", 0),
        images("margin", 1),
    )
    for size in sizes:
        assert first[size].shape == (2, *size.size, 1)
        np.testing.assert_array_equal(first[size], again[size])
        assert (first[size] != other[size]).any()
    upright, lying = images(drawings.SCANS, 0)[sizes[0]]
    np.testing.assert_allclose(upright, lying.swapaxes(0, 1), atol=1e-6)


def test_a_missed_target_is_printed(capsys):
    results = {
        drawings.SCANS: {"good": 100.0, "weak": 90.0},
        "kraft": {"good": 96.9, "weak": 90.0},
    }
    drawings.report(results)
    lines = capsys.readouterr().out.splitlines()
    assert "at least 97.0% in every row; 96.9: MISSED" in lines[-2]
    assert "at least 90.0% in every row; 90.0: met" in lines[-1]
