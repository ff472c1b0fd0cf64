"""The benchmark of confidence counts what it says."""

import numpy as np
import pytest

import keras_meta as km
from benchmarks import unknowns


def test_shares_are_those_of_all_queries_and_areas_those_of_episodes():
    known = [np.array([True] * 20 + [False] * 2)] * 2
    scores = [np.r_[np.arange(20), 18.5, 30], np.r_[np.arange(20), -1, 5.5]]
    found = unknowns._told_apart("novelty", scores, known)
    areas = [(19 / 20 + 1) / 2, (0 + 6 / 20) / 2]
    assert found["novelty_auroc"] == pytest.approx(np.mean(areas))
    # 5% of the 40 known ones are above 18.05 between the two largest values.
    assert found["novelty_refused"] == 2 / 4


def test_a_preset_is_measured(monkeypatch):
    images, names = km.data.load_glyphs("test")
    images = images.astype("float32") / 255

    def episodes(setting):
        for first in (0, 40):
            chosen = np.unique(names)[first : first + 2 * setting.way]
            rows = [np.flatnonzero(names == name)[:6] for name in chosen]
            yield (
                np.concatenate([images[r[:3]] for r in rows[: setting.way]]),
                np.repeat(np.arange(setting.way), 3),
                np.concatenate([images[r[3:]] for r in rows]),
                np.repeat(np.arange(2 * setting.way), 3),
            )

    monkeypatch.setattr(unknowns, "episodes", episodes)
    name = "prototypical_network_glyphs"
    found = unknowns.measure(name, unknowns.Setting(way=3, shot=3))
    assert found["accuracy"] > 0.9 and found["novelty_auroc"] > 0.7
    assert found["refused"] > found["lost"]
    header, _, row = unknowns.table({name: found}).splitlines()
    assert header.count("|") == row.count("|") == 11
