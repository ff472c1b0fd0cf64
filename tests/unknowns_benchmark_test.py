"""The benchmark of confidence counts what it says."""

import numpy as np
import pytest

import keras_meta as km
from benchmarks import unknowns


class Classifier:
    """Gives an episode the scores that its queries are."""

    class model:
        transductive, embed, feature_maps = False, True, None

    def fit(self, support, codes, calibrate=False):
        self.calibrate = calibrate

    def novelty(self, queries):
        return queries

    def predict(self, queries, unknown, unknown_label):
        return np.where(queries > 15.5, unknown_label, 0)

    def predict_proba(self, queries):
        sure = 0.75 if self.calibrate else 0.9
        return np.tile([[sure, 1 - sure]], (len(queries), 1))


def drawn(*unknown):
    """An episode of 20 queries of a class, 15 of the second, and others."""
    scores = np.r_[np.arange(20), unknown]
    true = np.r_[[0] * 15, [1] * 5, [2] * len(unknown)]
    return None, None, scores, true


def test_shares_are_those_of_all_queries_and_areas_those_of_episodes():
    found = unknowns.measure_episodes(
        Classifier(), [drawn(18.5, 30), drawn(-1, 5.5)], 2
    )
    areas = [(19 / 20 + 1) / 2, (0 + 6 / 20) / 2]
    assert found["novelty_auroc"] == pytest.approx(np.mean(areas))
    # 5% of the 40 known ones are above 18.05 between the two largest values.
    assert found["novelty_refused"] == found["refused"] == 2 / 4
    assert found["lost"] == 4 / 20
    assert found["accuracy"] == 15 / 20
    assert found["error"] == pytest.approx(0.15)
    assert found["calibrated_error"] == pytest.approx(0, abs=1e-9)


def test_intervals_are_those_of_drawing_episodes():
    rng = np.random.default_rng(0)
    episodes = [drawn(value, value) for value in rng.integers(0, 20, 100)]
    found = unknowns.measure_episodes(Classifier(), episodes, 2)
    refused = [episode[2][-1] > 15.5 for episode in episodes]
    expected = 1.96 * np.std(refused) / 10
    assert found["refused_interval"] == pytest.approx(expected, rel=0.15)
    # All episodes have the same queries of the classes.
    assert found["lost_interval"] == pytest.approx(0, abs=1e-9)


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
    assert row.count("±") == 9
